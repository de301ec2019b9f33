"""One-vs-rest logistic regression: scikit-learn's answer, for all classes at once.

The model is that of ``OneVsRestClassifier(make_pipeline(StandardScaler(), LogisticRegression(solver="lbfgs", C=2.0,
max_iter=1000)))``, with two things done once that scikit-learn does for every class: the scaler is fitted once, and
all classes are solved side by side, each evaluation by one pair of matrix products (see `batched_lbfgs`).

Products of matrices round otherwise than scikit-learn's products with vectors, on every processor in another way, and a
solve can magnify that: each rejected step of a line search makes the next step from a difference of two nearly equal
losses, and a path with several of them ends where rounding takes it. (scikit-learn's own predictions then move by up to
0.15 with the order of the rows.) So the answer of the common solve is accepted only for straight paths, one evaluation per
iteration, and only on large problems, where rounding averages out; every other class is scikit-learn's to solve.
Compared with scikit-learn under OpenBLAS's AVX2 and AVX-512 kernels, 541 straight paths on 3 million values or more
moved no probability by more than 1.3e-5 and no iteration count; on fewer values even straight ones moved some by 1.2e-4.

scikit-learn's stopping rule ends these solves well before the optimum, so the same predictions mean the same path:
objective, dtypes, starting point and options are those of `_logistic_regression_path` in scikit-learn's
`linear_model/_logistic.py` and of `LinearModelLoss` in its `_linear_loss.py` (read in 1.9). The tests compare both live.
"""

import logging
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import BadInputError
from fa_assets.models.batched_lbfgs import LossesAndGradients, Minima, Stopping, minimize_batch
from fa_assets.progress import ProgressCallback, no_progress

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""scikit-learn's default."""

_CLASSES_AT_ONCE = 128
"""Classes solved side by side: beyond this the shared product gains nothing, and memory (0.4 MB a class) is bounded."""

_TOGETHER_FROM = 2048 * 2048
"""Training values from which classes are solved side by side. Below, the matrix stays in a processor's cache, a product
with one vector costs no more than its share of a product with many, and scikit-learn itself is as fast and exact."""

NO_ROWS = "there are no rows to fit a classifier on; check that the other folds hold clips"

_BLOCK = 512
"""Rows, and columns, of a product that one thread computes at a time: small enough to share, large enough to be fast."""

_SMALL = 512 * 2048
"""Training values below which the products use one BLAS thread: more would save nothing, and on a busy machine wait
for each other. Their rounding is the same; of larger products it is not, so there the threads stay scikit-learn's."""


@dataclass(frozen=True, eq=False)
class OneVsRest:
    """A scaler and C logistic regressions over d features.

    A class that had no positives, or no negatives, in the training rows cannot be fitted. In every row its logit is 1
    below the lowest trained logit or below 0, whichever is lower: so it never ranks above a trained class, and its
    probability (the logistic function of that logit, as for any class) is below a half. That a class without negatives
    is put last too is a choice: nothing tells its rows apart, so its rank would only displace what has been learned.

    Attributes:
        mean, scale: float64 (d,), of the training rows; a constant column has scale 1.
        coef: (C, d), in the dtype of the training rows; zero for an untrained class.
        intercept: (C,), likewise.
        iterations: int64 (C,), L-BFGS iterations; 0 for an untrained class.
        converged: bool (C,), False where `max_iter` or the line search ended the solve, and for an untrained class.
        trained: bool (C,).
        positives: int64 (C,), training rows that carry the class.
    """

    mean: np.ndarray
    scale: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray
    trained: np.ndarray
    positives: np.ndarray

    def logits(self, X: np.ndarray) -> np.ndarray:
        """The log-odds of each class, float64 (n, C), computed in double precision, for rows X (n, d).

        Raises:
            BadInputError: X holds values that are not finite.
        """
        _require_finite(X)
        logits = (X - self.mean) / self.scale @ self.coef.T.astype(np.float64) + self.intercept
        if not self.trained.all():
            lowest = logits.min(axis=1, where=self.trained, initial=0.0, keepdims=True)
            logits = np.where(self.trained, logits, lowest - 1.0)
        return logits

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """The probability of each class, float64 (n, C), for rows X (n, d): the logistic function of the logits."""
        return probabilities_from_logits(self.logits(X))


