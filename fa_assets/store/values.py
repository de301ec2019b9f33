"""The stored values of the assets: one Parquet file per asset and partition.

    <root>/values/<asset>/<asset>.parquet
    <root>/values/<asset>/fold=<k>/<asset>.parquet

An asset's name may have parts: `birdnet/mc5_metrics` lies in `<root>/values/birdnet/mc5_metrics/mc5_metrics.parquet`.

Every file carries its own header in the Parquet metadata: which data version it is, by which code version and from
which inputs it was made. So a reader knows exactly what it read, whatever was written since. Files are replaced
whole (`atomic.replacing`); the partition folders are hive-style, so DuckDB and pandas read them as they are.

A value counts only with its ledger entry, which the header names: the file, and the header alone, are what is read only where
they have the digests that were recorded. One without an entry is as good as not there.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.errors import UserError
from fa_assets.store.atomic import digest_file, replacing
from fa_assets.store.digests import DigestMemory
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry, StoredFile, UnreadableEntryError
from fa_assets.store.roots import StoragePath, relative_name
from fa_assets.store.source_files import SourceFileError
from fa_assets.store.storage_errors import as_remote_error

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

    @property
    def sha256(self) -> str:
        """The digest (hex) of the header as it is stored."""
        return _sha256(self.to_json().encode())

    @property
    def in_the_ledger(self) -> dict[str, Any]:
        """What the ledger entry of the value says too, by its fields."""
        names = ("asset", "partition", "run_id", "code_version", "data_version", "inputs")
        same = {name: getattr(self, name) for name in names}
        return {**same, "id": self.materialization_id, "header_sha256": self.sha256}

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


class UnrecordedValueError(UserError):
    """A value whose ledger entry is missing or damaged."""


class DamagedValueError(UserError):
    """A value whose file is not what was written."""


class ValueStore:
    """Reads and writes the values under one root folder."""

    def __init__(self, root: StoragePath) -> None:
        self.root = root
        self.folder = root / "values"

    def path(self, asset: str, partition: str | None = None) -> StoragePath:
        """Where the value of an asset (and fold) lies, whether or not it is there."""
        folder = self.folder / asset
        if partition is not None:
            folder /= f"fold={partition}"
        return folder / f"{asset.rpartition('/')[2]}.parquet"

    @contextmanager
    def writing(self, table: pa.Table | TableStream, header: ValueHeader) -> Iterator[StoredFile]:
        """Store a table with its header: gives the file as it was written, for the ledger entry. It replaces what was there
        once the block is done, so that nobody ever reads a value whose entry is still to come."""
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
            digest = digest_file(temporary)
            yield StoredFile(relative_name(path, self.root), digest.size_bytes, digest.sha256)

    def read(self, asset: str, partition: str | None = None, *, recorded: bool = True) -> Value:
        """Read a value.

        Args:
            recorded: False to take one that has no ledger entry as well.

        Raises:
            MissingValueError: it is not there.
            UserError: it is damaged, or has no ledger entry.
        """
        with self._opened(asset, partition, recorded) as (file, header), self._explained(asset, partition):
            # Through an open file: given a path, pyarrow would add the hive folder's `fold` as a column.
            return Value(pq.ParquetFile(file, page_checksum_verification=True).read(), header)

    @contextmanager
    def scan(self, asset: str, partition: str | None = None, *, rows_at_once: int = 1024) -> Iterator[Scan]:
        """Read a value in tables of at most `rows_at_once` rows; no more of it is in memory at a time than a few of them.

        Raises:
            MissingValueError: it is not there.
            UserError: as `read`.
        """
        with self._opened(asset, partition, recorded=True) as (file, header):
            with self._explained(asset, partition):
                # Buffered and not read ahead, or the columns of a whole row group would be in memory.
                parquet = pq.ParquetFile(file, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)

            def parts() -> Iterator[pa.Table]:
                with self._explained(asset, partition):
                    for batch in parquet.iter_batches(rows_at_once):
                        yield pa.Table.from_batches([batch])

            yield Scan(header, parquet.metadata.num_rows, parts())

    def header(self, asset: str, partition: str | None = None) -> ValueHeader | None:
        """The header of a value, without reading its table; None when it cannot be read."""
        return self.examine(asset, partition)[0]

    def examine(
        self, asset: str, partition: str | None = None, digests: DigestMemory | None = None
    ) -> tuple[ValueHeader | None, str | None]:
        """The header of a value, as `header`; and what keeps it from being read or is lost of it, in words.

        Args:
            digests: to compare the file, and those that belong to it, with what was recorded; those of an object store by
                size alone.

        Raises:
            UserError: a newer version of this program recorded it.
        """
        try:
            header, entry = self._recorded_header(asset, partition)
        except MissingValueError:
            return None, "not materialized"
        except UnrecordedValueError:
            return None, "its ledger entry is missing or damaged"
        except DamagedValueError:
            return None, "its file is damaged"
        lost = (one.path for one in entry.files if digests is not None and not self._is_whole(one, digests))
        return header, next((f"{path} is missing, or not what was recorded" for path in lost), None)

    def _is_whole(self, file: StoredFile, digests: DigestMemory) -> bool:
        """Whether a file is there as it was recorded."""
        path = Path(file.path) if PurePosixPath(file.path).is_absolute() else self.root / file.path
        try:
            if isinstance(path, Path):
                return digests.find(path)[0].sha256 == file.sha256
            return int(path.stat().st_size) == file.size_bytes
        except (OSError, SourceFileError):  # weights of a storage that machines share may lie on another one
            return isinstance(path, Path) and not isinstance(self.root, Path)

    def _recorded_header(self, asset: str, partition: str | None) -> tuple[ValueHeader, LedgerEntry]:
        """The header and the ledger entry of a value.

        Raises:
            MissingValueError, UserError: as `read`.
        """
        path = self.path(asset, partition)
        with self._explained(asset, partition), path.open("rb") as file:
            header, sha256 = _read_header(file)
            entry = self._entry(header, asset, partition)
            if entry.header_sha256 is None:  # of an older version, which did not record it
                with self._opened(asset, partition, recorded=True):
                    return header, entry
            if sha256 != entry.header_sha256:
                raise ValueError("its header is not what was recorded")
            return header, entry

    def _entry(self, header: ValueHeader, asset: str, partition: str | None) -> LedgerEntry:
        try:
            return Ledger(self.root / "ledger").find(str(header.materialization_id), asset, partition)
        except UnreadableEntryError as error:
            raise UnrecordedValueError(
                f"The ledger has no entry of {self.path(asset, partition)}, or a damaged one: {_again(asset)}"
            ) from error

    @contextmanager
    def _opened(self, asset: str, partition: str | None, recorded: bool) -> Iterator[tuple[BinaryIO, ValueHeader]]:
        """The file of a value, found to be what was recorded, and its header."""
        path = self.path(asset, partition)
        with ExitStack() as stack:
            with self._explained(asset, partition):
                file = _on_this_machine(path, stack)
                header, _ = _read_header(file)
                try:
                    entry = self._entry(header, asset, partition)
                except UnrecordedValueError:
                    if recorded:
                        raise
                    header = replace(header, materialization_id=None)
                else:
                    file.seek(0)
                    if hashlib.file_digest(file, "sha256").hexdigest() != entry.files[0].sha256:  # type: ignore[arg-type]
                        raise ValueError("its sha256 is not the one that was recorded")
                file.seek(0)
            yield file, header

    @contextmanager
    def _explained(self, asset: str, partition: str | None) -> Iterator[None]:
        """Say what a file that cannot be read means: whatever other bytes than those that were written lead to is damage."""
        path = self.path(asset, partition)
        try:
            yield
        except (UserError, MemoryError):
            raise
        except FileNotFoundError:
            where = asset if partition is None else f"{asset}, fold {partition}"
            raise MissingValueError(
                f"{where} has not been materialized yet (no {path}): materialize it first (`fa-assets run`)."
            ) from None
        except Exception as error:
            # An OSError with a number is about the disk (but for a wrong place in the file), as is what an object store's
            # library raises about the network.
            number = error.errno if isinstance(error, OSError) else None
            if number not in (None, errno.EINVAL) or as_remote_error(error, self.root):
                raise
            raise DamagedValueError(f"{path} is damaged ({error}): {_again(asset)}") from error


def _again(asset: str) -> str:
    return f"materialize {asset} again (`fa-assets run --select {asset} --force`)."


def _on_this_machine(path: StoragePath, stack: ExitStack) -> BinaryIO:
    """The open file; of an object store a copy, so that it comes over the network once and what is read is what was hashed."""
    file: BinaryIO = stack.enter_context(path.open("rb"))
    if isinstance(path, Path):
        return file
    copy: BinaryIO = stack.enter_context(TemporaryFile())  # noqa: SIM115
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _read_header(file: BinaryIO) -> tuple[ValueHeader, str]:
    """The header of an open file, and its digest."""
    text = (pq.read_schema(file).metadata or {}).get(_HEADER_KEY)
    if text is None:
        raise ValueError("it carries no header of fa_assets")
    return ValueHeader.from_json(text), _sha256(text)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def table_digest(table: pa.Table) -> str:
    """A sha256 (hex) over a table's columns and values, whatever its chunks and metadata, also that of its fields."""
    columns = [field.remove_metadata() for field in table.schema]
    plain = pa.table(table.columns, schema=pa.schema(columns)).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return hashlib.sha256(sink.getvalue()).hexdigest()
