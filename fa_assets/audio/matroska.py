"""Whether a Matroska or WebM file is whole, told by its elements (RFC 8794, RFC 9559).

FFmpeg goes on at the next cluster where it cannot read an element, and drops the sound between; so the elements are read here.
"""

import os
from typing import BinaryIO

from fa_assets.audio.truncation import beyond
from fa_assets.errors import BadClipError

MATROSKA = bytes.fromhex("1a45dfa3")
"""How a file begins."""
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_ELEMENTS = frozenset(
    {
        *(_EBML, _SEGMENT, _CLUSTER),
        *(0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367),  # of a segment
        *(0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF),  # of a cluster
        *(0xEC, 0xBF),  # padding and checksums, of any
    }
)


def check_matroska(file: BinaryIO) -> None:
    """Refuse a file with something between its elements, or with an element that reaches beyond the file.

    Raises:
        BadClipError: with the byte at which that begins.
    """
    end = os.fstat(file.fileno()).st_size
    at, segment_end = 0, end
    while at < end:
        file.seek(at)
        head = file.read(12)
        name, name_length, _ = _number(head, keep_marker=True)
        size, size_length, is_open = _number(head[name_length:], keep_marker=False)
        is_group = name in (_SEGMENT, _CLUSTER)
        start = at + name_length + size_length
        after = start if is_group else start + size
        if (at >= segment_end and name != _EBML) or (name not in _ELEMENTS and not beyond(file, at, end, "")):
            return  # tags, or another file
        if name == _SEGMENT:
            segment_end = end if is_open else start + size
        if name not in _ELEMENTS or max(after, segment_end) > end or (is_open and not is_group):
            raise BadClipError(f"truncated or damaged: what begins at byte {at} is not a whole part of a Matroska file")
        at = after


def _number(head: bytes, *, keep_marker: bool) -> tuple[int, int, bool]:
    """A number of variable length, how many bytes it takes, and whether it stands for an unknown size."""
    length = 9 - head[0].bit_length() if head and head[0] else 1
    value = int.from_bytes(head[:length])
    mask = (1 << 7 * length) - 1
    return (value if keep_marker else value & mask), length, value & mask == mask
