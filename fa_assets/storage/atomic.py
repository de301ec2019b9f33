"""Files that are either whole or not there.

A file is written under a temporary name in the same folder, flushed to disk, and moved into place with `os.replace`;
whoever reads the final name sees the old bytes or the new ones, never a part. What a dead process leaves behind is a
hidden ``.*.tmp`` file that nothing reads.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileDigest:
    """A file's size in bytes and its sha256 (hex)."""

    size_bytes: int
    sha256: str


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success it becomes `path`, on an exception it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest_file(path: Path) -> FileDigest:
    """Size and sha256 of a file's bytes."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FileDigest(size_bytes=file.tell(), sha256=sha256)
