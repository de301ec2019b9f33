"""Which classes are taken for which: for each positive label, the absent classes that its clip scores higher.

A clip with several labels has no single predicted class, so the usual confusion matrix does not fit. What lowers LWLRAP is
an absent class ranked above a present one; these events are counted, each as one, whatever it costs in LWLRAP.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ConfusedPair:
    """`positives` labels of `present`; in `clips` of them the clip scores the class `taken_for`, which it lacks, higher."""

    present: str
    taken_for: str
    clips: int
    positives: int

    @property
    def share(self) -> float:
        """Of the positives of `present`."""
        return self.clips / self.positives


def outranked(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How often each class is outranked by each absent one.

    Args:
        truth: bool (n, C).
        scores: float (n, C).

    Returns:
        int64 (C, C): at [c, d] the clips that carry c, lack d, and score d at least as high as c.
    """
    n_classes = truth.shape[1]
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for column in range(n_classes):
        carriers = truth[:, column]
        higher = scores[carriers] >= scores[carriers, column][:, None]
        counts[column] = (higher & ~truth[carriers]).sum(axis=0)
    return counts


def most_confused(
    truth: np.ndarray, scores: np.ndarray, classes: tuple[str, ...], limit: int = 20
) -> list[ConfusedPair]:
    """The pairs with the most clips, then the largest share, then by name; pairs that never happen are left out."""
    counts = outranked(truth, scores)
    positives = truth.sum(axis=0)
    pairs = [
        ConfusedPair(classes[c], classes[d], int(counts[c, d]), int(positives[c])) for c, d in np.argwhere(counts > 0)
    ]
    return sorted(pairs, key=lambda pair: (-pair.clips, -pair.share, pair.present, pair.taken_for))[:limit]


def clearest_example(truth: np.ndarray, scores: np.ndarray, present: int, taken_for: int) -> int:
    """The row that carries one class, lacks the other, and scores that one higher by the most; arguments as above, classes by
    their columns."""
    excess = np.where(truth[:, present] & ~truth[:, taken_for], scores[:, taken_for] - scores[:, present], -np.inf)
    return int(excess.argmax())
