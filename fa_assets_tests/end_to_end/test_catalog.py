"""The catalog beside real runs: held open by another process all the time, asked from the command line."""

import logging
import time
from pathlib import Path

import pytest

from fa_assets.catalog.database import RUN_PATIENCE_S, Catalog
from fa_assets.resources.recorder import Recorder
from fa_assets.runner import run
from fa_assets_tests.catalog.test_database import held_by_another_process
from fa_assets_tests.end_to_end.test_command_line import fa_assets
from fa_assets_tests.finished_run import FinishedRun, environment_of

CHEAP = "class_vocabulary,curated_clips,folds,mc5_metrics,center_metrics,comparison"


def test_a_shell_that_has_the_catalog_open_neither_fails_nor_delays_a_run(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = finished.copy(tmp_path)
    catalog = Recorder(storage=str(settings.storage_root)).catalog
    (before,) = catalog.query("select count(*) n from materializations")["n"]
    delays: list[float] = []
    try_sync = Catalog.try_sync

    def timed(self: Catalog, run_id: str) -> bool:
        started = time.monotonic()
        try:
            return try_sync(self, run_id)
        finally:
            delays.append(time.monotonic() - started)

    monkeypatch.setattr(Catalog, "try_sync", timed)
    with held_by_another_process("held = duckdb.connect(path)", catalog.path), environment_of(settings):
        with caplog.at_level(logging.WARNING):
            outcome = run(settings, select=CHEAP, force=True)
        assert outcome.failures == ()
        assert [line for line in outcome.warnings if "catalog" in line] == [
            "the catalog is behind, it was open elsewhere: `fa-assets catalog sync` once it is closed"
        ]
        busy = fa_assets("catalog", "rebuild", settings=settings)
        assert busy.returncode == 1
        assert "is open elsewhere" in busy.stderr
    assert len([one for one in caplog.records if "catalog is behind" in one.message]) == 1
    assert len(delays) == 6
    assert sum(delays) < 3 * RUN_PATIENCE_S  # were each to wait, it would be six times
    done = fa_assets("catalog", "sync", settings=settings)
    assert (done.returncode, done.stdout) == (0, "6 materializations added.\n"), done.stderr
    assert catalog.query("select count(*) n from materializations")["n"][0] == before + 6
    assert not catalog.is_behind


def test_a_snapshot_is_one_command(finished: FinishedRun, tmp_path: Path) -> None:
    target = tmp_path / "copy.duckdb"
    done = fa_assets("catalog", "snapshot", str(target), settings=finished.settings)
    assert done.returncode == 0, done.stderr
    copy = Catalog(target, tmp_path, Recorder(storage=str(finished.settings.storage_root)).catalog.ledger)
    assert copy.query("select count(*) n from materializations")["n"][0] > 20
    assert len(copy.query("from embeddings limit 1")) == 1
