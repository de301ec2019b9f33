"""Mutated audio files. Every case begins as a small valid file that we write ourselves, in one of many containers.

What is done to it: header fields that lie (rates, channels, sizes, frames), flipped bytes, cuts, slices removed, doubled
or taken from another file, tags and chunks in odd places, samples that are not finite, silence that unpacks to hours.
Ogg pages carry checksums, which a decoder drops damaged pages by; half of the Ogg files get theirs put right after the
mutation, so that the damage reaches the decoder behind.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile

from fa_assets_tests.audio.encoded import encode, tone

Rng = np.random.Generator

_TELLING = [0, 1, 2, 3, 7, 8, 16, 24, 32, 127, 128, 255, 256, 999, 1024, 1025, 8_000, 44_100, 65_535, 655_350, 10**6]
_TELLING += [2**15, 2**16, 2**24 - 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**36 - 1, 2**63 - 1, 2**64 - 1]
_FLOATS = [0.0, -1.0, 0.5, 1.0, 1e-300, 1e9, 2.0**31, 1e300, float("inf"), float("nan")]


@dataclass(frozen=True)
class Field:
    """A number in a file's header: where it begins, its size in bytes, its byte order."""

    at: int
    size: int
    order: str = "little"


@dataclass(frozen=True)
class Base:
    """A valid file, its usual suffix, and the fields of its header."""

    name: str
    suffix: str
    content: bytes
    fields: tuple[Field, ...]


def make_sound(seed: int, index: int) -> tuple[str, bytes]:
    """The file name and the bytes of one case."""
    rng = np.random.default_rng([seed, index])
    base = _pick(rng, bases())
    content = bytearray(base.content)
    for _ in range(1 if rng.random() < 0.8 else 2):
        mutation = MUTATIONS[rng.choice(len(MUTATIONS), p=_SHARES)]
        content = mutation(content, base, rng)
    if content.startswith(b"OggS") and rng.random() < 0.5:
        content = bytearray(with_checksums(content))
    suffix = base.suffix if rng.random() < 0.9 else str(_pick(rng, [".wav", ".flac", ".raw", ".mp3", ".txt", ""]))
    return f"{index:06}{suffix}", bytes(content)