def probabilities_from_logits(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)), element by element, without overflow."""
    from scipy.special import expit

    return expit(logits)


def fit_one_vs_rest(
    X: np.ndarray,
    Y: np.ndarray,
    *,
    C: float = 2.0,
    max_iter: int = 1000,
    tolerance: float = TOLERANCE,
    progress: ProgressCallback = no_progress,
) -> OneVsRest:
    """Fit the scaler and one logistic regression per class.

    Args:
        X: float32 or float64 (n, d); the solves run in this dtype, as scikit-learn's do.
        Y: bool (n, number of classes).
        C: inverse strength of the L2 penalty, which leaves the intercept free.
        max_iter: the most iterations per class.
        tolerance: largest component of the gradient at which a class is done.
        progress: told the number of classes finished.

    Raises:
        ValueError: the shapes or dtypes are not as above.
        BadInputError: there are no rows, or X holds values that are not finite (the rows are named).
    """
    if X.ndim != 2 or X.dtype not in (np.float32, np.float64) or Y.ndim != 2 or len(Y) != len(X) or Y.dtype != bool:
        raise ValueError(
            f"X must be float32 or float64 (n, d) and Y bool (n, C), not {X.dtype} {X.shape} and {Y.dtype} {Y.shape}"
        )
    if not len(X):
        raise BadInputError(NO_ROWS)
    _require_finite(X)

    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    scaler = StandardScaler().fit(X)
    scaled = np.ascontiguousarray(scaler.transform(X))
    n_classes = Y.shape[1]
    positives = Y.sum(axis=0, dtype=np.int64)
    trained = (positives > 0) & (positives < len(Y))
    weights = np.zeros((n_classes, X.shape[1] + 1), dtype=X.dtype)
    iterations = np.zeros(n_classes, dtype=np.int64)
    converged = np.zeros(n_classes, dtype=bool)

    progress(done := n_classes - int(trained.sum()), n_classes)
    alone = 0
    to_train = np.flatnonzero(trained)
    together = scaled.size >= _TOGETHER_FROM
    with threadpool_limits(1 if scaled.size < _SMALL else _blas_threads(), user_api="blas"):
        for start in range(0, len(to_train), _CLASSES_AT_ONCE):
            group = to_train[start : start + _CLASSES_AT_ONCE]
            winding = np.ones(len(group), dtype=bool)
            if together:
                found = _solve_together(scaled, Y[:, group], C, max_iter, tolerance)
                winding = found.evaluations != found.iterations + 1
                weights[group], iterations[group], converged[group] = found.points, found.iterations, found.converged
                progress(done := done + int((~winding).sum()), n_classes)
            for index in group[winding]:
                weights[index], iterations[index], converged[index] = _solve_alone(
                    scaled, Y[:, index], C, max_iter, tolerance
                )
                alone += 1
                progress(done := done + 1, n_classes)
    logger.info("fitted %d of %d classes, %d of them one by one", len(to_train), n_classes, alone)
    return assembled(scaler, weights, iterations, converged, trained, positives)


def assembled(
    scaler: "StandardScaler",
    weights: np.ndarray,
    iterations: np.ndarray,
    converged: np.ndarray,
    trained: np.ndarray,
    positives: np.ndarray,
) -> OneVsRest:
    """The classifier of a fitted scaler and of weights (C, d + 1), each class's coefficients followed by its intercept."""
    return OneVsRest(
        mean=np.asarray(scaler.mean_, dtype=np.float64),
        scale=np.asarray(scaler.scale_, dtype=np.float64),
        coef=weights[:, :-1],
        intercept=weights[:, -1],
        iterations=iterations,
        converged=converged,
        trained=trained,
        positives=positives,
    )


