"""Figures of resamples are scikit-learn's with weights, and their intervals hold the truth."""

import numpy as np
import pytest
from scipy.stats import beta, norm, t
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from fa_assets.metrics.intervals import NO_INTERVAL, Curve, drawn, interval


@pytest.fixture(scope="module")
def ranked() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, scores with many ties, and the weights of 30 resamples."""
    random = np.random.default_rng(0)
    truth = random.random(120) < 0.2
    return truth, np.round(random.normal(size=120) + truth, 1), random.integers(0, 3, (120, 30)).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "reference"), [("average_precision", average_precision_score), ("roc_auc", roc_auc_score)]
)
def test_figures_of_resamples_are_scikit_learns(name: str, reference, ranked) -> None:  # type: ignore[no-untyped-def]
    truth, scores, weights = ranked
    expected = [reference(truth, scores, sample_weight=own) for own in weights.T]
    np.testing.assert_allclose(getattr(Curve.of(*ranked), name)(), expected, rtol=0, atol=1e-12)


def test_precision_at_recall_is_that_of_scikit_learns_curve(ranked) -> None:  # type: ignore[no-untyped-def]
    truth, scores, weights = ranked
    curves = [precision_recall_curve(truth, scores, sample_weight=own) for own in weights.T]
    expected = [precision[recall >= 0.8].max() for precision, recall, _ in curves]
    np.testing.assert_allclose(Curve.of(*ranked).precision_at_recall(), expected, rtol=0, atol=1e-12)


def test_one_ranking_of_several_classes_has_the_weights_of_its_clips(ranked) -> None:  # type: ignore[no-untyped-def]
    truth, scores, weights = ranked
    clip = np.arange(120) // 3
    found = Curve.of(truth, scores, weights[:40], clip).roc_auc()
    expected = [roc_auc_score(truth, scores, sample_weight=own[clip]) for own in weights[:40].T]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_resample_without_positives_or_negatives_has_nothing_to_score() -> None:
    truth, scores = np.array([True, False]), np.array([1.0, 0.0])
    curve = Curve.of(truth, scores, np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]))
    np.testing.assert_array_equal(curve.average_precision(), [np.nan, 1, 1])
    np.testing.assert_array_equal(curve.roc_auc(), [np.nan, np.nan, 1])
    np.testing.assert_array_equal(curve.precision_at_recall(), [np.nan, 1, 1])


def test_a_unit_is_drawn_whole() -> None:
    weights = drawn(np.array([0, 1, 0, 2]), 50)
    np.testing.assert_array_equal(weights[0], weights[2])
    np.testing.assert_array_equal(weights[[0, 1, 3]].sum(axis=0), np.full(50, 3))


def test_ends_of_an_interval_lie_within_the_range() -> None:
    resampled = np.random.default_rng(0).normal(0.97, 0.01, 400)
    low, high = interval(0.97, resampled, 20)
    assert low is not None and high is not None
    assert 0.9 < low < 0.97 < high < 1
    few = interval(0.97, resampled, 3)
    assert few[0] is not None and few[0] < low
    scaled = interval(1 + 0.97 * 9, 1 + resampled * 9, 20, (1, 10))
    assert scaled == pytest.approx((1 + low * 9, 1 + high * 9))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_where_nothing_varies_it_is_that_of_as_many_trials_as_units(value: float) -> None:
    """With Student's t in place of the normal distribution, and n - 1 in place of n, as elsewhere."""
    trials = 20 * (norm.ppf(0.975) / t.ppf(0.975, 19)) ** 2 * 19 / 20
    low, high = (
        beta.ppf(0.025, value * trials, trials * (1 - value) + 1),
        beta.ppf(0.975, value * trials + 1, trials * (1 - value)),
    )
    assert interval(value, np.full(400, value), 20) == pytest.approx(
        (0 if value == 0 else low, 1 if value == 1 else high)
    )


def test_between_the_ends_it_is_clopper_and_pearsons_of_as_many_trials_as_vary_so_much() -> None:
    resampled = np.array([0.8, 1.0])
    trials = 0.9 * 0.1 / 0.1**2 * (norm.ppf(0.975) / t.ppf(0.975, 999)) ** 2 * 999 / 1000
    expected = beta.ppf(0.025, 0.9 * trials, 0.1 * trials + 1), beta.ppf(0.975, 0.9 * trials + 1, 0.1 * trials)
    assert interval(0.9, resampled, 1000) == pytest.approx(expected)


def test_there_is_no_interval_of_one_unit() -> None:
    assert interval(0.5, np.array([0.4, 0.6]), 1) == NO_INTERVAL
