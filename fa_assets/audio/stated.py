"""How long the sound is, as the headers state it of whose figures the decoders give others, or none."""

import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO


@dataclass(frozen=True)
class XingHeader:
    """What the first frame of an MP3 says of those that follow: their number, 0 where it does not say, and the byte at which
    the sound ends, or its own where it does not say."""

    frames: int
    end: int

    def lacks(self, frames: int, end: int) -> bool:
        """Whether less of both is there; writers are wrong about one of them."""
        return frames < self.frames and end < self.end


def xing_header(file: BinaryIO) -> XingHeader | None:
    """The Xing or Info header of an MP3 file; without one a decoder can only guess the length."""
    file.seek(0)
    head = file.read(10)
    if head.startswith(b"ID3") and len(head) == 10:
        file.seek(seven_bits(head[6:10]), 1)
        head = b""
    start = file.tell() - len(head)
    head += file.read(64)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0:
        return None
    flags, *numbers = struct.unpack(">3I", head[at + 4 : at + 16].ljust(12, b"\0"))
    stated = iter(numbers)
    return XingHeader(next(stated) if flags & 1 else 0, start + (next(stated) if flags & 2 else 0))


_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_IS_LIVE = 1


def asf_seconds(file: BinaryIO) -> Fraction | None:
    """Seconds of sound that the header of an ASF file states, if it does; FFmpeg may guess from the size of the file."""
    file.seek(0)
    head = file.read(1 << 16)
    if (at := head.find(_ASF_PROPERTIES)) < 0 or len(properties := head[at + 64 : at + 92]) < 28:
        return None
    lasts, before_ms, flags = struct.unpack("<Q8xQI", properties)
    return None if flags & _IS_LIVE else Fraction(lasts, 10**7) - Fraction(before_ms, 1000)


def empty_chunks(file: BinaryIO) -> int:
    """How many chunks of sound of an AVI file are empty (a delay); in its index no chunk's name follows."""
    file.seek(0)
    count, kept = 0, b""
    while block := file.read(1 << 20):
        count += len(re.findall(rb"\d\dwb\0{4}(?=\d\d\w\w|idx1|LIST|JUNK|ix\d\d)", kept + block))
        kept = (kept + block)[-11:]
    return count


def seven_bits(size: bytes) -> int:
    """A number of ID3v2: four bytes of seven bits."""
    return (size[0] << 21) + (size[1] << 14) + (size[2] << 7) + size[3]
