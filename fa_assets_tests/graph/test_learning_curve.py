"""The learning curve on a finished run: on demand, in the report and the catalog; nothing else is made again."""

from pathlib import Path

import dagster as dg
import pytest

from fa_assets.definitions import build_definitions
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import recorder_of, run

pytestmark = pytest.mark.slow


def test_it_is_there_on_demand_and_recorded(finished: FinishedRun, tmp_path: Path) -> None:
    graph = build_definitions(finished.settings).resolve_asset_graph()
    assert dg.AssetKey("learning_curve") not in graph.get_all_asset_keys()
    settings = finished.copy(tmp_path).model_copy(update={"learning_curve": "3,1"})
    with environment_of(settings):
        assert run(settings.model_copy(update={"pictures": "on"}), select="learning_curve").failures == ()
        outcome = run(settings)
        assert outcome.failures == ()
        with dg.DagsterInstance.get() as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey("learning_curve"))
    assert {one.asset for one in outcome.planned} == {"report"}
    rows = ValueStore(settings.storage_root).read("learning_curve").table.to_pylist()
    assert [row["clips_per_class"] for row in rows] == [1, 3, None]
    for row in rows:
        assert row["low"] <= row["lwlrap"] <= row["high"]
        assert (row["low"], row["high"]) == (min(row["draws"]), max(row["draws"]))
    catalog = recorder_of(settings).catalog
    (usual,) = catalog.query("select value from assets.mc5_metrics where metric = 'lwlrap' and scope = 'overall'")[
        "value"
    ]
    assert rows[-1]["lwlrap"] == usual and rows[-1]["clips"] == pytest.approx(24 * 4 / 5)
    assert catalog.query("select lwlrap from assets.learning_curve")["lwlrap"].tolist() == [
        row["lwlrap"] for row in rows
    ]
    page = (settings.storage_root / "reports" / f"{outcome.run_id}.html").read_text()
    assert "Would more clips help?" in page and f"{rows[0]['lwlrap']:.4f}" in page
    assert event is not None and event.asset_materialization is not None
    shown = event.asset_materialization.metadata
    assert "](/pictures/" in str(shown["curve"].value) and shown["lwlrap_all"].value == pytest.approx(usual, rel=1e-3)
