"""Zip archives split over several files by ``zip -s``, with or without zip64, read in place as one.

Such an archive counts its offsets from the start of the file they point into, and Python's `zipfile` refuses more than one
file. So its end, which says where the directory of entries is, is replaced in memory by that of an archive of one file; the
entries' own offsets are then moved by where their file starts. See PKWARE's APPNOTE.TXT, 4.3.14 to 4.3.16 (end records),
4.5.3 (zip64 extra field) and 8.5 (split archives).
"""

import io
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_MARK, _LOCATOR_MARK, _END_64_MARK = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_LONGEST_COMMENT = 0xFFFF
_IN_ZIP64, _IN_ZIP64_LONG = 0xFFFF, 0xFFFFFFFF
_ZIP64_EXTRA = 1


class Joined(io.RawIOBase):
    """Several files read as one, with another end where one was put."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = [file.open("rb") for file in files]
        sizes = [file.stat().st_size for file in files]
        self._starts = [sum(sizes[:number]) for number in range(len(sizes))]
        self._size = self._end_at = sum(sizes)
        self._end = b""
        self._position = 0

    def start_of(self, number: int, what: str) -> int:
        """Where a file begins.

        Raises:
            BadZipFile: there is no such file; `what` lies in it.
        """
        if number >= len(self._starts):
            raise zipfile.BadZipFile(f"{what} lies in file {number + 1}, {len(self._starts)} are here")
        return self._starts[number]

    def replace_end(self, position: int, end: bytes) -> None:
        """From a position on, these bytes are what is read."""
        self._end_at, self._end, self._size = position, end, position + len(end)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._position if size < 0 else min(size, self._size - self._position)
        pieces = []
        while left > 0:
            piece = self._read_within(left)
            if not piece:
                break
            pieces.append(piece)
            self._position += len(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _read_within(self, size: int) -> bytes:
        """Up to so many bytes at the position, of the file it lies in or of the end."""
        if self._position >= self._end_at:
            begin = self._position - self._end_at
            return self._end[begin : begin + size]
        number = max(index for index, start in enumerate(self._starts) if start <= self._position)
        self._files[number].seek(self._position - self._starts[number])
        return self._files[number].read(min(size, self._end_at - self._position))

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def end_as_one_file(joined: Joined) -> None:
    """Give a split archive the end of an archive of one file.

    Raises:
        BadZipFile: there is no end record, a file is missing, or they do not follow each other.
    """
    size = joined.seek(0, io.SEEK_END)
    joined.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail_at, tail = joined.tell(), joined.read()
    at = tail.rfind(_END_MARK)
    while at >= 0 and (len(tail) < at + _END.size or at + _END.size + _END.unpack_from(tail, at)[7] != len(tail)):
        at = tail.rfind(_END_MARK, 0, at)
    if at < 0:
        raise zipfile.BadZipFile("no end of a directory of entries")
    _, _, file, _, entries, length, offset, _ = _END.unpack_from(tail, at)
    ends_at = tail_at + at
    locator = tail[at - _LOCATOR.size : at] if at >= _LOCATOR.size else b""
    if locator.startswith(_LOCATOR_MARK):
        _, file_64, offset_64, _ = _LOCATOR.unpack(locator)
        ends_at = joined.start_of(file_64, "its zip64 record") + offset_64
        joined.seek(ends_at)
        record = joined.read(_END_64.size)
        if len(record) < _END_64.size or not record.startswith(_END_64_MARK):
            raise zipfile.BadZipFile("no zip64 record where it should be: its files do not follow each other")
        *_, file, _, entries, length, offset = _END_64.unpack(record)
    start = joined.start_of(file, "its directory of entries") + offset
    if start + length != ends_at:
        raise zipfile.BadZipFile("its files do not follow each other")
    end_64 = _END_64.pack(_END_64_MARK, _END_64.size - 12, 45, 45, 0, 0, entries, entries, length, start)
    plain = (_IN_ZIP64, _IN_ZIP64, _IN_ZIP64_LONG, _IN_ZIP64_LONG)
    joined.replace_end(
        ends_at,
        end_64 + _LOCATOR.pack(_LOCATOR_MARK, 0, ends_at, 1) + _END.pack(_END_MARK, 0, 0, *plain, 0),
    )


def file_of(entry: zipfile.ZipInfo) -> int:
    """The number of the file that an entry begins in, from 0.

    Raises:
        BadZipFile: it is said to be in the zip64 extra field and is not there.
    """
    if entry.volume != _IN_ZIP64:
        return entry.volume
    extra = entry.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == _ZIP64_EXTRA and length >= 4 and len(extra) >= 4 + length:
            return int(struct.unpack_from("<L", extra, length)[0])  # the last of the field's numbers
        extra = extra[4 + length :]
    raise zipfile.BadZipFile(f"{entry.filename} lies in a file that is not named")
