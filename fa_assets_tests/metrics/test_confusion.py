import numpy as np

from fa_assets.metrics.confusion import ConfusedPair, most_confused, outranked
from fa_assets.metrics.lwlrap import lwlrap_sums

TRUTH = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=bool)
SCORES = np.array([[1.0, 2.0, 0.5], [0.1, 0.5, 0.3], [0.9, 0.8, 0.9], [3.0, 1.0, 2.0]])


def test_absent_classes_that_outrank_a_present_one_are_counted() -> None:
    expected = np.zeros((3, 3), dtype=int)
    expected[0, 1] = 2  # clips 0 and 1 score class 1 above class 0; in clip 1 class 2 is above it too, but is present
    expected[1, 0] = expected[1, 2] = 1
    expected[2, 1] = 1
    np.testing.assert_array_equal(outranked(TRUTH, SCORES), expected)


def test_pairs_are_ordered_by_clips_then_share_then_name() -> None:
    assert most_confused(TRUTH, SCORES, ("a", "b", "c")) == [
        ConfusedPair("a", "b", 2, 3),
        ConfusedPair("b", "a", 1, 1),
        ConfusedPair("b", "c", 1, 1),
        ConfusedPair("c", "b", 1, 1),
    ]
    assert len(most_confused(TRUTH, SCORES, ("a", "b", "c"), limit=1)) == 1
    truth = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    scores = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 1.0]])
    assert most_confused(truth, scores, ("a", "b")) == [ConfusedPair("b", "a", 1, 1), ConfusedPair("a", "b", 1, 2)]


def test_a_tie_counts_as_the_metric_counts_it() -> None:
    truth, scores = np.array([[True, False]]), np.array([[0.5, 0.5]])
    assert outranked(truth, scores)[0, 1] == 1
    assert lwlrap_sums(truth, scores).overall == 0.5


def test_no_pair_is_confused_exactly_when_lwlrap_is_one() -> None:
    assert most_confused(TRUTH, TRUTH.astype(float), ("a", "b", "c")) == []
