import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from fa_assets.metrics.reliability import reliability


def test_bins_and_scores_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    probabilities = random.random((50, 8)) ** 2
    truth = random.random((50, 8)) < probabilities
    found = reliability(truth, probabilities)
    observed, predicted = calibration_curve(truth.ravel(), probabilities.ravel(), n_bins=10)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.predicted, predicted)
    assert found.count.sum() == truth.size
    assert found.brier == pytest.approx(brier_score_loss(truth.ravel(), probabilities.ravel()))


def test_probabilities_that_are_certain_and_right_are_reliable() -> None:
    truth = np.array([[True, False, False]])
    found = reliability(truth, truth.astype(float))
    assert found.expected_calibration_error == found.brier == 0
    assert found.count.tolist() == [2, 1]  # a probability of 1 is in the last bin


def test_confidence_that_is_wrong_half_the_time_is_off_by_a_half() -> None:
    found = reliability(np.array([[True, False]]), np.ones((1, 2)))
    assert found.expected_calibration_error == pytest.approx(0.5)
