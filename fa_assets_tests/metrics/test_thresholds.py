"""Thresholds are chosen by the rule, and no clip has a say in the one it is judged by."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from fa_assets.errors import UserError
from fa_assets.metrics.thresholds import choose_thresholds, decide, nested_decisions, parse_rule


@pytest.fixture(scope="module")
def found() -> tuple[np.ndarray, np.ndarray]:
    """60 clips of three classes with ties; the third has no positives."""
    random = np.random.default_rng(3)
    truth = random.random((60, 3)) < 0.3
    truth[:, 2] = False
    return truth, np.round(1 / (1 + np.exp(-random.normal(size=truth.shape) - 2 * truth)), 2)


def test_the_best_f1_is_the_best_of_all_thresholds(found) -> None:  # type: ignore[no-untyped-def]
    truth, probabilities = found
    chosen = choose_thresholds(truth, probabilities, None)
    for column in (0, 1):
        every = [f1_score(truth[:, column], probabilities[:, column] >= one) for one in np.arange(-0.005, 1, 0.01)]
        own = f1_score(truth[:, column], probabilities[:, column] >= chosen[column])
        assert own == pytest.approx(max(every), abs=1e-12)
    assert np.isnan(chosen[2])


def test_a_precision_is_reached_with_the_highest_recall(found) -> None:  # type: ignore[no-untyped-def]
    truth, probabilities = found
    chosen = choose_thresholds(truth, probabilities, 0.7)
    for column in (0, 1):
        decided = [probabilities[:, column] >= one for one in np.arange(-0.005, 1, 0.01)]
        own = probabilities[:, column] >= chosen[column]
        assert precision_score(truth[:, column], own) >= 0.7
        reach = [
            recall_score(truth[:, column], one)
            for one in decided
            if precision_score(truth[:, column], one, zero_division=0) >= 0.7
        ]
        assert recall_score(truth[:, column], own) == pytest.approx(max(reach), abs=1e-12)


def test_of_equally_good_thresholds_the_most_precise_one() -> None:
    truth = np.array([True, True, False, False, True])[:, None]
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.1])[:, None]
    assert choose_thresholds(truth, scores, 0.5).tolist() == [0.1]
    assert choose_thresholds(truth, scores, 0.65).tolist() == [0.8]  # 0.7 and 0.6 find no more
    truth = np.array([True, False, False, True, False])[:, None]
    assert choose_thresholds(truth, scores, None).tolist() == [0.9]  # F1 of 2/3 as from 0.6 on


def test_equal_f1_is_equal_to_the_last_bit() -> None:
    """1 of 4 and 2 of 10 are both an F1 of 1/3, of which precision and recall as floats make two numbers."""
    truth = np.isin(np.arange(10), (3, 9))[:, None]
    scores = np.linspace(0.9, 0.1, 10)[:, None]
    assert choose_thresholds(truth, scores, None).tolist() == scores[3].tolist()


@pytest.mark.parametrize("precision", [None, 0.1])
def test_scores_that_are_all_the_same_have_no_threshold(precision: float | None) -> None:
    truth = np.arange(20)[:, None] % 3 == 0
    assert np.isnan(choose_thresholds(truth, np.full((20, 1), 0.3), precision)).all()


def test_without_a_threshold_no_label_is_given(found) -> None:  # type: ignore[no-untyped-def]
    truth, probabilities = found
    backwards = choose_thresholds(truth, 1.0 - truth, 1.0)
    assert np.isnan(backwards).all()
    assert not decide(probabilities, backwards).any()


def test_a_clip_has_no_say_in_the_threshold_it_is_judged_by(found) -> None:  # type: ignore[no-untyped-def]
    truth, probabilities = found
    fold = np.arange(60) % 3
    decided = nested_decisions(truth, probabilities, fold, None)
    other = truth.copy()
    other[fold == 1] = ~other[fold == 1]
    np.testing.assert_array_equal(nested_decisions(other, probabilities, fold, None)[fold == 1], decided[fold == 1])


def test_calibrated_a_class_ranked_backwards_gets_no_label_as_in_use() -> None:
    """Its scale is 0: `predict --decide` never gives it, so nor do the decisions that are judged."""
    truth = np.arange(50)[:, None] % 5 < 2
    scores = np.where(truth, 0.3, 0.6) + np.linspace(0, 0.2, 50)[:, None]
    both, twice = np.hstack([scores, 1 - scores]), np.repeat(truth, 2, axis=1)
    fold = np.arange(50) // 10
    assert nested_decisions(twice, both, fold, None).any(axis=0).tolist() == [True, True]
    assert nested_decisions(twice, both, fold, None, calibrate=True).any(axis=0).tolist() == [False, True]
    assert np.isnan(choose_thresholds(twice, both, None, calibrate=True)).tolist() == [True, False]


def test_nested_f1_of_scores_that_know_nothing_is_lower_than_the_chosen_one() -> None:
    """Seed 0, 100 trials: the best of all thresholds flatters, the nested ones do not."""
    random = np.random.default_rng(0)
    flattered, nested = [], []
    for _ in range(100):
        truth, scores = random.random((50, 1)) < 0.3, random.random((50, 1))
        flattered.append(f1_score(truth, decide(scores, choose_thresholds(truth, scores, None))))
        nested.append(f1_score(truth, nested_decisions(truth, scores, np.arange(50) % 5, None), zero_division=0))
    assert np.mean(flattered) > 0.46 + 0.015  # 2 * 0.3 / 1.3: all labels given
    assert np.mean(nested) < 0.46 + 0.005


@pytest.mark.parametrize("text", ["best", "precision", "precision=0", "precision=1.5", "precision=x", "f1=0.9"])
def test_rules_that_there_are_not(text: str) -> None:
    with pytest.raises(UserError, match="FA_THRESHOLD_RULE"):
        parse_rule(text)
    assert (parse_rule("f1"), parse_rule("precision=0.9")) == (None, 0.9)
