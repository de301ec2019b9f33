"""Do the probabilities mean what they say? Of the labels given about 70 %, are about 70 % there?"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probabilities against observed labels, in bins of equal width.

    Attributes:
        predicted: float64 (k,), the mean probability in each bin that holds any.
        observed: float64 (k,), the share of present labels in it.
        count: int64 (k,), the labels in it.
        expected_calibration_error: the mean of abs(observed - predicted), weighted by count (M. P. Naeini, G. F. Cooper,
            M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015).
        brier: the mean squared difference of probability and truth.
    """

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray
    expected_calibration_error: float
    brier: float


def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> Reliability:
    """Compare bool (n, C) with float (n, C) in [0, 1], all clips and classes together; at least one cell."""
    present, probability = truth.reshape(-1), probabilities.reshape(-1)
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    filled = count > 0
    predicted, observed = (
        np.bincount(bin_of, weights=values, minlength=bins)[filled] / count[filled] for values in (probability, present)
    )
    count = count[filled]
    return Reliability(
        predicted,
        observed,
        count,
        expected_calibration_error=float(np.average(np.abs(observed - predicted), weights=count)),
        brier=float(np.mean((probability - present) ** 2)),
    )
