"""The values in the catalog: those that are on disk as they were recorded, with the columns they have."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from fa_assets.catalog import current
from fa_assets.store import ledger
from fa_assets_tests.catalog.made_up import MadeUpStorage, dump, rows


def test_the_values_are_in_the_current_tables(runs: MadeUpStorage) -> None:
    assert rows(runs, "select labels, seconds from clips where fname = 'gong.wav'") == [(["bell", "gong"], 1.0)]
    assert rows(runs, "select fname, fold from folds order by fname") == [
        ("bell.wav", 0), ("gong.wav", 1), ("hail.wav", 1), ("rain.wav", 0),
    ]  # fmt: skip
    assert rows(
        runs,
        "select scheme, fold, count(*), sum(truth::int), min(logit) from predictions group by 1, 2 order by 1, 2",
    ) == [("center", 0, 8, 2, 2.0), ("center", 1, 8, 3, 2.0), ("mc5", 0, 8, 2, 0.0), ("mc5", 1, 8, 3, 0.0)]
    assert rows(
        runs,
        "select scheme, fold, fname, embedding[1], len(embedding) from embeddings where fold = 1 order by fname",
    ) == [("mc5", 1, "gong.wav", 2.0, 2048), ("mc5", 1, "hail.wav", pytest.approx(0.1), 2048)]


def test_a_new_materialization_replaces_its_own_rows_only(storage: MadeUpStorage) -> None:
    other = storage.write_predictions("center")
    storage.write_predictions("mc5")
    storage.catalog.sync()
    newer = storage.write_predictions("mc5", logit=5.0)
    storage.catalog.sync()
    assert rows(storage, "select distinct scheme, materialization_id, logit from predictions order by 1") == [
        ("center", other, 0.0),
        ("mc5", newer, 5.0),
    ]
    assert rows(storage, "select count(*) from materializations") == [(3,)]


def test_equal_bytes_belong_to_the_newest_entry(storage: MadeUpStorage) -> None:
    older = storage.ledger.read(storage.write_clips())
    storage.catalog.sync()
    newer = replace(older, id=storage.ledger.new_id())
    storage.ledger.append(newer)
    storage.catalog.sync()
    assert rows(storage, "select distinct materialization_id from clips") == [(newer.id,)]


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


def test_any_value_is_shown_with_the_columns_that_it_has(storage: MadeUpStorage) -> None:
    first = storage.write("folds", pa.table({"something": [1]}))
    wide = storage.write("other/scores", pa.table({"clip": ["a"], "scores": [[0.5, 0.25]]}))
    storage.catalog.sync()
    assert rows(storage, "from folds") == [(1, first)]
    assert rows(storage, 'from assets."other/scores"') == [("a", [0.5, 0.25], wide)]
    newer = storage.write("folds", pa.table({"fname": ["a"], "fold": [3]}))
    storage.catalog.sync()
    assert rows(storage, "select fname, fold, materialization_id from folds") == [("a", 3, newer)]


def test_partitions_of_other_columns_are_shown_together(storage: MadeUpStorage) -> None:
    storage.write("mc5_oof_predictions", pa.table({"fname": ["a"]}), partition="0")
    storage.write("mc5_oof_predictions", pa.table({"fname": ["b"], "logit": [0.5]}), partition="1")
    storage.catalog.sync()
    assert rows(storage, "select scheme, fold, fname, logit from predictions order by fold") == [
        ("mc5", 0, "a", None), ("mc5", 1, "b", 0.5),
    ]  # fmt: skip


def test_of_a_value_that_is_no_longer_partitioned_the_old_partitions_are_not_shown(storage: MadeUpStorage) -> None:
    storage.write("mc5_oof_predictions", pa.table({"fname": ["a"], "truth": [True]}), partition="0")
    storage.catalog.sync()
    newest = storage.write("mc5_oof_predictions", pa.table({"fname": ["a"], "fold": [1]}))
    storage.catalog.sync()
    assert rows(storage, "select fname, fold, materialization_id from predictions") == [("a", 1, newest)]


def test_values_are_copied_some_rows_at_a_time_and_wholly_or_not_at_all(
    storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    storage.write_clips()
    storage.catalog.sync()
    whole = dump(storage.catalog)
    monkeypatch.setattr(current, "_ROWS_AT_ONCE", 3)
    inserted: list[int] = []
    insert, damaged = current.insert, False

    def seen(connection: duckdb.DuckDBPyConnection, table: str, part: pa.Table, *statement: str) -> None:
        if table == 'assets."curated_clips"':
            inserted.append(part.num_rows)
            if damaged and part.num_rows == 1:
                raise pa.ArrowInvalid("a damaged page")
        insert(connection, table, part, *statement)

    monkeypatch.setattr(current, "insert", seen)
    storage.catalog.rebuild()
    assert dump(storage.catalog) == whole
    assert inserted == [0, 3, 1]
    damaged = True
    storage.catalog.rebuild()
    assert "The value of curated_clips is not in the catalog: a damaged page" in caplog.text
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
    with storage.catalog.connect() as connection:
        types = connection.execute("describe embeddings").fetchall()
    storage.write_everything()
    storage.catalog.sync()
    with storage.catalog.connect() as connection:
        assert connection.execute("describe embeddings").fetchall() == types
        assert connection.execute("select count(*) from embeddings").fetchone() == (4,)


def test_a_sync_reads_what_is_new_and_each_value_once(storage: MadeUpStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        storage.write_clips(seconds=float(number))
    storage.catalog.sync()
    values: list[Path] = []
    entries: list[Path] = []
    read_value, read_entry = current._read_or_none, ledger._read
    monkeypatch.setattr(current, "_read_or_none", lambda path: (values.append(path), read_value(path))[1])
    monkeypatch.setattr(ledger, "_read", lambda path: (entries.append(path), read_entry(path))[1])
    new = storage.write_clips(seconds=99.0)
    storage.catalog.sync()
    assert values == [storage.values.path("curated_clips")]
    assert [path.name.partition("_")[0] for path in entries] == [new]
