"""LWLRAP equals scikit-learn's weighted metric and the original loop, treats ties evenly, and adds up over rows."""

import functools
import operator
import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from fa_assets.metrics import lwlrap
from fa_assets.metrics.chance import random_lwlrap
from fa_assets.metrics.lwlrap import LwlrapSums, lowest_lwlrap, lwlrap_sums


def made_up(rows: int, classes: int, *, levels: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth with some empty and some full rows, and scores that take `levels` values (many ties) or any (none)."""
    random = np.random.default_rng(seed)
    truth = random.random((rows, classes)) < random.choice([0.0, 0.02, 0.1, 0.5, 1.0], size=(rows, 1))
    scores = random.normal(size=(rows, classes)) + truth
    return truth, scores if levels is None else np.floor(scores * levels / 4)


def per_row_loop(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The competition's own way: each row sorted, each positive's precision read off, summed per class. No ties."""
    precision_sum, count = np.zeros(truth.shape[1]), np.zeros(truth.shape[1], dtype=int)
    for row_truth, row_scores in zip(truth, scores, strict=True):
        order = np.argsort(row_scores)[::-1]
        hits = 0
        for rank, column in enumerate(order, start=1):
            if row_truth[column]:
                hits += 1
                precision_sum[column] += hits / rank
                count[column] += 1
    return precision_sum, count


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [None, 1, 2, 6])
@pytest.mark.parametrize(("rows", "classes"), [(1, 5), (40, 1), (200, 12), (150, 80)])
def test_equals_scikit_learn(rows: int, classes: int, levels: int | None, dtype: type) -> None:
    truth, scores = made_up(rows, classes, levels=levels, seed=rows)
    truth[0, 0] = True
    scores = scores.astype(dtype)
    labelled = truth.any(axis=1)
    expected = label_ranking_average_precision_score(
        truth[labelled], scores[labelled], sample_weight=truth[labelled].sum(axis=1)
    )
    assert lwlrap_sums(truth, scores).overall == pytest.approx(expected, abs=1e-12)


def test_equals_the_per_row_loop() -> None:
    truth, scores = made_up(300, 20, levels=None, seed=3)
    sums = lwlrap_sums(truth, scores)
    precision_sum, count = per_row_loop(truth, scores)
    np.testing.assert_allclose(sums.precision_sum, precision_sum, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(sums.count, count)
    assert sums.count.dtype == np.int64
    assert sums.tied == 0


@pytest.mark.parametrize(
    ("truth", "scores", "precisions", "tied"),
    [
        pytest.param([1, 0, 0], [3, 2, 1], [1, 0, 0], 0, id="first"),
        pytest.param([0, 0, 1], [3, 2, 1], [0, 0, 1 / 3], 0, id="last"),
        pytest.param([1, 0, 1], [3, 2, 1], [1, 0, 2 / 3], 0, id="first and last"),
        pytest.param([1, 0, 0], [2, 2, 1], [1 / 2, 0, 0], 1, id="positive tied with a negative"),
        pytest.param([1, 1, 0], [2, 2, 1], [1, 1, 0], 2, id="positives tied"),
        pytest.param([1, 1, 0], [2, 2, 2], [2 / 3, 2 / 3, 0], 2, id="all tied"),
        pytest.param([1, 0, 0], [3, 2, 2], [1, 0, 0], 0, id="negatives tied"),
        pytest.param([1, 1, 1], [2, 2, 1], [1, 1, 1], 2, id="every label positive"),
        pytest.param([0, 1, 1], [2, 2, 1], [0, 1 / 2, 2 / 3], 1, id="tie above another positive"),
        pytest.param([1, 1, 0], [-np.inf, np.inf, 0], [2 / 3, 1, 0], 0, id="infinities are in order"),
        pytest.param([0, 0, 0], [3, 2, 1], [0, 0, 0], 0, id="no labels"),
    ],
)
def test_one_row_by_hand(truth: list[int], scores: list[float], precisions: list[float], tied: int) -> None:
    sums = lwlrap_sums(np.array([truth], dtype=bool), np.array([scores], dtype=np.float64))
    assert sums.precision_sum.tolist() == pytest.approx(precisions, abs=1e-15)
    assert sums.count.tolist() == truth
    assert sums.tied == tied


@pytest.mark.parametrize("levels", [None, 3])
def test_the_order_of_columns_does_not_matter(levels: int | None) -> None:
    truth, scores = made_up(120, 15, levels=levels, seed=5)
    order = np.random.default_rng(0).permutation(15)
    sums, permuted = lwlrap_sums(truth, scores), lwlrap_sums(truth[:, order], scores[:, order])
    np.testing.assert_array_equal(permuted.precision_sum, sums.precision_sum[order])
    np.testing.assert_array_equal(permuted.count, sums.count[order])
    assert permuted.tied == sums.tied


def test_sums_add_up_over_folds() -> None:
    truth, scores = made_up(211, 9, levels=4, seed=6)
    whole = lwlrap_sums(truth, scores)
    folds = np.arange(211) % 5
    added = functools.reduce(operator.add, (lwlrap_sums(truth[folds == k], scores[folds == k]) for k in range(5)))
    np.testing.assert_allclose(added.precision_sum, whole.precision_sum, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(added.count, whole.count)
    assert added.tied == whole.tied > 0
    assert added.overall == pytest.approx(whole.overall, abs=1e-14)


def test_sums_of_other_classes_are_not_added() -> None:
    one, two = (LwlrapSums(np.zeros(k), np.zeros(k, dtype=np.int64), tied=0) for k in (1, 2))
    with pytest.raises(ValueError, match="over 1 and 2 classes"):
        one + two


def test_a_class_without_positives_is_null_and_left_out() -> None:
    truth = np.array([[1, 0, 0], [1, 0, 1]], dtype=bool)
    scores = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 1.0]])
    sums = lwlrap_sums(truth, scores)
    np.testing.assert_array_equal(sums.per_class, [(1 / 2 + 1) / 2, np.nan, 2 / 3])
    assert sums.overall == pytest.approx((1 / 2 + 1 + 2 / 3) / 3)


