"""What is computed on demand on a finished run, experiments and the learning curve: nothing else is made again."""

import dagster as dg
import pytest

from fa_assets.catalog.database import Catalog
from fa_assets.cli.summary import scheme_results
from fa_assets.definitions import build_definitions
from fa_assets.settings import Settings
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import recorder_of, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def asked(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """Both, and the page of the report."""
    assert ValueStore(finished.settings.storage_root).read("experiments").table.num_rows == 0
    graph = build_definitions(finished.settings).resolve_asset_graph()
    assert dg.AssetKey("learning_curve") not in graph.get_all_asset_keys()
    update = {"experiments": "C=0.2 pool=max,crops=3", "learning_curve": "3,1"}
    settings = finished.copy(tmp_path_factory.mktemp("asked")).model_copy(update=update)
    with environment_of(settings):
        assert run(settings.model_copy(update={"pictures": "on"}), select="learning_curve").failures == ()
        outcome = run(settings)
    assert outcome.failures == ()
    assert {one.asset for one in outcome.planned} == {"experiments", "report"}
    return settings, (settings.storage_root / "reports" / f"{outcome.run_id}.html").read_text()


@pytest.fixture
def catalog(asked: tuple[Settings, str]) -> Catalog:
    return recorder_of(asked[0]).catalog


def test_variants_are_judged_beside_the_baseline_and_the_default_stays(
    asked: tuple[Settings, str], catalog: Catalog
) -> None:
    settings, page = asked
    assert "Other classifiers" in page and "pool=max,crops=3" in page
    rows = ValueStore(settings.storage_root).read("experiments").table.to_pylist()
    assert [row["variant"] for row in rows] == ["baseline", "C=0.2", "pool=max,crops=3", "chosen in each fold"]
    mc5 = scheme_results(settings.storage_root)["mc5"]
    assert rows[0]["lwlrap"] == pytest.approx(mc5.overall, abs=0.1)  # the same objective, another solver
    assert rows[0]["difference"] == 0.0
    for row in rows:
        assert row["low"] <= row["difference"] <= row["high"]
        assert len(row["lwlrap_per_fold"]) == 5
    assert set(rows[-1]["chosen"]) <= {row["variant"] for row in rows[:-1]}
    found = catalog.query(
        "select metadata ->> 'lwlrap nested' nested from materializations where asset = 'experiments'"
    )
    assert catalog.query("select variant, lwlrap, low, selected from experiments").to_dict("records") == [
        {name: row[name] for name in ("variant", "lwlrap", "low", "selected")} for row in rows
    ]
    assert {row["variant"] for row in rows if row["selected"]} == set(rows[-1]["chosen"])
    assert float(found["nested"].dropna().iloc[0]) == pytest.approx(rows[-1]["lwlrap"])


def test_the_learning_curve_is_recorded_and_shown(asked: tuple[Settings, str], catalog: Catalog) -> None:
    settings, page = asked
    rows = ValueStore(settings.storage_root).read("learning_curve").table.to_pylist()
    assert [row["clips_per_class"] for row in rows] == [1, 3, None]
    for row in rows:
        assert row["lowest"] <= row["lwlrap"] <= row["highest"]
        assert (row["lowest"], row["highest"]) == (min(row["draws"]), max(row["draws"]))
    usual = scheme_results(settings.storage_root)["mc5"].overall
    assert rows[-1]["lwlrap"] == usual and rows[-1]["clips"] == pytest.approx(24 * 4 / 5)
    assert catalog.query("select lwlrap from assets.learning_curve")["lwlrap"].tolist() == [
        row["lwlrap"] for row in rows
    ]
    assert "Would more clips help?" in page and f"{rows[0]['lwlrap']:.4f}" in page
    with environment_of(settings), dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("learning_curve"))
    assert event is not None and event.asset_materialization is not None
    shown = event.asset_materialization.metadata
    assert "](/pictures/" in str(shown["curve"].value)
    assert shown["lwlrap_all"].value == pytest.approx(usual, rel=1e-3)
