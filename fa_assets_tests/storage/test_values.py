"""Stored values: whole or not there, each saying what it is."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from fa_assets.catalog.ledger import InputVersion
from fa_assets.errors import UserError
from fa_assets.storage.atomic import replacing
from fa_assets.storage.roots import StoragePath
from fa_assets.storage.values import MissingValueError, ValueHeader, ValueStore, table_digest


def header(asset: str = "folds", partition: str | None = None) -> ValueHeader:
    return ValueHeader(
        asset=asset,
        partition=partition,
        data_version="v1",
        code_version="1 seed=42",
        run_id="run",
        inputs=(InputVersion("curated_clips", None, "c1"), InputVersion("mc5_embeddings", "3", "e1")),
        details={"left_out": [["a.wav", "empty"]]},
    )


TABLE = pa.table({"fname": ["a.wav", "b.wav"], "fold": pa.array([0, 1], pa.int8())})


def test_a_value_comes_back_with_its_header(root: StoragePath) -> None:
    store = ValueStore(root)
    store.write(TABLE, header())
    value = store.read("folds")
    assert value.table.equals(TABLE)
    assert value.header == header()
    assert store.header("folds") == header()


def test_partitions_are_hive_folders_that_duckdb_reads(tmp_path: Path) -> None:
    store = ValueStore(tmp_path)
    for fold in ("0", "1"):
        store.write(TABLE.select(["fname"]), header("mc5_embeddings", fold))
    assert store.read("mc5_embeddings", "1").table.column_names == ["fname"]
    rows = duckdb.sql(
        f"select fold, count(*) from read_parquet('{tmp_path}/values/mc5_embeddings/fold=*/*.parquet') group by 1 order by 1"
    ).fetchall()
    assert rows == [(0, 2), (1, 2)]


def test_a_missing_value_says_what_to_do(root: StoragePath) -> None:
    with pytest.raises(MissingValueError, match="mc5_embeddings, fold 3 has not been materialized"):
        ValueStore(root).read("mc5_embeddings", "3")
    assert ValueStore(root).header("folds") is None


def test_a_damaged_value_is_reported_by_name(root: StoragePath) -> None:
    store = ValueStore(root)
    path = store.write(TABLE, header())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"folds\.parquet is damaged.*materialize folds again"):
        store.read("folds")
    assert store.header("folds") is None


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "value"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("new, but not who")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_digest_depends_on_values_and_types_alone() -> None:
    chunked = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert table_digest(chunked.replace_schema_metadata({"x": "y"})) == table_digest(TABLE)
    assert table_digest(TABLE.slice(0, 1)) != table_digest(TABLE)
    assert table_digest(TABLE.set_column(1, "fold", pa.array([0, 1], pa.int16()))) != table_digest(TABLE)
