import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from fa_assets.metrics.reliability import ABOVE, reliability


def test_bins_and_scores_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    probabilities = random.random((50, 8)) ** 2
    truth = random.random((50, 8)) < probabilities
    found = reliability(truth, probabilities)
    observed, predicted = calibration_curve(truth.ravel(), probabilities.ravel(), n_bins=10)
    np.testing.assert_allclose(found.bins.observed, observed)
    np.testing.assert_allclose(found.bins.predicted, predicted)
    assert found.bins.count.sum() == truth.size
    assert found.brier == pytest.approx(brier_score_loss(truth.ravel(), probabilities.ravel()))


def test_probabilities_that_are_certain_and_right_are_reliable() -> None:
    truth = np.array([[True, False, False]])
    found = reliability(truth, truth.astype(float))
    assert found.bins.error == found.brier == 0
    assert found.bins.count.tolist() == [2, 1]  # a probability of 1 is in the last bin


def test_confidence_that_is_wrong_half_the_time_is_off_by_a_half() -> None:
    found = reliability(np.array([[True, False]]), np.ones((1, 2)))
    assert found.bins.error == pytest.approx(0.5)


def test_bins_of_equal_count_are_scikit_learns() -> None:
    random = np.random.default_rng(1)
    probabilities = random.random((50, 8))
    truth = random.random((50, 8)) < probabilities
    above = probabilities > ABOVE
    observed, predicted = calibration_curve(truth[above], probabilities[above], n_bins=10, strategy="quantile")
    found = reliability(truth, probabilities).above
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.predicted, predicted)
    assert found.count.sum() == above.sum()
    assert found.count.max() - found.count.min() <= 1


def test_easy_negatives_hide_an_error_from_all_cells_together_alone() -> None:
    """Seed 0, 400 clips x 50 classes: where there is a probability worth speaking of, it is 0.2 too high."""
    random = np.random.default_rng(0)
    probabilities = np.where(random.random((400, 50)) < 0.03, random.uniform(0.3, 0.9, (400, 50)), 0.001)
    truth = random.random((400, 50)) < np.where(probabilities > ABOVE, probabilities - 0.2, probabilities)
    found = reliability(truth, probabilities)
    assert found.bins.error < 0.01
    assert found.above.error == pytest.approx(0.2, abs=0.04)


def test_skill_is_0_for_class_frequencies_and_1_for_the_truth() -> None:
    truth = np.random.default_rng(0).random((200, 3)) < [0.5, 0.1, 0.02]
    frequencies = np.broadcast_to(truth.mean(axis=0), truth.shape)
    assert reliability(truth, frequencies).brier_skill == pytest.approx(0)
    assert reliability(truth, frequencies).classwise == pytest.approx([0, 0, 0])
    assert reliability(truth, truth.astype(float)).brier_skill == 1
    assert reliability(truth, 1.0 - truth).brier_skill < 0


def test_without_a_probability_above_there_is_no_error_of_such() -> None:
    found = reliability(np.zeros((3, 2), bool), np.full((3, 2), 0.01))
    assert np.isnan(found.above.error)
    assert np.isnan(found.brier_skill)
