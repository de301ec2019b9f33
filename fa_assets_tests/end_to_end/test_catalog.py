"""The catalog beside real runs: held open by another process all the time, asked from the command line."""

import json
import logging
import re
from functools import partialmethod
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.catalog.database import Catalog
from fa_assets.graph.recorder import Recorder
from fa_assets.store.ledger import Ledger
from fa_assets_tests.catalog.test_database import held_by_another_process
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import run

MADE_FROM = {
    *("curated_clips", "folds", "cnn14_checkpoint"),
    *("mc5_embeddings", "mc5_oof_predictions", "mc5_metrics"),
}
"""The assets behind mc5_metrics, and itself."""
CHEAP = "curated_clips,folds,mc5_metrics,center_metrics,comparison"


@pytest.mark.promise(
    "A process that holds the catalog open neither fails nor delays a run.",
    "others",
    "waited for once; 5 entries caught up",
)
def test_a_shell_that_has_the_catalog_open_neither_fails_nor_delays_a_run(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = finished.copy(tmp_path)
    catalog = Recorder(storage=str(settings.storage_root)).catalog
    (before,) = catalog.query("select count(*) n from materializations")["n"]
    timeouts: list[float] = []
    sync = Catalog.sync

    def noted(self: Catalog, timeout_s: float, asset: str) -> int:
        timeouts.append(timeout_s)
        return sync(self, timeout_s, asset)

    monkeypatch.setattr("fa_assets.catalog.database.RUN_TIMEOUT_S", 0.1)
    monkeypatch.setattr(Catalog, "rebuild", partialmethod(Catalog.rebuild, 0.1))
    with held_by_another_process("held = duckdb.connect(path)", catalog.path), environment_of(settings):
        with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patch:
            patch.setattr(Catalog, "sync", noted)
            outcome = run(settings, select=CHEAP, force=True)
        assert outcome.failures == ()
        assert [line for line in outcome.warnings if "catalog" in line] == [
            "the catalog is behind, it was open elsewhere: `fa-assets catalog sync` once it is closed"
        ]
        busy = fa_assets("catalog", "rebuild", settings=settings)
        assert busy.exit_code == 1
        assert "is open elsewhere" in busy.stderr
        with dg.DagsterInstance.get() as instance:  # where the UI shows the run's log
            logged = [log.user_message for log in instance.all_logs(str(outcome.run_id))]
    assert len([one for one in caplog.records if "catalog is behind" in one.message]) == 1
    assert len([message for message in logged if "catalog is behind" in message]) == 1
    assert timeouts[0] == 0.1 and not any(timeouts[1:]), "it is waited for once"
    done = fa_assets("catalog", "sync", settings=settings)
    assert (done.exit_code, done.stdout) == (0, "5 materializations added.\n"), done.stderr
    assert catalog.query("select count(*) n from materializations")["n"][0] == before + 5


def test_a_snapshot_is_one_command(finished: FinishedRun, tmp_path: Path) -> None:
    target = tmp_path / "copy.duckdb"
    done = fa_assets("catalog", "snapshot", str(target), settings=finished.settings)
    assert done.exit_code == 0, done.stderr
    copy = Catalog(target, tmp_path)
    assert copy.query("select count(*) n from materializations")["n"][0] > 20
    assert len(copy.query("from embeddings limit 1")) == 1


def test_lineage_says_what_a_number_came_from(finished: FinishedRun) -> None:
    done = fa_assets("lineage", "mc5_metrics", settings=finished.settings)
    assert done.exit_code == 0, done.stderr
    entries = {(one.asset, one.partition): one for one in Ledger(finished.settings.storage_root / "ledger").entries()}
    checkpoint, metrics = entries["cnn14_checkpoint", None], entries["mc5_metrics", None]
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"lwlrap {metrics.metadata['lwlrap']:.4f}" in done.stdout
    assert f"weights: sha1 {checkpoint.metadata['sha1']}, origin {checkpoint.metadata['origin']}" in done.stdout
    assert f"folds: origin multilabel-stratified, data_version {entries['folds', None].data_version}" in lines
    assert any(line.startswith("folds 20") and "n_folds=5" in line and "seed=42" in line for line in lines)
    assert any(line.startswith("mc5_embeddings 0 1 2 3 4 ") and "precision=fp32" in line for line in lines)
    for library in ("python", "torch", "numpy", "git_commit"):
        if metrics.environment[library] is not None:
            assert any(line.startswith(f"{library} {metrics.environment[library]}") for line in lines)
    for entry in entries.values():
        assert (entry.files[0].sha256 in done.stdout) == (entry.asset in MADE_FROM)
    assert "│       └── cnn14_checkpoint" in done.stdout or "        ├── cnn14_checkpoint" in done.stdout
    assert "\x1b" not in done.stdout

    as_json = json.loads(fa_assets("lineage", "mc5_metrics", "--json", settings=finished.settings).stdout)
    assert as_json["targets"] == [metrics.id]
    assert {one["id"] for one in as_json["materializations"]} == {
        one.id for one in entries.values() if one.asset in MADE_FROM
    }

    users = fa_assets("lineage", "cnn14_checkpoint", "--downstream", "--json", settings=finished.settings).stdout
    used_by = {one["asset"] for one in json.loads(users)["materializations"]}
    assert used_by.isdisjoint(("curated_clips", "folds"))
    assert used_by >= {
        *("cnn14_checkpoint", "comparison", "notebook_artifacts"),
        *(f"{scheme}_{what}" for scheme in ("mc5", "center") for what in ("embeddings", "oof_predictions", "metrics")),
    }


def test_diff_says_what_differs_and_nothing_else(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    with environment_of(settings):
        changed = settings.model_copy(update={"regularization_c": 0.0005})
        assert run(changed, select="mc5_oof_predictions,mc5_metrics").failures == ()
    found = json.loads(fa_assets("diff", "--json", settings=settings).stdout)
    assert found["a"]["run_id"] == finished.outcome.run_id
    by_kind: dict[str, dict[str, tuple[object, object]]] = {}
    for one in found["differences"]:
        by_kind.setdefault(one["kind"], {})[one["name"]] = (one["a"], one["b"])
    assert by_kind["setting"] == {"mc5_oof_predictions.C": ("2.0", "0.0005")}
    assert set(by_kind["data"]) == {"mc5_metrics", "mc5_oof_predictions"}
    assert "mc5" in by_kind["lwlrap"]
    assert by_kind["asset"]["comparison"] == ("made", None)
    # Of the test stage alone:
    assert {name: now for name, (_, now) in by_kind["input"].items()} == {"test_recordings": None}
    assert by_kind.pop("environment", {}).keys() <= {"git_commit", "git_dirty"}  # that the finished run was made at
    assert set(by_kind) == {"setting", "input", "data", "lwlrap", "asset"}

    first, second = found["a"]["run_id"], found["b"]["run_id"]
    plain = fa_assets("diff", first[:12], second, settings=settings).stdout
    assert re.search(r"^setting +mc5_oof_predictions\.C +2\.0 +0\.0005$", plain, flags=re.MULTILINE)
    assert "They do not differ" in fa_assets("diff", first, first, settings=settings).stdout
    unknown = fa_assets("diff", "no-such-run", settings=settings)
    assert (unknown.exit_code, unknown.stderr) == (1, "'no-such-run' is not a run: `fa-assets runs` lists them.\n")
    listed = fa_assets("runs", "--last", "1", settings=settings).stdout.splitlines()
    assert len(listed) == 2
    assert listed[1].startswith(second[:8])
