"""The stored values of the assets: one Parquet file per asset and partition.

    <root>/values/<asset>/<asset>.parquet
    <root>/values/<asset>/fold=<k>/<asset>.parquet

An asset's name may have parts: `birdnet/mc5_metrics` lies in `<root>/values/birdnet/mc5_metrics/mc5_metrics.parquet`.

Every file carries its own header in the Parquet metadata: which data version it is, by which code version and from
which inputs it was made. So a reader knows exactly what it read, whatever was written since. Files are replaced
whole (`atomic.replacing`); the partition folders are hive-style, so DuckDB and pandas read them as they are.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.errors import UserError
from fa_assets.store.atomic import replacing
from fa_assets.store.ledger import InputVersion
from fa_assets.store.roots import StoragePath

_DECODING_ERRORS = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError)
"""What reading a file with other bytes than those that were written may raise."""
_HEADER_KEY = b"fa_assets.header"


@dataclass(frozen=True)
class ValueHeader:
    """What a stored value says of itself.

    `details` are small facts that belong to the value and fit in JSON (the classes' solver iterations, the clips that
    were left out). `materialization_id` is the id of its ledger entry, None in files of older versions.
    """

    asset: str
    partition: str | None
    data_version: str
    code_version: str
    run_id: str
    inputs: tuple[InputVersion, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    materialization_id: str | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ValueHeader":
        fields = json.loads(text)
        return cls(**{**fields, "inputs": tuple(InputVersion(**one) for one in fields["inputs"])})


@dataclass(frozen=True)
class Value:
    """A stored table with its header."""

    table: pa.Table
    header: ValueHeader


@dataclass(frozen=True)
class TableStream:
    """A table that is written part by part, so that it need not be held: its schema, and the tables it consists of."""

    schema: pa.Schema
    num_rows: int
    parts: Iterable[pa.Table]


@dataclass(frozen=True)
class Scan:
    """A stored table that is read part by part; the parts can be gone through once."""

    header: ValueHeader
    num_rows: int
    parts: Iterator[pa.Table]


class MissingValueError(UserError):
    """A value that was asked for has not been materialized yet."""


class ValueStore:
    """Reads and writes the values under one root folder."""

    def __init__(self, root: StoragePath) -> None:
        self.folder = root / "values"

    def path(self, asset: str, partition: str | None = None) -> StoragePath:
        """Where the value of an asset (and fold) lies, whether or not it is there."""
        folder = self.folder / asset
        if partition is not None:
            folder /= f"fold={partition}"
        return folder / f"{asset.rpartition('/')[2]}.parquet"

    def write(self, table: pa.Table | TableStream, header: ValueHeader) -> StoragePath:
        """Store a table with its header, replacing what was there; return the file's path."""
        path = self.path(header.asset, header.partition)
        schema = table.schema.with_metadata({**(table.schema.metadata or {}), _HEADER_KEY: header.to_json().encode()})
        parts = [table] if isinstance(table, pa.Table) else table.parts
        rows = 0
        with replacing(path) as temporary:
            with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
                for part in parts:
                    writer.write_table(part)
                    rows += part.num_rows
            if rows != table.num_rows:
                raise ValueError(f"{header.asset}: {rows} rows instead of {table.num_rows}")
        return path

    def read(self, asset: str, partition: str | None = None) -> Value:
        """Read a value.

        Raises:
            MissingValueError: it is not there.
            UserError: the file is damaged.
        """
        path = self.path(asset, partition)
        with _explained(path, asset, partition), path.open("rb") as file:
            # Through an open file: given a path, pyarrow would add the hive folder's `fold` as a column.
            table = pq.read_table(file, page_checksum_verification=True)
            header = read_header(path, table.schema)
        return Value(table, header)

    @contextmanager
    def scan(self, asset: str, partition: str | None = None, *, rows_at_once: int = 1024) -> Iterator[Scan]:
        """Read a value in tables of at most `rows_at_once` rows; no more of it is in memory at a time than a few of them.

        Raises:
            MissingValueError: it is not there.
            UserError: the file is damaged; found out while its parts are gone through, perhaps.
        """
        path = self.path(asset, partition)
        with ExitStack() as stack:
            with _explained(path, asset, partition):
                file = stack.enter_context(path.open("rb"))
                # Buffered and not read ahead, or the columns of a whole row group would be in memory.
                parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)
                header = read_header(path, parquet.schema_arrow)

            def parts() -> Iterator[pa.Table]:
                with _explained(path, asset, partition):
                    for batch in parquet.iter_batches(rows_at_once):
                        yield pa.Table.from_batches([batch])

            yield Scan(header, parquet.metadata.num_rows, parts())

    def header(self, asset: str, partition: str | None = None) -> ValueHeader | None:
        """The header of a stored value, without reading its table; None when it is not there or damaged."""
        path = self.path(asset, partition)
        try:
            with path.open("rb") as file:
                return read_header(path, pq.read_schema(file))
        except (FileNotFoundError, UserError):
            return None
        except _DECODING_ERRORS as error:
            if not _is_damage(error):
                raise
            return None


def read_header(path: StoragePath | str, schema: pa.Schema) -> ValueHeader:
    """The header of the file at `path`, whose schema is given.

    Raises:
        UserError: it has none.
    """
    text = (schema.metadata or {}).get(_HEADER_KEY)
    if text is None:
        raise UserError(f"{path} carries no fa_assets header: it was not written by fa_assets. Move it away.")
    return ValueHeader.from_json(text)


@contextmanager
def _explained(path: StoragePath, asset: str, partition: str | None) -> Iterator[None]:
    """Say what a file that cannot be read means."""
    try:
        yield
    except FileNotFoundError:
        where = asset if partition is None else f"{asset}, fold {partition}"
        raise MissingValueError(f"{where} has not been materialized yet (no {path}): materialize it first.") from None
    except _DECODING_ERRORS as error:
        if not _is_damage(error):
            raise
        raise UserError(f"{path} is damaged ({error}): materialize {asset} again.") from error


def _is_damage(error: Exception) -> bool:
    """Whether Arrow could not read the bytes; an OSError with a number is about the disk or the network instead."""
    return not isinstance(error, OSError) or error.errno is None


def table_digest(table: pa.Table) -> str:
    """A sha256 (hex) over a table's columns and values, whatever its chunks and metadata, also that of its fields."""
    columns = [field.remove_metadata() for field in table.schema]
    plain = pa.table(table.columns, schema=pa.schema(columns)).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return hashlib.sha256(sink.getvalue()).hexdigest()
