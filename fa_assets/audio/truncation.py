"""Whether a file holds what its container says: no less, as one that was cut short, and no more.

libsndfile takes a header's word or guesses, and decodes what lies there without an error; so the container is read here.
A file is called truncated only when its container says so: sizes that writers leave open (streams: a value next to 2^31 or
2^32, or beyond every file), missing pad bytes, chunks and tags after the audio are all legitimate.

FLAC needs no look at the container: its decoder loses sync, and gives fewer frames than promised.
"""

import math
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fa_assets.audio.stated import seven_bits
from fa_assets.errors import BadClipError

_OPEN_SIZE_MARGIN = 4096
_OPEN_SIZES = (2**31, 2**32, 0x7F000000)
"""Streaming writers put 2^32 - 1 (ffmpeg), 0x7FFFF000, 0x7F000008 (SoX) or 2^31 (arecord), some of them less their headers."""
_OPEN_SIZE = 1 << 60
_SOUNDS = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"riff", b"caff", b"data", b"SSND", b"fLaC", b"OggS", b"wvpk", b"TTA1")
"""Names of chunks that are sound, or begin another file."""
_IFF, _IFF_LITTLE, _CAF, _W64 = ">4sI", "<4sI", ">4sq", "<4s12xQ"
"""How chunks begin: name and size."""
_PADDED_TO = {_IFF: 2, _IFF_LITTLE: 2, _CAF: 1, _W64: 8}
_LAST = 0x04
_FIRST = 0x02
_UNPLACED = b"\xff" * 8


@dataclass(frozen=True)
class Extent:
    """Bytes of audio that a header promises, bytes from where they begin to the file's end, and how many of them lie beyond
    the promise though they are neither chunks, nor tags, nor zeros; and whether it is a WAV file."""

    promised: int
    held: int
    beyond: int
    is_wav: bool


