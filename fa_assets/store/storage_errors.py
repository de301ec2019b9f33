"""Errors of storage that cannot be written to or reached, explained to the user.

A full disk shows up as many errors: `OSError` from Python and Arrow, SQLite's from Dagster's own tables. Here they become
one `UserError`; nothing is lost by them, since every file is whole or not there (`storage.atomic`).
"""

import errno
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryFile

from fa_assets.errors import UserError
from fa_assets.store.roots import StoragePath

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_SQLITE_FULL = "database or disk is full"
_SQLITE_READ_ONLY = ("readonly database", "unable to open database file", "disk I/O error")
_SQLITE_DAMAGED = ("malformed", "not a database")
_SQLITE_LOCKED = "database is locked"
_NO_MEMORY = (
    "allocate memory",
    "start new thread",
    "failed to map segment",
    "return without exception",
    "without setting an exception",
)
_REMOTE_LIBRARIES = frozenset({"aiobotocore", "aiohttp", "botocore", "fsspec", "s3fs", "gcsfs", "adlfs"})
_LITTLE = 1_000_000
"""Bytes free on a disk that SQLite calls an I/O error rather than full."""


class StorageError(UserError):
    """The storage is full, cannot be written to, or cannot be reached."""


def as_remote_error(error: BaseException, root: StoragePath) -> StorageError | None:
    """The error, or one of its causes, as a `StorageError` of the object store `root`; None where it is another one, or
    the root is a local folder."""
    if isinstance(root, Path):
        return None
    for one in _chain(error):
        if type(one).__module__.partition(".")[0] in _REMOTE_LIBRARIES or _is_raised_in(one, _REMOTE_LIBRARIES):
            return StorageError(
                f"The object store {root} cannot be used ({type(one).__name__}: {one}): check the bucket, the endpoint and "
                "the credentials in the environment. What was finished is kept."
            )
    return None


def as_storage_error(error: BaseException, root: Path, instance: Path | None = None) -> UserError | None:
    """The error, or one of its causes, as one of the storage folder `root`, or of Dagster's tables in `instance` (the storage
    folder's own, where it is None); None where it is another one."""
    for one in _chain(error):
        number = one.errno if isinstance(one, OSError) else None
        text = str(one) if "sqlite3" in type(one).__module__ else ""
        name, folder, setting = "storage folder", root, "FA_STORAGE"
        if text and instance is not None and not instance.is_relative_to(root):
            name, folder, setting = "Dagster folder", instance, "DAGSTER_HOME"
        if number in _READ_ONLY and not _is_under(one, root):
            continue  # of the dataset's files, say
        if (
            number in _FULL
            or _SQLITE_FULL in text
            or ("disk I/O error" in text and (_free_bytes(folder) or 0) < _LITTLE)
        ):
            return StorageError(
                f"There is no room in the {name} {folder} ({_reason(one)}; {_free(folder)}). What was finished is kept: "
                f"make room, or set {setting} to another folder, and the same command goes on from there."
            )
        if number in _READ_ONLY or any(said in text for said in _SQLITE_READ_ONLY):
            return StorageError(
                f"The {name} {folder} cannot be written to ({_reason(one)}): make it writable, or set {setting} to one that is."
            )
        if any(said in text for said in _SQLITE_DAMAGED):
            return UserError(
                f"Dagster's tables in {instance or root} are damaged ({one}): move that folder away. The history of runs goes "
                "with it; what was materialized is kept, and the same command goes on from there."
            )
        if _SQLITE_LOCKED in text:
            return UserError(
                f"Dagster's tables in {instance or root} are locked by another process ({one}): wait until it is done, or end "
                "it."
            )
    return None


def as_memory_error(error: BaseException) -> UserError | None:
    """The error, or one of its causes, as one of memory that is lacking; None where it is another one."""
    for one in _chain(error):
        lacking = isinstance(one, MemoryError) or getattr(one, "errno", None) == errno.ENOMEM
        if lacking or any(said in str(one) for said in _NO_MEMORY):
            return UserError(
                f"There is not enough memory ({' '.join(str(one).split()) or type(one).__name__}): free some, raise the limit "
                "(`ulimit -v`), or lower FA_BATCH_SIZE. What was finished is kept."
            )
    return None


def require_writable(root: Path, setting: str = "FA_STORAGE") -> None:
    """Make the folder `root`, which `setting` names, where it is missing, and write to it once, before any work is done for it.

    Raises:
        StorageError: it is full, cannot be written to, or is not a folder.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=root, buffering=0) as trial:
            trial.write(bytes(4096))
    except OSError as error:
        if explained := as_storage_error(error, root) if setting == "FA_STORAGE" else None:
            raise explained from error
        raise StorageError(
            f"{setting}={root} cannot be used ({_reason(error)}): set it to a folder that can be written."
        ) from error


def require_there(root: StoragePath) -> None:
    """Refuse a storage folder that is not there, for a question, which makes none; an object store is not asked.

    Raises:
        UserError: there is no such folder.
    """
    if isinstance(root, Path) and not root.is_dir():
        raise UserError(
            f"There is no storage folder {root}: nothing has been materialized there. `fa-assets run` makes it; FA_STORAGE "
            "names another."
        )


def require_reachable(root: StoragePath) -> None:
    """Write to an object store once, before any work is done for it; of a local folder nothing is asked.

    Raises:
        StorageError: it cannot be reached, or may not be written to.
    """
    if isinstance(root, Path):
        return
    try:
        trial = root / f".trial-{uuid.uuid4().hex}"
        trial.write_bytes(b"")
        trial.unlink()
    except NotImplementedError as error:  # as of https://
        raise StorageError(
            f"{root} cannot be written to: give a folder, or an object store such as s3://BUCKET."
        ) from error
    except Exception as error:  # each protocol has errors of its own
        raise as_remote_error(error, root) or error from error


def _is_raised_in(error: BaseException, libraries: Collection[str]) -> bool:
    """Whether an error went through one of these libraries."""
    traceback = error.__traceback__
    while traceback is not None:
        if str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in libraries:
            return True
        traceback = traceback.tb_next
    return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_under(error: BaseException, root: Path) -> bool:
    name = getattr(error, "filename", None)
    return name is None or Path(os.fsdecode(name)).is_relative_to(root)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return str(error)


def _free(root: Path) -> str:
    free = _free_bytes(root)
    return "its free space is unknown" if free is None else f"{free / 1e6:,.1f} MB are free"


def _free_bytes(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None
