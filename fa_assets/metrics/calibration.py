"""Probabilities that mean what they say: Platt scaling of each class, fitted on out-of-fold predictions.

A class's log-odds z become scale * z + offset, fitted by maximum likelihood to targets that are a little less sure than the
labels (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999). A class whose scores are all the same, or whose
scale is not above 0, has nothing to scale: its probability is its frequency. Within a class the order of clips stays; within a
clip the order of classes may change, and with it LWLRAP.
"""

from dataclasses import dataclass

import numpy as np

_CERTAIN = 30.0
"""Log-odds beyond this are taken for this."""
_SAME = 1e-9
"""Standard deviation of log-odds up to which they are all the same; the same of means, in standard deviations."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of each class, float64 (C,): the scale and the offset of its log-odds."""

    scale: np.ndarray
    offset: np.ndarray

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """The calibrated probabilities, float64 (..., C)."""
        from scipy.special import expit

        return np.asarray(expit(self.scale * _log_odds(probabilities) + self.offset))


def fit_calibration(truth: np.ndarray, probabilities: np.ndarray) -> Calibration:
    """Fit it to probabilities that were predicted out of fold.

    Args:
        truth: bool (n, C).
        probabilities: float (n, C).
    """
    from sklearn.linear_model import LogisticRegression

    n, positives = len(truth), truth.sum(axis=0)
    frequency = (positives + 1) / (n + 2)
    scale, offset = np.zeros(truth.shape[1]), np.log(frequency / (1 - frequency))
    log_odds = _log_odds(probabilities)
    mean, spread = log_odds.mean(axis=0), log_odds.std(axis=0)
    labels = np.repeat([True, False], n)
    for column in np.flatnonzero(has_scale(truth, probabilities)):
        own = truth[:, column]
        target = np.where(own, 1 - 1 / (positives[column] + 2), 1 / (n - positives[column] + 2))
        model = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky")
        standardised = (log_odds[:, [column]] - mean[column]) / spread[column]
        model.fit(np.tile(standardised, (2, 1)), labels, np.concatenate([target, 1 - target]))
        scale[column] = model.coef_[0, 0] / spread[column]
        offset[column] = model.intercept_[0] - scale[column] * mean[column]
    return Calibration(scale, offset)


def has_scale(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Which classes have a scale above 0, bool (C,): those whose positives have higher log-odds on average, as the gradient
    of the likelihood at a scale of 0 says. Arguments as of `fit_calibration`."""
    log_odds = _log_odds(probabilities)
    spread, has_both = log_odds.std(axis=0), truth.any(axis=0) & ~truth.all(axis=0)
    of_positives, of_negatives = (
        np.where(own, log_odds, 0).sum(axis=0) / np.maximum(own.sum(axis=0), 1) for own in (truth, ~truth)
    )
    return np.asarray(has_both & (spread > _SAME) & (of_positives - of_negatives > _SAME * spread))


def nested_calibration(truth: np.ndarray, probabilities: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """The probabilities of each fold, calibrated on the other folds, float64 (n, C); fold_of is int (n,)."""
    calibrated = np.empty(probabilities.shape)
    for fold in np.unique(fold_of):
        own = fold_of == fold
        calibrated[own] = fit_calibration(truth[~own], probabilities[~own]).apply(probabilities[own])
    return calibrated


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    from scipy.special import logit

    return np.asarray(np.clip(logit(probabilities.astype(np.float64)), -_CERTAIN, _CERTAIN))
