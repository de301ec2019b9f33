"""Files that belong to others: those of the dataset folder, and those that a user names. All access to them goes through here.

"Not there" is only what the system says is not there. Whatever else keeps a file from being read (no permission, an I/O
error, a folder, pipe or device in its place, a link to nothing, a name that is not UTF-8, a size beyond the limit) is a
`SourceFileError` with the path and the reason. Nothing is opened that could keep a reader waiting.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fa_assets.errors import BadInputError, UserError


@dataclass(frozen=True)
class Limits:
    """How much is read: bytes of a clip and of a table, files of a dataset, folders one inside the other, bytes of weights,
    unpacked; and whether clips may be links out of the folder of clips, as those of DVC, git-annex and Hugging Face are."""

    clip_bytes: int = 8_000_000_000
    table_bytes: int = 256_000_000
    files: int = 500_000
    depth: int = 64
    weights_bytes: int = 2_000_000_000
    follow_links: bool = True


USUAL_LIMITS = Limits()

_DESCRIPTION_BYTES = 10_000_000
_FETCHED_BY = {
    "annex/objects": "`git annex get` or `datalad get`",
    "dvc/cache": "`dvc pull`",
    "blobs/": "`hf download`",
}
"""By a part of what a link leads to: the command that puts it there."""


class SourceFileError(UserError):
    """A file of others that cannot be read; `reason` is the message without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: {reason}")


def find(path: Path) -> os.stat_result | None:
    """The status of what lies at a path, behind links; None where nothing does.

    Raises:
        SourceFileError: it cannot be told, or a link leads to nothing.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise SourceFileError(path, f"a link to what is not there{_how_to_fetch(path)}") from None
        return None
    except (OSError, ValueError) as error:
        raise SourceFileError(path, _reason(error)) from error


def is_file(path: Path) -> bool:
    """Whether there is a file to read.

    Raises:
        SourceFileError: something else lies there, or it cannot be told.
    """
    found = find(path)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise SourceFileError(path, "not a file")
    return found is not None


def is_folder(path: Path) -> bool:
    """Whether there is a folder; raises as `is_file`."""
    found = find(path)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise SourceFileError(path, "not a folder")
    return found is not None


@contextmanager
def reading(path: Path) -> Iterator[io.FileIO]:
    """A file, open to be read, without a buffer. What the system refuses inside the block is taken for this file's.

    Raises:
        SourceFileError: it is not there, not a file, or cannot be read.
    """
    try:
        find(path)
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceFileError(path, "not a file")
            yield file
    except OSError as error:
        raise SourceFileError(path, _reason(error)) from error


def digest_source(path: Path) -> str:
    """The sha256 (hex) of a file's bytes; raises as `reading`."""
    with reading(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bytes(path: Path, limits: Limits = USUAL_LIMITS) -> bytes:
    """The bytes of a CSV file; raises as `reading`, and where it is too large."""
    return _read_up_to(path, limits.table_bytes, " (FA_MAX_TABLE_MB)")


def read_description(path: Path) -> bytes:
    """The bytes of a file that says what a network is; raises as `read_bytes`."""
    return _read_up_to(path, _DESCRIPTION_BYTES)


def _read_up_to(path: Path, most_bytes: int, setting: str = "") -> bytes:
    with reading(path) as file:
        if os.fstat(file.fileno()).st_size > most_bytes:
            raise SourceFileError(path, f"larger than {most_bytes / 1e6:g} MB, the limit{setting}")
        return file.read()


def files_below(folder: Path, limits: Limits = USUAL_LIMITS) -> dict[str, Path]:
    """The files below a folder by their relative names, sorted; hidden ones are left out.

    Links to folders are followed, but for those that lead into this folder or to one that holds it. What is neither a file
    nor a folder is among them, to be refused by name when it is read.

    Raises:
        BadInputError: names that are not UTF-8, folders that cannot be read or lie too deep; all are named; or too many files.
    """
    found: dict[str, Path] = {}
    offenders: list[str] = []
    base = os.path.realpath(folder)
    waiting = [(base, "", 1)]
    followed: set[str] = set()  # links in linked folders can make endless ways through few of these
    folders = 0
    while waiting:
        folders += 1
        here, prefix, depth = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = prefix + entry.name
                    if not _is_utf8(entry.name):
                        offenders.append(f"{name}: a name that is not UTF-8; rename it")
                    elif not (is_link := entry.is_symlink() and Path(entry.path).is_dir()) and not entry.is_dir(
                        follow_symlinks=False
                    ):
                        found[name] = folder / name
                    elif is_link and not (limits.follow_links and _leads_elsewhere(entry.path, here, base)):
                        continue
                    elif entry.path in followed:
                        offenders.append(f"{name}: a link inside linked folders, which is reached in two ways")
                    elif depth < limits.depth:
                        followed.update([entry.path] if is_link else [])
                        waiting.append((os.path.realpath(entry.path), f"{name}/", depth + 1))
                    else:
                        offenders.append(f"{name}: more than {limits.depth} folders deep, the limit (FA_MAX_DEPTH)")
                    if len(found) + folders + len(waiting) > limits.files + 1:
                        raise BadInputError(
                            f"{folder} holds more than {limits.files:,} files and folders, the limit (FA_MAX_FILES)."
                        )
        except OSError as error:
            offenders.append(f"{prefix or folder}: {_reason(error)}")
    if offenders:
        raise BadInputError(f"{folder} cannot be read as a whole; correct what is named.", offenders)
    return dict(sorted(found.items()))


def _leads_elsewhere(link: str, own: str, base: str) -> bool:
    """Whether a link leads neither into a folder, nor to one that holds it or the link's own."""
    target = Path(os.path.realpath(link))
    return not (target.is_relative_to(base) or any(Path(one).is_relative_to(target) for one in (own, base)))


def _how_to_fetch(link: Path) -> str:
    target = str(link.readlink())
    commands = [f": fetch it with {command}" for part, command in _FETCHED_BY.items() if part in target]
    return f" ({target}){''.join(commands[:1])}"


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for who writes to it


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "not a file"
    if isinstance(error, ValueError):  # a NUL in it, say
        return f"a path that no file can have ({error})"
    return "a circular link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror or error}"
