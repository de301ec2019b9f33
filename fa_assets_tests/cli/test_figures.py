"""What `metrics`, `thresholds` and `predict --decide` say of a finished run."""

import json
from pathlib import Path

import pytest

from fa_assets.api import Tag
from fa_assets.graph.made_with import remember
from fa_assets.metrics.predictions import predictions_of
from fa_assets.metrics.thresholds import choose_thresholds
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun


def test_metrics_are_those_that_are_stored(finished: FinishedRun) -> None:
    stored = ValueStore(finished.settings.storage_root).read("mc5_metrics").table.to_pylist()
    shown = json.loads(fa_assets("metrics", "--json", settings=finished.settings).stdout)
    assert shown == [row for row in stored if row["scope"] != "clip"]
    overall = next(row for row in stored if (row["metric"], row["scope"]) == ("map", "overall"))
    lines = [" ".join(one.split()) for one in fa_assets("metrics", settings=finished.settings).stdout.splitlines()]
    figures = f"{overall['value']:.4f} {overall['low']:.2f}–{overall['high']:.2f} ({overall['units']})"
    assert f"average precision, macro {figures}" in lines
    assert "In brackets: the independent clips" in lines[-1] and "Below 40 it is rough" in lines[-1]


def test_metrics_are_of_the_scheme_that_was_last_run_or_is_named(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    storage = ("--storage", str(settings.storage_root))
    assert fa_assets("metrics", *storage).stdout.splitlines()[-1].startswith("mc5_metrics. ")
    assert fa_assets("metrics", *storage, "--scheme", "center").stdout.splitlines()[-1].startswith("center_metrics. ")
    remember(settings.storage_root, {"scheme": "center"})
    assert fa_assets("metrics", *storage).stdout.splitlines()[-1].startswith("center_metrics. ")


def test_thresholds_are_chosen_on_all_out_of_fold_predictions(finished: FinishedRun) -> None:
    value = ValueStore(finished.settings.storage_root).read("mc5_oof_predictions")
    found = predictions_of(value.table, value.header.details["classes"])
    expected = choose_thresholds(found.truth, found.probabilities, None)
    shown = json.loads(fa_assets("thresholds", "--json", settings=finished.settings).stdout)
    assert [one["class"] for one in shown] == list(found.classes)
    assert [one["threshold"] for one in shown] == pytest.approx(expected.tolist(), abs=0)
    assert all(0 <= one["f1"] <= 1 for one in shown)
    first = fa_assets("thresholds", settings=finished.settings).stdout.splitlines()[0]
    assert first.split() == ["class", "threshold", "F1", "precision", "recall"]


@pytest.mark.slow
def test_predict_decides_by_the_thresholds(finished: FinishedRun) -> None:
    thresholds = json.loads(fa_assets("thresholds", "--json", settings=finished.settings).stdout)
    threshold = {one["class"]: one["threshold"] for one in thresholds}
    clips = [str(one) for one in sorted((finished.settings.dataset / "train_curated").iterdir())[:3]]
    lines = fa_assets("predict", *clips, "--decide", "--json", settings=finished.settings).stdout.splitlines()
    for line in map(json.loads, lines):
        assert set(line["labels"]) == {name for name, p in line["classes"].items() if p >= threshold[name]}
    assert any(json.loads(line)["labels"] for line in lines)


def test_predict_says_where_no_label_reaches_its_threshold(
    finished: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tag, "is_given", False)
    clip = finished.settings.dataset / "train_curated" / "00.wav"
    said = fa_assets("predict", str(clip), "--decide", settings=finished.settings).stdout
    assert said.splitlines() == [str(clip), "  no label reaches its threshold"]
