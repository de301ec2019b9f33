"""How often is what knows nothing taken for more than chance? Simulated for `benchmarks.statistics`."""

from collections.abc import Sequence

import numpy as np

from fa_assets.metrics.chance import PERMUTATIONS, frequency_lwlrap, permutation_threshold
from fa_assets.metrics.lwlrap import lwlrap_sums

SCORERS = {
    "random": [1] * 60,
    "recordings": [5] * 20,
    "unequal recordings": [1, 2, 3, 5, 8, 13, 20] * 4,
    "long recordings of frequent classes": [1] * 30 + [20] * 6,
}
"""Clips in each group that have the same labels, and scores alike. In the last one, those of 20 have the first two classes, the
others the rest, and the scores of those two are higher."""


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


def labels_of(random: np.random.Generator, units: int, size: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Truth (clips, 8) of so many units of this size, or of these sizes: classes of unequal frequency, the same within a unit;
    and the unit of each row."""
    frequency = np.arange(8, 0, -1) / 36
    truth = np.eye(8, dtype=bool)[random.choice(8, units, p=frequency)]
    truth[np.arange(units), random.choice(8, units, p=frequency)] = True
    of = np.repeat(np.arange(units), size)
    return truth[of], of
