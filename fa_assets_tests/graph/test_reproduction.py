"""The check wakes for FSDKaggle2019 and the published weights alone, and then compares."""

import csv
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from fa_assets.definitions import code_location
from fa_assets.encoders.cnn14.definition import PUBLISHED
from fa_assets.graph import tables
from fa_assets.graph.checks_comparison import fsdkaggle2019_reproduced
from fa_assets.metrics.figures import Figure, figures_table
from fa_assets.metrics.reproduction import (
    IMPLIED_OVERALL,
    RECORDED_PER_FOLD,
    clips_digest,
    is_recorded_case,
    known_corpus,
)
from fa_assets.settings import Settings
from fa_assets.store.values import ValueHeader, ValueStore
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.recorded import put

POSITIVES = 1000
"""In each fold of the made-up metrics; the overall figure is then the mean of the folds'."""


def read_clips(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["fname"] for row in rows], [row["labels"].split(",") for row in rows]


@pytest.mark.parametrize("name", ["train_curated.csv", "train_curated_post_competition.csv"])
def test_the_curated_clips_are_known_in_any_order_and_nothing_else_is(shared_data: Path, name: str) -> None:
    fnames, labels = read_clips(shared_data / "fsdkaggle2019_meta" / name)
    assert is_recorded_case(fnames, labels, PUBLISHED.sha1) and known_corpus(fnames, labels) == "FSDKaggle2019"
    assert not is_recorded_case(fnames, labels, "0" * 40)
    assert not is_recorded_case(fnames[1:], labels[1:], PUBLISHED.sha1)
    assert clips_digest(fnames, [["Bark"], *labels[1:]]) != clips_digest(fnames, [["Meow"], *labels[1:]])


def store_values(root: Path, clips_csv: Path, per_fold: list[float], sha1: str) -> ValueStore:
    """A storage folder with nothing but what the check reads."""
    fnames, labels = read_clips(clips_csv)
    n = len(fnames)
    contents = {
        "folds": pa.table(
            [
                [0] * n,
                fnames,
                labels,
                [44_100] * n,
                [1] * n,
                [1] * n,
                [1.0] * n,
                [""] * n,
                [None] * n,
                [""] * n,
                [None] * n,
            ],
            schema=tables.FOLDS,
        ),
        "cnn14_checkpoint": pa.table([["x"], [1], [sha1], ["x"], [True]], schema=tables.CHECKPOINT),
        "mc5_metrics": figures_table(
            [
                Figure("lwlrap", "overall", "", sum(per_fold) / 5, 5 * POSITIVES),
                *(Figure("lwlrap", "fold", str(fold), one, POSITIVES) for fold, one in enumerate(per_fold)),
            ],
            tables.METRICS,
        ),
    }
    for asset, table in contents.items():
        put(root, table, ValueHeader(asset, None, "v", "1", "run", (), {"classes": ["all"]}))
    return ValueStore(root)


def evaluate(values: ValueStore) -> dg.AssetCheckResult | str:
    metrics, folds, weights = (values.read(asset) for asset in ("mc5_metrics", "folds", "cnn14_checkpoint"))
    return fsdkaggle2019_reproduced(metrics, folds=folds, weights=weights)


@pytest.mark.parametrize(
    ("shift", "passed"), [(0.0, True), (0.0029, True), (-0.0029, True), (0.0031, False), (-0.01, False)]
)
def test_figures_are_compared_and_the_difference_is_shown(
    shared_data: Path, tmp_path: Path, shift: float, passed: bool
) -> None:
    shifted = [*RECORDED_PER_FOLD[:-1], RECORDED_PER_FOLD[-1] + shift]
    clips = shared_data / "fsdkaggle2019_meta" / "train_curated_post_competition.csv"
    result = evaluate(store_values(tmp_path, clips, shifted, PUBLISHED.sha1))
    assert isinstance(result, dg.AssetCheckResult) and result.passed is passed
    assert f"fold 4 {shifted[-1]:.4f} ({shift:+.4f})" in (result.description or "")
    overall = sum(shifted) / 5
    assert f"overall {overall:.4f} ({overall - IMPLIED_OVERALL:+.4f})" in (result.description or "")


def test_with_other_weights_there_is_nothing_to_compare(shared_data: Path, tmp_path: Path) -> None:
    clips = shared_data / "fsdkaggle2019_meta" / "train_curated.csv"
    assert isinstance(evaluate(store_values(tmp_path, clips, [0.1] * 5, "0" * 40)), str)


def test_other_clips_have_nothing_to_compare(finished: FinishedRun) -> None:
    assert isinstance(evaluate(ValueStore(finished.settings.storage_root)), str)


@pytest.mark.parametrize("clips", [0, 4969, 4970])
def test_the_check_is_there_for_as_many_clips_alone(tmp_path: Path, clips: int) -> None:
    """And not without a dataset folder."""
    if clips:
        rows = "".join(f"{number}.wav,Bark\n" for number in range(clips))
        (tmp_path / "train_curated.csv").write_text(f"fname,labels\n{rows}")
    dataset = tmp_path if clips else tmp_path / "gone"
    graph = code_location(Settings(dataset=dataset, storage=str(tmp_path), checkpoint="published")).graph
    titles = {one.title for one in graph.checks}
    assert ("fsdkaggle2019_reproduced" in titles) == (clips == 4970) and "mc5_above_chance" in titles
