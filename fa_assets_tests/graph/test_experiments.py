"""Experiments on a finished run: rows for the variants, the nested choice and the baseline; nothing else is made again."""

from pathlib import Path

import pytest

from fa_assets.cli.summary import scheme_results
from fa_assets.graph.recorder import Recorder
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import run

pytestmark = pytest.mark.slow


def test_variants_are_judged_beside_the_baseline_and_the_default_stays(finished: FinishedRun, tmp_path: Path) -> None:
    assert ValueStore(finished.settings.storage_root).read("experiments").table.num_rows == 0
    settings = finished.copy(tmp_path).model_copy(update={"experiments": "C=0.2 pool=max,crops=3"})
    with environment_of(settings):
        outcome = run(settings)
    assert outcome.failures == ()
    assert {one.asset for one in outcome.planned} == {"experiments", "report"}
    page = (settings.storage_root / "reports" / f"{outcome.run_id}.html").read_text()
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
    catalog = Recorder(storage=str(settings.storage_root)).catalog
    found = catalog.query(
        "select metadata ->> 'lwlrap nested' nested from materializations where asset = 'experiments'"
    )
    assert catalog.query("select variant, lwlrap, low, selected from experiments").to_dict("records") == [
        {name: row[name] for name in ("variant", "lwlrap", "low", "selected")} for row in rows
    ]
    assert {row["variant"] for row in rows if row["selected"]} == set(rows[-1]["chosen"])
    assert float(found["nested"].dropna().iloc[0]) == pytest.approx(rows[-1]["lwlrap"])
