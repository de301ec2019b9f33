"""How long an ASF file (WMA) is, and whether it is whole, told by its packets (Microsoft's ASF specification, 01.20.05).

FFmpeg goes on at the next packet that it can read, and drops the sound between; so their beginnings are read here.
"""

import os
import struct
from fractions import Fraction
from typing import BinaryIO

from fa_assets.audio.truncation import beyond, check_zeros
from fa_assets.errors import BadClipError

ASF = bytes.fromhex("3026b2758e66cf11")
"""How a file begins."""
_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ENDS = (bytes.fromhex("90080033b1e5cf11"), b"$E")  # an index; what FFmpeg writes to a pipe
_IS_LIVE = 1


def _properties(file: BinaryIO) -> tuple[int, int, int, int, int, int] | None:
    """Packets, duration in 100 ns, what of it comes before the sound in ms, flags, and the least and most bytes of a packet."""
    file.seek(0)
    head = file.read(1 << 16)
    at = head.find(_PROPERTIES)
    found = head[at + 56 : at + 100]
    return struct.unpack("<QQ8xQIII", found) if at >= 0 and len(found) == 44 else None


def asf_seconds(file: BinaryIO) -> Fraction | None:
    """Seconds of sound that the header states, if it does; FFmpeg may guess from the size of the file."""
    if (found := _properties(file)) is None or found[3] & _IS_LIVE:
        return None
    return Fraction(found[1], 10**7) - Fraction(found[2], 1000)


def check_asf(file: BinaryIO) -> None:
    """Refuse a file with fewer packets than it states, with a part of one, or with something between them.

    Raises:
        BadClipError: with the byte at which that is.
    """
    found = _properties(file)
    end = os.fstat(file.fileno()).st_size
    file.seek(16)
    file.seek(at := min(int.from_bytes(file.read(8), "little"), end))
    if found is None or found[4] != found[5] or not found[5] or file.read(16) != _DATA:
        return
    packets, size = found[0], found[5]
    at += 50
    if packets and not found[3] & _IS_LIVE:
        if at + packets * size > end:
            raise BadClipError(f"truncated: the header promises {packets} packets, the file holds {(end - at) // size}")
        end = at + packets * size
    file.seek(at)
    mark = file.read(3)
    while at < end:
        file.seek(at)
        head = file.read(size)
        if len(head) < size or (mark[0] & 0x80 and head[:3] != mark):
            break
        at += size
    if at < end and not head.startswith(_ENDS):
        if beyond(file, at, end, ""):
            raise BadClipError(f"truncated or damaged: no whole packet at byte {at}")
        check_zeros(file, at)