def _blas_threads() -> int:
    """As many as there are, except those that this process has no CPU for."""
    from threadpoolctl import threadpool_info

    return min([usable_cpus(), *(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")])


def _solve_together(X: np.ndarray, Y: np.ndarray, C: float, max_iter: int, tolerance: float = TOLERANCE) -> Minima:
    """All classes of Y (n, k) side by side, as `LogisticRegression` would start and stop each."""
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    stopping = Stopping(np.full(Y.shape[1], tolerance), max_iter)
    # The evaluation shares its work in blocks among threads, each with a product of its own.
    with ThreadPoolExecutor(usable_cpus()) as pool, threadpool_limits(1, user_api="blas"):
        losses = _logistic_losses(X, Y, penalty=1.0 / (C * len(Y)), pool=pool)
        return minimize_batch(losses, np.zeros((Y.shape[1], X.shape[1] + 1)), stopping)


def _logistic_losses(X: np.ndarray, Y: np.ndarray, penalty: float, pool: Executor) -> LossesAndGradients:
    """The objective of every class: the mean logistic loss plus penalty / 2 times the squared norm of the coefficients.

    A point is a class's coefficients followed by its intercept. As in scikit-learn's `LinearModelLoss.loss_gradient`, the
    work per row is in the dtype of X and the penalty in double precision. Sums over rows, the gradient's product
    among them, are in double precision here: in single precision they move the probabilities up to five times as far from
    scikit-learn's. The work is shared in blocks whose bounds do not depend on the number of threads, nor do the values.
    """
    n_rows, n_features = X.shape
    X_double = X.astype(np.float64, copy=False)
    signs = np.where(Y, -1, 1).astype(X.dtype)

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        coef, intercept = points[:, :-1].T.astype(X.dtype), points[:, -1].astype(X.dtype)
        slopes = np.empty((len(which), n_rows))

        def losses_of(rows: slice) -> np.ndarray:
            losses, own = losses_and_slopes(X[rows], signs[rows, which], coef, intercept, n_rows)
            slopes[:, rows] = own.T
            return losses

        def add_gradients_of(columns: slice) -> None:
            gradients[:, columns] += slopes @ X_double[:, columns]

        losses = sum(pool.map(losses_of, spans(0, n_rows, _BLOCK))) / n_rows
        gradients = penalty * points
        gradients[:, -1] = slopes.sum(axis=1)
        list(pool.map(add_gradients_of, spans(0, n_features, _BLOCK)))
        return losses + 0.5 * penalty * np.square(points[:, :-1]).sum(axis=1), gradients

    return evaluate


def losses_and_slopes(
    X: np.ndarray, signs: np.ndarray, coef: np.ndarray, intercept: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """The logistic losses of k classes on some of the rows.

    Args:
        X: (n, d), standardised; everything is computed in its dtype.
        signs: (n, k), -1 where a row carries the class, else 1.
        coef, intercept: (d, k) and (k,).
        n_rows: how many there are in all.

    Returns:
        The sum of each class's losses, float64 (k,), and the slope of the mean loss in each logit, (n, k).
    """
    # In terms of the margin by which a row is wrong, loss = log(1 + exp(margin)), written so as not to overflow.
    margins = X @ coef
    margins += intercept
    margins *= signs
    decay = np.exp(-np.abs(margins))
    slopes = np.where(margins >= 0, 1, decay) / (1 + decay) * signs / n_rows
    return (np.maximum(margins, 0) + np.log1p(decay)).sum(axis=0, dtype=np.float64), slopes


def spans(start: int, stop: int, size: int) -> list[slice]:
    """What lies between `start` and `stop`, in slices of `size` and a last one of what is left."""
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def _solve_alone(
    X: np.ndarray, y: np.ndarray, C: float, max_iter: int, tolerance: float
) -> tuple[np.ndarray, int, bool]:
    """scikit-learn's own fit of one class: coefficients and intercept (d + 1,), iterations, converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(solver="lbfgs", C=C, max_iter=max_iter, tol=tolerance)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    return np.append(model.coef_[0], model.intercept_), int(model.n_iter_[0]), not caught


def _require_finite(X: np.ndarray) -> None:
    if (bad := np.flatnonzero(~np.isfinite(X).all(axis=1))).size:
        raise BadInputError(
            f"embeddings are not finite in {bad.size} of {len(X)} rows; compute these rows' embeddings again",
            [f"row {row}" for row in bad],
        )
