"""Stored values: whole or not there, each saying what it is."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fa_assets.errors import UserError
from fa_assets.store.digests import DigestMemory
from fa_assets.store.embedding_store import list_column
from fa_assets.store.ledger import InputVersion, Ledger
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import MissingValueError, TableStream, ValueHeader, ValueStore, table_digest
from fa_assets_tests.recorded import flipped, put


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
    put(root, TABLE, header())
    value = store.read("folds")
    assert value.table.equals(TABLE)
    assert value.header == replace(header(), materialization_id=value.header.materialization_id)
    assert store.header("folds") == value.header


def test_partitions_are_hive_folders_that_duckdb_reads(tmp_path: Path) -> None:
    store = ValueStore(tmp_path)
    for fold in ("0", "1"):
        put(tmp_path, TABLE.select(["fname"]), header("mc5_embeddings", fold))
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
    path = put(root, TABLE, header())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"folds\.parquet is damaged.*materialize folds again"):
        store.read("folds")
    assert store.header("folds") is None


def test_a_table_may_be_written_and_read_in_parts(root: StoragePath) -> None:
    store = ValueStore(root)
    parts = (TABLE.slice(row, 1) for row in range(2))
    put(root, TableStream(TABLE.schema, 2, parts), header())
    value = store.read("folds")
    assert value.table.equals(TABLE) and value.header.details == header().details
    with store.scan("folds", rows_at_once=1) as scan:
        assert (scan.header, scan.num_rows) == (value.header, 2)
        assert [part.to_pylist() for part in scan.parts] == [[row] for row in TABLE.to_pylist()]


@pytest.mark.parametrize("parts", [[TABLE, TABLE], [TABLE.slice(1)], []])
def test_a_stream_of_other_length_is_not_stored(tmp_path: Path, parts: list[pa.Table]) -> None:
    with pytest.raises(ValueError, match=f"folds: {sum(map(len, parts))} rows instead of 2"):
        put(tmp_path, TableStream(TABLE.schema, 2, parts), header())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_scanning_what_is_missing_or_damaged_says_what_to_do(root: StoragePath) -> None:
    store = ValueStore(root)
    with (
        pytest.raises(MissingValueError, match="mc5_embeddings, fold 3 has not been"),
        store.scan("mc5_embeddings", "3"),
    ):
        pass
    numbers = pa.table({"x": np.random.default_rng(0).normal(size=5000)})
    path = put(root, numbers, header())
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(UserError, match=r"folds\.parquet is damaged.*materialize folds again"), store.scan("folds"):
        pass
    path.write_bytes(whole[:8] + bytes(20_000) + whole[20_008:])
    with pytest.raises(UserError, match=r"folds\.parquet is damaged \(its sha256"), store.scan("folds"):
        pass


def test_what_goes_wrong_with_the_parts_is_not_taken_for_damage(root: StoragePath) -> None:
    store = ValueStore(root)
    put(root, TABLE, header())
    with pytest.raises(pa.ArrowInvalid, match="of the reader"), store.scan("folds") as scan:
        for _ in scan.parts:
            raise pa.ArrowInvalid("of the reader")


SCAN = """
import sys
from pathlib import Path
from fa_assets.store.values import ValueStore

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

store = ValueStore(Path(sys.argv[1]))
for asset in ("small", sys.argv[2]):
    before = peak()
    with store.scan(asset) as scan:
        rows = sum(part.num_rows for part in scan.parts)
print(rows, peak() - before)
"""


@pytest.mark.slow
def test_a_scan_holds_a_fraction_of_a_row_group(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((60_000, 512), np.float32)
    for asset, rows in (("small", 1), ("large", len(values))):
        table = pa.table({"embedding": list_column(values[:rows])})
        path = put(tmp_path, table, header(asset))
    assert pq.ParquetFile(path).num_row_groups == 1
    assert path.stat().st_size > 0.8 * values.nbytes
    done = subprocess.run([sys.executable, "-c", SCAN, tmp_path, "large"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, added = map(int, done.stdout.split())
    assert rows == len(values)
    assert added < values.nbytes / 2


def test_a_digest_depends_on_values_and_types_alone() -> None:
    chunked = pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])
    assert table_digest(chunked.replace_schema_metadata({"x": "y"})) == table_digest(TABLE)
    assert table_digest(TABLE.slice(0, 1)) != table_digest(TABLE)
    assert table_digest(TABLE.set_column(1, "fold", pa.array([0, 1], pa.int16()))) != table_digest(TABLE)


@pytest.mark.promise(
    "A flipped bit in a value never gives another table or header: the value is named as damaged.",
    "kept",
    "200 bits each of rows and of the footer: 0 silent",
)
@pytest.mark.parametrize("part", ["rows", "footer"])
def test_every_flipped_bit_is_damage(part: str, tmp_path: Path) -> None:
    random, store = np.random.default_rng(0), ValueStore(tmp_path)
    table = pa.table({"fname": [f"{row}.wav" for row in range(50)], "x": random.random(50)})
    path = put(tmp_path, table, header())
    whole, before = path.read_bytes(), store.header("folds")
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for byte in random.integers(*((0, footer) if part == "rows" else (footer, len(whole))), 200):
        path.write_bytes(flipped(whole, 8 * byte + random.integers(8)))
        assert store.header("folds") in (None, before)
        with pytest.raises(UserError, match=r"materialize folds again \(`fa-assets run --select folds --force`"):
            store.read("folds")


def test_a_value_counts_only_with_its_ledger_entry(root: StoragePath, tmp_path: Path) -> None:
    store = ValueStore(root)
    put(root, TABLE, header())
    found = store.header("folds")
    assert found is not None
    assert store.examine("folds", digests=DigestMemory(tmp_path / "digests.json")) == (found, None)
    entry = Ledger(root / "ledger").path(str(found.materialization_id), "folds", None)
    for spoil in (lambda: entry.write_bytes(flipped(entry.read_bytes(), 999)), entry.unlink):
        spoil()
        assert store.examine("folds") == (None, "its ledger entry is missing or damaged")
        with pytest.raises(UserError, match="materialize folds again"):
            store.read("folds")
    # An asset that goes on from its own earlier value reads it all the same, as one that nothing recorded.
    assert store.read("folds", recorded=False).header == replace(found, materialization_id=None)
