"""The gate passes what is shown not to be worse; it refuses what is worse, and what too few clips can show."""

import numpy as np
import pytest

from fa_assets.metrics.bootstrap import paired_bootstrap
from fa_assets.metrics.chance import lwlrap_without_knowledge
from fa_assets.metrics.gate import Verdict, judge
from fa_assets.metrics.lwlrap import lwlrap_sums


def scores(skill: float, n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, the same for the same n, and scores that are right the more often the more skill they have."""
    truth = np.eye(5, dtype=bool)[np.random.default_rng(7).integers(0, 5, n)]
    return truth, skill * truth + np.random.default_rng(seed).normal(size=truth.shape)


def verdict(
    truth: np.ndarray, ours: np.ndarray, baseline: np.ndarray, minimum: float | None = None, is_baseline: bool = False
) -> Verdict:
    gain, own = (paired_bootstrap(truth, ours, one, 2000, 42) for one in (baseline, None))
    return judge(lwlrap_sums(truth, ours).overall, own, gain, lwlrap_without_knowledge(truth), minimum, is_baseline)


@pytest.mark.parametrize(
    ("ours", "baseline", "passed"),
    [
        pytest.param(scores(2.0), scores(1.0, seed=1), True, id="better"),
        pytest.param(scores(1.0), scores(2.0, seed=1), False, id="worse"),
        pytest.param(scores(1.0), scores(1.0), True, id="equal"),
        pytest.param(scores(1.0, n=20), scores(1.15, n=20), False, id="few-clips"),
        pytest.param(scores(0.0), scores(0.0), False, id="no-better-than-chance"),
    ],
)
def test_without_a_minimum_the_baseline_is_the_measure(
    ours: tuple[np.ndarray, np.ndarray], baseline: tuple[np.ndarray, np.ndarray], passed: bool
) -> None:
    found = verdict(*ours, baseline[1])
    assert found.passed is passed
    assert "95% interval" in found.reason
    assert ("(below 40, intervals are rough)" in found.reason) is (len(ours[0]) < 40)


def test_a_difference_of_rounding_is_no_reason_to_refuse() -> None:
    truth, ours = scores(1.0, n=1000)
    worse = ours.copy()
    worse[0, worse[0].argmax()] = worse[0].min() - 1  # one clip's ranking turns, to the worse
    assert lwlrap_sums(truth, worse).overall != lwlrap_sums(truth, ours).overall
    assert verdict(truth, worse, ours).passed and verdict(truth, ours, worse).passed


def test_of_few_clips_no_difference_shows_little_unless_the_predictions_are_the_same() -> None:
    truth, ours = scores(2.0, n=200)
    refused = verdict(truth, ours, 2 * ours)
    assert not refused.passed and "about 369 independent clips or groups would show it" in refused.reason
    assert verdict(truth, ours, ours, is_baseline=True).passed
    assert verdict(*scores(2.0, n=369), scores(2.0, n=369)[1]).passed


def test_what_may_be_chance_is_refused_also_above_it_and_of_the_baseline_itself() -> None:
    truth, ours = scores(0.3, n=40, seed=1)
    assert lwlrap_sums(truth, ours).overall > lwlrap_without_knowledge(truth)
    refused = verdict(truth, ours, ours, is_baseline=True)
    assert not refused.passed and "not shown to be above chance" in refused.reason


def test_of_large_units_it_is_not_said_that_fewer_would_be_enough() -> None:
    truth, ours = scores(2.0, n=1000)
    units = np.minimum(np.arange(1000), 900)  # a recording of a hundred clips
    gain = paired_bootstrap(truth, ours, 2 * ours, 2000, 42, units)
    refused = judge(0.9, paired_bootstrap(truth, ours, None, 2000, 42, units), gain, 0.4, None)
    assert not refused.passed and "more, or smaller, independent clips or groups would show it" in refused.reason


def test_a_minimum_is_taken_at_its_word() -> None:
    truth, ours = scores(1.0)
    lwlrap = lwlrap_sums(truth, ours).overall
    assert verdict(truth, ours, scores(2.0, seed=1)[1], lwlrap).passed
    refused = verdict(truth, ours, scores(0.0)[1], lwlrap + 1e-6)
    assert not refused.passed and "below FA_MIN_LWLRAP" in refused.reason
