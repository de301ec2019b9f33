"""How often is what knows nothing taken for more than chance? Simulated for `benchmarks.statistics`."""

from collections.abc import Sequence

import numpy as np

from fa_assets.metrics.chance import PERMUTATIONS, frequency_lwlrap, permutation_threshold
from fa_assets.metrics.folds import grouped_folds
from fa_assets.metrics.lwlrap import lwlrap_sums

SCORERS = {
    "random": [1] * 60,
    "recordings": [5] * 20,
    "unequal recordings": [1, 2, 3, 5, 8, 13, 20] * 4,
    "long recordings of frequent classes": [1] * 30 + [20] * 6,
}
"""Clips in each group that have the same labels, and scores alike. In the last one, those of 20 have the first two classes, the
others the rest, and the scores of those two are higher."""
FITTED = {"400 clips": (400, 1), "80 x 5": (80, 5), "40 x 10": (40, 10)}
"""Groups, and clips in each, whose labels are the same and whose embeddings are alike."""


def above_chance(
    scorer: str, *, trials: int, permutations: int = PERMUTATIONS, by_unit: bool = True, seed: int = 0
) -> tuple[float, float]:
    """How often scores that know nothing are above the permutation threshold, and above class frequencies as well."""
    random = np.random.default_rng(seed)
    sizes = SCORERS[scorer]
    above, both = 0, 0
    for trial in range(trials):
        truth, units = labels_of(random, len(sizes), sizes)
        scores = random.random((len(sizes), truth.shape[1]))
        if scorer.startswith("long"):
            first_two = np.arange(8) < 2
            scores += first_two * random.random((len(sizes), 1))
            of = np.where(np.array(sizes) > 1, random.integers(0, 2, len(sizes)), random.integers(2, 8, len(sizes)))
            truth = np.eye(8, dtype=bool)[of][units]
        scores = scores[units] + 0.1 * random.random(truth.shape)
        reached = lwlrap_sums(truth, scores).overall
        drawn = units if by_unit else np.arange(len(units))
        is_above = reached > permutation_threshold(truth, scores, drawn, trial, permutations)
        above += is_above
        both += is_above and reached > frequency_lwlrap(truth)
    return above / trials, both / trials


def fitted_above_chance(setting: str, *, trials: int, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """How often out-of-fold scores of ridge regressions that were fitted on noise are above the permutation threshold."""
    random = np.random.default_rng(seed)
    groups, size = FITTED[setting]
    above = 0
    for trial in range(trials):
        truth, units = labels_of(random, groups, size)
        noise = random.normal(size=(groups, 20))[units] + random.normal(size=(len(units), 20))
        folds, scores = grouped_folds(truth, units, seed=trial), np.empty(truth.shape)
        for fold in range(5):
            own = folds == fold
            x, mean = noise[~own], truth[~own].mean(axis=0)
            scores[own] = noise[own] @ np.linalg.solve(x.T @ x + 10 * np.eye(20), x.T @ (truth[~own] - mean)) + mean
        above += lwlrap_sums(truth, scores).overall > permutation_threshold(truth, scores, units, trial, permutations)
    return above / trials


def labels_of(random: np.random.Generator, units: int, size: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Truth (clips, 8) of so many units of this size, or of these sizes: classes of unequal frequency, the same within a unit;
    and the unit of each row."""
    frequency = np.arange(8, 0, -1) / 36
    truth = np.eye(8, dtype=bool)[random.choice(8, units, p=frequency)]
    truth[np.arange(units), random.choice(8, units, p=frequency)] = True
    of = np.repeat(np.arange(units), size)
    return truth[of], of