def find_extent(file: BinaryIO) -> Extent | None:
    """What WAV (RIFF, RIFX, RF64, BW64), AVI, W64, AIFF, AIFF-C, AU, CAF and NIST SPHERE files promise and hold.

    Returns:
        None when the header leaves the size open, and for any other container.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"AVI ":  # more parts may follow, and streams state no size
        promised = int.from_bytes(head[4:8], "little") + 8
        return Extent(promised, size, 0, False) if size < promised < 2**31 - _OPEN_SIZE_MARGIN else None
    file.seek(0)
    found = _audio_chunk(file)
    if found is None:
        return None
    promised, start, chunks = found
    if not 0 <= promised < _OPEN_SIZE or any(abs(promised - limit) <= _OPEN_SIZE_MARGIN for limit in _OPEN_SIZES):
        return None
    held = max(size - start, 0)
    if held <= promised:
        return Extent(promised, held, 0, chunks == _IFF_LITTLE)
    padded = -(-promised // _PADDED_TO.get(chunks, 1)) * _PADDED_TO.get(chunks, 1)
    left = min(beyond(file, start + at, size, chunks) for at in (promised, padded))
    return Extent(promised, held, left, chunks == _IFF_LITTLE)


@dataclass(frozen=True)
class OggPages:
    """What the pages of an Ogg file say (RFC 3533, section 6): at which byte a stream follows another one (chained); whether
    the last page says where in time it ends, and holds sound; how many streams lie side by side."""

    chained_at: int | None
    placed: bool
    ends_in_sound: bool
    streams: int


def ogg_pages(file: BinaryIO) -> OggPages:
    """Read all pages of an Ogg file.

    Raises:
        BadClipError: it stops inside a page or before one that is marked as the last, a page is missing or its checksum is
            wrong, or another file follows.
    """
    flags, granule, body, streams, sound_began = _LAST, b"", b"", 0, False
    chained_at: int | None = None
    damaged: int | None = None
    numbers: dict[bytes, int] = {}
    following = 0
    while (at := _next_page(file, following)) is not None:
        header = file.read(27)
        segments = file.read(header[26]) if len(header) == 27 else b""
        body = file.read(sum(segments))
        if len(header) < 27 or len(segments) < header[26] or len(body) < sum(segments):
            flags = 0
            break
        flags, granule, serial = header[5], header[6:14], header[14:18]
        number, checksum = struct.unpack("<II", header[18:26])
        is_next = flags & _FIRST or (at == following and (serial not in numbers or number == numbers[serial] + 1))
        if damaged is None and not (is_next and _ogg_checksum(header, segments + body) == checksum):
            damaged = at
        if flags & _FIRST:
            numbers.pop(serial, None)
            streams += not sound_began
            chained_at = at if sound_began and chained_at is None else chained_at
        elif granule.strip(b"\0"):  # from a page of headers to the sound recorders of streams jump
            numbers[serial] = number
        sound_began |= not flags & _FIRST
        following = at + 27 + len(segments) + len(body)
    if not flags & _LAST:
        raise BadClipError("truncated: the Ogg stream stops before its last page")
    if damaged is not None:
        raise BadClipError(f"truncated or damaged: a page is missing or broken at byte {damaged}")
    check_alone(file, following)
    return OggPages(chained_at, granule != _UNPLACED, bool(body), streams)


def _next_page(file: BinaryIO, at: int) -> int | None:
    """Where the first page begins from here on; the file stands there."""
    kept = b""
    file.seek(at)
    while block := file.read(1 << 16 if kept else 4):
        if (found := (kept + block).find(b"OggS")) >= 0:
            file.seek(at := at - len(kept) + found)
            return at
        at += len(block)
        kept = (kept + block)[-3:]
    return None


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_checksum(header: bytes, rest: bytes) -> int:
    """Of a page: the CRC of zlib's polynomial, with the bits the other way round, from 0 on, its own place being 0."""
    page = header[:22] + bytes(4) + header[26:] + rest
    return int(f"{zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def check_mp4(file: BinaryIO) -> None:
    """Refuse an MP4 file that ends inside a part that is needed, or in which another one begins, which decoders leave out.

    Raises:
        BadClipError: with the byte at which that part, or the other file, begins.
    """
    end, at, begun = os.fstat(file.fileno()).st_size, 0, False
    while at + 8 <= end:
        file.seek(at)
        head = file.read(16)
        size, name = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        if name == b"ftyp" and begun:
            raise BadClipError(several_files(at))
        begun |= name in (b"ftyp", b"mdat", b"moov", b"moof")
        if size < 8:  # 0: to the end
            return
        if name in (b"mdat", b"moov", b"moof") and at + size > end:
            raise BadClipError(f"truncated: a part that begins at byte {at} reaches beyond the end of the file")
        at += size


def _audio_chunk(file: BinaryIO) -> tuple[int, int, str] | None:
    """Promised size in bytes of the audio, where in the file it starts, and the layout of the chunks beside it ("": none)."""
    magic = file.read(4)
    if magic in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        layout, long_size = (_IFF if magic == b"RIFX" else _IFF_LITTLE), None
        file.seek(12)
        for name, size, start in _chunks(file, layout):
            if name == b"ds64" and len(sizes := file.read(16)) == 16:
                long_size = struct.unpack("<8xQ", sizes)[0]
            elif name == b"data":
                return (long_size if long_size is not None and size == 2**32 - 1 else size), start, layout
    elif magic == b"FORM":
        file.seek(12)
        for name, size, start in _chunks(file, _IFF):
            if name == b"SSND" and len(head := file.read(4)) == 4:
                skipped = 8 + struct.unpack(">I", head)[0]
                return size - skipped, start + skipped, _IFF
    elif magic in (b"caff", b"riff"):  # `riff` begins the first of the long names of W64
        layout = _CAF if magic == b"caff" else _W64
        file.seek(8 if magic == b"caff" else 40)
        for name, size, start in _chunks(file, layout):
            if name == b"data":
                return size, start, layout
    elif magic == b"NIST" and (begins := re.match(rb"_1A\n *(\d+)\n", head := file.read(1024))):
        if b"shorten" in head:
            raise BadClipError("NIST SPHERE whose sound is compressed: `sph2pipe -f wav FILE NEW.wav` takes it out")
        stated = dict(re.findall(rb"(\w+) -(?:i|s\d+) (\d+)", head))
        names = (b"sample_count", b"channel_count", b"sample_n_bytes")
        return math.prod(int(stated.get(name, b"0")) for name in names) or -1, int(begins[1]), ""
    elif magic in (b".snd", b"dns.") and len(head := file.read(8)) == 8:
        start, size = struct.unpack(">II" if magic == b".snd" else "<II", head)
        return size, start, ""
    return None


def _chunks(file: BinaryIO, layout: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, size in bytes and start of each chunk from here on."""
    length = struct.calcsize(layout)
    end = os.fstat(file.fileno()).st_size
    while len(head := file.read(length)) == length:
        name, size = struct.unpack(layout, head)
        size -= length if layout == _W64 else 0  # which counts the header
        start = file.tell()
        yield name, size, start
        if not 0 <= size <= end - start:
            return
        file.seek(start + -(-size // _PADDED_TO[layout]) * _PADDED_TO[layout])


def beyond(file: BinaryIO, at: int, end: int, layout: str) -> int:
    """Bytes from here to the file's end that are neither chunks of this layout ("": none), nor tags, nor zeros."""
    file.seek(at)
    for name, size, start in _chunks(file, layout) if layout else ():
        if not re.fullmatch(rb"[\w ()]{4}", name) or name in _SOUNDS:
            break
        if not 0 <= size <= end - start:  # it was cut
            return 0
        at = start + size
    begin = after_tags(file, at)
    rest = after_tags(file, _not_zero(file, begin, end))
    return end - begin if _not_zero(file, rest, end) < end and end - begin > 1 else 0


def after_tags(file: BinaryIO, at: int) -> int:
    """Where tags end that begin here: ID3v1 and v2, APE, Lyrics3."""
    while True:
        file.seek(at)
        head = file.read(32)
        if head.startswith(b"ID3") and len(head) > 9:
            at += 10 + seven_bits(head[6:10])
        elif head.startswith(b"APETAGEX") and len(head) == 32:
            size, flags = struct.unpack("<I4xI", head[12:24])
            at += 32 + size * (flags >> 29 & 1)  # 1: the header; 0: the footer, which a tag without header ends with
        elif head.startswith(b"TAG"):
            at += 128
        elif head.startswith(b"LYRICSBEGIN"):
            found = re.search(rb"LYRICS(200|END)", head + file.read(1 << 16))
            at += found.end() if found else len(head)
        else:
            return at


_FEW_ZEROS = 1024
_LOST = "padding, or sound that a copy or download lost: fetch it again; if it is padding,"


def check_zeros(file: BinaryIO, end: int, unit: int = 1) -> None:
    """Refuse a file with many zeros before its sound, or behind it, which ends at byte `end` or later (a multiple of `unit`).

    Raises:
        BadClipError: where they are, and the command that takes them off.
    """
    size, start = os.fstat(file.fileno()).st_size, after_tags(file, 0)
    before = zeros_end(file, start)
    if before - start >= _FEW_ZEROS and before < size:
        raise BadClipError(
            f"{before - start} bytes of zeros stand before the sound: {_LOST} `tail -c +{before + 1} FILE > NEW` takes it off"
        )
    file.seek(end)
    for block in iter(lambda: file.read(1 << 20), b""):
        if held := len(block.rstrip(b"\0")):
            end = file.tell() - len(block) + held
    end = -(-end // unit) * unit
    if size - end >= _FEW_ZEROS:
        raise BadClipError(
            f"{size - end} bytes of zeros stand behind the sound: {_LOST} `head -c {end} FILE > NEW` takes it off"
        )


_BEGINS_WITH_ZEROS = re.compile(rb"\0\0\0.ftyp|\0\0\x01\xba", re.DOTALL)


def zeros_end(file: BinaryIO, at: int) -> int:
    """Where the zeros end that begin here, less those that a file of MP4 or MPEG begins with."""
    first = _not_zero(file, at, os.fstat(file.fileno()).st_size)
    file.seek(before := max(first - 3, at))
    found = _BEGINS_WITH_ZEROS.search(file.read(11))
    return before + found.start() if found and first > at else first


def _not_zero(file: BinaryIO, at: int, end: int) -> int:
    """Where the first byte from here on is that is not zero, or the end."""
    file.seek(at)
    for block in iter(lambda: file.read(1 << 20), b""):
        if rest := block.lstrip(b"\0"):
            return file.tell() - len(rest)
    return end


_OTHER_SOUND = re.compile(
    rb"RI(?:FF|FX)....WAVE|RF64....WAVE|FORM....AIF[FC]|fLaC\0\0\0\x22|OggS\0\x02\0{8}|caff\0\x01\0\0|TTA1[\x01-\x03]\0"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11|FLV\x01[\x01\x04\x05]\0\0\0|Creative Voice File\x1a"
    rb"|wvpk....[\x02-\x10]\x04.{6}\0{4}(?!\0{4})|(?:Xing|Info)\0\0\0[\x01-\x0f]|\0\0\0.ftyp[\w ]{4}",
    re.DOTALL,
)
"""How files of sound begin, in as many bytes as do not come about by chance."""


def sound_begins(file: BinaryIO) -> int:
    """The byte at which one begins within the first few, 0 where none does."""
    file.seek(0)
    found = _OTHER_SOUND.search(file.read(4096))
    return found.start() if found else 0


def several_files(at: int) -> str:
    """What is said of a file in which another one begins."""
    return f"several files in one: `head -c {at} FILE` is the first of them"


def check_alone(file: BinaryIO, at: int) -> None:
    """Refuse a file where another one of sound begins behind the end of its own, `at` (0: unknown), which no reader reads.

    Raises:
        BadClipError: with the byte at which it begins.
    """
    kept = b""
    file.seek(at)
    while block := at and file.read(1 << 20):
        if found := _OTHER_SOUND.search(kept + block):
            raise BadClipError(several_files(at - len(kept) + found.start()))
        at += len(block)
        kept = (kept + block)[-24:]
