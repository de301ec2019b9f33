"""The gate refuses what is worse for sure, and nothing because of rounding or a handful of clips."""

import numpy as np
import pytest

from fa_assets.metrics.gate import judge, predictions_to_judge
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.predictions import Predictions
from fa_assets.store.values import MissingValueError, ValueStore


def predictions(skill: float, n: int = 400, seed: int = 0) -> Predictions:
    """Scores that are right the more often the more skill they have; the same clips for the same n."""
    random = np.random.default_rng(7)
    truth = np.eye(5, dtype=bool)[random.integers(0, 5, n)]
    logits = skill * truth + np.random.default_rng(seed).normal(size=truth.shape)
    names = np.array([f"{index}.wav" for index in range(n)], dtype=object)
    return Predictions(names, np.arange(n) % 5, tuple("abcde"), truth, logits, 1 / (1 + np.exp(-logits)))


@pytest.mark.parametrize(
    ("ours", "baseline", "passed"),
    [
        pytest.param(predictions(2.0), predictions(1.0, seed=1), True, id="better"),
        pytest.param(predictions(1.0), predictions(2.0, seed=1), False, id="worse"),
        pytest.param(predictions(1.0), predictions(1.0), True, id="equal"),
        pytest.param(predictions(1.0, n=20), predictions(1.15, n=20), True, id="few-clips"),
    ],
)
def test_without_a_minimum_the_centre_crop_is_the_measure(
    ours: Predictions, baseline: Predictions, passed: bool
) -> None:
    verdict = judge(ours, baseline, None)
    assert verdict.passed is passed
    assert "95% interval" in verdict.reason


def test_a_difference_of_rounding_is_no_reason_to_refuse() -> None:
    ours, logits = predictions(1.0), predictions(1.0).logits.copy()
    best = logits[0].argmax()
    logits[0, best] = logits[0].min() - 1  # one clip's ranking turns, to the worse
    worse = Predictions(ours.fnames, ours.fold, ours.classes, ours.truth, logits, ours.probabilities)
    assert lwlrap_sums(worse.truth, worse.logits).overall != lwlrap_sums(ours.truth, ours.logits).overall
    assert judge(worse, ours, None).passed and judge(ours, worse, None).passed


def test_a_minimum_is_taken_at_its_word() -> None:
    ours = predictions(1.0)
    lwlrap = lwlrap_sums(ours.truth, ours.logits).overall
    assert judge(ours, None, lwlrap).passed
    refused = judge(ours, predictions(0.0), lwlrap + 1e-6)
    assert not refused.passed and "below FA_MIN_LWLRAP" in refused.reason


def test_other_clips_cannot_be_compared_and_a_missing_baseline_is_said(tmp_path) -> None:
    assert not judge(predictions(1.0), predictions(1.0, n=399), None).passed
    assert "no centre baseline yet" in judge(predictions(1.0), None, None).reason
    with pytest.raises(MissingValueError):
        predictions_to_judge(ValueStore(tmp_path).read, None)
