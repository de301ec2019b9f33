"""The catalog: equal to the ledger, whoever writes at once and whoever has it open."""

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from filelock import FileLock

import fa_assets
from fa_assets.catalog import database, schema
from fa_assets.catalog.database import RUN_PATIENCE_S, Catalog, CatalogBusyError
from fa_assets.errors import UserError
from fa_assets.store import ledger
from fa_assets.store.ledger import InputVersion
from fa_assets_tests.catalog.made_up import METRICS, MadeUpStorage, an_entry, dump
from fa_assets_tests.processes import prepared, run_at_once, start


@pytest.fixture
def storage(tmp_path: Path) -> MadeUpStorage:
    return MadeUpStorage(tmp_path / "storage")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> MadeUpStorage:
    """For tests that only read: "run-1" and "run-2" of everything, of other seeds, and "run-3" of a few assets."""
    storage = MadeUpStorage(tmp_path_factory.mktemp("runs") / "storage")
    storage.catalog.sync()
    storage.write_everything("run-1")
    storage.write_everything("run-2", seed=7)
    storage.write_predictions("center", 1, logit=2.0, run_id="run-3")
    for sha1 in ("abc123", "ffffff"):
        storage.write("cnn14_checkpoint", pa.table({"sha1": [sha1]}), run_id="run-3", data_version=sha1)
    storage.catalog.sync()
    return storage


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


def metrics_of(storage: MadeUpStorage, run_id: str) -> str:
    ((id,),) = rows(storage, f"select id from materializations where asset = 'mc5_metrics' and run_id = '{run_id}'")
    return str(id)


def rows(storage: MadeUpStorage, sql: str) -> list[tuple[object, ...]]:
    with storage.catalog.connect() as connection:
        return connection.execute(sql).fetchall()


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
    assert everything["folds"] == []  # no file of these bytes is on disk


def test_sync_adds_what_is_new_and_only_that(storage: MadeUpStorage) -> None:
    assert storage.catalog.sync() == 0
    storage.write_clips()
    assert storage.catalog.sync() == 1
    before = dump(storage.catalog)
    assert storage.catalog.sync() == 0
    assert dump(storage.catalog) == before


def test_the_values_are_in_the_current_tables(runs: MadeUpStorage) -> None:
    assert rows(runs, "select labels, seconds from clips where fname = 'gong.wav'") == [(["bell", "gong"], 1.0)]
    assert rows(runs, "select fname, fold from folds order by fname") == [
        ("bell.wav", 0), ("gong.wav", 1), ("hail.wav", 1), ("rain.wav", 0),
    ]  # fmt: skip
    assert rows(
        runs,
        "select scheme, fold, count(*), sum(truth::int), min(logit) from predictions group by 1, 2 order by 1, 2",
    ) == [("center", 1, 8, 3, 2.0), ("mc5", 0, 8, 2, 0.0), ("mc5", 1, 8, 3, 0.0)]
    assert rows(
        runs,
        "select scheme, fold, fname, embedding[1], len(embedding) from embeddings where fold = 1 order by fname",
    ) == [("mc5", 1, "gong.wav", 2.0, 2048), ("mc5", 1, "hail.wav", pytest.approx(0.1), 2048)]


def test_the_newest_experiments_are_in_the_catalog(storage: MadeUpStorage) -> None:
    storage.write_experiments({"1": 0.25, "chosen in each fold": 0.25})
    storage.catalog.sync()
    newest = storage.write_experiments({"2": 0.5, "0.2": 0.75, "chosen in each fold": 0.625})
    storage.catalog.sync()
    assert rows(
        storage,
        "select variant, C, norm, crops, lwlrap, lwlrap_per_fold, difference, low, high, share_won, selected, "
        "materialization_id from experiments order by lwlrap",
    ) == [
        ("2", 2.0, "l2", 5, 0.5, [0.5, 0.5], 0.0, -0.25, 0.25, 0.5, False, newest),
        ("chosen in each fold", None, "l2", 5, 0.625, [0.625, 0.625], 0.125, -0.125, 0.375, 0.625, None, newest),
        ("0.2", 0.2, "l2", 5, 0.75, [0.75, 0.75], 0.25, 0.0, 0.5, 0.75, True, newest),
    ]
    before = dump(storage.catalog)
    storage.catalog.rebuild()
    assert dump(storage.catalog) == before