@pytest.mark.parametrize("rows", [0, 4])
def test_no_positives_at_all(rows: int) -> None:
    sums = lwlrap_sums(np.zeros((rows, 3), dtype=bool), np.zeros((rows, 3)))
    assert np.isnan(sums.overall)
    assert np.isnan(sums.per_class).all()


def test_rows_with_nan_are_named() -> None:
    scores = np.zeros((5, 3))
    scores[1, 2] = scores[4] = np.nan
    with pytest.raises(ValueError, match=r"NaN in 2 of 5 rows: 1, 4;"):
        lwlrap_sums(np.ones((5, 3), dtype=bool), scores)


@pytest.mark.parametrize(("truth", "scores"), [(np.ones((2, 3)), np.ones((2, 3))), (np.ones((2, 3), bool), np.ones(3))])
def test_what_is_not_a_pair_of_matrices_is_refused(truth: np.ndarray, scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be matrices of one shape"):
        lwlrap_sums(truth, scores)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, scores = made_up(100, 10, levels=3, seed=8)
    whole = lwlrap_sums(truth, scores)
    monkeypatch.setattr(lwlrap, "_CHUNK_CELLS", 35)
    chunked = lwlrap_sums(truth, scores)
    np.testing.assert_array_equal(chunked.precision_sum, whole.precision_sum)
    assert chunked.tied == whole.tied


def test_memory_is_bounded() -> None:
    random = np.random.default_rng(0)
    scores = random.random((5000, 500))
    truth = random.random((5000, 500)) < 0.05
    tracemalloc.start()
    lwlrap_sums(truth, scores)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_chance_is_what_random_scores_reach() -> None:
    """With one label among C the mean of 1 / rank over uniform ranks is the harmonic number of C over C."""
    truth = np.zeros((4000, 10), dtype=bool)
    truth[np.arange(4000), np.arange(4000) % 10] = True
    expected = sum(1 / rank for rank in range(1, 11)) / 10
    assert random_lwlrap(truth) == pytest.approx(expected, abs=0.005)
    assert random_lwlrap(truth, seed=1, draws=2) == random_lwlrap(truth, seed=1, draws=2)


def test_the_lowest_value_is_that_of_the_worst_of_all_rankings() -> None:
    truth = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=bool)
    rankings = [np.array(order, float) for order in permutations(range(4))]
    sums = [min(lwlrap_sums(row[None], one[None]).precision_sum.sum() for one in rankings) for row in truth]
    assert lowest_lwlrap(truth) == pytest.approx(sum(sums) / 3, abs=1e-12)
    assert lowest_lwlrap(truth) == pytest.approx((1 / 3 + 2 / 4 + 1 / 4) / 3)
