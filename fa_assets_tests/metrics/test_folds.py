"""Folds: the known sizes on FSDKaggle2019, every row held out once, positives spread evenly."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fa_assets.errors import UserError
from fa_assets.metrics.folds import continued_folds, fold_balance, fold_quality, grouped_folds, stratified_folds
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.units import independent_units


def random_truth(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    truth = random.random((rows, classes)) < 0.05
    truth[np.arange(rows), random.integers(0, classes, rows)] = True
    return truth


def test_sizes_on_the_curated_set_of_fsdkaggle2019(shared_data: Path) -> None:
    meta = shared_data / "fsdkaggle2019_meta"
    with (meta / "sample_submission.csv").open(newline="") as file:
        classes = next(csv.reader(file))[1:]
    with (meta / "train_curated.csv").open(newline="") as file:
        truth = multi_hot([row["labels"].split(",") for row in csv.DictReader(file)], classes)
    assert truth.shape == (4970, 80)
    assert np.bincount(stratified_folds(truth)).tolist() == [999, 994, 992, 997, 988]


@pytest.mark.parametrize(("rows", "classes", "n_folds"), [(203, 7, 5), (60, 2, 3), (5, 3, 5)])
def test_each_row_is_held_out_once_and_classes_are_spread(rows: int, classes: int, n_folds: int) -> None:
    truth = random_truth(rows, classes)
    folds = stratified_folds(truth, n_folds=n_folds)
    assert folds.dtype == np.int8
    assert folds.shape == (rows,)
    assert set(folds.tolist()) == set(range(n_folds))
    balance = fold_balance(truth, folds)
    assert (np.abs(balance - truth.sum(axis=0) / n_folds) <= 2).all()


def test_same_seed_same_folds() -> None:
    truth = random_truth(100, 5)
    np.testing.assert_array_equal(stratified_folds(truth, seed=7), stratified_folds(truth, seed=7))
    assert (stratified_folds(truth, seed=7) != stratified_folds(truth, seed=8)).any()


@pytest.mark.parametrize(
    ("rows", "classes", "n_folds", "message"),
    [
        (4, 3, 5, r"4 clip\(s\) cannot fill 5 folds"),
        (9, 1, 5, "two classes or more"),
        (9, 3, 1, "1 folds were asked for"),
    ],
)
def test_what_cannot_be_stratified_is_refused(rows: int, classes: int, n_folds: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        stratified_folds(np.ones((rows, classes), dtype=bool), n_folds=n_folds)


def test_fold_balance_counts_positives() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=bool)
    balance = fold_balance(truth, np.array([0, 2, 2, 0], dtype=np.int8))
    assert balance.dtype == np.int64
    assert balance.tolist() == [[2, 0], [0, 0], [1, 2]]


STATED_BOUND = 0.05
"""How far the label imbalance of continued folds may be above that of fresh ones (docs/refreshes.md)."""


@pytest.mark.parametrize("seed", range(4))
def test_continued_folds_stay_put_and_as_balanced_as_fresh_ones_within_the_stated_bound(seed: int) -> None:
    random = np.random.default_rng(seed)
    world = random_truth(3000, int(random.integers(4, 12)), seed)
    order = random.permutation(len(world))
    clips, coming = order[:800], list(order[800:])
    folds = stratified_folds(world[clips]).astype(np.int64)
    for _ in range(8):
        stays = random.random(len(clips)) > random.uniform(0, 0.1)
        new = [coming.pop() for _ in range(int(random.uniform(0.05, 0.2) * len(clips)))]
        clips = np.concatenate([clips[stays], new])
        previous = np.concatenate([folds[stays], np.full(len(new), -1)])
        folds = continued_folds(world[clips], previous).astype(np.int64)
        np.testing.assert_array_equal(folds[previous >= 0], previous[previous >= 0])
        ours, fresh = (fold_quality(world[clips], one) for one in (folds, stratified_folds(world[clips])))
        assert ours.label_imbalance <= fresh.label_imbalance + STATED_BOUND
        assert ours.size_imbalance <= STATED_BOUND


def test_a_group_shares_a_fold_and_is_brought_together_where_most_of_it_is() -> None:
    truth = random_truth(40, 4)
    units = independent_units(["a"] * 6 + ["b"] * 3 + [""] * 31, list(map(str, range(40))))
    previous = np.array([1, 1, 1, 1, 2, -1] + [-1, -1, -1] + [row % 5 for row in range(31)])
    folds = continued_folds(truth, previous, units=units)
    assert folds[:6].tolist() == [1] * 6
    assert len(set(folds[6:9].tolist())) == 1
    np.testing.assert_array_equal(folds[9:], previous[9:])


@pytest.mark.parametrize("seed", range(2))
def test_grouped_folds_divide_no_group_and_are_far_more_even_than_chance(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random_truth(1200, 8, seed)
    shares = random.lognormal(0, 1, 100)
    groups = random.choice(100, len(truth), p=shares / shares.sum())
    folds = grouped_folds(truth, groups)
    assert len(set(zip(groups.tolist(), folds.tolist(), strict=True))) == len(set(groups.tolist()))
    drawn = random.integers(0, 5, 100)[groups]
    assert fold_quality(truth, folds).label_imbalance < 0.5 * fold_quality(truth, drawn).label_imbalance
    np.testing.assert_array_equal(folds, grouped_folds(truth, groups))
    assert (folds != grouped_folds(truth, groups, seed=7)).any()


@pytest.mark.parametrize("seed", range(4))
def test_large_groups_are_placed_first(seed: int) -> None:
    folds = grouped_folds(np.ones((20, 2), bool), np.array([*range(10), *[10] * 10]), seed=seed)
    assert sorted(np.bincount(folds).tolist()) == [2, 2, 3, 3, 10]


def test_groups_of_one_clip_are_the_plain_stratification() -> None:
    truth = random_truth(60, 3)
    np.testing.assert_array_equal(grouped_folds(truth, np.arange(60)), stratified_folds(truth))
    np.testing.assert_array_equal(grouped_folds(truth, np.arange(60)[::-1]), stratified_folds(truth))


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(UserError, match=r"3 group\(s\) cannot fill 5 folds"):
        grouped_folds(random_truth(30, 3), np.arange(30) % 3)
    with pytest.raises(UserError, match="FA_FOLDS=fresh"):
        continued_folds(random_truth(6, 3), np.zeros(6, np.int64))


def test_quality_of_even_and_uneven_folds() -> None:
    truth = np.ones((10, 2), dtype=bool)
    even = fold_quality(truth, np.arange(10) % 5)
    assert (even.label_imbalance, even.size_imbalance) == (0, 0)
    uneven = fold_quality(truth, np.array([0] * 6 + [1, 2, 3, 4]))  # 6, 1, 1, 1, 1 where 2 each would be even
    assert uneven.label_imbalance == pytest.approx((4 + 4 * 1) / 2 / 5)


def test_a_tie_goes_where_classes_are_lacking_and_a_fifth_moved_is_too_much() -> None:
    truth = np.array([[1, 0]] * 10 + [[0, 1]] * 30, dtype=bool)
    previous = np.array([0, 1, 0, 0, 0, 0, 2, 3, 4, 4] + [row % 5 for row in range(30)])
    pair = np.array([0, 0, *range(1, 39)])
    assert continued_folds(truth, previous, units=pair)[:2].tolist() == [1, 1]  # fold 0 has four of that class, 1 none
    divided = np.arange(40) // 4
    for seed in (42, 7):
        again = continued_folds(truth, previous, units=divided, seed=seed)
        np.testing.assert_array_equal(again, grouped_folds(truth, divided, seed=seed))
