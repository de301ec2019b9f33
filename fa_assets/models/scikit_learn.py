"""scikit-learn's own logistic regressions: those of the pipeline that this project began with, to the last bit.

The model is that of ``OneVsRestClassifier(make_pipeline(StandardScaler(), LogisticRegression(solver="lbfgs", C=2.0,
max_iter=1000)), n_jobs=-1)``. Its workers fit the scaler for each class and get the rows as a file; here the scaler is fitted
once, and the classes share the rows in threads. The workers have one BLAS thread each, and so has every class here: with more,
products are summed in another order, and since the solver stops well before the optimum that can move a probability by 0.7.
"""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fa_assets.encoders.threads import usable_cpus
from fa_assets.models.one_vs_rest import TOLERANCE, OneVsRest, require_training_set
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.row_file import require_finite


def fit(
    X: np.ndarray,
    Y: np.ndarray,
    *,
    C: float = 2.0,
    max_iter: int = 1000,
    tolerance: float = TOLERANCE,
    device: str = "cpu",
    progress: ProgressCallback = no_progress,
) -> OneVsRest:
    """Fit the scaler and one logistic regression per class.

    Arguments and errors are those of `torch_lbfgs.fit`, of rows in memory; the fits run in the dtype of X, and `device` has no
    effect, as scikit-learn computes on the CPU.
    """
    require_training_set(X.shape, Y)
    require_finite(X)

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(X)
    scaled = scaler.transform(X)
    n_classes, positives = Y.shape[1], Y.sum(axis=0, dtype=np.int64)
    trained = (positives > 0) & (positives < len(Y))
    coef, intercept = np.zeros((n_classes, X.shape[1]), scaled.dtype), np.zeros(n_classes, scaled.dtype)
    iterations, converged = np.zeros(n_classes, np.int64), np.zeros(n_classes, bool)
    warned: set[int] = set()

    def fit_class(index: int) -> None:
        """Also notes whether this thread was warned, as scikit-learn tells in no other way why a solver stopped."""
        warned.discard(threading.get_ident())
        model = LogisticRegression(solver="lbfgs", C=C, max_iter=max_iter, tol=tolerance).fit(scaled, Y[:, index])
        coef[index], intercept[index], iterations[index] = model.coef_[0], model.intercept_[0], model.n_iter_[0]
        converged[index] = threading.get_ident() not in warned

    progress(done := n_classes - int(trained.sum()), n_classes)
    pool = ThreadPoolExecutor(usable_cpus())
    try:
        with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ConvergenceWarning)
            warnings.showwarning = lambda *_, **__: warned.add(threading.get_ident())
            for _ in pool.map(fit_class, np.flatnonzero(trained)):
                progress(done := done + 1, n_classes)
    finally:
        pool.shutdown(cancel_futures=True)
    return OneVsRest(scaler.mean_, scaler.scale_, coef, intercept, iterations, converged, trained, positives)
