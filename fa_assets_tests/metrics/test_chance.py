"""Chance: by the permutations themselves, and by what no scorer without knowledge should pass."""

import numpy as np
import pytest

from fa_assets.metrics.chance import frequency_lwlrap, permutation_threshold, random_lwlrap
from fa_assets.metrics.lwlrap import lwlrap_sums


def test_the_threshold_is_that_of_lwlrap_over_permuted_clips_with_twice_the_variance() -> None:
    random = np.random.default_rng(1)
    truth = random.random((40, 5)) < 0.4
    scores = np.round(random.normal(size=truth.shape), 1)  # with ties
    again = np.random.default_rng(3)
    null = [lwlrap_sums(truth, scores[again.permutation(40)]).overall for _ in range(199)]
    found = permutation_threshold(truth, scores, np.arange(40), seed=3, permutations=199)
    assert found == pytest.approx(np.mean(null) + 2**0.5 * (sorted(null)[-2] - np.mean(null)), abs=1e-12)


def test_class_frequencies_alone_are_far_above_random_scores_where_classes_are_unequal() -> None:
    truth = np.zeros((100, 4), bool)
    truth[:90, 2] = truth[90:, 0] = True
    assert frequency_lwlrap(truth) == pytest.approx(0.9 + 0.1 / 2)  # the frequent class first, the rare one second
    assert random_lwlrap(truth) < 0.6
