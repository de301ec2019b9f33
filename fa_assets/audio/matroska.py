"""Whether a Matroska or WebM file is whole, told by its elements (RFC 8794, RFC 9559).

FFmpeg goes on at the next cluster where it cannot read an element, and drops the sound between; so the elements are read here.
"""

import io
import os

from fa_assets.audio.truncation import beyond

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_OTHERS = frozenset(
    {
        *(0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367),  # of a segment
        *(0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF),  # of a cluster
        *(0xEC, 0xBF),  # padding and checksums, of any
    }
)


def matroska_breaks_at(file: io.FileIO) -> int | None:
    """The byte at which no element begins that may be there, or one that reaches beyond the file; None where all are whole."""
    end = os.fstat(file.fileno()).st_size
    buffered = io.BufferedReader(file, 1 << 16)
    try:
        at, segment_end = 0, end
        while at < end:
            buffered.seek(at)
            head = buffered.read(12)
            name, name_length, _ = _number(head, keep_marker=True)
            size, size_length, is_open = _number(head[name_length:], keep_marker=False)
            start = at + name_length + size_length
            if at >= segment_end and name != _EBML:
                return None  # what follows a file
            if name == _SEGMENT:
                segment_end = end if is_open else start + size
                if segment_end > end:
                    return start
                at = start
            elif name == _CLUSTER:
                at = start
            elif name in _OTHERS or name == _EBML:
                at = start + size
                if is_open or at > end:
                    return start
            else:
                return at if beyond(file, at, end, "") else None
        return None
    finally:
        buffered.detach()


def _number(head: bytes, *, keep_marker: bool) -> tuple[int, int, bool]:
    """A number of variable length, how many bytes it takes, and whether it stands for an unknown size."""
    length = 9 - head[0].bit_length() if head and head[0] else 1
    value = int.from_bytes(head[:length])
    mask = (1 << 7 * length) - 1
    return (value if keep_marker else value & mask), length, value & mask == mask
