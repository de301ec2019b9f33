"""Label-weighted label-ranking average precision (LWLRAP), as sums from which every aggregate is exact.

Each positive label of a row has a precision: of the labels that the row scores at least as high as this one, the share
that is positive. LWLRAP is the mean of these precisions over all positive labels of all rows, so the sum and the count
per class are all there is to keep: they add up over disjoint sets of rows (folds), and overall and per-class values are
quotients of them. The metric is that of Freesound Audio Tagging 2019 (https://www.kaggle.com/c/freesound-audio-tagging-2019,
"Evaluation"), which equals scikit-learn's `label_ranking_average_precision_score` with each row weighted by its number
of labels.

Ties are counted as scikit-learn counts them: labels with the same score all take the worst rank of their group,
positive or negative. So the order of the columns never matters, and a constant score earns the share of positives.
"""

from dataclasses import dataclass

import numpy as np

_CHUNK_CELLS = 1 << 18
"""Label pairs compared at once: about 3 MB of working memory with float64 scores, which a core's cache holds."""


@dataclass(frozen=True, eq=False)
class LwlrapSums:
    """What LWLRAP is made of, for one set of rows.

    Attributes:
        precision_sum: float64 (C,), the sum of the precisions of the class's positive labels.
        count: int64 (C,), how many positive labels the class has.
        tied: how many positive labels have the score of another label of their row.
    """

    precision_sum: np.ndarray
    count: np.ndarray
    tied: int

    @property
    def per_class(self) -> np.ndarray:
        """float64 (C,): the mean precision of each class, nan for a class without positives."""
        return np.divide(self.precision_sum, self.count, out=np.full(len(self.count), np.nan), where=self.count > 0)

    @property
    def overall(self) -> float:
        """LWLRAP: the mean precision over all positive labels, nan where there are none."""
        total = int(self.count.sum())
        return float(self.precision_sum.sum() / total) if total else float("nan")

    def __add__(self, other: "LwlrapSums") -> "LwlrapSums":
        """The sums over both sets of rows, which must be disjoint and have the same classes."""
        if self.count.shape != other.count.shape:
            raise ValueError(f"sums over {len(self.count)} and {len(other.count)} classes cannot be added")
        return LwlrapSums(
            self.precision_sum + other.precision_sum, self.count + other.count, tied=self.tied + other.tied
        )


def positive_precisions(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and label-ranking precision (float64) of every positive label, in the order of rows, then columns.

    Args:
        truth: bool (n, C).
        scores: float (n, C), any increasing function of how likely each label is; infinities are in order.

    Raises:
        ValueError: the shapes differ, truth is not bool, or scores are NaN (the rows are named).
    """
    rows, columns, precision, _ = _ranked(truth, scores)
    return rows, columns, precision


def lwlrap_sums(truth: np.ndarray, scores: np.ndarray) -> LwlrapSums:
    """The precisions of all positive labels, summed per class; rows without labels have no part in it.

    Arguments and errors are those of `positive_precisions`.
    """
    _, columns, precision, tied = _ranked(truth, scores)
    n_classes = truth.shape[1]
    return LwlrapSums(
        precision_sum=np.bincount(columns, weights=precision, minlength=n_classes),
        count=np.bincount(columns, minlength=n_classes).astype(np.int64),
        tied=tied,
    )


def _ranked(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Row, column and precision of every positive label, and how many share their score with another of their row."""
    if truth.ndim != 2 or truth.dtype != bool or truth.shape != scores.shape:
        raise ValueError(
            f"truth (bool) and scores must be matrices of one shape, not {truth.dtype} {truth.shape} and {scores.shape}"
        )
    if np.isnan(scores.max(initial=-np.inf)):
        bad = np.flatnonzero(np.isnan(scores).any(axis=1))
        shown = ", ".join(map(str, bad[:20])) + (", ..." if bad.size > 20 else "")
        raise ValueError(f"scores are NaN in {bad.size} of {len(scores)} rows: {shown}; a NaN has no rank")

    n_classes = truth.shape[1]
    rows, columns = np.divmod(np.flatnonzero(truth), max(1, n_classes))
    packed_truth = np.packbits(truth, axis=1)
    precision = np.empty(len(rows), dtype=np.float64)
    tied = 0
    step = max(1, _CHUNK_CELLS // max(1, n_classes))
    for start in range(0, len(rows), step):
        chunk = slice(start, start + step)
        own = scores[rows[chunk], columns[chunk]][:, None]
        row_scores = scores.take(rows[chunk], axis=0)
        at_least = np.packbits(row_scores >= own, axis=1)
        precision[chunk] = _bits_set(at_least & packed_truth.take(rows[chunk], axis=0)) / _bits_set(at_least)
        tied += int((_bits_set(np.packbits(row_scores == own, axis=1)) > 1).sum())
    return rows, columns, precision, tied


def _bits_set(packed: np.ndarray) -> np.ndarray:
    """How many bits of each row of a uint8 matrix are set, as float64.

    Summed as a product with ones: numpy's sums over short rows are several times slower. Counts below 2^24 are exact.
    """
    ones = np.ones(packed.shape[1], dtype=np.float32)
    return (np.bitwise_count(packed).astype(np.float32) @ ones).astype(np.float64)


def lowest_lwlrap(truth: np.ndarray) -> float:
    """What LWLRAP is at least on these labels, bool (n, C): every label of a clip ranked below all that it lacks.

    It is above 0, and the higher the fewer classes there are and the more labels a clip has.
    """
    return lwlrap_sums(truth, np.where(truth, -1.0 - np.arange(truth.shape[1]), 0.0)).overall