def test_a_new_materialization_replaces_its_own_rows_only(storage: MadeUpStorage) -> None:
    storage.write_predictions("mc5", 0)
    other = storage.write_predictions("mc5", 1)
    storage.catalog.sync()
    newer = storage.write_predictions("mc5", 0, logit=5.0)
    storage.catalog.sync()
    assert rows(storage, "select distinct fold, materialization_id, logit from predictions order by 1") == [
        (0, newer, 5.0),
        (1, other, 0.0),
    ]
    assert rows(storage, "select count(*) from materializations") == [(3,)]


def test_equal_bytes_belong_to_the_newest_entry(storage: MadeUpStorage) -> None:
    path = storage.values.path("curated_clips")
    storage.write_clips()
    storage.catalog.sync()
    content = path.read_bytes()
    newer = storage.write_clips()
    assert path.read_bytes() == content
    storage.catalog.sync()
    assert rows(storage, "select distinct materialization_id from clips") == [(newer,)]


def test_an_overwritten_value_never_shows_the_new_file_under_the_old_entry(storage: MadeUpStorage) -> None:
    storage.write_clips(seconds=1.0)
    newer = storage.write_clips(seconds=2.0)
    assert storage.catalog.sync() == 2
    assert rows(storage, "select distinct materialization_id, seconds from clips") == [(newer, 2.0)]


def test_the_entry_whose_file_is_on_disk_counts_also_when_the_clock_stepped_back(storage: MadeUpStorage) -> None:
    storage.write_clips(seconds=1.0, id="20260102T000000000000Z-0")
    storage.catalog.sync()
    storage.write_clips(seconds=2.0, id="20260101T000000000000Z-0")
    storage.catalog.sync()
    assert rows(storage, "select distinct materialization_id, seconds from clips") == [
        ("20260101T000000000000Z-0", 2.0)
    ]
    before = dump(storage.catalog)
    storage.catalog.rebuild()
    assert dump(storage.catalog) == before


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"PAR1 not ours")])
def test_a_value_that_is_gone_or_changed_has_no_rows(spoil: Callable[[Path], None], storage: MadeUpStorage) -> None:
    storage.write_clips()
    spoil(storage.values.path("curated_clips"))
    assert storage.catalog.sync() == 1
    assert rows(storage, "from clips") == []
    assert rows(storage, "select asset from materializations") == [("curated_clips",)]


def test_a_value_with_other_columns_is_left_out_with_a_warning(
    storage: MadeUpStorage, caplog: pytest.LogCaptureFixture
) -> None:
    storage.write("folds", pa.table({"something": [1]}))
    storage.write_clips()
    assert storage.catalog.sync() == 2
    assert "values/folds/folds.parquet is not in the catalog's folds" in caplog.text
    assert rows(storage, "select count(*) from clips") == [(4,)]


