"""Verdicts on labels in the graph: what they make stale, what is recorded of them, and that going back."""

import json

import dagster as dg
import pytest

from fa_assets.catalog import tracing
from fa_assets.catalog.database import Catalog
from fa_assets.intake.corrections import Correction, append_corrections
from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger, LedgerEntry
from fa_assets.store.values import ValueStore
from fa_assets_tests.graph.driver import Daemon
from fa_assets_tests.runs import plan, run

pytestmark = pytest.mark.slow


def verdict(settings: Settings, *words: str) -> None:
    append_corrections(settings.dataset, [Correction(*words, "Ada", "2026-11-29T22:50:00+00:00", "heard it")])


def newest(settings: Settings, asset: str) -> LedgerEntry:
    return [one for one in Ledger(settings.storage_root / "ledger").entries() if one.asset == asset][-1]


def test_verdicts_from_the_file_to_the_report_and_back(
    daemon: Daemon, settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert plan(settings, instance) == []
    before = {name: newest(settings, name) for name in ("curated_clips", "mc5_metrics", "label_corrections")}
    assert before["label_corrections"].metadata == {"rows": 0, "verdicts": 0, "in_force": 0, "labels_corrected": 0}
    assert "corrected" not in before["curated_clips"].metadata

    for words in (("01.wav", "Tone", "add"), ("00.wav", "Noise", "remove"), ("02.wav", "Click", "keep")):
        verdict(settings, *words)
    for word in ("add", "undo"):
        verdict(settings, "03.wav", "Tone", word)
    assert {"curated_clips", "label_corrections"} <= {one.asset for one in plan(settings, instance)}
    request = daemon.tick()
    assert request is not None
    assert daemon.run(request).success
    assert plan(settings, instance) == []

    folds = ValueStore(settings.storage_root).read("folds").table
    labels = dict(zip(folds["fname"].to_pylist(), folds["labels"].to_pylist(), strict=True))
    assert (labels["00.wav"], labels["01.wav"], labels["03.wav"]) == (["Tone"], ["Noise", "Tone"], ["Sweep"])
    clips, found = newest(settings, "curated_clips"), newest(settings, "label_corrections")
    assert json.loads(str(clips.metadata["corrected"])) == [["00.wav", "Noise", "remove"], ["01.wav", "Tone", "add"]]
    assert (found.metadata["verdicts"], found.metadata["in_force"], found.metadata["labels_corrected"]) == (5, 3, 2)
    # The labels as given, on the same folds and embeddings: the run before.
    assert found.metadata["lwlrap_before"] == before["mc5_metrics"].metadata["lwlrap"]
    assert found.metadata["lwlrap_after"] == newest(settings, "mc5_metrics").metadata["lwlrap"]
    assert found.metadata["lwlrap_after_untouched"] != found.metadata["lwlrap_after"]

    catalog = Catalog.of(settings.local_root, settings.storage_root)
    rows = catalog.query("select fname, verdict, in_force, changed, who, decided_at, why from label_corrections")
    assert rows["in_force"].tolist() == [True, True, True, False, False]
    assert rows["changed"].tolist() == [True, True, False, False, False]
    assert rows.iloc[0].tolist()[4:] == ["Ada", "2026-11-29T22:50:00+00:00", "heard it"]
    with tracing.up_to_date(catalog) as connection:
        differences = tracing.differences(connection, "previous", "latest").differences
    assert [(one.name, one.a, one.b) for one in differences if one.kind == "correction"] == [
        ("00.wav: Noise", None, "remove"),
        ("01.wav: Tone", None, "add"),
    ]
    page = (settings.storage_root / newest(settings, "report").files[1].path).read_text()
    assert "3 verdicts of label_corrections.csv are in force; by 2 of them" in page

    verdict(settings, "05.wav", "Noise", "keep")  # nothing follows from it, but that it is listed
    assert run(settings, select="+label_corrections").failures == ()
    assert {one.asset for one in plan(settings, instance)} == {"report"}
    assert newest(settings, "label_corrections").metadata["verdicts"] == 6
    assert newest(settings, "curated_clips").id > clips.id
    assert newest(settings, "curated_clips").data_version == clips.data_version

    (settings.dataset / "label_corrections.csv").unlink()
    assert run(settings, select="+mc5_metrics,+label_corrections").failures == ()
    for name, entry in before.items():
        assert newest(settings, name).data_version == entry.data_version, name


def test_a_verdict_that_cannot_be_followed_stops_the_refresh_by_name(daemon: Daemon, settings: Settings) -> None:
    verdict(settings, "01.wav", "Noise", "remove")
    assert daemon.tick() is None
    assert "'01.wav': no label is left" in daemon.said
