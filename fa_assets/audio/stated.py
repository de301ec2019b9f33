"""How long the sound is, as the headers state it of whose figures the decoders give others, or none."""

import struct
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class XingHeader:
    """What the first frame of an MP3 says of those that follow: their number, 0 where it does not say, and the byte at which
    the sound ends, or its own where it does not say; and whether it is Fraunhofer's (VBRI), which libmpg123 does not know."""

    frames: int
    end: int
    is_vbri: bool = False

    def lacks(self, frames: int, end: int) -> bool:
        """Whether less of both is there; writers are wrong about one of them."""
        return frames < self.frames and end < self.end


def xing_header(file: BinaryIO) -> XingHeader | None:
    """The Xing, Info or VBRI header of an MP3 file; without one a decoder can only guess the length."""
    file.seek(0)
    head = file.read(10)
    if head.startswith(b"ID3") and len(head) == 10:
        file.seek(seven_bits(head[6:10]), 1)
        head = b""
    start = file.tell() - len(head)
    head += file.read(64)
    if (at := head.find(b"VBRI")) >= 0:
        size, frames = struct.unpack(">II", head[at + 10 : at + 18].ljust(8, b"\0"))
        return XingHeader(frames, start + size, is_vbri=True)
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0:
        return None
    flags, *numbers = struct.unpack(">3I", head[at + 4 : at + 16].ljust(12, b"\0"))
    stated = iter(numbers)
    return XingHeader(next(stated) if flags & 1 else 0, start + (next(stated) if flags & 2 else 0))


def seven_bits(size: bytes) -> int:
    """A number of ID3v2: four bytes of seven bits."""
    return (size[0] << 21) + (size[1] << 14) + (size[2] << 7) + size[3]
