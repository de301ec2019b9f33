"""How far a figure depends on which clips there are: its interval, from resamples of independent units.

A resample is a weight for each clip: how often its unit was drawn. Figures of all resamples are computed at once, from such
weights, and are what scikit-learn's functions give with them as `sample_weight`. The interval is that of a proportion with
the variance of the resamples, for as many units as the figure rests on (`proportion_interval`): of few positives, and near the
ends of a figure's range, percentiles are too narrow (K. Boyd, K. Eng, C. Page, "Area under the Precision-Recall Curve: Point
Estimates and Confidence Intervals", ECML 2013; docs/evaluation.md has how often it holds the truth). Fitted models, folds and
thresholds stay as they are.
"""

from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.bootstrap import SEED, proportion_interval

RESAMPLES = 400
"""Enough for a standard deviation to within 4%."""
Interval = tuple[float | None, float | None]
RECALL = 0.8
"""At which precision is told."""
NO_INTERVAL: Interval = (None, None)


def drawn(units: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """How often each clip is drawn, float32 (n, resamples), for its unit, int (n,), numbered from 0."""
    random = np.random.default_rng(seed)
    count = int(units.max(initial=-1)) + 1
    weights = np.empty((count, resamples), np.float32)
    for number in range(resamples):
        weights[:, number] = np.bincount(random.integers(0, count, count), minlength=count)
    return weights[units]


def interval(value: float, resampled: np.ndarray, units: int, ends: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """The ends of the 95% interval of a figure; `NO_INTERVAL` on fewer than two units.

    Args:
        value: of the figure, between `ends`.
        resampled: float (resamples,); nan where a resample has nothing to score.
        units: that it rests on.
        ends: of what the figure can be.
    """
    known = resampled[~np.isnan(resampled)].astype(np.float64)
    lowest, width = ends[0], ends[1] - ends[0]
    if units < 2 or known.size < 2 or not width:
        return NO_INTERVAL
    low, high = proportion_interval((value - lowest) / width, known.var() / width**2, units)
    return lowest + width * low, lowest + width * high


@dataclass(frozen=True, eq=False)
class Curve:
    """One ranking of clips in all resamples: the k distinct scores of positives, the highest first.

    Attributes:
        hits: float (k, resamples), the weight of the positives with each score.
        above: the weight of the negatives between it and the score before.
        tied: of the negatives that have it, too.
        negatives: float (resamples,), of all.
    """

    hits: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    negatives: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, clip: np.ndarray | None = None) -> "Curve":
        """Of truth bool (m,) and scores float (m,) of the clips in these rows of weights (n, resamples); else row by row."""
        from scipy.sparse import csr_array

        levels = np.unique(-scores[truth])
        of = np.searchsorted(levels, -scores, "left") + np.searchsorted(
            levels, -scores, "right"
        )  # odd where it is a level
        rows = np.arange(len(truth)) if clip is None else clip

        def summed(which: np.ndarray, group: np.ndarray, size: int) -> np.ndarray:
            ones = np.ones(int(which.sum()), weights.dtype)
            return np.asarray(csr_array((ones, (group[which], rows[which])), shape=(size, len(weights))) @ weights)

        others = summed(~truth, of, 2 * len(levels) + 1)
        return cls(summed(truth, of // 2, len(levels)), others[:-1:2], others[1::2], others.sum(axis=0))

    def average_precision(self) -> np.ndarray:
        """As `sklearn.metrics.average_precision_score`, float (resamples,); nan without positives, as all below."""
        found = self.hits.cumsum(axis=0)
        return ratio((self.hits * self._precisions(found)).sum(axis=0), found[-1])

    def roc_auc(self) -> np.ndarray:
        """As `sklearn.metrics.roc_auc_score`; nan without negatives, too."""
        not_below = (self.above + self.tied).cumsum(axis=0) - self.tied / 2
        return 1 - ratio((self.hits * not_below).sum(axis=0), self.hits.sum(axis=0) * self.negatives)

    def precision_at_recall(self) -> np.ndarray:
        """The highest precision at which recall is at least `RECALL`."""
        found = self.hits.cumsum(axis=0)
        precision = np.where(found >= RECALL * found[-1] - 1e-3, self._precisions(found), 0).max(axis=0)
        return np.where(found[-1] > 0, precision, np.nan)

    def _precisions(self, found: np.ndarray) -> np.ndarray:
        decided = found + (self.above + self.tied).cumsum(axis=0)
        return np.divide(found, decided, out=np.zeros_like(found), where=decided > 0)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients, float64; nan where there is nothing to divide by."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator > 0)
