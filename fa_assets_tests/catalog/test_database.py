"""The catalog: equal to the ledger, whatever writes at once and has it open."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from filelock import FileLock

import fa_assets
from fa_assets.catalog import current, database, schema
from fa_assets.catalog.database import Catalog, CatalogBusyError
from fa_assets.catalog.views import VIEWS
from fa_assets.errors import UserError
from fa_assets.store import ledger
from fa_assets_tests.catalog.made_up import MadeUpStorage, an_entry, dump, rows
from fa_assets_tests.processes import prepared, run_at_once, start
from fa_assets_tests.recorded import flipped


@contextmanager
def held_by_another_process(code: str, path: Path) -> Iterator[None]:
    """Run `code` in another process, which then keeps what it holds until the block ends."""
    program = f"import sys, duckdb, filelock; path = sys.argv[1]; {code}; print('ready', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "ready\n"
        yield
    finally:
        holder.communicate()


def test_an_entry_is_in_the_tables_field_by_field(storage: MadeUpStorage) -> None:
    entry = an_entry()
    storage.ledger.append(entry)
    assert storage.catalog.sync() == 1
    everything = dump(storage.catalog)
    assert everything["materializations"] == [
        (
            entry.id, "folds", None, "run-1", entry.started_at, entry.finished_at, 1.5, "1 seed=42", "v1",
            '{"rows": 2, "lwlrap": 0.75, "worst": ["gong", "bell"], "none": null}',
        )
    ]  # fmt: skip
    assert everything["inputs"] == [
        (entry.id, "curated_clips", None, "c1", None),
        (entry.id, "mc5_embeddings", "3", "e1", "made-before"),
    ]
    settings = {"C": "2.0", "device": None, "precision": "fp32", "seed": "42", "shuffle": "true"}
    assert everything["settings"] == [(entry.id, name, value) for name, value in settings.items()]
    environment = {"git_dirty": "false", "python": "3.11.9", "torch": None}
    assert everything["environment"] == [(entry.id, name, value) for name, value in environment.items()]
    assert everything["timings"] == [(entry.id, "read", 0.25), (entry.id, "stratify", 1.0)]
    assert everything["files"] == [(entry.id, 0, "values/folds/folds.parquet", 123, "ab" * 32)]
    assert everything["metrics"] == [
        (entry.id, "mc5", 0, "bell", 1.5, 2, 0.75),
        (entry.id, "mc5", 0, "never", 0.0, 0, None),
    ]
    assert everything["folds"] == []  # no file of these bytes is on disk, and so no table


def test_what_checks_said_is_there_with_the_offenders_of_the_latest_evaluation(storage: MadeUpStorage) -> None:
    old = storage.write_check(offenders=[{"fname": "old.wav"}])
    storage.catalog.sync()
    new = storage.write_check(materialization_ids=("m-2", "m-3"), severity="ERROR")
    (storage.root / "checks" / "20990101T000000000000Z-0_clips_damaged.json").write_text("{")
    storage.catalog.sync()
    assert rows(storage, "select id, passed, severity, materialization_ids from checks order by id") == [
        (old.id, False, "WARN", ["m-1"]),
        (new.id, False, "ERROR", ["m-2", "m-3"]),
    ]
    found = rows(storage, "select name, offender ->> 'fname', offender ->> 'problem' from check_offenders")
    assert sorted(found) == [("sound_levels", "bell.wav", "silent"), ("sound_levels", "gong.wav", None)]


def test_sync_adds_what_is_new_and_only_that(storage: MadeUpStorage) -> None:
    assert storage.catalog.sync() == 0
    storage.write_clips()
    assert storage.catalog.sync() == 1
    before = dump(storage.catalog)
    assert storage.catalog.sync() == 0
    assert dump(storage.catalog) == before


@pytest.mark.promise(
    "A catalog rebuilt from the ledger equals the one that was updated entry by entry, row for row.",
    "kept",
    "16 materializations, every table and view",
)
def test_rebuild_equals_the_synced_catalog_row_for_row(storage: MadeUpStorage) -> None:
    storage.write_everything("run-1")
    storage.catalog.sync()
    storage.write_everything("run-2", seed=7)
    storage.catalog.sync()
    storage.write_experiments({"2": 0.5, "chosen in each fold": 0.5})
    storage.write("label_corrections", pa.table({"fname": ["rain.wav"], "verdict": ["keep"]}))
    storage.write_clips(seconds=3.0)
    storage.catalog.sync()
    before = dump(storage.catalog)
    assert storage.catalog.rebuild() == len(before["materializations"]) == 17
    assert dump(storage.catalog) == before
    shown = [one.name for one in (*schema.TABLES, *VIEWS, *current.SHOWN) if not getattr(one, "parameters", ())]
    assert set(before) >= {*shown, "embeddings", "schema_version"}
    assert all(before.values())  # no table or view was compared empty
    assert sorted(path.name for path in storage.root.glob("*catalog*")) == ["catalog.duckdb", "catalog.duckdb.lock"]


@pytest.mark.slow
def test_a_rebuild_waits_for_writers_and_not_for_readers(storage: MadeUpStorage) -> None:
    storage.write_clips()
    storage.catalog.sync()
    for hold in ("held = duckdb.connect(path)", "held = filelock.FileLock(path + '.lock'); held.acquire()"):
        with held_by_another_process(hold, storage.catalog.path), pytest.raises(CatalogBusyError):
            storage.catalog.rebuild(timeout_s=0.1)
    with (
        held_by_another_process("held = duckdb.connect(path, read_only=True)", storage.catalog.path),
        duckdb.connect(storage.catalog.path, read_only=True) as reader,
    ):
        storage.write_predictions("mc5")
        assert storage.catalog.rebuild() == 2
        assert reader.execute("select count(*) from materializations").fetchone() == (1,)
    assert rows(storage, "select count(*) from materializations") == [(2,)]


@pytest.mark.promise(
    "A deleted or damaged catalog is rebuilt from the ledger.",
    "kept",
    "every table and view as before",
)
def test_a_deleted_or_damaged_catalog_is_rebuilt(storage: MadeUpStorage) -> None:
    storage.write_everything()
    storage.catalog.sync()
    before = dump(storage.catalog)
    storage.catalog.path.unlink()
    storage.catalog.sync()
    assert dump(storage.catalog) == before
    storage.catalog.path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"cannot be read .*fa-assets catalog rebuild"):
        storage.catalog.query("from runs")
    storage.catalog.sync()
    assert dump(storage.catalog) == before


@pytest.mark.promise(
    "The catalog drops what the ledger no longer has.",
    "kept",
    "6 tables row for row",
)
def test_what_the_ledger_no_longer_has_is_dropped(storage: MadeUpStorage) -> None:
    storage.write_everything()
    storage.catalog.sync()
    before = dump(storage.catalog)
    for id in (storage.write_everything(seed=43), storage.write_clips(seconds=2.0)):
        storage.catalog.sync()
        assert any(id in row for row in dump(storage.catalog)["materializations"])
    kept = {row[0] for row in before["materializations"]}
    for path in storage.ledger.folder.iterdir():
        if path.name.partition("_")[0] not in kept:
            path.unlink()
    storage.catalog.sync()
    after = dump(storage.catalog)
    assert {name: after[name] for name in ("materializations", "inputs", "files", "metrics", "runs", "lwlrap")} == {
        name: before[name] for name in ("materializations", "inputs", "files", "metrics", "runs", "lwlrap")
    }
    assert after["clips"] == []  # the file is that of an entry that is gone
    storage.catalog.rebuild()
    assert dump(storage.catalog) == after


def test_embeddings_that_are_not_what_was_recorded_are_not_queried(storage: MadeUpStorage) -> None:
    storage.write_everything()
    storage.catalog.sync()
    query = "select sum(embedding[1]) from Embeddings"
    assert storage.catalog.query(query).iloc[0, 0] == pytest.approx(3.1)
    path = storage.values.path("mc5_embeddings", "0")
    path.write_bytes(flipped(path.read_bytes(), 8 * 200))
    with pytest.raises(UserError, match="mc5_embeddings, fold 0: .* is missing, or not what was recorded"):
        storage.catalog.query(query)
    assert len(storage.catalog.query("from runs")) == 1


@pytest.mark.slow
def test_what_a_killed_process_left_beside_the_catalog_does_not_reach_the_new_one(storage: MadeUpStorage) -> None:
    storage.write_clips()
    storage.catalog.sync()
    before = dump(storage.catalog)
    program = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('delete from materializations'); os._exit(0)"
    subprocess.run([sys.executable, "-c", program, storage.catalog.path], check=True)
    assert storage.catalog.path.with_name("catalog.duckdb.wal").exists()
    storage.catalog.path.write_bytes(b"no database" * 1000)
    storage.catalog.rebuild()
    assert dump(storage.catalog) == before


def sync_for_ever(root: Path, ready: Connection) -> None:
    storage = MadeUpStorage(root)
    ready.send(True)
    while True:
        storage.write_everything()
        storage.catalog.sync(timeout_s=60)


@pytest.mark.slow
def test_killed_syncs_are_made_up_for(storage: MadeUpStorage) -> None:
    """Real processes, killed at moments spread over a sync: the next sync gives what a rebuild gives."""
    for delay in (0.05, 0.15, 0.25, 0.35, 0.45):
        ours, theirs = prepared().Pipe()
        victim = start(sync_for_ever, storage.root, theirs)
        assert ours.recv()
        time.sleep(delay)
        victim.kill()
        victim.join()
        storage.catalog.sync()
    before = dump(storage.catalog)
    assert [row[0] for row in before["materializations"]] == storage.ledger.ids()
    storage.catalog.rebuild()
    assert dump(storage.catalog) == before


def test_a_sync_that_fails_half_way_leaves_the_catalog_as_it_was(
    storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_clips()
    storage.catalog.sync()
    before = dump(storage.catalog)
    storage.write_everything()

    def fail(*_: object) -> None:
        raise duckdb.IOException("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(current, "create_views", fail)  # the last statement of the transaction
        assert storage.catalog.try_sync("run-1", "folds") is False
        with pytest.raises(duckdb.IOException):
            storage.catalog.rebuild()
    assert dump(storage.catalog) == before
    assert storage.catalog.sync() == 7
    assert sorted(path.name for path in storage.root.glob("*catalog*")) == ["catalog.duckdb", "catalog.duckdb.lock"]


def set_version(storage: MadeUpStorage, version: int) -> bytes:
    with storage.catalog.connect(read_only=False) as connection:
        connection.execute("update schema_version set version = ?", [version])
    return storage.catalog.path.read_bytes()


@pytest.mark.promise(
    "What a newer version wrote, in ledger or catalog, is refused by name and not touched.",
    "kept",
    "sync, rebuild and the end of a run",
)
def test_a_newer_layout_is_refused_and_not_touched(storage: MadeUpStorage) -> None:
    storage.catalog.sync()
    content = set_version(storage, schema.SCHEMA_VERSION + 1)
    storage.write_clips()
    for act in (storage.catalog.sync, storage.catalog.rebuild):
        with pytest.raises(
            UserError,
            match=f"has layout {schema.SCHEMA_VERSION + 1}, this fa_assets knows up to {schema.SCHEMA_VERSION}: ",
        ):
            act()
    assert storage.catalog.try_sync("run-1", "folds") is False
    assert storage.catalog.path.read_bytes() == content


def test_a_snapshot_of_a_newer_layout_is_refused_and_not_touched(storage: MadeUpStorage, tmp_path: Path) -> None:
    storage.catalog.sync()
    set_version(storage, schema.SCHEMA_VERSION + 1)
    target = tmp_path / "copy.duckdb"
    storage.catalog.path.rename(target)
    content = target.read_bytes()
    with pytest.raises(UserError, match=f"copy.duckdb has layout {schema.SCHEMA_VERSION + 1}, this"):
        storage.catalog.snapshot(target)
    assert target.read_bytes() == content


def test_a_newer_ledger_leaves_the_catalog_as_it_was(
    storage: MadeUpStorage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_clips()
    storage.catalog.sync()
    before = dump(storage.catalog)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "SCHEMA_VERSION", ledger.SCHEMA_VERSION + 1)
        newer = storage.ledger.append(an_entry())
    for act in (storage.catalog.sync, storage.catalog.rebuild):
        with pytest.raises(UserError, match=rf"{newer.name} cannot be read: it has ledger version 4"):
            act()
    assert storage.catalog.try_sync("run-1", "folds") is False
    assert "install a newer fa_assets" in caplog.text
    assert dump(storage.catalog) == before


def test_an_older_layout_is_rebuilt(storage: MadeUpStorage) -> None:
    storage.write_clips()
    storage.catalog.sync()
    before = dump(storage.catalog)
    with storage.catalog.connect(read_only=False) as connection:  # version 1 had neither this column nor this view
        connection.execute("drop view lineage; alter table inputs drop column source_id")
    set_version(storage, 1)
    assert storage.catalog.sync() == 1
    assert dump(storage.catalog) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hold", "what"),
    [
        ("held = duckdb.connect(path)", "a shell that may write"),
        ("held = duckdb.connect(path, read_only=True)", "a shell that reads"),
        ("held = filelock.FileLock(path + '.lock'); held.acquire()", "a sync under way"),
    ],
)
def test_while_the_catalog_is_open_elsewhere_a_run_goes_on_and_it_catches_up_later(
    hold: str, what: str, storage: MadeUpStorage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RUN_TIMEOUT_S", 0.3)
    storage.write_clips()
    storage.catalog.sync()
    written = storage.write_predictions("mc5")
    waits: list[float] = []
    sync = storage.catalog.sync
    monkeypatch.setattr(storage.catalog, "sync", lambda wait, *asset: waits.append(wait) or sync(wait, *asset))
    with held_by_another_process(hold, storage.catalog.path):
        with caplog.at_level(logging.WARNING):
            assert storage.catalog.try_sync("run-1", "folds") is False, what
            assert storage.catalog.try_sync("run-1", "folds") is False, what
        assert waits == [0.3, 0.0]  # a run waits once
        assert "catches up at the next write, or with `fa-assets catalog sync`" in caplog.text
        with pytest.raises(CatalogBusyError, match=r"catalog\.duckdb is (open elsewhere|being written)"):
            sync(timeout_s=0.1)
    assert [storage.catalog.try_sync("run-1", "folds") for _ in range(2)] == [True, True]
    assert waits[2:] == [0.0, 0.3]  # once it is up to date, it may wait again
    assert rows(storage, "select distinct materialization_id from predictions") == [(written,)]


def test_a_sync_and_a_query_wait_for_what_closes_soon(storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.catalog.sync()
    storage.write_clips()
    reader = duckdb.connect(storage.catalog.path, read_only=True)
    monkeypatch.setattr("fa_assets.catalog.database.time.sleep", lambda _: reader.close())
    assert storage.catalog.sync() == 1
    writer = duckdb.connect(storage.catalog.path)
    monkeypatch.setattr("fa_assets.catalog.database.time.sleep", lambda _: writer.close())
    assert rows(storage, "select count(*) from materializations") == [(1,)]


def test_a_folder_that_cannot_be_written_fails_no_run(storage: MadeUpStorage, caplog: pytest.LogCaptureFixture) -> None:
    storage.catalog.path.parent.parent.mkdir(exist_ok=True)
    storage.catalog.path.parent.write_text("a file where the folder should be")
    assert storage.catalog.try_sync("run-1", "folds") is False
    assert "the ledger has everything" in caplog.text


def materialize_and_sync(root: Path, process: int, count: int) -> None:
    """Several materializations, each followed by a sync that must succeed."""
    storage = MadeUpStorage(root)
    for number in range(count):
        storage.write_predictions(f"scheme{process}", logit=float(number), run_id=f"run-{process}")
        storage.catalog.sync(timeout_s=60)


@pytest.mark.slow
@pytest.mark.promise(
    "Processes that sync the catalog at once lose no row and meet no lock error.", "others", "4 processes"
)
def test_processes_that_sync_at_once_lose_no_row_and_raise_no_lock_error(storage: MadeUpStorage) -> None:
    n_processes, count = 4, 4
    run_at_once(*((materialize_and_sync, storage.root, number, count) for number in range(n_processes)))
    assert storage.catalog.sync() == 0
    assert rows(storage, "select run_id, count(*) from materializations group by 1 order by 1") == [
        (f"run-{number}", count) for number in range(n_processes)
    ]
    assert rows(storage, "select count(*), count(distinct materialization_id) from settings") == [(0, 0)]
    assert rows(storage, "select count(distinct materialization_id) from files") == [(n_processes * count,)]
    # Each scheme shows its last materialization.
    assert rows(storage, "select distinct fold, logit from predictions order by 1") == [
        (0, count - 1.0),
        (1, count - 1.0),
    ]


def test_threads_may_read_and_sync_in_one_process(storage: MadeUpStorage) -> None:
    storage.write_clips()
    storage.catalog.sync()
    lock = FileLock(storage.catalog.path.with_name("catalog.duckdb.lock"))
    with storage.catalog.connect(), pytest.raises(CatalogBusyError):
        storage.catalog.sync(timeout_s=0.1)
    lock.acquire(timeout=0.1)  # the failed sync let go of it
    lock.release()
    assert storage.catalog.sync() == 0


SNAPSHOT_HOLDERS = ["held = duckdb.connect(path)", "held = duckdb.connect(path, read_only=True)"]


@pytest.mark.slow
@pytest.mark.parametrize("hold", SNAPSHOT_HOLDERS)
def test_a_snapshot_is_whole_and_current_while_the_catalog_is_open(
    hold: str, storage: MadeUpStorage, tmp_path: Path
) -> None:
    storage.write_everything()
    storage.catalog.sync()
    target = tmp_path / "dashboards" / "copy.duckdb"
    with held_by_another_process(hold, storage.catalog.path):
        storage.write_clips(seconds=2.0)  # which the catalog cannot take up
        assert storage.catalog.snapshot(target) == 8
    copy = Catalog(target, storage.root)
    storage.catalog.sync()
    assert dump(copy) == dump(storage.catalog)
    assert [path.name for path in target.parent.iterdir()] == ["copy.duckdb"]


@pytest.mark.slow
def test_a_snapshot_replaces_an_older_one_under_its_readers(storage: MadeUpStorage, tmp_path: Path) -> None:
    target = tmp_path / "copy.duckdb"
    storage.write_clips()
    storage.catalog.snapshot(target)
    with held_by_another_process(SNAPSHOT_HOLDERS[1], target), duckdb.connect(target, read_only=True) as reader:
        storage.write_clips(seconds=2.0)
        assert storage.catalog.snapshot(target) == 2
        assert reader.execute("select distinct seconds from clips").fetchall() == [(1.0,)]
    with duckdb.connect(target, read_only=True) as reader:
        assert reader.execute("select distinct seconds from clips").fetchall() == [(2.0,)]


def test_a_snapshot_overwrites_nothing_else(storage: MadeUpStorage, tmp_path: Path) -> None:
    storage.catalog.sync()
    with pytest.raises(UserError, match="is the catalog itself"):
        storage.catalog.snapshot(storage.catalog.path)
    mine = tmp_path / "labels.csv"
    mine.write_text("fname,labels\n")
    other = tmp_path / "other.duckdb"
    duckdb.connect(other).close()
    for target in (mine, other):
        content = target.read_bytes()
        with pytest.raises(UserError, match="is not a copy of a catalog"):
            storage.catalog.snapshot(target)
        assert target.read_bytes() == content


def test_a_query_before_there_is_a_catalog_says_what_to_do(storage: MadeUpStorage) -> None:
    with pytest.raises(UserError, match="There is no catalog .* `fa-assets catalog sync`"):
        storage.catalog.query("from clips")


def test_queries_take_parameters_cannot_write_and_warn_of_nothing(
    runs: MadeUpStorage, recwarn: pytest.WarningsRecorder
) -> None:
    frame = runs.catalog.query("select fname, fold from folds where fold = $fold order by fname", {"fold": 1})
    assert frame.to_dict("list") == {"fname": ["gong.wav", "hail.wav"], "fold": [1, 1]}
    assert len(runs.catalog.query("from materializations where asset = ?", ["folds"])) == 2
    with pytest.raises(UserError, match="read-only"):
        runs.catalog.query("delete from materializations")
    assert [str(one.message) for one in recwarn] == []
    assert runs.catalog.sync() == 0  # nothing was left open


def test_every_module_that_uses_duckdb_keeps_its_types_out_of_annotations() -> None:
    """The binding reports each type that something still holds at exit, on pages; torch holds what imported it."""
    package = Path(fa_assets.__file__).parent
    modules = [path for path in package.glob("**/*.py") if "import duckdb\n" in path.read_text()]
    with_types = [path for path in modules if "duckdb.DuckDBPyConnection" in path.read_text()]
    assert len(with_types) >= 3
    assert [path for path in with_types if "from __future__ import annotations" not in path.read_text()] == []