@lru_cache(maxsize=1)
def bases() -> tuple[Base, ...]:
    """The valid files that cases begin as."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, (600, 8))

    def written(rate: int, channels: int, **options: str) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, noise[:, :channels], rate, **options)
        content = bytearray(file.getvalue())
        peak = content.find(b"PEAK")
        if peak >= 0:
            content[peak + 12 : peak + 16] = bytes(4)  # the time of writing: the same seed gives the same bytes
        return bytes(content)

    def base(name: str, suffix: str, content: bytes, find: Callable[[bytes], list[Field]]) -> Base:
        return Base(name, suffix, content, tuple(field for field in find(content) if field.at >= 0))

    return (
        base("wav-16", ".wav", written(16_000, 1, format="WAV", subtype="PCM_16"), _wav_fields),
        base("wav-24", ".wav", written(44_100, 2, format="WAV", subtype="PCM_24"), _wav_fields),
        base("wav-float", ".wav", written(32_000, 2, format="WAV", subtype="FLOAT"), _wav_fields),
        base("wav-u8", ".wav", written(8_000, 1, format="WAV", subtype="PCM_U8"), _wav_fields),
        base("wav-adpcm", ".wav", written(22_050, 1, format="WAV", subtype="IMA_ADPCM"), _wav_fields),
        base("wavex", ".wav", written(48_000, 6, format="WAVEX", subtype="PCM_24"), _wav_fields),
        base("rf64", ".wav", written(48_000, 2, format="RF64", subtype="PCM_16"), _wav_fields),
        base("flac", ".flac", written(44_100, 2, format="FLAC", subtype="PCM_16"), _flac_fields),
        base("flac-24", ".flac", written(96_000, 1, format="FLAC", subtype="PCM_24"), _flac_fields),
        base("vorbis", ".ogg", with_checksums(written(44_100, 2, format="OGG", subtype="VORBIS")), _ogg_fields),
        base("opus", ".ogg", with_checksums(written(48_000, 1, format="OGG", subtype="OPUS")), _ogg_fields),
        base("mp3", ".mp3", written(44_100, 2, format="MP3"), _mp3_fields),
        base("aiff", ".aiff", written(22_050, 1, format="AIFF", subtype="PCM_16"), _aiff_fields),
        base("au", ".au", written(8_000, 1, format="AU", subtype="ULAW"), _au_fields),
        base("caf", ".caf", written(44_100, 1, format="CAF", subtype="PCM_16"), _caf_fields),
        base("nist", ".wav", written(16_000, 1, format="NIST", subtype="PCM_16"), _any_fields),
        base("wavpack-8", ".wv", encode("wv", "wavpack", tone(4_800, 48_000, 8), 48_000), _any_fields),
        *(
            base(name, suffix, encode(container, codec, tone(4_800, 48_000, 2), 48_000, **options), _any_fields)
            for name, suffix, container, codec, options in _BY_FFMPEG
        ),
    )


_BY_FFMPEG: list[tuple[str, str, str, str, dict[str, str]]] = [
    ("m4a", ".m4a", "ipod", "aac", {"fflags": "+bitexact"}),
    ("alac", ".m4a", "ipod", "alac", {"fflags": "+bitexact"}),
    ("fragments", ".mp4", "mp4", "aac", {"movflags": "+frag_keyframe+empty_moov"}),
    ("aac", ".aac", "adts", "aac", {}),
    ("wma", ".wma", "asf", "wmav2", {"fflags": "+bitexact"}),
    ("webm", ".webm", "webm", "libopus", {"fflags": "+bitexact"}),
    ("wavpack", ".wv", "wv", "wavpack", {}),
    ("mp3-in-wav", ".wav", "wav", "libmp3lame", {}),
    ("webm-of-a-browser", ".webm", "webm", "libopus", {"fflags": "+bitexact", "live": "1"}),
    ("ogg-flac", ".oga", "ogg", "flac", {"fflags": "+bitexact"}),
    ("tta", ".tta", "tta", "tta", {}),
    ("bare-mp3", ".mp3", "mp3", "libmp3lame", {"write_xing": "0"}),
    ("mp2", ".mp2", "mp2", "mp2", {}),
    ("ac3", ".ac3", "ac3", "ac3", {}),
    ("avi", ".avi", "avi", "pcm_s16le", {"fflags": "+bitexact"}),
    ("voc", ".voc", "voc", "pcm_s16le", {}),
]


def _any_fields(content: bytes) -> list[Field]:
    """Numbers at the beginning and at the end, where these containers have their index."""
    ends = (*range(0, min(128, len(content) - 8), 4), *range(max(len(content) - 256, 0), len(content) - 8, 4))
    return [Field(at, size, "big") for at in ends for size in (2, 4)]


def _wav_fields(content: bytes) -> list[Field]:
    fmt, data, ds64 = content.find(b"fmt "), content.find(b"data"), content.find(b"ds64")
    fields = [Field(4, 4), Field(fmt + 4, 4), Field(data + 4, 4)]
    sizes = ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2), (22, 2))  # tag, channels, rate, bytes/s, block, bits
    fields += [Field(fmt + at, size) for at, size in sizes]
    if int.from_bytes(content[fmt + 4 : fmt + 8], "little") > 16:  # extension, valid bits, channel mask, sub-format
        fields += [Field(fmt + at, size) for at, size in ((24, 2), (26, 2), (28, 4), (32, 2))]
    if ds64 >= 0:
        fields += [Field(ds64 + at, size) for at, size in ((4, 4), (8, 8), (16, 8), (24, 8), (32, 4))]
    return fields


def _flac_fields(content: bytes) -> list[Field]:
    # Block type, its length; block sizes, frame sizes; rate, channels, depth, frames in one number of 64 bits.
    sizes = ((4, 1), (5, 3), (8, 2), (10, 2), (12, 3), (15, 3), (18, 2), (20, 1), (21, 1), (22, 4))
    return [Field(at, size, "big") for at, size in sizes]


def _ogg_fields(content: bytes) -> list[Field]:
    vorbis, opus, last = content.find(b"\x01vorbis"), content.find(b"OpusHead"), content.rfind(b"OggS")
    fields = [Field(last + at, size) for at, size in ((5, 1), (6, 8), (14, 4), (18, 4), (26, 1))]
    if vorbis >= 0:  # version, channels, rate, three bit rates, block sizes
        return fields + [Field(vorbis + at, size) for at, size in ((7, 4), (11, 1), (12, 4), (16, 4), (20, 4), (28, 1))]
    return fields + [Field(opus + at, size) for at, size in ((8, 1), (9, 1), (10, 2), (12, 4), (16, 2), (18, 1))]


def _mp3_fields(content: bytes) -> list[Field]:
    info = max(content.find(b"Xing"), content.find(b"Info"))
    return [Field(0, 2, "big"), Field(2, 1), Field(3, 1)] + [Field(info + at, 4, "big") for at in (4, 8, 12)]


def _aiff_fields(content: bytes) -> list[Field]:
    common, sound = content.find(b"COMM"), content.find(b"SSND")
    sizes = ((4, 4), (8, 2), (10, 4), (14, 2), (16, 2), (18, 8))  # size, channels, frames, bits, rate (80-bit float)
    fields = [Field(4, 4, "big"), *(Field(common + at, size, "big") for at, size in sizes)]
    return fields + [Field(sound + at, 4, "big") for at in (4, 8, 12)]


def _au_fields(content: bytes) -> list[Field]:
    return [Field(at, 4, "big") for at in (4, 8, 12, 16, 20)]


def _caf_fields(content: bytes) -> list[Field]:
    description, data = content.find(b"desc"), content.find(b"data")
    fields = [
        Field(description + at, size, "big") for at, size in ((4, 8), (12, 8), (24, 4), (28, 4), (32, 4), (36, 4))
    ]
    return [*fields, Field(description + 40, 4, "big"), Field(data + 4, 8, "big")]


def _lie_once(content: bytearray, base: Base, rng: Rng) -> bytearray:
    field = _pick(rng, base.fields)
    if field.size == 8 and rng.random() < 0.3:
        value = struct.pack(">d" if field.order == "big" else "<d", _pick(rng, _FLOATS))
    else:
        number = int(_pick(rng, _TELLING)) if rng.random() < 0.8 else int.from_bytes(rng.bytes(field.size), "little")
        value = (number % 256**field.size).to_bytes(field.size, field.order)  # type: ignore[arg-type]
    content[field.at : field.at + field.size] = value
    return content


def _lie_often(content: bytearray, base: Base, rng: Rng) -> bytearray:
    for _ in range(rng.integers(2, 6)):
        content = _lie_once(content, base, rng)
    return content


def _flip_anywhere(content: bytearray, base: Base, rng: Rng) -> bytearray:
    return _flip(content, len(content), rng)


def _flip_in_head(content: bytearray, base: Base, rng: Rng) -> bytearray:
    return _flip(content, min(128, len(content)), rng)


def _flip(content: bytearray, end: int, rng: Rng) -> bytearray:
    if end:
        for at in rng.integers(0, end, rng.integers(1, 17)):
            content[at] ^= 1 << rng.integers(8) if rng.random() < 0.5 else int(rng.integers(1, 256))
    return content


def _cut(content: bytearray, base: Base, rng: Rng) -> bytearray:
    return content[: rng.integers(0, min(200, len(content)) + 1 if rng.random() < 0.4 else len(content) + 1)]


def _move_a_slice(content: bytearray, base: Base, rng: Rng) -> bytearray:
    start, end = sorted(rng.integers(0, len(content) + 1, 2))
    piece = content[start:end]
    what = rng.integers(3)
    if what == 0:
        return content[:start] + content[end:]
    if what == 1:
        return content[:end] + piece + content[end:]
    at = int(rng.integers(0, len(content) + 1))
    return content[:at] + piece + content[at:]


def _splice(content: bytearray, base: Base, rng: Rng) -> bytearray:
    other = bytearray(_pick(rng, bases()).content)
    return content[: rng.integers(0, len(content) + 1)] + other[rng.integers(0, len(other) + 1) :]


def _tag_in_front(content: bytearray, base: Base, rng: Rng) -> bytearray:
    held = int(rng.integers(0, 300))
    stated = held if rng.random() < 0.5 else int(rng.integers(0, 2**28))
    sizes = bytes(stated >> shift & 0x7F for shift in (21, 14, 7, 0))
    return bytearray(b"ID3" + bytes([rng.integers(2, 5), 0, rng.integers(0, 256)]) + sizes + rng.bytes(held)) + content


def _chunk_inside(content: bytearray, base: Base, rng: Rng) -> bytearray:
    names = [b"LIST", b"fmt ", b"data", b"fact", b"cue ", b"smpl", b"bext", b"cart", b"PEAK", b"id3 ", b"COMM", b"SSND"]
    chunks = bytearray()
    for _ in range(int(rng.choice([1, 2, 50]))):
        held = int(rng.integers(0, 64))
        stated = held if rng.random() < 0.5 else int(_pick(rng, _TELLING)) % 2**32
        order = "big" if base.name in ("aiff", "caf") else "little"
        chunks += bytes(_pick(rng, names)) + stated.to_bytes(4, order) + rng.bytes(held)  # type: ignore[arg-type]
    at = 12 if rng.random() < 0.5 else int(rng.integers(0, len(content) + 1))
    return content[:at] + chunks + content[at:]


def _no_sound(content: bytearray, base: Base, rng: Rng) -> bytearray:
    size = int(rng.integers(1, 2000))
    return bytearray(
        _pick(
            rng,
            [b"", b"\0", bytes(size), b"\xff" * size, b"<html>404</html>" * 9, rng.bytes(size), base.content[:4]]
            + [
                magic + rng.bytes(size)
                for magic in (b"RIFF", b"fLaC", b"OggS", b"FORM", b"caff", b".snd", b"ID3\3", b"MThd")
            ],
        )
    )


def _odd_but_consistent(content: bytearray, base: Base, rng: Rng) -> bytearray:
    """A WAV file whose header is true, with any rate, channels and depth."""
    channels = int(_pick(rng, [0, 1, 2, 7, 255, 256, 1000, 1024, 1025, 32_768, 65_535]))
    rate = int(_pick(rng, [0, 1, 2, 99, 100, 101, 999, 4_000, 999_983, 10**6, 10**6 + 1, 2**31 - 1, 2**31, 2**32 - 1]))
    depth, tag = _pick(rng, [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3), (8, 6), (8, 7)])
    block = channels * depth // 8
    data = rng.bytes(min(block * int(rng.integers(0, 500)), 1 << 20))
    block %= 65_536
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block % 2**32, block, depth)
    body = b"WAVEfmt \x10\0\0\0" + fmt + b"data" + struct.pack("<I", len(data)) + data
    return bytearray(b"RIFF" + struct.pack("<I", len(body)) + body)


def _not_finite(content: bytearray, base: Base, rng: Rng) -> bytearray:
    base = next(one for one in bases() if one.name == "wav-float")
    content = bytearray(base.content)
    at = content.find(b"data") + 8 + 4 * int(rng.integers(0, 1200))
    content[at : at + 4] = struct.pack("<I", int(_pick(rng, [0x7FC00000, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 1])))
    return content


def _hours_of_silence(content: bytearray, base: Base, rng: Rng) -> bytearray:
    """A small FLAC file that unpacks to millions of samples, at any rate."""
    silence = bytearray(_silence())
    rate, channels = int(_pick(rng, [1, 10, 100, 1_000, 48_000, 655_350])), silence[20] >> 1 & 7
    silence[18:21] = (rate << 4 | channels << 1 | silence[20] & 1).to_bytes(3, "big")
    return silence


@lru_cache(maxsize=1)
def _silence() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(4_000_000, np.int16), 48_000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


MUTATIONS: list[Callable[[bytearray, Base, Rng], bytearray]]
MUTATIONS, _SHARES = map(  # type: ignore[assignment]
    list,
    zip(
        (_lie_once, 0.28),
        (_lie_often, 0.10),
        (_flip_anywhere, 0.14),
        (_flip_in_head, 0.10),
        (_cut, 0.08),
        (_move_a_slice, 0.07),
        (_splice, 0.04),
        (_tag_in_front, 0.04),
        (_chunk_inside, 0.05),
        (_no_sound, 0.03),
        (_odd_but_consistent, 0.045),
        (_not_finite, 0.02),
        (_hours_of_silence, 0.005),
        strict=True,
    ),
)


def with_checksums(content: bytes | bytearray) -> bytes:
    """Ogg pages with one serial number and right checksums (RFC 3533, section 6); what follows no page stays."""
    pages = bytearray(content)
    at = 0
    while pages[at : at + 4] == b"OggS" and len(pages) >= at + 27:
        end = at + 27 + pages[at + 26]
        end += sum(pages[at + 27 : end])
        pages[at + 14 : at + 18] = b"\1\0\0\0"
        pages[at + 22 : at + 26] = bytes(4)
        pages[at + 22 : at + 26] = _ogg_crc(pages[at:end]).to_bytes(4, "little")
        at = end
    return bytes(pages)


@lru_cache(maxsize=1)
def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(crc)
    return table


def _ogg_crc(page: bytearray) -> int:
    table = _crc_table()
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
    return crc


def _pick(rng: Rng, options):
    return options[rng.integers(len(options))]