def test_values_are_copied_some_rows_at_a_time(storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write_clips()
    storage.catalog.sync()
    whole = dump(storage.catalog)
    monkeypatch.setattr(database, "_ROWS_AT_ONCE", 3)
    inserted: list[int] = []
    insert = database._insert

    def seen(connection: duckdb.DuckDBPyConnection, table: str, part: pa.Table) -> None:
        if table == "clips":
            inserted.append(part.num_rows)
        insert(connection, table, part)

    monkeypatch.setattr(database, "_insert", seen)
    storage.catalog.rebuild()
    assert dump(storage.catalog) == whole
    assert inserted == [3, 1]


def test_of_a_value_that_cannot_be_read_to_its_end_no_row_is_left(
    storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "_ROWS_AT_ONCE", 3)
    insert = database._insert

    def failing(connection: duckdb.DuckDBPyConnection, table: str, part: pa.Table) -> None:
        if table == "clips" and part.num_rows == 1:
            raise pa.ArrowInvalid("a damaged page")
        insert(connection, table, part)

    monkeypatch.setattr(database, "_insert", failing)
    storage.write_clips()
    assert storage.catalog.sync() == 1
    assert "is not in the catalog's clips: a damaged page" in caplog.text
    assert rows(storage, "from clips") == []


@pytest.mark.parametrize("content", [b"PAR1 not ours", None])
def test_embeddings_that_cannot_be_read_keep_nothing_else_out(
    content: bytes | None, storage: MadeUpStorage, caplog: pytest.LogCaptureFixture
) -> None:
    storage.write("mc5_embeddings", pa.table({"something": [1]}), partition="0")
    if content is not None:
        storage.values.path("mc5_embeddings", "0").write_bytes(content)
    storage.write_clips()
    assert storage.catalog.sync() == 2
    assert rows(storage, "select count(*) from clips") == [(4,)]
    assert rows(storage, "from embeddings") == []
    assert "the catalog's embeddings are empty" in caplog.text
    storage.write_everything()
    storage.catalog.sync()
    assert rows(storage, "select count(*) from embeddings") == [(4,)]


@pytest.mark.parametrize("name", ["it's", "a [b] *c", "ü ö"])
def test_the_storage_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path / name)
    storage.write_everything()
    storage.catalog.sync()
    assert rows(storage, "select count(*) from embeddings") == [(4,)]
    assert rows(storage, "select count(*) from clips") == [(4,)]


def test_the_embeddings_view_is_empty_until_there_are_files(storage: MadeUpStorage) -> None:
    storage.catalog.sync()
    empty = storage.catalog.query("from embeddings")
    assert list(empty.columns) == ["scheme", "fold", "fname", "embedding"]
    assert len(empty) == 0
    storage.write_everything()
    storage.catalog.sync()
    assert len(storage.catalog.query("from embeddings")) == 4
    assert rows(storage, "select distinct typeof(embedding) from embeddings") == [("FLOAT[2048]",)]


def test_the_embeddings_view_has_the_encoders_dimension_and_leaves_out_what_another_one_left(
    storage: MadeUpStorage,
) -> None:
    storage.write_everything()
    small = [[float(row), 1.0, 2.0] for row in range(5)]
    table = pa.table(
        {"fname": [f"{row}.wav" for row in range(5)], "embedding": pa.array(small, pa.list_(pa.float32()))}
    )
    storage.write("mc5_embeddings", table, partition="0", run_id="run-9", data_version="another")
    storage.catalog.sync()
    found = rows(storage, "select fold, fname, embedding[1], typeof(embedding) from embeddings order by fname")
    assert found == [(0, f"{row}.wav", float(row), "FLOAT[3]") for row in range(5)]


@pytest.mark.promise("A catalog made anew from the ledger equals the one that grew with it, row for row.", "kept")
def test_rebuild_equals_the_synced_catalog_row_for_row(storage: MadeUpStorage) -> None:
    storage.write_everything("run-1")
    storage.catalog.sync()
    storage.write_everything("run-2", seed=7)
    storage.catalog.sync()
    storage.write_experiments({"2": 0.5, "chosen in each fold": 0.5})
    storage.write_clips(seconds=3.0)
    storage.catalog.sync()
    before = dump(storage.catalog)
    assert storage.catalog.rebuild() == len(before["materializations"]) == 18
    assert dump(storage.catalog) == before
    assert set(before) == {*(one.name for one in (*schema.TABLES, *schema.VIEWS)), "embeddings", "schema_version"}
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
        storage.write_predictions("mc5", 0)
        assert storage.catalog.rebuild() == 2
        assert reader.execute("select count(*) from materializations").fetchone() == (1,)
    assert rows(storage, "select count(*) from materializations") == [(2,)]


