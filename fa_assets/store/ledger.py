"""The ledger: one small JSON file for each materialization, append-only, and the truth that the catalog is made from.

    <folder>/<id>_<asset>.json
    <folder>/<id>_<asset>_<partition>.json

The id comes first, so that names sort by time: an entry sorts behind all that were there when it was made, also after the
clock stepped back. The rest of the name is for people, the content is what counts. A file is whole or not there
(`storage.atomic.replacing`: temporary name, fsync, `os.replace`), is never written twice, and any number of processes may
append at once without a lock, because no two of them ever make the same id.

A file ends with the sha256 of what stands before it, which is checked before anything in it is believed. One that cannot be
read (damaged after it was written) is left out with a warning that names it, so that one bad file does not hide all the
others. A file of an older layout is read as it is. A file of a newer version of this
program stops the reading: leaving it out would be silent about history that is there.
"""

import contextlib
import hashlib
import json
import logging
import math
import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fa_assets.errors import UserError
from fa_assets.store.atomic import replacing
from fa_assets.store.recipe import Scalar
from fa_assets.store.roots import StoragePath, file_names, read_each, read_whole

log = logging.getLogger(__name__)

JsonValue = Scalar | Sequence["JsonValue"] | Mapping[str, "JsonValue"]

_TIME_FORMAT = "%Y%m%dT%H%M%S%fZ"

SCHEMA_VERSION = 3
"""The version of the JSON layout, in every file: 1 did not say which materialization had made an input, 2 had no digests of its
own or of headers. Raised with a sample in the tests."""

_SEALED_SINCE = 3
_SEAL = b',\n "sha256": "'
"""What comes between the content of a file and its digest, which is its last field."""


@dataclass(frozen=True)
class InputVersion:
    """One value that was read, at the data version that was read; `partition` is None for an unpartitioned asset.

    `source_id` is the materialization that had made it: None for what comes from outside (the folder of clips), and where
    a file of an older version does not say.
    """

    asset: str
    partition: str | None
    data_version: str
    source_id: str | None = None


