"""Do the probabilities mean what they say? Of the labels given about 70 %, are about 70 % there?

Nearly all clips lack nearly all classes, and with probabilities near 0: the calibration error of all cells together is small
whatever the others are. So there is that of the probabilities above `ABOVE`, and the mean of each class's own; both in bins of
equally many, since bins of equal width leave most of them nearly empty (J. Nixon and others, "Measuring Calibration in Deep
Learning", CVPR workshops 2019; M. Kull and others, "Beyond temperature scaling", NeurIPS 2019).
"""

from dataclasses import dataclass

import numpy as np

ABOVE = 0.1
BINS = 10


@dataclass(frozen=True, eq=False)
class Bins:
    """Probabilities against labels, by bins that hold any: the mean probability float64 (k,), the share of present labels
    float64 (k,), and how many cells each holds int64 (k,)."""

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, present: np.ndarray, probability: np.ndarray, bin_of: np.ndarray) -> "Bins":
        """Of cells (m,) and the bin of each."""
        count = np.bincount(bin_of)
        filled = count > 0
        predicted, observed = (np.bincount(bin_of, weights=values)[filled] for values in (probability, present))
        return cls(predicted / count[filled], observed / count[filled], count[filled])

    @classmethod
    def of_equal_width(cls, present: np.ndarray, probability: np.ndarray) -> "Bins":
        return cls.of(present, probability, np.minimum((probability * BINS).astype(int), BINS - 1))

    @classmethod
    def of_equal_count(cls, present: np.ndarray, probability: np.ndarray) -> "Bins":
        """Equal probabilities share a bin."""
        edges = np.quantile(probability, np.arange(1, BINS) / BINS) if probability.size else np.empty(0)
        return cls.of(present, probability, np.searchsorted(edges, probability))

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of abs(observed - predicted), weighted by count (M. P. Naeini, G. F. Cooper,
        M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015); nan without cells."""
        known = self.count.size > 0
        return float(np.average(np.abs(self.observed - self.predicted), weights=self.count)) if known else float("nan")


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probabilities against observed labels.

    Attributes:
        bins: of all cells, of equal width.
        above: of the probabilities above `ABOVE`, of equal count.
        classwise: float64 (C,), the calibration error of each class, in bins of equal count.
        brier: the mean squared difference of probability and truth.
        brier_skill: the share of it that is saved, against always saying a class's frequency; below 0 it is worse than that,
            and nan where no class is present in some clips only.
    """

    bins: Bins
    above: Bins
    classwise: np.ndarray
    brier: float
    brier_skill: float

    @property
    def errors(self) -> tuple[float, float, float]:
        """The calibration error of all cells, of those above `ABOVE` (nan without any), and the mean over classes."""
        return self.bins.error, self.above.error, float(self.classwise.mean())


def reliability(truth: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """Compare bool (n, C) with float (n, C) in [0, 1]; at least one cell."""
    present, probability = truth.reshape(-1), probabilities.reshape(-1)
    above = probability > ABOVE
    brier = float(np.mean((probability - present) ** 2))
    by_frequency = float(np.mean((truth.mean(axis=0) - truth) ** 2))
    return Reliability(
        Bins.of_equal_width(present, probability),
        Bins.of_equal_count(present[above], probability[above]),
        np.array([Bins.of_equal_count(*one).error for one in zip(truth.T, probabilities.T, strict=True)]),
        brier,
        1 - brier / by_frequency if by_frequency else float("nan"),
    )