@pytest.mark.promise("A deleted or damaged catalog is made anew from the ledger.", "kept")
def test_a_deleted_or_damaged_catalog_is_made_anew(storage: MadeUpStorage) -> None:
    storage.write_everything()
    storage.catalog.sync()
    before = dump(storage.catalog)
    storage.catalog.path.unlink()
    storage.catalog.sync()
    assert dump(storage.catalog) == before
    storage.catalog.path.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"cannot be opened .*fa-assets catalog rebuild"):
        storage.catalog.sync()
    assert storage.catalog.try_sync("run-1") is False
    storage.catalog.rebuild()
    assert dump(storage.catalog) == before


@pytest.mark.slow
def test_what_a_killed_process_left_beside_the_catalog_does_not_reach_the_new_one(storage: MadeUpStorage) -> None:
    storage.write_clips()
    storage.catalog.sync()
    before = dump(storage.catalog)
    program = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('delete from clips'); os._exit(0)"
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
        patched.setattr(schema, "create_embeddings_view", fail)  # the last statement of the transaction
        assert storage.catalog.try_sync("run-1") is False
        with pytest.raises(duckdb.IOException):
            storage.catalog.rebuild()
    assert dump(storage.catalog) == before
    assert storage.catalog.sync() == 8
    assert sorted(path.name for path in storage.root.glob("*catalog*")) == ["catalog.duckdb", "catalog.duckdb.lock"]


def set_version(storage: MadeUpStorage, version: int) -> bytes:
    with storage.catalog.connect(read_only=False) as connection:
        connection.execute("update schema_version set version = ?", [version])
    return storage.catalog.path.read_bytes()


@pytest.mark.promise("A catalog that a newer version wrote is refused and not touched.", "kept")
def test_a_newer_layout_is_refused_and_not_touched(storage: MadeUpStorage) -> None:
    storage.catalog.sync()
    content = set_version(storage, schema.SCHEMA_VERSION + 1)
    storage.write_clips()
    for act in (storage.catalog.sync, storage.catalog.rebuild):
        with pytest.raises(UserError, match="has layout 4, this fa_assets knows up to 3: install a newer"):
            act()
    assert storage.catalog.try_sync("run-1") is False
    assert storage.catalog.path.read_bytes() == content


def test_a_snapshot_of_a_newer_layout_is_refused_and_not_touched(storage: MadeUpStorage, tmp_path: Path) -> None:
    storage.catalog.sync()
    set_version(storage, schema.SCHEMA_VERSION + 1)
    target = tmp_path / "copy.duckdb"
    storage.catalog.path.rename(target)
    content = target.read_bytes()
    with pytest.raises(UserError, match="copy.duckdb has layout 4, this fa_assets knows up to 3"):
        storage.catalog.snapshot(target)
    assert target.read_bytes() == content


