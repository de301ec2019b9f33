"""Files that are either whole or not there.

Below a local root a file is written in a hidden folder ``.*.tmp`` beside its place, flushed to disk, and moved into place with
`os.replace`; below an object store's root it is written on this machine and put, and an object appears whole. A reader of
the final name sees the old bytes or the new ones, never a part.

A hidden folder is locked for as long as the process that made it lives, however that ends; so what dead processes left
behind can be told from what others are writing, and goes at the next start (`remove_abandoned`).
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fa_assets.store.roots import StoragePath

_ON_ITS_WAY = ".fa_assets"
"""How the names of folders begin that are made in the machine's folder of temporary files."""
_OURS = re.compile(r"\..*\.[0-9a-f]{32}\.tmp")
"""What is written below a name of its own, or none yet, this version's and those before; no hidden file of others."""


@dataclass(frozen=True)
class FileDigest:
    """A file's size in bytes and its sha256 (hex)."""

    size_bytes: int
    sha256: str


@dataclass
class Draft:
    """A file being written: the temporary local path to write to, and the name that it gets."""

    path: Path
    name: str


@contextmanager
def replacing(path: StoragePath) -> Iterator[Path]:
    """Give a temporary local path to write to; on success its file becomes `path`, on an exception it is removed."""
    with drafting(path.parent, path.name) as draft:
        yield draft.path


@contextmanager
def drafting(folder: StoragePath, name: str = "") -> Iterator[Draft]:
    """As `replacing`, for a file whose name may be set once it is written, after its content."""
    if isinstance(folder, Path):
        with temporary_folder(folder, f".{name}") as own:
            draft = Draft(own / "draft", name)
            yield draft
            with draft.path.open("rb") as written:
                os.fsync(written.fileno())
            draft.path.replace(folder / draft.name)
    else:
        with temporary_folder() as own:
            draft = Draft(own / "draft", name)
            yield draft
            folder.fs.put_file(str(draft.path), (folder / draft.name).path)


def write_file(path: StoragePath, write: Callable[[Path], object]) -> FileDigest:
    """`replacing` with what ``write(temporary)`` writes; its digest, whatever another process puts there meanwhile."""
    with replacing(path) as temporary:
        write(temporary)
        return digest_file(temporary)


def bring(root: StoragePath, name: str, folder: Path) -> None:
    """Copy the file of this name (relative to the root), as it is now and if it is there, below `folder`, for a library that
    reads files of this machine alone; below a local root it is one."""
    if not isinstance(root, Path):
        with contextlib.suppress(FileNotFoundError):
            content = (root / name).read_bytes()
            write_file(folder / name, lambda temporary: temporary.write_bytes(content))


@contextmanager
def temporary_folder(place: Path | None = None, name: str = _ON_ITS_WAY) -> Iterator[Path]:
    """A new folder in `place`, which is made where it is missing; it goes when the context ends, with what is in it.

    Args:
        place: by default the machine's folder of temporary files.
        name: how its name begins, with a dot.
    """
    place = place or Path(tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        own = place / f"{name}.{uuid.uuid4().hex}.tmp"
        stack.callback(shutil.rmtree, own, ignore_errors=True)
        while not own.exists():  # a `remove_abandoned` may take it before it is locked
            own.mkdir()
            with contextlib.suppress(FileNotFoundError):
                stack.enter_context(_locked(own))
        yield own


def remove_abandoned(root: StoragePath, *, deep: bool = False) -> None:
    """Remove what dead processes were writing in a local folder (or anywhere below), and on its way to an object store."""
    found = list(Path(tempfile.gettempdir()).glob(f"{_ON_ITS_WAY}.*.tmp"))
    if isinstance(root, Path):
        for folder, folders, files in os.walk(root):  # which passes over what vanishes meanwhile
            names = [name for name in (*folders, *files) if _OURS.fullmatch(name)]
            found += [Path(folder, name) for name in names]
            folders[:] = [name for name in folders if deep and name not in names]
    for path in found:
        with contextlib.suppress(OSError), _locked(path, fcntl.LOCK_NB):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _locked(path: Path, how: int = 0) -> Iterator[None]:
    """Hold the lock of a folder or file; a process that ends lets go of it.

    Raises:
        OSError: it is not there; or, with LOCK_NB, another process holds it, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(*([] if how else [OSError])):
            fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(descriptor)


def digest_file(path: StoragePath) -> FileDigest:
    """Size and sha256 of a file's bytes."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        return FileDigest(size_bytes=file.tell(), sha256=sha256)