@dataclass(frozen=True)
class StoredFile:
    """A file as it was written: its POSIX path, relative to the storage root if it lies there, size in bytes, sha256 (hex)."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class MetricRow:
    """LWLRAP of one class in one fold, as the sum of label-ranking precisions over its `count` positives."""

    scheme: str
    fold: int
    class_name: str
    precision_sum: float
    count: int


@dataclass(frozen=True)
class LedgerEntry:
    """One materialization of an asset, or of one of its partitions.

    Times are timezone-aware; `timings` are seconds by phase. `files[0]` is the value itself, the others belong to it.
    `environment` is what the work ran on, `settings` what it was told, `metadata` what it found (rows, lwlrap).
    `header_sha256` is the digest of the value's header; None where an older version wrote the entry.

    Raises:
        ValueError: a time without timezone, or an id that is not made of letters, digits, ``-`` and ``.``.
    """

    id: str
    asset: str
    partition: str | None
    run_id: str
    started_at: datetime
    finished_at: datetime
    code_version: str
    data_version: str
    inputs: tuple[InputVersion, ...]
    settings: Mapping[str, Scalar]
    environment: Mapping[str, Scalar]
    timings: Mapping[str, float]
    files: tuple[StoredFile, ...]
    metadata: Mapping[str, JsonValue]
    metrics: tuple[MetricRow, ...] = ()
    header_sha256: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", self.id):
            raise ValueError(f"{self.id!r} is not an id: use new_entry_id()")
        for name in ("started_at", "finished_at"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"{name} of {self.asset} has no timezone")

    def to_json(self) -> str:
        """The entry as JSON text, times in UTC; numbers that JSON does not have (NaN, infinities) become null."""
        fields = {
            "schema_version": SCHEMA_VERSION,
            **vars(self),
            "started_at": self.started_at.astimezone(UTC).isoformat(),
            "finished_at": self.finished_at.astimezone(UTC).isoformat(),
            "inputs": [asdict(one) for one in self.inputs],
            "files": [asdict(one) for one in self.files],
            "metrics": [asdict(one) for one in self.metrics],
        }
        text = json.dumps(_finite(fields), indent=1, allow_nan=False).encode()
        return b"".join([text[:-2], _SEAL, _digest(text), text[-2:]]).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "LedgerEntry":
        """Read what `to_json` of this or an older version wrote.

        Raises:
            UserError: it was written by a newer version of this program.
            Exception: it is not an entry, or not what was written.
        """
        content, seal, digest = (text.encode() if isinstance(text, str) else text).rpartition(_SEAL)
        if seal and digest[:-2] != _digest(content + digest[-2:]):
            raise ValueError("its sha256 is not that of its content")
        fields: dict[str, Any] = json.loads(text)
        fields.pop("sha256", None)
        version = fields.pop("schema_version")
        if not seal and version >= _SEALED_SINCE:
            raise ValueError("its sha256 is missing")
        if version > SCHEMA_VERSION:
            raise UserError(
                f"it has ledger version {version}, this fa_assets reads up to {SCHEMA_VERSION}: install a newer fa_assets."
            )
        return cls(
            **{
                **fields,
                "started_at": datetime.fromisoformat(fields["started_at"]),
                "finished_at": datetime.fromisoformat(fields["finished_at"]),
                "inputs": tuple(InputVersion(**one) for one in fields["inputs"]),
                "files": tuple(StoredFile(**one) for one in fields["files"]),
                "metrics": tuple(MetricRow(**one) for one in fields["metrics"]),
            }
        )


def _digest(text: bytes) -> bytes:
    """As it stands in a file, with the closing quotation mark."""
    return f'{hashlib.sha256(text).hexdigest()}"'.encode()


def new_entry_id(after: str | None = None) -> str:
    """An id that sorts by time and that no other process makes.

    UTC time to the microsecond, then 64 random bits: ``20260102T030405678901Z-0123456789abcdef``. Where the clock has
    stepped back behind the id `after`, the time is a microsecond later than that one's.
    """
    now = datetime.now(UTC)
    with contextlib.suppress(ValueError):
        now = max(now, _time_in(after or "") + timedelta(microseconds=1))
    return f"{now:{_TIME_FORMAT}}-{uuid.uuid4().hex[:16]}"


def _time_in(id: str) -> datetime:
    return datetime.strptime(id.partition("-")[0], _TIME_FORMAT).replace(tzinfo=UTC)


class Ledger:
    """The entries in one folder, which need not be there yet."""

    def __init__(self, folder: StoragePath) -> None:
        self.folder = folder

    def path(self, id: str, asset: str, partition: str | None) -> StoragePath:
        """Where an entry lies, whether or not it is there."""
        parts = (id, asset) if partition is None else (id, asset, partition)
        return self.folder / ("_".join(re.sub(r"[^\w.-]", "-", part) for part in parts) + ".json")

    def append(self, entry: LedgerEntry) -> StoragePath:
        """Write an entry to its own file, and return the file's path.

        Raises:
            FileExistsError: the entry is there already.
            OSError: it cannot be written; then no part of it is there.
        """
        path = self.path(entry.id, entry.asset, entry.partition)
        if path.exists():
            raise FileExistsError(f"{path} already exists: ledger entries are never overwritten.")
        with replacing(path) as temporary:
            temporary.write_text(entry.to_json(), encoding="utf-8")
        return path

    def new_id(self) -> str:
        """An id for the next entry, which sorts behind those that are here, whatever the clock says."""
        return new_entry_id(after=max(self._paths(), default=None))

    def ids(self) -> list[str]:
        """The ids of all entries in order, from the file names alone."""
        return list(self._paths())

    def entries(self, skip: Collection[str] = ()) -> Iterator[LedgerEntry]:
        """The entries in the order of their ids, without those in `skip`; unreadable ones are logged and left out.

        Raises:
            UserError: an entry was written by a newer version of this program.
        """
        paths = [path for one, path in self._paths().items() if one not in skip]
        for entry in read_each(self.folder, _read_or_error, paths):
            if isinstance(entry, UnreadableEntryError):
                log.warning("%s It is left out.", entry)
            else:
                yield entry

    def newest_of(self, asset: str) -> Iterator[LedgerEntry]:
        """The readable entries of an unpartitioned asset, the newest first; only its own files are read."""
        for one, path in reversed(self._paths().items()):
            if path.name == self.path(one, asset, None).name:
                with contextlib.suppress(UnreadableEntryError):
                    yield _read(path)

    def read(self, id: str) -> LedgerEntry:
        """One entry.

        Raises:
            UserError: it is not there, cannot be read, or was written by a newer version of this program.
        """
        path = self._paths().get(id)
        if path is None:
            raise UserError(f"The ledger {self.folder} has no entry {id}: `ids()` lists those it has.")
        return _read(path)

    def find(self, id: str, asset: str, partition: str | None) -> LedgerEntry:
        """The entry of a value.

        Raises:
            UserError: as `read`.
        """
        return _read(self.path(id, asset, partition))

    def _paths(self) -> dict[str, StoragePath]:
        """The file of each id, in the order of the ids; hidden files are half-written ones."""
        return {_id_in(name): self.folder / name for name in file_names(self.folder) if name.endswith(".json")}


class UnreadableEntryError(UserError):
    """A ledger file that is missing or damaged."""


def _id_in(file_name: str) -> str:
    return file_name.partition("_")[0]


def _read(path: StoragePath) -> LedgerEntry:
    try:
        content = read_whole(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        entry = LedgerEntry.from_json(content)
        if _id_in(path.name) != entry.id:
            raise ValueError(f"it holds the entry {entry.id}")
        return entry
    except UserError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # whatever other bytes than those that were written lead to
        raise _unreadable(path, error) from error


def _unreadable(path: StoragePath, error: Exception) -> UnreadableEntryError:
    return UnreadableEntryError(
        f"The ledger file {path} is damaged ({type(error).__name__}: {error}): restore it from a backup, or move it away and "
        "materialize its asset again (`fa-assets run`)."
    )


def _read_or_error(path: StoragePath) -> LedgerEntry | UnreadableEntryError:
    try:
        return _read(path)
    except UnreadableEntryError as error:
        return error


def _finite(value: Any) -> Any:
    """A copy for JSON, with None for every float that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
