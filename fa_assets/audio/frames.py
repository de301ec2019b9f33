"""Frames of sound: the heads of those of formats without a header (is it one, and how long?), the samples of decoded ones."""

from collections.abc import Set

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane
from av.audio.stream import AudioStream
from av.packet import Packet

from fa_assets.errors import BadClipError

_KBITS = {
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of MPEG audio in kbit/s, by version (3: MPEG-1, 2: MPEG-2 and 2.5) and layer (1: III, 2: II)."""
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def mpeg_frame_bytes(head: bytes) -> int | None:
    """How long the frame of MPEG audio is that begins so (ISO 11172-3, 2.4.2.3), 0 where that cannot be told.

    Returns:
        None where no frame begins so: no mark, or a layer, bit rate or rate that there is not.
    """
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if layer == 0 or bits == 15 or rate == 3:
        return None
    kbits = _KBITS[(3, layer) if version == 3 and layer < 3 else (2, 1)][bits]
    if not kbits or layer == 3:
        return 0
    hz = (44_100, 48_000, 32_000)[rate] // {3: 1, 2: 2}.get(version, 4)
    return (144 if version == 3 or layer == 2 else 72) * kbits * 1000 // hz + (head[2] >> 1 & 1)


def ac3_frame_bytes(head: bytes) -> int:
    """How long the frame of AC-3 or E-AC-3 is that begins so (ETSI TS 102 366, 4.4.1.4 and E.1.3.1.3), 0 where none does."""
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return 0
    if head[5] >> 3 > 10:  # E-AC-3
        return 2 * ((head[2] & 7) << 8 | head[3]) + 2
    rate, code = head[4] >> 6, head[4] & 63
    if rate == 3 or code // 2 >= len(_AC3_KBITS):
        return 0
    kbits = _AC3_KBITS[code // 2]
    return (4 * kbits, 2 * (kbits * 96_000 // 44_100 + code % 2), 6 * kbits)[rate]


def is_frame(content: bytes, formats: Set[str]) -> bool:
    """Whether this may be a frame of such a file: of AMR (RFC 4867, section 5.3) a mode that there is, unused bits 0, and some
    sound; of GSM (RFC 3551, section 4.5.8.1) its mark."""
    if not formats & {"amr", "gsm"}:
        return True
    first, *rest = content
    if "gsm" in formats:
        return first >> 4 == 13
    return not first & 0x83 and first >> 3 not in range(10, 14) and (first != 0 or any(rest))


def hides_a_frame(packet: "Packet[AudioStream]") -> bool:
    """Whether a packet of a FLAC file is a frame with something behind it, which FFmpeg leaves out."""
    return bool(packet.size) and not packet.duration


def shape(frame: AudioFrame) -> tuple[int, int]:
    """A frame's rate in Hz and its channels."""
    return frame.sample_rate, frame.layout.nb_channels


_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


def samples(frame: AudioFrame) -> np.ndarray:
    """A frame's samples, (frames, channels) float32, full scale being 1."""
    dtype, channels = _DTYPES.get(frame.format.packed.name), frame.layout.nb_channels
    if dtype is None:
        raise BadClipError(f"samples of a kind that is not read ({frame.format.name}): export it again, as WAV")
    # Not `to_ndarray`, which looks for planes until it meets an address of 0: of 8 channels and more it ends the process.
    planes = [memoryview(AudioPlane(frame, index)) for index in range(channels if frame.format.is_planar else 1)]
    count = frame.samples * channels // len(planes)
    values = np.stack([np.frombuffer(plane, dtype, count) for plane in planes], axis=-1).reshape(-1, channels)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.dtype.kind == "u":
        values = values.astype(np.int16) - 128
        return values.astype(np.float32) / 128
    return (values / 2.0 ** (8 * values.itemsize - 1)).astype(np.float32)
