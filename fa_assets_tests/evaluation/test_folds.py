"""Folds: the known sizes on FSDKaggle2019, every row held out once, positives spread evenly."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from fa_assets.errors import UserError
from fa_assets.evaluation.folds import fold_balance, stratified_folds
from fa_assets.evaluation.labels import multi_hot


def random_truth(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    truth = random.random((rows, classes)) < 0.05
    truth[np.arange(rows), random.integers(0, classes, rows)] = True
    return truth


def test_sizes_on_the_curated_set_of_fsdkaggle2019() -> None:
    if "FA_SHARED_DATA" not in os.environ:
        pytest.skip("FA_SHARED_DATA is not set: it names the folder that holds fsdkaggle2019_meta")
    meta = Path(os.environ["FA_SHARED_DATA"]) / "fsdkaggle2019_meta"
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
