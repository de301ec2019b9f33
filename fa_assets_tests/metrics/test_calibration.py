"""Platt scaling finds what the log-odds were distorted by, and no clip has a say in its own probability."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from fa_assets.metrics.calibration import fit_calibration, has_scale, nested_calibration
from fa_assets.metrics.reliability import reliability


def distorted(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, the probabilities it is drawn from, and such as are too sure and too high, (n, 3)."""
    random = np.random.default_rng(seed)
    real = random.normal(-1, 1.5, (n, 3))
    return random.random((n, 3)) < expit(real), expit(real), expit((real + 0.5) * 2)


def test_it_undoes_a_distortion() -> None:
    """Seed 0, 20,000 clips: scale 1/2 and offset -1/2 to within 0.05."""
    truth, real, given = distorted(20_000)
    found = fit_calibration(truth, given)
    np.testing.assert_allclose(found.scale, 0.5, atol=0.05)
    np.testing.assert_allclose(found.offset, -0.5, atol=0.05)
    np.testing.assert_allclose(found.apply(given), real, atol=0.03)


def test_it_is_scikit_learns() -> None:
    truth, _, given = distorted(200)

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Given":
            self.classes_ = np.array([False, True])
            return self

        def decision_function(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(X[:, 0])

        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(X[:, 0] > 0)

    X = logit(given[:, [0]])
    reference = CalibratedClassifierCV(FrozenEstimator(Given().fit(X, truth[:, 0])), method="sigmoid", ensemble=False)
    expected = reference.fit(X, truth[:, 0]).predict_proba(X)[:, 1]
    np.testing.assert_allclose(fit_calibration(truth, given).apply(given)[:, 0], expected, atol=1e-4)


def test_no_other_scale_or_offset_is_more_likely() -> None:
    """The gradient of the likelihood is 0 there, also of scores that hardly differ."""
    truth, _, given = distorted(300)
    given[:, 0] = expit(logit(given[:, 0]) / 1e6)
    found, n, positives = fit_calibration(truth, given), len(truth), truth.sum(axis=0)
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (n - positives + 2))
    surplus, z = found.apply(given) - target, logit(given)
    np.testing.assert_allclose(surplus.sum(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose((surplus * (z - z.mean(axis=0)) / z.std(axis=0)).sum(axis=0), 0, atol=1e-7)


def test_nested_it_is_better_on_clips_it_was_not_fitted_on() -> None:
    """Seed 1, 1,000 clips in five folds."""
    truth, _, given = distorted(1000, seed=1)
    before, after = (reliability(truth, one) for one in (given, nested_calibration(truth, given, np.arange(1000) % 5)))
    assert before.above.error > 0.08 > 0.04 > after.above.error
    assert after.brier < before.brier


def test_a_clip_has_no_say_in_its_own_probability() -> None:
    truth, _, given = distorted(100)
    fold = np.arange(100) % 5
    other = truth.copy()
    other[fold == 2] = ~other[fold == 2]
    own, changed = (nested_calibration(one, given, fold) for one in (truth, other))
    np.testing.assert_array_equal(own[fold == 2], changed[fold == 2])
    assert (own[fold == 1] != changed[fold == 1]).all()


def test_a_class_has_a_scale_where_the_fit_finds_one() -> None:
    """Seed 0, 200 classes of 30 clips whose scores know nothing: of about half the fit's slope is above 0."""
    random = np.random.default_rng(0)
    truth, given = random.random((30, 200)) < 0.2, random.random((30, 200))
    target = np.where(truth, 1 - 1 / (truth.sum(axis=0) + 2), 1 / ((~truth).sum(axis=0) + 2))
    covariance = ((target - target.mean(axis=0)) * logit(given)).sum(axis=0)
    scale = fit_calibration(truth, given).scale
    np.testing.assert_array_equal(scale > 0, has_scale(truth, given))
    np.testing.assert_array_equal(scale > 0, covariance > 0)
    assert 50 < (scale > 0).sum() < 150 and (scale >= 0).all()


def test_what_says_nothing_or_the_opposite_becomes_the_frequency() -> None:
    truth = np.zeros((50, 3), bool)
    truth[:10, [0, 2]] = True
    probabilities = np.where(truth, 0.1, 0.9)
    probabilities[:, 2] = 0.3
    found = fit_calibration(truth, probabilities)
    np.testing.assert_allclose(found.apply(np.full((1, 3), 0.3)), [[11 / 52, 1 / 52, 11 / 52]])
    assert found.scale.tolist() == [0, 0, 0]


def test_certainty_stays_finite() -> None:
    truth = np.array([[True], [False], [True], [False]])
    found = fit_calibration(truth, truth.astype(np.float64))
    calibrated = found.apply(truth.astype(np.float64))
    assert np.isfinite([found.scale, found.offset]).all()
    assert calibrated[0, 0] == pytest.approx(0.75, abs=0.01)  # Platt's target of two positives
