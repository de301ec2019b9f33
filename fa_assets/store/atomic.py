"""Files that are either whole or not there.

Below a local root a file is written under a temporary name in the same folder, flushed to disk, and moved into place with
`os.replace`; below an object store's root it is written to a local temporary file and put, and an object appears whole.
Whoever reads the final name sees the old bytes or the new ones, never a part. What a dead process leaves behind is a
hidden ``.*.tmp`` file that nothing reads.
"""

import contextlib
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fa_assets.store.roots import StoragePath


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
        folder.mkdir(parents=True, exist_ok=True)
        draft = Draft(folder / f".{name}.{uuid.uuid4().hex}.tmp", name)
        try:
            yield draft
            with draft.path.open("rb") as written:
                os.fsync(written.fileno())
            draft.path.replace(folder / draft.name)
        finally:
            draft.path.unlink(missing_ok=True)
    else:
        with tempfile.TemporaryDirectory(prefix="fa_assets-") as own:
            draft = Draft(Path(own) / "object", name)
            yield draft
            folder.fs.put_file(str(draft.path), (folder / draft.name).path)


def write_file(path: StoragePath, write: Callable[[Path], object]) -> FileDigest:
    """`replacing` with what ``write(temporary)`` writes; its digest, whatever another process puts there meanwhile."""
    with replacing(path) as temporary:
        write(temporary)
        return digest_file(temporary)


def remove_abandoned(folder: StoragePath, age_s: float) -> None:
    """Remove temporary files that a process left behind when it was killed, more than `age_s` seconds ago."""
    for path in folder.glob(".*.tmp") if isinstance(folder, Path) else ():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > age_s:
                path.unlink()


def digest_file(path: StoragePath) -> FileDigest:
    """Size and sha256 of a file's bytes."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        return FileDigest(size_bytes=file.tell(), sha256=sha256)
