"""How much sound an AVI file states, and whether it is whole, told by its chunks (Microsoft's AVI RIFF File Reference).

FFmpeg goes on at the next chunk that it can read, and drops the sound between; so they are read here.
"""

import os
import re
import struct
from typing import BinaryIO

from fa_assets.audio.truncation import beyond
from fa_assets.errors import BadClipError

_OPEN = 1 << 30


def avi_chunks(file: BinaryIO, stated: int) -> int | None:
    """How many chunks of sound a file that states so many has, less those that are empty (a delay).

    Returns:
        None where the writer, to a pipe, left it open.

    Raises:
        BadClipError: something is between the chunks, with the byte at which it begins.
    """
    at, empty, end = 12, 0, os.fstat(file.fileno()).st_size
    while at + 8 <= end:
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8))
        if not re.fullmatch(rb"[\w ]{4}", name):
            if beyond(file, at, end, ""):
                raise BadClipError(f"truncated or damaged: what begins at byte {at} is not a part of an AVI file")
            break
        empty += not size and re.match(rb"\d\dwb", name) is not None
        at += 12 if name in (b"RIFF", b"LIST") else 8 + size + size % 2
    return None if stated >= _OPEN else stated - empty
