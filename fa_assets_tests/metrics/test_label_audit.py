from itertools import pairwise

import numpy as np
import pytest

from fa_assets.metrics.label_audit import MISSING, WRONG, find_label_issues
from fa_assets.metrics.predictions import Predictions


def predictions(truth: np.ndarray, probabilities: np.ndarray) -> Predictions:
    n, n_classes = truth.shape
    names = np.array([f"{row}.wav" for row in range(n)], dtype=object)
    logits = np.log(probabilities) - np.log1p(-probabilities)
    return Predictions(
        names, np.arange(n) % 5, tuple(f"class {c}" for c in range(n_classes)), truth, logits, probabilities
    )


def test_planted_mistakes_are_found_first() -> None:
    """A model that knows 300 clips of 6 classes, and is surest of twelve: six lost their label and six were given another."""
    random = np.random.default_rng(5)
    real = np.eye(6, dtype=bool)[random.integers(0, 6, 300)]
    probabilities = np.where(real, random.uniform(0.6, 0.9, real.shape), random.uniform(0.02, 0.1, real.shape))
    given = real.copy()
    removed = list(range(6))
    invented = list(range(100, 106))
    for row in removed:
        given[row] = False
        probabilities[row][real[row]] = 0.95
    for row in invented:
        given[row, (real[row].argmax() + 1) % 6] = True
        probabilities[row, (real[row].argmax() + 1) % 6] = 0.01
    doubts = find_label_issues(predictions(given, probabilities))
    assert {one.fname for one in doubts if one.kind == MISSING} == {f"{row}.wav" for row in removed}
    assert {one.fname for one in doubts if one.kind == WRONG} == {f"{row}.wav" for row in invented}
    assert all(first.margin >= second.margin for first, second in pairwise(doubts))


def test_thresholds_margins_and_confidences_are_the_papers_class_by_class() -> None:
    truth = np.array([[1], [1], [1], [0], [0], [0]], dtype=bool)
    probabilities = np.array([[0.9], [0.7], [0.05], [0.1], [0.2], [0.8]])
    doubts = find_label_issues(predictions(truth, probabilities))
    present, absent = np.mean([0.9, 0.7, 0.05]), np.mean([0.9, 0.8, 0.2])
    by_name = {one.fname: one for one in doubts}
    assert set(by_name) == {"2.wav", "5.wav"}
    wrong, missing = by_name["2.wav"], by_name["5.wav"]
    assert (wrong.kind, missing.kind) == (WRONG, MISSING)
    assert wrong.threshold == pytest.approx(absent)
    assert missing.threshold == pytest.approx(present)
    assert wrong.self_confidence == pytest.approx(0.05)
    assert missing.self_confidence == pytest.approx(0.2)
    assert wrong.margin == pytest.approx((0.95 - absent) / (1 - absent))
    assert missing.margin == pytest.approx((0.8 - present) / (1 - present))
    assert missing.fold == 0
    assert missing.class_name == "class 0"


@pytest.mark.parametrize("present", [True, False])
def test_a_class_that_all_or_no_clips_carry_has_no_threshold(present: bool) -> None:
    assert find_label_issues(predictions(np.full((4, 1), present), np.full((4, 1), 0.5))) == []
