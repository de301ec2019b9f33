"""Whether an audio file was cut short, read from its container.

libsndfile clamps a header that promises more than the file holds, and decodes what is left without an error; so the
promise is read here. A file is called truncated only when its container says so: sizes that writers leave open
(streams: 0, or a value next to 2^31 or 2^32), missing pad bytes and chunks after the audio are all legitimate.

FLAC and MP3 need no look at the container: a FLAC decoder loses sync, and both give fewer frames than promised.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_OPEN_SIZE_MARGIN = 4096
"""Streaming writers put 2^32 - 1 (ffmpeg), 0x7FFFF000 (SoX) or 2^31 (arecord), some of them less their headers."""


@dataclass(frozen=True)
class Shortfall:
    """Bytes of audio that a header promises, and bytes that the file holds: always fewer."""

    promised: int
    held: int


def find_shortfall(file: BinaryIO) -> Shortfall | None:
    """Compare what the header promises with the file's size: WAV (RIFF, RIFX, RF64), W64, AIFF, AIFF-C, AU and CAF.

    Returns:
        None when the file holds what is promised, when it promises nothing, and for any other container.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    found = _audio_chunk(file)
    if found is None:
        return None
    promised, start = found
    if promised <= 0 or any(abs(promised - limit) <= _OPEN_SIZE_MARGIN for limit in (2**31, 2**32)):
        return None
    held = max(size - start, 0)
    return Shortfall(promised, held) if held < promised else None


def ogg_lacks_its_end(file: BinaryIO) -> bool:
    """Whether an Ogg file stops inside a page, or its last page is not marked as the last (RFC 3533, section 6)."""
    size = os.fstat(file.fileno()).st_size
    last_page_flags = 0x04
    file.seek(0)
    while len(header := file.read(27)) == 27 and header.startswith(b"OggS"):
        last_page_flags = header[5]
        segments = file.read(header[26])
        if len(segments) < header[26]:
            return True
        file.seek(sum(segments), 1)
    if header.startswith(b"OggS") or file.tell() > size:
        return True
    return not last_page_flags & 0x04


def mp3_states_its_length(file: BinaryIO) -> bool:
    """Whether an MP3 file begins with a Xing or Info frame; without one a decoder can only guess the length."""
    file.seek(0)
    head = file.read(10)
    if head.startswith(b"ID3") and len(head) == 10:
        sizes = head[6:10]  # ID3v2: four bytes of seven bits
        file.seek((sizes[0] << 21) + (sizes[1] << 14) + (sizes[2] << 7) + sizes[3], 1)
        head = b""
    head += file.read(64)
    return b"Xing" in head or b"Info" in head


def _audio_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Promised size in bytes of the audio, and where in the file it starts."""
    magic = file.read(4)
    if magic in (b"RIFF", b"RIFX", b"RF64"):
        file.seek(12)
        long_size = None
        for name, size, start in _chunks(file, ">4sI" if magic == b"RIFX" else "<4sI"):
            if name == b"ds64" and len(sizes := file.read(16)) == 16:
                long_size = struct.unpack("<8xQ", sizes)[0]
            elif name == b"data":
                return (long_size if long_size is not None and size == 2**32 - 1 else size), start
    elif magic == b"FORM":
        file.seek(12)
        for name, size, start in _chunks(file, ">4sI"):
            if name == b"SSND" and len(head := file.read(4)) == 4:
                skipped = 8 + struct.unpack(">I", head)[0]
                return size - skipped, start + skipped
    elif magic == b"caff":
        file.seek(8)
        for name, size, start in _chunks(file, ">4sq"):
            if name == b"data":
                return size, start
    elif magic == b".snd" and len(head := file.read(8)) == 8:
        start, size = struct.unpack(">II", head)
        return size, start
    elif magic == b"riff" and len(head := file.read(20)) == 20:
        return struct.unpack("<12xQ", head)[0], 0  # W64 states the size of the whole file
    return None


def _chunks(file: BinaryIO, header: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, size in bytes and start of each chunk from here on; IFF pads chunks to an even size, CAF does not."""
    length = struct.calcsize(header)
    end = os.fstat(file.fileno()).st_size
    while len(head := file.read(length)) == length:
        name, size = struct.unpack(header, head)
        start = file.tell()
        yield name, size, start
        if not 0 <= size <= end - start:
            return
        file.seek(start + size + (size % 2 if header.endswith("I") else 0))
