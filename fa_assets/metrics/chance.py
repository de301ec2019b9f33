"""What LWLRAP do scores reach that know nothing of the sound? Three answers, since it depends on the labels and on the scores.

- Random scores: the mean over matrices of uniform numbers.
- Class frequencies alone: every clip has the same scores, the more frequent class the higher one. Where some classes are
  frequent this is far above random scores, and a model reaches it without listening. The frequencies are those of the clips
  that are scored, which makes it a little harder to beat than those of the other folds would.
- The permutation null: the labels as they are, each clip's beside the scores of another (P. Good, "Permutation, Parametric and
  Bootstrap Tests of Hypotheses", 2005). Units are permuted whole, since clips of one recording are right or wrong together; the
  scores of a unit of fewer clips than it is put in place of are repeated, of a larger one the first ones are taken. Labels stay
  where they are, and so as frequent: scores that follow class frequencies alone gain nothing by it. Out-of-fold scores vary
  more: of two clips that happen to be alike, each is judged by what was learnt from the other's label, so that it counts twice
  (Q. Noirhomme and others, NeuroImage: Clinical 4, 2014). That adds at most as much variance again; so what is far from the
  mean of the permutations is taken to be `_FARTHER` times as far, in place of fitting all models again for each of them.
"""

from math import sqrt

import numpy as np

from fa_assets.metrics.lwlrap import lwlrap_sums

PERMUTATIONS = 999
LEVEL = 0.01
"""Of scores that know nothing, this share exceeds `permutation_threshold`."""
_FARTHER = sqrt(2)


def random_lwlrap(truth: np.ndarray, seed: int = 0, draws: int = 20) -> float:
    """The mean over `draws` matrices of uniform random scores; truth is bool (n, C)."""
    random = np.random.default_rng(seed)
    return float(np.mean([lwlrap_sums(truth, random.random(truth.shape)).overall for _ in range(draws)]))


def frequency_lwlrap(truth: np.ndarray) -> float:
    """Of class frequencies alone; of classes alike in that, the later one is higher."""
    order = np.argsort(np.argsort(truth.sum(axis=0), kind="stable"))
    return lwlrap_sums(truth, np.broadcast_to(order, truth.shape).astype(np.float64)).overall


def lwlrap_without_knowledge(truth: np.ndarray) -> float:
    """The higher one of random scores and class frequencies."""
    return max(random_lwlrap(truth), frequency_lwlrap(truth))


def permutation_threshold(
    truth: np.ndarray, scores: np.ndarray, units: np.ndarray, seed: int = 0, permutations: int = PERMUTATIONS
) -> float:
    """The 99th percentile of LWLRAP over permutations, `_FARTHER` times as far from their mean: out-of-fold scores that know
    nothing are above it with probability `LEVEL` at most. It may be above 1: then nothing can be shown.

    Args:
        truth: bool (n, C), at least one True.
        scores: float (n, C), not NaN.
        units: integer (n,), the unit of each clip, numbered from 0 without gaps.
        seed: of the permutations.
        permutations: how many, at least 99; with one more, a multiple of 100.
    """
    from scipy.stats import rankdata

    order = np.argsort(units, kind="stable")
    truth, scores, units = truth[order], scores[order], units[order]
    ranks = rankdata(-scores, method="max", axis=1).astype(np.int64)
    size = np.bincount(units)
    first = np.cumsum(size) - size
    place = np.arange(len(units)) - first[units]
    clip, column = np.nonzero(truth)
    starts = np.searchsorted(clip, np.arange(len(truth)))
    base = truth.shape[1] + 1
    random = np.random.default_rng(seed)
    null = np.empty(permutations)
    for number in range(permutations):
        unit = random.permutation(len(size))[units]
        other = first[unit] + place % size[unit]  # the clip whose scores stand beside each clip's labels
        found = np.sort(clip * base + ranks[other[clip], column])
        not_below = np.searchsorted(found, found, "right") - starts[found // base]
        null[number] = (not_below / (found % base)).mean()
    highest = np.sort(null)[-round(LEVEL * (permutations + 1))]
    return float(null.mean() + _FARTHER * (highest - null.mean()))
