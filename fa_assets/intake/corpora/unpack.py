"""Untrusted zip archives, unpacked so that nothing is written outside the folder and sizes are bounded.

Every entry is judged before the first byte is written: no absolute or climbing names, none that no file can have, no links or
devices, neither in the archive nor where it is unpacked, no encryption, no two entries for one file, none for a file and a
folder, no entries that overlap (the trick of small bombs), no more bytes than the archive's size allows and the disk has room
for. While writing, the declared sizes and checksums are held to. A file takes its name when it
is whole; an entry whose file is there with its size and checksum is not written again, so a stopped unpacking goes on.

An archive split by ``zip -s`` (.z01, .z02, ..., .zip) is read in place, as one: see `split_archive`.
"""

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from fa_assets.errors import BadInputError
from fa_assets.intake.corpora.split_archive import Joined, end_as_one_file, file_of
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.atomic import temporary_folder

_CHUNK_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30
_LONGEST_NAME, _LONGEST_PATH = 255, 1_000
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class ArchiveError(BadInputError):
    """An archive that is damaged, or holds what is not unpacked."""


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to: `ratio` times its own size but at least `least_bytes`; and how many entries it has."""

    ratio: float = 50.0
    least_bytes: int = 64 << 20
    entries: int = 250_000


USUAL_LIMITS = Limits()


def unpack(
    files: Sequence[Path],
    folder: Path,
    place: Callable[[str], str | None],
    *,
    limits: Limits = USUAL_LIMITS,
    progress: ProgressCallback = no_progress,
) -> int:
    """Unpack an archive.

    Args:
        files: its file, or all files of a split archive in order.
        folder: nothing is written outside it.
        place: where an entry goes, relative to the folder; None leaves it out.
        progress: called with (bytes done, bytes in all).

    Returns:
        How many files it holds that have a place.

    Raises:
        ArchiveError: see the module's text; every offending entry is named, and nothing was written unless the data
            itself is damaged.
    """
    name = files[-1].name
    try:
        with _opened(files) as archive:
            targets = _judge(archive, name, sum(file.stat().st_size for file in files), folder, place, limits)
            total = sum(entry.file_size for entry in targets)
            done = 0
            progress(done, total)
            with temporary_folder(folder, ".unpacked") as own:
                for entry, target in targets.items():
                    if not _is_there(entry, target):
                        _write(archive, entry, own / "file", target)
                    done += entry.file_size
                    progress(done, total)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError) as error:
        way_out = "join it with `zip -s 0` and put the result in its place, or " if len(files) > 1 else ""
        raise ArchiveError(f"{name} is damaged or not a zip archive ({error}): {way_out}fetch it again.") from error
    return len(targets)


def _judge(
    archive: zipfile.ZipFile,
    name: str,
    size: int,
    folder: Path,
    place: Callable[[str], str | None],
    limits: Limits,
) -> dict[zipfile.ZipInfo, Path]:
    """Where each entry goes, after all of them were checked."""
    if len(archive.infolist()) > limits.entries:
        raise ArchiveError(
            f"{name} holds {len(archive.infolist()):,} entries; at most {limits.entries:,} are unpacked."
        )
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    offenders = [f"{entry.filename!r}: {problem}" for entry in entries if (problem := _problem(entry))]
    offenders += [f"{entry.filename!r}: overlaps the next entry" for entry in _overlapping(archive)]
    targets: dict[zipfile.ZipInfo, Path] = {}
    taken: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        where = None if offenders else place(entry.filename)
        if where is None:
            continue
        if where.casefold() in taken:
            offenders.append(f"{entry.filename!r}: a second file for {where}")
        taken.add(where.casefold())
        folders.update(str(one).casefold() for one in PurePosixPath(where).parents)
        targets[entry] = folder / where
        if obstacle := _obstacle(folder, where):
            offenders.append(f"{entry.filename!r}: {obstacle}")
    offenders += [f"{one!r}: a file and a folder of one name" for one in sorted(taken & folders)]
    if offenders:
        raise ArchiveError(f"{name} is not unpacked: it holds unsafe entries.", offenders)
    total = sum(entry.file_size for entry in entries)
    allowed = max(int(limits.ratio * size), limits.least_bytes)
    if total > allowed:
        raise ArchiveError(f"{name} ({size:,} bytes) would grow to {total:,} bytes; at most {allowed:,} are unpacked.")
    folder.mkdir(parents=True, exist_ok=True)
    missing = sum(entry.file_size for entry, target in targets.items() if not target.is_file())
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise ArchiveError(
            f"{name} needs {missing:,} bytes in {folder}, {free:,} are free: make room, or use --to DIR."
        )
    return targets


def _problem(entry: zipfile.ZipInfo) -> str | None:
    """What is wrong with an entry by its header; None where nothing is."""
    posix, windows = PurePosixPath(entry.filename), PureWindowsPath(entry.filename)
    parts = entry.filename.encode().split(b"/")
    if b"." in parts or max(map(len, parts)) > _LONGEST_NAME or len(entry.filename.encode()) > _LONGEST_PATH:
        return "a name that no file can have"
    if posix.is_absolute() or windows.anchor:
        return "an absolute path"
    if ".." in posix.parts or ".." in windows.parts:
        return "leads out of the folder"
    if "\\" in entry.filename or any(ord(letter) < 32 for letter in entry.orig_filename):
        return "a name with a backslash or a control character"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link or a device"
    if entry.flag_bits & 0x1:
        return "encrypted"
    if entry.compress_type not in _METHODS:
        return f"compression method {entry.compress_type}"
    return None


def _obstacle(folder: Path, where: str) -> str | None:
    """What lies in the folder already where a file is to go, and is neither that file nor a folder on the way."""
    for path in (folder / where, *(folder / one for one in PurePosixPath(where).parents)):
        if path == folder:
            return None
        if path.is_symlink():
            return f"{path} is a link"
        if path.exists() and path.is_dir() != (path != folder / where):
            return f"{path} lies in its way"
    return None


def _overlapping(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Entries whose data runs into the next one's."""
    ordered = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    for entry, after in zip(ordered, [*ordered[1:], None], strict=True):
        end = archive.start_dir if after is None else after.header_offset
        if entry.header_offset + _LOCAL_HEADER_BYTES + len(entry.orig_filename) + entry.compress_size > end:
            yield entry


def _is_there(entry: zipfile.ZipInfo, target: Path) -> bool:
    """Whether the file holds what the entry does, by size and checksum."""
    if not target.is_file() or target.stat().st_size != entry.file_size:
        return False
    checksum = 0
    with target.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum == entry.CRC


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, draft: Path, target: Path) -> None:
    """One file, whole or not at all. It is not flushed to disk one by one: what a power cut loses is unpacked again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as source, draft.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            file.write(chunk)
    if written != entry.file_size:
        raise zipfile.BadZipFile(f"{entry.filename}: {written:,} of {entry.file_size:,} bytes")
    draft.replace(target)


@contextmanager
def _opened(files: Sequence[Path]) -> Iterator[zipfile.ZipFile]:
    with ExitStack() as stack:
        if len(files) == 1:
            yield stack.enter_context(zipfile.ZipFile(files[0]))
            return
        joined = stack.enter_context(Joined(files))
        end_as_one_file(joined)
        archive = stack.enter_context(zipfile.ZipFile(joined))
        for entry in archive.infolist():
            entry.header_offset += joined.start_of(file_of(entry), entry.filename)
            if hasattr(entry, "_end_offset"):  # from those offsets; `_overlapping` looks for the same
                entry._end_offset = None
        yield archive
