"""What the report says, and in which order."""

import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from fa_assets.metrics.chance import lwlrap_without_knowledge
from fa_assets.metrics.figures import METRICS, Figures
from fa_assets.report.content import page_of
from fa_assets.report.evaluated import Before, Evaluated
from fa_assets.report.page import Bar, Page
from fa_assets.report.picture import Picture, drawn
from fa_assets_tests.report.made_up import AT, check, evaluated, predictions, ranks


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return replace(evaluated(60, 6, tmp_path_factory.mktemp("clips")), pictures=False)


def made(run: Evaluated) -> Page:
    return page_of(run, dataset="birds", run_id="run-1")


def test_it_leads_with_how_good_the_model_is(run: Evaluated) -> None:
    page = made(run)
    own, chance = run.figures.overall(), lwlrap_without_knowledge(run.predictions.truth)
    assert [(one.name, one.value) for one in page.figures] == [
        ("LWLRAP", f"{own:.4f}"),
        ("Chance", f"{chance:.4f}"),
        ("mAP", f"{run.figures.overall('map'):.4f}"),
    ]
    assert "ranks labels better than chance" in page.answer and f"LWLRAP {own:.4f}, 95% interval" in page.answer


def test_scores_that_know_nothing_are_not_called_better_than_chance(run: Evaluated) -> None:
    blind = replace(run.predictions, logits=np.random.default_rng(5).normal(size=run.predictions.logits.shape))
    figures = Figures([row for of in METRICS.values() for row in of(blind)], blind.classes)
    assert (
        "is not shown to rank labels better than chance"
        in made(replace(run, figures=figures, predictions=blind)).answer
    )


def test_the_run_before_and_the_test_set_are_among_the_figures(run: Evaluated) -> None:
    before = Before("0123456789", AT, ranks(predictions(60, 6, seed=7)))
    rows = [
        ("final", "lwlrap", "all", 9, 0.5, 0.4, 0.6, 8),
        ("final", "map", "all", 9, 0.25, None, None, 8),
        ("fold_mean", "lwlrap", "all", 9, 0.4, None, None, 8),
        ("out_of_fold", "lwlrap", "curated", 60, 0.7, None, None, None),
    ]
    names = ("model", "metric", "scope", "clips", "value", "low", "high", "units")
    page = made(replace(run, before=before, test=pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))))
    (table,) = next(one.tables for one in page.sections if one.title == "Test set")
    assert [list(row) for row in table.rows] == [
        ["lwlrap", "all", 9, 0.5, 0.4, 0.7, "0.4000 to 0.6000 (8)"],
        ["map", "all", 9, 0.25, None, None, ""],
    ]
    figures = {one.name: one for one in page.figures}
    assert list(figures) == [
        "LWLRAP",
        "Chance",
        "Since the run before",
        "mAP",
        "LWLRAP on the test set",
        "mAP on the test set",
    ]
    since = figures["Since the run before"]
    expected = np.mean(run.ranks["precision"]) - np.mean(before.ranks["precision"])
    assert float(since.value) == pytest.approx(float(expected), abs=5e-5)
    assert "run 01234567 of 2026-01-02 03:04 UTC, on the 60 clips" in since.meaning
    assert (figures["LWLRAP on the test set"].value, figures["mAP on the test set"].value) == ("0.5000", "0.2500")
    on_test = figures["LWLRAP on the test set"].interval
    assert on_test == "95% interval 0.4000 to 0.6000 over 8 independent clips or groups"


def test_what_did_not_pass_is_said_failures_first(run: Evaluated) -> None:
    page = made(run)
    assert [(one.failed, one.name) for one in page.findings or ()] == [
        (True, "gate of mc5_metrics"),
        (False, "loud of mc5_metrics"),
    ]
    assert page.passed == "1 of 3 checks passed."


def test_a_check_whose_finding_is_said_above_is_named(run: Evaluated) -> None:
    untrained = replace(run, weights_trained=False, checks=[*run.checks, check("weights_trained", False)])
    page = made(untrained)
    assert [one.name for one in page.findings or ()] == ["gate of mc5_metrics", "loud of mc5_metrics"]
    assert "untrained" in page.warnings[0]
    assert page.passed == "1 of 4 checks passed; for weights_trained see the top of the page."


def test_the_parts_come_in_the_order_of_what_a_reader_wants_and_provenance_is_folded(run: Evaluated) -> None:
    page = made(run)
    assert [one.title for one in page.sections] == [
        "Classes",
        "Labels to listen to",
        "Confusions to listen to",
        "mc5 against center",
        "Clips",
        "Settings and provenance",
    ]
    assert [one.folded for one in page.sections] == [False] * 5 + [True]


def test_classes_come_with_interval_and_average_precision_the_worst_first(run: Evaluated) -> None:
    table = made(run).sections[0].tables[0]
    assert table.columns[2:6] == ["LWLRAP", "95% (units)", "average precision", "95% (units)"]
    values = [row[2].value for row in table.rows if isinstance(row[2], Bar)]
    assert values == sorted(values) and len(values) == 6
    assert "below 40 it is rough, here that of 6 of 6 classes and 5 of 5 folds" in made(run).sections[0].text.lower()
    for name, _, value, between, precision, *_ in table.rows:
        interval, units = str(between).rstrip(")").split(" (")
        low, high = map(float, interval.split("–"))
        assert int(units) == run.predictions.truth[:, run.predictions.classes.index(str(name))].sum()
        assert isinstance(value, Bar) and low <= value.value + 0.005 and value.value <= high + 0.005
        assert precision == run.figures.of("class", "map")[str(name)].value


def test_doubts_and_confusions_have_players_with_spectrograms(run: Evaluated) -> None:
    page = made(replace(run, pictures=True))
    doubts, confusions = page.sections[1], page.sections[2]
    assert [one.title for one in doubts.players] == list(run.local_clips)
    for one in doubts.players:
        assert one.data_uri.startswith("data:audio/") and (one.spectrogram or "").startswith("data:image/png")
    for one in confusions.players:
        assert one.title in run.local_clips and "higher, as" in one.text


def test_a_picture_that_cannot_be_drawn_is_a_warning_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Picture:
        raise ValueError("too many marks")

    good = Picture("Good", "a good one", "<svg/>")
    with caplog.at_level(logging.WARNING):
        assert drawn(True, lambda: good, fail, lambda: None) == [good]
    assert "could not be drawn: ValueError: too many marks" in caplog.text
    assert drawn(False, lambda: good, fail) == []


def test_a_map_that_cannot_be_made_is_left_out_and_long_clips_are_not_read_for_it(
    run: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fa_assets.report.picture._svg", lambda *_: "<svg/>")  # which takes the most time
    few = replace(run, pictures=True, audit=run.audit.slice(0, 0))
    (found,) = [one for one in made(few).sections if one.map]
    assert found.map is not None and found.map.data["sounds"].keys() == set(run.local_clips) - {
        player.title for one in made(few).sections for player in one.players
    }
    long = run.clips.set_column(3, "seconds", pa.array(np.full(run.clips.num_rows, 3600.0)))
    (found,) = [one for one in made(replace(few, clips=long)).sections if one.map]
    assert found.map is not None and found.map.data["sounds"] == {}

    def fail(*_: object) -> None:
        raise RuntimeError("no threads left")

    monkeypatch.setattr("fa_assets.report.listening.embedding_map", fail)
    assert not [one for one in made(few).sections if one.map]
