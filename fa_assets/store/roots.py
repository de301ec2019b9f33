"""The storage root: a local folder, or a prefix of an object store that fsspec opens.

Everything that is stored is reached through a path below the root: a `pathlib.Path` when it is a local folder, a `UPath`
when it is not; both answer to the same names. Only this module and `atomic.replacing` know which of the two it is.

Credentials are not part of a location: an object store takes them from where its library looks for them (for S3
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, or fsspec's configuration files). So
a location may be shown and recorded.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa
from upath import UPath

from fa_assets.errors import UserError

StoragePath = Path | UPath
"""A path below a storage root."""

_EXTRAS = {"s3": "s3fs", "s3a": "s3fs"}
"""What `pip install 'fa_assets[s3]'` brings for a protocol."""

Item = TypeVar("Item")
Result = TypeVar("Result")

_READERS = 16

_MODIFIED = ("LastModified", "mtime", "last_modified", "updated", "created")
"""The names under which file systems give the time of the last change."""


def is_remote(location: str) -> bool:
    """Whether a location is the URL of an object store; anything else is a local path."""
    return "://" in location and not location.startswith("file://")


def absolute_path(path: Path) -> Path:
    """The path as it can be recorded, ``~`` expanded.

    Raises:
        ValueError: it is not UTF-8, or there is no such home folder.
    """
    try:
        str(path).encode()
        return path.expanduser().absolute()
    except UnicodeEncodeError as error:
        raise ValueError("the path is not UTF-8, and could not be recorded: rename the folder") from error
    except RuntimeError as error:
        raise ValueError(f"there is no such home folder ({error})") from error


def refusal_of(path: Path) -> str | None:
    """Why a folder cannot hold a storage or a Dagster instance, by its path; None where it can.

    SQLAlchemy and DuckDB take these characters for other things than letters of a path, and would write somewhere else.
    """
    found = [letter for letter in "?#%*[\\" if letter in str(path) and letter != os.sep]
    if found:
        return f"the path has {' '.join(found)} in it, which the databases in it cannot take: use another folder"
    return (
        None if str(path).isprintable() else "the path has characters in it that cannot be printed: use another folder"
    )


def open_root(location: str | Path) -> StoragePath:
    """The root at a location: a local path, or a URL such as ``s3://bucket/prefix``. Nothing is read or made.

    Raises:
        UserError: the URL carries credentials, its protocol is not known, or the library for it is not installed.
    """
    text = str(location)
    if not is_remote(text):
        return Path(text.removeprefix("file://"))
    protocol = text.partition("://")[0]
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query:
        raise UserError(
            f"The storage location {protocol}://... carries credentials or a query, and it is recorded with the results: "
            "leave them out, and give them to the object store's library (for S3 in AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or a profile)."
        )
    library = _EXTRAS.get(protocol)
    if library is not None and importlib.util.find_spec(library) is None:
        raise UserError(f"{text} needs {library}: pip install 'fa_assets[s3]'.")
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError:
        raise UserError(
            f"{text}: {protocol!r} is not a protocol that fsspec knows; use a local folder, or e.g. s3://bucket/prefix."
        ) from None
    except ImportError as error:
        raise UserError(f"{text} cannot be opened: {error}") from error
    # A listing must show what other processes have written meanwhile.
    return UPath(text.rstrip("/"), use_listings_cache=False)


@dataclass(frozen=True)
class StoredObject:
    """A file in a folder: its name, its size in bytes, and when it was last changed (seconds since 1970)."""

    name: str
    size_bytes: int
    modified: float


def listing(folder: StoragePath) -> list[StoredObject]:
    """The files in a folder, by name, without hidden ones; empty when there is no such folder."""
    try:
        found = _local_listing(folder) if isinstance(folder, Path) else _remote_listing(folder)
    except FileNotFoundError:
        return []
    return sorted((one for one in found if not one.name.startswith(".")), key=lambda one: one.name)


def file_names(folder: StoragePath) -> list[str]:
    """The names of the files in a folder, sorted, without hidden ones; empty when there is no such folder."""
    if not isinstance(folder, Path):
        return [one.name for one in listing(folder)]
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except FileNotFoundError:
        return []


def subfolders(folder: StoragePath) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones; empty when there is no such folder."""
    try:
        if isinstance(folder, Path):
            return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        details = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    return sorted(_last_part(one["name"]) for one in details if one["type"] == "directory")


def relative_name(path: StoragePath, root: StoragePath) -> str:
    """A path below the root as POSIX text, the same for both kinds of root."""
    return str(path.relative_to(root).as_posix())  # type: ignore[arg-type]


def read_whole(path: StoragePath) -> bytes:
    """The bytes of a file that fits into memory, of an object store in one request.

    Raises:
        OSError: it cannot be read, or is gone.
    """
    # Without a start, s3fs asks for the size first.
    return path.read_bytes() if isinstance(path, Path) else bytes(path.fs.cat_file(path.path, start=0))


def read_range(path: StoragePath, start: int, end: int) -> bytes:
    """The bytes of a file from `start` up to `end`; fewer where it is shorter.

    Raises:
        FileNotFoundError: it is gone.
    """
    if isinstance(path, Path):
        with path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)
    return bytes(path.fs.cat_file(path.path, start=start, end=end))


def open_columns(path: StoragePath) -> pa.NativeFile:
    """A file as Arrow reads it, range by range: an object store is asked for the bytes that are needed and no others."""
    return pa.OSFile(str(path)) if isinstance(path, Path) else pa.PythonFile(path.open("rb", cache_type="none"), "r")


def read_each(folder: StoragePath, read: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``read(item)`` for each item, in order; of an object store, where reading is waiting, many at once."""
    if isinstance(folder, Path):
        yield from map(read, items)
    else:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:
            yield from pool.map(read, items)


def _local_listing(folder: Path) -> list[StoredObject]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                stat = entry.stat()
            except FileNotFoundError:  # gone since
                continue
            if entry.is_file():
                found.append(StoredObject(entry.name, stat.st_size, stat.st_mtime))
    return found


def _remote_listing(folder: UPath) -> list[StoredObject]:
    details = folder.fs.ls(folder.path, detail=True)
    return [
        StoredObject(_last_part(one["name"]), int(one["size"] or 0), _modified_of(one))
        for one in details
        if one["type"] == "file"
    ]


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _modified_of(details: dict[str, object]) -> float:
    for name in _MODIFIED:
        value = details.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return time.time()  # a store that does not say: always new, so nothing is taken for old
