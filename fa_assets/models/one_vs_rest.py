"""What every classifier of this package gives: a scaler and one linear model per class, as plain arrays."""

from dataclasses import dataclass

import numpy as np

from fa_assets.errors import BadInputError
from fa_assets.store.row_file import require_finite

TOLERANCE = 1e-4
"""Largest component of the gradient at which a fit ends; scikit-learn's default."""


@dataclass(frozen=True, eq=False)
class OneVsRest:
    """A scaler and C logistic regressions over d features.

    A class that had no positives, or no negatives, in the training rows cannot be fitted. In every row its logit is 1
    below the lowest trained logit or below 0, whichever is lower: so it never ranks above a trained class, and its
    probability is below a half. That a class without negatives is put last too is a choice: nothing tells its rows apart,
    so its rank would only displace what has been learned.

    Attributes:
        mean, scale: float64 (d,), of the training rows; a constant column has scale 1.
        coef: float32 or float64 (C, d), the precision in which logits are computed; zero for an untrained class.
        intercept: (C,), likewise.
        iterations: int64 (C,), steps of the optimizer; 0 for an untrained class.
        converged: bool (C,), False where the optimizer ended before its tolerance, and for an untrained class.
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

    def predict(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (log-odds) and probabilities of each class, float64 (n, C), for rows X (n, d).

        They are computed in the precision of `coef`. In single precision they are scikit-learn's to the last bit, as numbers of
        single precision: rows standardised (`StandardScaler`), one product of matrix and vector for each class
        (`LogisticRegression.decision_function`), the logistic function of it (`predict_proba`).

        Raises:
            BadInputError: X holds values that are not finite.
        """
        from scipy.special import expit

        require_finite(X)
        logits = self._logits_of_all(X)
        if not self.trained.all():
            lowest = logits.min(axis=1, where=self.trained, initial=0.0, keepdims=True)
            logits = np.where(self.trained, logits, lowest - 1)
        return logits.astype(np.float64), expit(logits).astype(np.float64)

    def logits(self, X: np.ndarray) -> np.ndarray:
        """The logits of `predict`."""
        return self.predict(X)[0]

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """The probabilities of `predict`."""
        return self.predict(X)[1]

    def _logits_of_all(self, X: np.ndarray) -> np.ndarray:
        dtype = self.coef.dtype
        scaled = np.ascontiguousarray(X, dtype) - self.mean.astype(dtype)
        scaled /= self.scale.astype(dtype)
        if dtype != np.float32:
            return scaled @ self.coef.T + self.intercept
        logits = np.hstack([scaled @ row[:, None] for row in self.coef]) + self.intercept
        if (beyond := ~np.isfinite(logits).all(axis=1)).any():  # of single precision
            exact = (X[beyond] - self.mean) / self.scale @ self.coef.T.astype(np.float64) + self.intercept
            logits[beyond] = np.clip(exact, -1e37, 1e37)
        return logits


def require_training_set(X_shape: tuple[int, ...], Y: np.ndarray) -> None:
    """Refuse what nothing can be fitted on.

    Raises:
        ValueError: Y is not bool (n, C) for rows (n, d).
        BadInputError: there are no rows.
    """
    if len(X_shape) != 2 or Y.ndim != 2 or len(Y) != X_shape[0] or Y.dtype != bool:
        raise ValueError(f"X must be (n, d) and Y bool (n, C), not {X_shape} and {Y.dtype} {Y.shape}")
    if not len(Y):
        raise BadInputError("there are no rows to fit a classifier on; check that the other folds hold clips")