def test_a_newer_ledger_leaves_the_catalog_as_it_was(storage: MadeUpStorage, caplog: pytest.LogCaptureFixture) -> None:
    storage.write_clips()
    storage.catalog.sync()
    before = dump(storage.catalog)
    newer = storage.ledger.append(an_entry())
    newer.write_text(newer.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    for act in (storage.catalog.sync, storage.catalog.rebuild):
        with pytest.raises(UserError, match=rf"{newer.name} cannot be read: it has ledger version 3"):
            act()
    assert storage.catalog.try_sync("run-1") is False
    assert "install a newer fa_assets" in caplog.text
    assert dump(storage.catalog) == before


def test_an_older_layout_is_made_anew(storage: MadeUpStorage) -> None:
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
    monkeypatch.setattr(database, "RUN_PATIENCE_S", 0.3)
    storage.write_clips()
    storage.catalog.sync()
    written = storage.write_predictions("mc5", 0)
    with held_by_another_process(hold, storage.catalog.path):
        started = time.monotonic()
        with caplog.at_level(logging.WARNING):
            assert storage.catalog.try_sync("run-1") is False, what
        assert time.monotonic() - started >= 0.3
        assert "catches up at the next write, or with `fa-assets catalog sync`" in caplog.text
        assert storage.catalog.is_behind
        with pytest.raises(CatalogBusyError, match=r"catalog\.duckdb is (open elsewhere|being written)"):
            storage.catalog.sync(timeout_s=0.1)
    assert storage.catalog.try_sync("run-1") is True
    assert not storage.catalog.is_behind
    assert rows(storage, "select distinct materialization_id from predictions") == [(written,)]


def try_to_sync(root: Path, run_id: str, syncs: int, waits: Connection) -> None:
    """Send how long each of the syncs was ready to wait."""
    catalog = MadeUpStorage(root).catalog
    patience: list[float] = []
    sync = catalog.sync
    catalog.sync = lambda timeout_s: (patience.append(timeout_s), sync(timeout_s))[1]  # type: ignore[method-assign]
    assert not any(catalog.try_sync(run_id) for _ in range(syncs))
    waits.send(patience)


@pytest.mark.slow
def test_a_run_waits_once_in_all_its_processes(storage: MadeUpStorage) -> None:
    storage.write_clips()
    storage.catalog.sync()
    ours, theirs = prepared().Pipe()
    with held_by_another_process("held = duckdb.connect(path)", storage.catalog.path):
        for run_id in ("run-1", "run-1", "run-2"):
            run_at_once((try_to_sync, storage.root, run_id, 5, theirs))
    first, second, other_run = (ours.recv() for _ in range(3))
    assert first == other_run == [RUN_PATIENCE_S, 0.0, 0.0, 0.0, 0.0]
    assert second == [0.0] * 5


@pytest.mark.slow
def test_a_sync_waits_for_a_reader_that_closes_soon(storage: MadeUpStorage) -> None:
    storage.catalog.sync()
    storage.write_clips()
    code = "import time; held = duckdb.connect(path); print('ready', flush=True); time.sleep(0.5); held.close()"
    with held_by_another_process(code, storage.catalog.path):
        assert storage.catalog.sync() == 1


def test_a_folder_that_cannot_be_written_fails_no_run(storage: MadeUpStorage, caplog: pytest.LogCaptureFixture) -> None:
    storage.catalog.path.parent.parent.mkdir(exist_ok=True)
    storage.catalog.path.parent.write_text("a file where the folder should be")
    assert storage.catalog.try_sync("run-1") is False
    assert "the ledger has everything" in caplog.text


def materialize_and_sync(root: Path, process: int, count: int) -> None:
    """Several materializations, each followed by a sync that must succeed."""
    storage = MadeUpStorage(root)
    for number in range(count):
        storage.write_predictions("mc5", process, logit=float(number), run_id=f"run-{process}")
        storage.catalog.sync(timeout_s=60)


@pytest.mark.slow
@pytest.mark.promise("Processes that sync the catalog at once lose no row and meet no lock error.", "others")
def test_processes_that_sync_at_once_lose_no_row_and_raise_no_lock_error(storage: MadeUpStorage) -> None:
    n_processes, count = 4, 4
    run_at_once(*((materialize_and_sync, storage.root, number, count) for number in range(n_processes)))
    assert storage.catalog.sync() == 0
    assert rows(storage, "select run_id, count(*) from materializations group by 1 order by 1") == [
        (f"run-{number}", count) for number in range(n_processes)
    ]
    assert rows(storage, "select count(*), count(distinct materialization_id) from settings") == [(0, 0)]
    assert rows(storage, "select count(distinct materialization_id) from files") == [(n_processes * count,)]
    # Folds 0 and 1 have clips; each shows its last materialization.
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
def test_a_snapshot_is_whole_and_current_whoever_has_the_catalog_open(
    hold: str, storage: MadeUpStorage, tmp_path: Path
) -> None:
    storage.write_everything()
    storage.catalog.sync()
    target = tmp_path / "dashboards" / "copy.duckdb"
    with held_by_another_process(hold, storage.catalog.path):
        storage.write_clips(seconds=2.0)  # which the catalog cannot take up
        assert storage.catalog.snapshot(target) == 9
    copy = Catalog(target, storage.root, storage.ledger)
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
        with pytest.raises(UserError, match="is no copy of a catalog"):
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
    with pytest.raises(duckdb.Error, match="read-only"):
        runs.catalog.query("delete from folds")
    assert [str(one.message) for one in recwarn] == []
    assert runs.catalog.sync() == 0  # nothing was left open


def test_everything_is_explained_inside_the_database(runs: MadeUpStorage) -> None:
    unexplained = """
        select 'table', table_name from duckdb_tables() where comment is null
        union all select 'view', view_name from duckdb_views() where not internal and comment is null
        union all select 'macro', function_name from duckdb_functions()
            where function_type = 'table_macro' and not internal and comment is null
        union all select 'column', table_name || '.' || column_name from duckdb_columns()
            where not internal and comment is null and table_name <> 'schema_version'
    """
    assert rows(runs, unexplained) == []


def test_a_sync_reads_what_is_new_and_each_value_once(storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        storage.write_clips(seconds=float(number))
    storage.catalog.sync()
    values: list[Path] = []
    entries: list[Path] = []
    read_value, read_entry = database._read_or_none, ledger._read
    monkeypatch.setattr(database, "_read_or_none", lambda path: (values.append(path), read_value(path))[1])
    monkeypatch.setattr(ledger, "_read", lambda path: (entries.append(path), read_entry(path))[1])
    new = storage.write_clips(seconds=99.0)
    storage.catalog.sync()
    assert values == [storage.values.path("curated_clips")]
    assert [path.name.partition("_")[0] for path in entries] == [new]


def test_lwlrap_is_the_quotient_of_the_sums(runs: MadeUpStorage) -> None:
    id = metrics_of(runs, "run-1")
    found = {
        (scope, fold, name): (value, count)
        for scope, fold, name, value, count in rows(
            runs,
            f"select scope, fold, class_name, lwlrap, count from lwlrap where scheme = 'mc5' and materialization_id = '{id}'",
        )
    }
    total = sum(value for value, _ in METRICS.values())
    assert found == {
        ("overall", None, None): (pytest.approx(total / 5, abs=1e-15), 5),
        ("fold", 0, None): (0.75, 2),
        ("fold", 1, None): (pytest.approx(1.65 / 3, abs=1e-15), 3),
        ("class", None, "bell"): (0.75, 2),
        ("class", None, "gong"): (0.25, 1),
        ("class", None, "rain"): (pytest.approx(0.7, abs=1e-15), 2),
        ("class", None, "never"): (None, 0),
    }


def test_lineage_goes_to_the_source_and_to_the_right_materializations(runs: MadeUpStorage) -> None:
    for run_id in ("run-1", "run-2"):
        upstream = rows(
            runs,
            "select l.depth, l.asset, l.partition, m.run_id "
            f"from upstream_of('{metrics_of(runs, run_id)}') l left join materializations m on m.id = l.materialization_id",
        )
        assert sorted(upstream, key=repr) == [
            (1, "folds", None, run_id),
            (1, "mc5_oof_predictions", "0", run_id),
            (1, "mc5_oof_predictions", "1", run_id),
            (2, "curated_clips", None, run_id),
            (2, "mc5_embeddings", "0", run_id),
            (2, "mc5_embeddings", "1", run_id),
            (3, "cnn14_checkpoint", None, run_id),
            (3, "curated_recordings", None, None),
        ]
    made_by = "from lineage l join materializations m on m.id = l.source_id"
    assert rows(runs, f"select count(*) > 0 {made_by}") == [(True,)]
    assert rows(runs, f"{made_by} where (m.asset, m.partition) is distinct from (l.asset, l.partition)") == []


def test_downstream_goes_to_everything_that_used_a_value_and_to_nothing_else(runs: MadeUpStorage) -> None:
    (again,), (other,) = rows(
        runs, "select id from materializations where run_id = 'run-3' and asset = 'cnn14_checkpoint' order by id"
    )
    used = [
        (depth, asset, partition, run_id)
        for depth, asset, partitions in (
            (1, "mc5_embeddings", ("0", "1")),
            (2, "mc5_oof_predictions", ("0", "1")),
            (3, "mc5_metrics", (None,)),
        )
        for partition in partitions
        for run_id in ("run-1", "run-2")
    ]
    reached = (
        "select d.depth, d.asset, d.partition, m.run_id from downstream_of('{}') d "
        "join materializations m on m.id = d.materialization_id order by all"
    )
    assert rows(runs, reached.format(again)) == used
    assert rows(runs, reached.format(other)) == []
    ((folds,),) = rows(runs, "select id from materializations where asset = 'folds' and run_id = 'run-2'")
    assert rows(runs, reached.format(folds)) == [
        (1, "mc5_embeddings", "0", "run-2"),
        (1, "mc5_embeddings", "1", "run-2"),
        (1, "mc5_metrics", None, "run-2"),
        (1, "mc5_oof_predictions", "0", "run-2"),
        (1, "mc5_oof_predictions", "1", "run-2"),
    ]


@pytest.mark.parametrize("macro", schema.MACROS, ids=lambda macro: macro.name)
def test_a_macro_has_the_columns_it_is_documented_with(macro: schema.Macro, runs: MadeUpStorage) -> None:
    arguments = ", ".join("''" for _ in macro.parameters)
    found = rows(runs, f"select column_name from (describe from {macro.name}({arguments}))")
    assert [name for (name,) in found] == [name for name, _ in macro.columns]


def test_lineage_is_what_was_read_also_when_an_equal_value_was_made_since(storage: MadeUpStorage) -> None:
    table = pa.table({"x": [1]})
    storage.write("folds", table, id="2026-1")
    storage.write("folds", table, id="2026-2")
    storage.write("mc5_metrics", table, id="2026-3", inputs=[InputVersion("folds", None, "v1", "2026-1")])
    storage.write("mc5_metrics", table, id="2026-4", inputs=[InputVersion("folds", None, "v1", "not-in-the-ledger")])
    storage.catalog.sync()
    assert rows(storage, "select materialization_id, source_id from lineage order by 1") == [
        ("2026-3", "2026-1"),
        ("2026-4", "2026-2"),
    ]


def test_without_a_record_lineage_takes_the_newest_maker_before_the_reader(storage: MadeUpStorage) -> None:
    read = [InputVersion("folds", None, "v1")]
    table = pa.table({"x": [1]})
    storage.write("folds", table, id="2026-1")
    storage.write("folds", table, id="2026-2")
    storage.write("folds", table, id="2026-3", data_version="v2")
    storage.write("mc5_metrics", table, id="2026-4", inputs=read)
    storage.write("folds", table, id="2026-5")
    storage.write("mc5_metrics", table, id="2025-0", inputs=read)  # the clock stepped back before it was written
    storage.catalog.sync()
    assert rows(storage, "select materialization_id, source_id from lineage order by 1") == [
        ("2025-0", "2026-1"),
        ("2026-4", "2026-2"),
    ]


def test_runs_are_summed_up(runs: MadeUpStorage) -> None:
    assert rows(runs, "select run_id, materializations, finished_at >= started_at from runs order by 1") == [
        ("run-1", 8, True),
        ("run-2", 8, True),
        ("run-3", 3, True),
    ]
    assert rows(runs, "select list_sort(assets), git_commit, git_dirty from runs where run_id = 'run-3'") == [
        (["center_oof_predictions", "cnn14_checkpoint"], None, None)
    ]


def test_every_module_that_uses_duckdb_keeps_its_types_out_of_annotations() -> None:
    """The binding reports each type that something still holds at exit, on pages; torch holds what imported it."""
    package = Path(fa_assets.__file__).parent
    modules = [path for path in package.glob("**/*.py") if "import duckdb\n" in path.read_text()]
    with_types = [path for path in modules if "duckdb.DuckDBPyConnection" in path.read_text()]
    assert len(with_types) >= 3
    assert [path for path in with_types if "from __future__ import annotations" not in path.read_text()] == []
