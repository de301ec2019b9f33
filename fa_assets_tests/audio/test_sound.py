"""Which reader takes a file, that it takes all of it, and what is said of a file that none takes."""

import io
import os
import struct
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from fa_assets.audio.decode import BadClipError, ClipInfo, inspect_clip, load_mono, resampled_length
from fa_assets.audio.ffmpeg import DECODER
from fa_assets.audio.frames import mpeg_frame_bytes
from fa_assets.audio.truncation import check_mp4
from fa_assets_tests.audio.encoded import encode, tone, true_seconds
from fa_assets_tests.fuzz.sounds import with_checksums

RATE = 32_000


def written(
    format: str, subtype: str | None = None, frames: int = 24_000, rate: int = 16_000, **options: object
) -> bytes:
    """A tone as libsndfile writes it."""
    file = io.BytesIO()
    soundfile.write(file, tone(frames, rate), rate, format=format, subtype=subtype, **options)
    return file.getvalue()


def mp3(frames: int = 24_000, **options: str) -> bytes:
    return encode("mp3", "libmp3lame", tone(frames, 16_000), 16_000, **options)


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def with_xing(frames: int) -> bytes:
    """An MP3 file whose first frame says that so many follow."""
    content = mp3()
    return changed(content, content.index(b"Info") + 8, frames.to_bytes(4, "big"))


def loud_then_quiet() -> bytes:
    """An MP3 file of variable bit rate that does not state its length, which its beginning makes look short."""
    content = variable()
    return content[content.index(content[:2], 4) :]  # without the first frame, which holds the length


def variable() -> bytes:
    """An MP3 file of variable bit rate."""
    loud = np.random.default_rng(0).uniform(-0.9, 0.9, 16_000)
    sound = io.BytesIO()
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.1}
    with soundfile.SoundFile(sound, "w", 16_000, 1, format="MP3", **options) as file:
        file.write(np.concatenate([loud, np.full(320_000, 1e-4)]))
    return sound.getvalue()


def last_page_without_a_place() -> bytes:
    """An Opus file that ends as those of WhatsApp: with an empty page that has no position in time."""
    content = encode("ogg", "libopus", tone(48_000, 48_000), 48_000)
    at = content.rindex(b"OggS")
    content = changed(content, at + 5, b"\0")  # no longer the last one
    number = int.from_bytes(content[at + 18 : at + 22], "little") + 1
    return with_checksums(content + b"OggS\0\4" + b"\xff" * 8 + bytes(4) + number.to_bytes(4, "little") + bytes(5))


def ends_without_sound() -> bytes:
    """An Opus file whose last page is empty."""
    content = encode("ogg", "libopus", tone(48_000, 48_000), 48_000)
    at = content.rindex(b"OggS")
    number = int.from_bytes(content[at + 18 : at + 22], "little") + 1
    last = b"OggS\0\4" + content[at + 6 : at + 18] + number.to_bytes(4, "little") + bytes(5)
    return with_checksums(changed(content, at + 5, b"\0") + last)


def with_vbri(content: bytes, frames: int) -> bytes:
    """An MP3 file with the header of Fraunhofer's encoder, which says that so many frames follow."""
    first = content[: content.index(content[:2], 4)]
    header = struct.pack(">4sHHHII", b"VBRI", 1, 0, 50, len(first) + len(content), frames)
    return changed(first[:36].ljust(len(first), b"\0"), 36, header) + content


def live_wma() -> bytes:
    """A WMA file whose header states no length, as its flags say."""
    content = FFMPEG_ALONE["wma"]()
    at = content.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    return changed(changed(content, at + 64, bytes(8)), at + 88, b"\1")


def avi_to_a_pipe() -> bytes:
    """As FFmpeg writes it where it cannot go back to say how much sound it is."""
    content = FFMPEG_ALONE["avi"]()
    return changed(content, content.index(b"strh") + 40, (1 << 30).to_bytes(4, "little"))


def flac_that_states(frames: int) -> bytes:
    content = written("FLAC")
    return changed(changed(content, 21, bytes([content[21] & 0xF0])), 22, frames.to_bytes(4, "big"))


_TAG = b"TAG" + bytes(125)
_APE = b"".join(
    b"APETAGEX" + struct.pack("<4I8x", 2000, 64, 0, flags) + items
    for flags, items in ((0xA << 28, bytes(32)), (8 << 28, b""))
)
_LYRICS = b"LYRICSBEGINLYR02160" + b"[00:01]some words here\r\n" * 90 + b"002179LYRICS200"
_WAVPACK_TRAILER = b"wvpk" + bytes.fromhex(
    "2c00000010040000c05d000000000000000000000000001000000000"  # a block without samples
    "22064c49535404000000494e464f2f02a616994c"
)
_NOISE = np.random.default_rng(5).bytes(3_000)
FFMPEG_ALONE: dict[str, Callable[[], bytes]] = {
    "m4a": lambda: encode("ipod", "aac", tone(24_000, 16_000), 16_000),
    "m4a, lossless": lambda: encode("ipod", "alac", tone(24_000, 16_000), 16_000),
    "mp4 in fragments": lambda: encode(
        "mp4", "aac", tone(24_000, 16_000, 2), 16_000, movflags="+frag_keyframe+empty_moov"
    ),
    "mov": lambda: encode("mov", "pcm_s24le", tone(24_000, 16_000, 2), 16_000),
    "aac": lambda: encode("adts", "aac", tone(24_000, 16_000), 16_000),
    "wma": lambda: encode("asf", "wmav2", tone(24_000, 16_000), 16_000),
    "webm": lambda: encode("webm", "libopus", tone(48_000, 48_000), 48_000),
    "matroska": lambda: encode("matroska", "flac", tone(24_000, 16_000), 16_000),
    "wavpack": lambda: encode("wv", "wavpack", tone(24_000, 16_000), 16_000),
    "tta": lambda: encode("tta", "tta", tone(24_000, 16_000), 16_000),
    "ac3": lambda: encode("ac3", "ac3", tone(48_000, 48_000, 2), 48_000),
    "amr": lambda: encode("amr", "libopencore_amrnb", tone(8_000, 8_000), 8_000),
    "transport stream": lambda: encode("mpegts", "aac", tone(24_000, 16_000), 16_000),
    "flv": lambda: encode("flv", "aac", tone(44_100, 44_100), 44_100),
    "mp3 in avi that begins later": lambda: encode(
        "avi", "libmp3lame", tone(24_000, 16_000), 16_000, output_ts_offset="2"
    ),
    "wma of a live stream": live_wma,
    "wma to a pipe": lambda: live_wma() + b"$E\x08" + bytes(7) + b"\x08\0",
    "wma whose head is said to be endless": lambda: changed(FFMPEG_ALONE["wma"](), 16, b"\xff" * 8),
    "wma with zeros behind": lambda: FFMPEG_ALONE["wma"]() + bytes(5_000),
    "avi": lambda: encode("avi", "pcm_s16le", tone(24_000, 16_000), 16_000),
    "avi to a pipe": lambda: avi_to_a_pipe(),
    "mp3 in wav": lambda: encode("wav", "libmp3lame", tone(24_000, 16_000), 16_000),
    "mp3 in wav, to a pipe": lambda: piped(encode("wav", "libmp3lame", tone(24_000, 16_000), 16_000)),
    "mp3, variable, without a header": loud_then_quiet,
    "mp3 that says 0 frames": lambda: with_xing(0),
    "mp3 that says too few frames": lambda: with_xing(9),
    "mp3 that says too many frames": lambda: with_xing(4_000),
    "mp3s joined": lambda: mp3() + mp3(9_000),
    "mp3s with tags joined": lambda: mp3() + _TAG + mp3(9_000) + _TAG,
    "ogg chained": lambda: written("OGG", "VORBIS") + written("OGG", "VORBIS", 9_000),
    "opus chained": lambda: written("OGG", "OPUS") + written("OGG", "OPUS", 9_000),
    "opus whose last page has no place in time": last_page_without_a_place,
    "opus whose last page is empty": ends_without_sound,
    "mp3, variable, whose header is not where libmpg123 looks": lambda: changed(variable(), 3, b"\x04"),
    "mp3, variable, of fraunhofer": lambda: with_vbri(loud_then_quiet(), 587),
    "flac of unknown length": lambda: flac_that_states(0),
    "flac that says too few frames": lambda: flac_that_states(8_000),
    "opus of one number chained": lambda: written("OGG", "OPUS") * 2,
    "ogg chained with junk between": lambda: written("OGG", "VORBIS") + b"junk" * 50 + written("OGG", "VORBIS", 9_000),
    "flac in ogg": lambda: encode("ogg", "flac", tone(24_000, 16_000), 16_000),
    "webm of a browser with a tag": lambda: FFMPEG_ALONE["webm of a browser"]() + _APE + _TAG,
    "aac of segments with tags": lambda: (b"ID3\4\0\0\0\0\0\x3f" + bytes(63) + FFMPEG_ALONE["aac"]()) * 3 + _APE,
    "webms joined": lambda: FFMPEG_ALONE["webm"]() * 2,
    "webm of a browser": lambda: encode("webm", "libopus", tone(48_000, 48_000), 48_000, live="1"),
    "aac in wav": lambda: encode("wav", "aac", tone(48_000, 16_000), 16_000),
    "flac in wav": lambda: encode("wav", "flac", tone(24_000, 16_000), 16_000),
    "wav of 64 bits": lambda: encode("wav", "pcm_s64le", tone(800, 8_000), 8_000),
    "wavpack with a tag": lambda: FFMPEG_ALONE["wavpack"]() + _TAG,
    "gsm": lambda: b"".join(b"\xd5" + np.random.default_rng(at).bytes(32) for at in range(90)),
    "latm": lambda: encode("latm", "aac", tone(24_000, 16_000), 16_000),
    "tta with tags": lambda: FFMPEG_ALONE["tta"]() + _APE + _TAG,
    "wavpack of 8 channels": lambda: encode("wv", "wavpack", tone(24_000, 48_000, 8), 48_000),
    "m4a of 8 channels": lambda: encode("ipod", "aac", tone(48_000, 48_000, 8), 48_000),
    "wavpack of a wav with a chunk behind its sound": lambda: FFMPEG_ALONE["wavpack"]() + _WAVPACK_TRAILER,
    "matroska that begins later": lambda: encode(
        "matroska", "flac", tone(24_000, 16_000), 16_000, output_ts_offset="5"
    ),
    "voc with zeros behind": lambda: written("VOC", "PCM_16") + bytes(500),
    "voc with a tag": lambda: written("VOC", "PCM_16") + _TAG,
    "voc of several blocks": lambda: encode("voc", "pcm_s16le", tone(24_000, 16_000), 16_000),
    "mp2 with a tag": lambda: encode("mp2", "mp2", tone(48_000, 48_000), 48_000) + _LYRICS,
    **{
        f"mp3 with {what}": lambda before=before, after=after: before + mp3(write_xing="0", id3v2_version="0") + after
        for what, (before, after) in {
            "lyrics": (b"", _LYRICS),
            "lyrics and a tag": (b"", _LYRICS + _TAG),
            "noise at its end": (b"", _NOISE),
            "text at its end": (b"", b"hello world " * 200),
            "a few zeros at its end": (b"", bytes(1_000)),
            "noise before it": (_NOISE, b""),
            "an answer of a server before it": (b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n" * 60, b""),
            "a few zeros before it": (bytes(1_000), b""),
            "a tag before it other than ID3": (_APE, b""),
        }.items()
    },
}
LIBSNDFILE_READS_WHOLE: dict[str, Callable[[], bytes]] = {
    "gsm in wav": lambda: written("WAV", "GSM610", rate=8_000),
    "nist sphere": lambda: written("NIST", "PCM_16"),
    "aiff to a pipe": lambda: changed(written("AIFF"), written("AIFF").index(b"SSND") + 4, b"\x7f\0\0\x08"),
    "mp3 as libsndfile writes it, without a tag": lambda: written("MP3"),
    "mp3 without a tag": lambda: mp3(id3v2_version="0"),
    "mp2": lambda: encode("mp2", "mp2", tone(48_000, 48_000), 48_000),
    "adpcm in wav": lambda: written("WAV", "IMA_ADPCM"),
    "w64 to a pipe": lambda: changed(changed(written("W64"), 16, b"\xff" * 8), 96, b"\xff" * 7 + b"\x7f"),
    "mp3": mp3,
    "mp3, constant, without a header": lambda: mp3(write_xing="0"),
    "mp3s without headers joined": lambda: mp3(write_xing="0", id3v2_version="0") * 2,
    "mp3 with a tag at its end": lambda: mp3() + _TAG,
    "mp3 with junk at its end": lambda: mp3() + b"A" * 3_000,
    "mp3 of three frames": lambda: mp3(1_000),
    "mp3 of three frames without a header": lambda: mp3(1_000, write_xing="0", id3v2_version="0"),
    "vorbis": lambda: written("OGG", "VORBIS"),
    "opus": lambda: written("OGG", "OPUS"),
    "flac with a tag at its end": lambda: written("FLAC") + _TAG,
}


def piped(content: bytes) -> bytes:
    """A WAV file whose writer did not know its length."""
    return changed(changed(content, 4, b"\xff" * 4), content.index(b"data") + 4, b"\xff" * 4)


def inspected(path: Path, content: bytes) -> ClipInfo:
    path.write_bytes(content)
    return inspect_clip(path)


@pytest.mark.promise("A clip is read to its end or refused: what libsndfile would read in part, FFmpeg reads.", "input")
@pytest.mark.parametrize("kind", FFMPEG_ALONE)
def test_ffmpeg_reads_to_the_end_what_libsndfile_does_not(tmp_path: Path, kind: str) -> None:
    content = FFMPEG_ALONE[kind]()
    path = tmp_path / "a.wav"  # its content says what it is, not its name
    path.write_bytes(content)
    info = inspect_clip(path)
    assert str(info.decoder).startswith(DECODER)
    assert info.seconds == pytest.approx(true_seconds(content), abs=1e-9)
    assert len(load_mono(path, RATE)) == resampled_length(info.frames, info.sample_rate, RATE)


@pytest.mark.parametrize("kind", LIBSNDFILE_READS_WHOLE)
def test_libsndfile_reads_what_it_reads_whole(tmp_path: Path, kind: str) -> None:
    content = LIBSNDFILE_READS_WHOLE[kind]()
    (tmp_path / "a.wav").write_bytes(content)
    info = inspect_clip(tmp_path / "a.wav")
    assert info.decoder is None
    if "to a pipe" not in kind:  # FFmpeg has other figures for open lengths, and pads blocks of ADPCM
        assert info.seconds == pytest.approx(true_seconds(content), abs=0.05)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_both_readers_give_the_same_samples(tmp_path: Path, subtype: str, channels: int) -> None:
    from fa_assets.audio import ffmpeg

    path = tmp_path / "a.wav"
    soundfile.write(path, tone(200_000, 16_000, channels), 16_000, subtype)
    with path.open("rb") as file, ffmpeg.open_sound(file) as sound:
        assert (sound.rate, sound.channels) == (16_000, channels)
        samples = np.concatenate(list(sound.blocks()))
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32", always_2d=True)[0])


@pytest.mark.parametrize(
    "kind",
    ["m4a", "mp4 in fragments", "aac", "wma", "webm", "webm of a browser", "matroska", "wavpack", "tta", "amr", "flv"],
)
def test_what_ffmpeg_alone_reads_may_be_cut_short_too(tmp_path: Path, kind: str) -> None:
    content = FFMPEG_ALONE[kind]()
    for share in (0.5, 0.85):
        (tmp_path / "a.wav").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(BadClipError, match="^truncated|^holds no samples|^not audio"):
            inspect_clip(tmp_path / "a.wav")


def test_a_header_alone_is_refused(tmp_path: Path) -> None:
    content = written("FLAC", frames=600)
    with pytest.raises(BadClipError, match="^truncated: the header promises 600 frames, the file holds 0$"):
        inspected(tmp_path / "a", content[: content.index(b"\xff\xf8")])


AS_CONTAINED = {
    "nist sphere": lambda: written("NIST", "PCM_16"),
    "nist sphere of mu-law": lambda: written("NIST", "ULAW"),
    "avi": FFMPEG_ALONE["avi"],
    "mp3 in avi": lambda: encode("avi", "libmp3lame", tone(24_000, 16_000), 16_000),
}


@pytest.mark.parametrize("kind", AS_CONTAINED)
def test_containers_of_blocks_are_held_to_their_sizes(tmp_path: Path, kind: str) -> None:
    content = AS_CONTAINED[kind]()
    assert inspected(tmp_path / "a", content)
    for share in (0.5, 0.85, 0.99):
        with pytest.raises(BadClipError, match="^truncated: the header promises"):
            inspected(tmp_path / "a", content[: int(len(content) * share)])
    with pytest.raises(BadClipError, match="^truncated: the header promises"):
        inspected(tmp_path / "a", without(content, 1_500))


@pytest.mark.parametrize(("kind", "codec"), [("swf", "libmp3lame"), ("nut", "pcm_s16le"), ("wtv", "mp2")])
def test_what_never_tells_what_it_lacks_is_refused_with_the_way_out(tmp_path: Path, kind: str, codec: str) -> None:
    with pytest.raises(BadClipError, match="^a file of the kind .*, which does not say .*`ffmpeg -i FILE NEW.flac`"):
        inspected(tmp_path / "a", encode(kind, codec, tone(44_100, 44_100), 44_100))


@pytest.mark.parametrize("kind", ["AVR", "IRCAM", "MAT5", "PAF", "PVF", "SDS", "SVX"])
def test_the_advice_about_formats_that_do_not_state_their_length_works(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadClipError, match=r"^a file of the kind .*, which does not say") as error:
        inspected(tmp_path / "a", written(kind, "PCM_16"))
    code = str(error.value).split('"')[1].replace("FILE", str(tmp_path / "a")).replace("NEW", str(tmp_path / "new"))
    exec(code)
    assert inspect_clip(tmp_path / "new.wav").frames == 24_000


def two_tracks() -> bytes:
    """An Ogg file of two streams side by side."""
    content = [written("OGG", "VORBIS", 24_000), written("OGG", "VORBIS", 23_000)]
    at = [one.index(b"OggS", 4) for one in content]
    return content[0][: at[0]] + content[1][: at[1]] + content[0][at[0] :] + content[1][at[1] :]


LACKING: dict[str, tuple[Callable[[], bytes], str]] = {
    "mp3 that states its length": (
        lambda: mp3(id3v2_version="0")[:6_480],
        "^truncated: ends inside a frame, after 0.",
    ),
    "mp3 of zeros from its middle": (lambda: mp3()[:6_500] + bytes(6_500), "^truncated: the header promises 44 frames"),
    "mp3 that does not": (lambda: mp3(write_xing="0")[:6_400], "^truncated: ends inside a frame, after 0."),
    "mp2": (lambda: encode("mp2", "mp2", tone(48_000, 48_000), 48_000)[:5_000], "^truncated: ends inside a frame"),
    "flac cut behind what it states": (lambda: flac_that_states(8_192)[:30_000], "^truncated or damaged: no sound"),
    "flac overwritten behind what it states": (
        lambda: changed(flac_that_states(4_096), 9_000, b"U" * 20),
        "^truncated or damaged: no sound after 0.26 s",
    ),
    "ac3": (lambda: FFMPEG_ALONE["ac3"]()[:5_000], "^truncated: ends inside a frame"),
    "e-ac3": (
        lambda: encode("eac3", "eac3", tone(48_000, 48_000, 2), 48_000)[:6_000],
        "^truncated: ends inside a frame",
    ),
    "ac3 overwritten": (lambda: changed(FFMPEG_ALONE["ac3"](), 5_000, bytes(300)), "^truncated or damaged: no sound"),
    "ac3 with a tag": (lambda: FFMPEG_ALONE["ac3"]() + _TAG, "^a tag stands behind the sound: `head -c "),
    "avi overwritten": (
        lambda: changed(FFMPEG_ALONE["avi"](), 20_000, _NOISE),
        "^truncated or damaged: what begins at byte",
    ),
    "mp3 in avi overwritten": (lambda: changed(AS_CONTAINED["mp3 in avi"](), 9_000, _NOISE), "^truncated|^damaged"),
    "mp3 with zeros between": (
        lambda: mp3(write_xing="0") + bytes(2_000) + mp3()[2_000:],
        "^damaged: something that is not sound",
    ),
    "mp3 with the line ends of Windows": (
        lambda: mp3(id3v2_version="0").replace(b"\n", b"\r\n"),
        "^damaged|^not audio .*: it begins as MP3",
    ),
    "aac with noise behind": (
        lambda: FFMPEG_ALONE["aac"]() + _NOISE,
        "^damaged: 3000 bytes follow the sound .*`head -c ",
    ),
    "tta with noise behind": (lambda: FFMPEG_ALONE["tta"]() + _NOISE, "^damaged: 3000 bytes follow the sound"),
    "ogg whose first page of sound has lost its mark": (
        lambda: changed(content := written("OGG", "VORBIS"), content.index(b"OggS", 60), b"oggs"),
        "^truncated or damaged: a page is missing or broken",
    ),
    "compressed nist sphere": (
        lambda: written("NIST").replace(b"-s3 pcm\n", b"-s26 pcm,embedded-shorten-v2.00\n")[:9_000],
        "^NIST SPHERE whose sound is compressed: `sph2pipe",
    ),
    "mp3 of fraunhofer": (
        lambda: with_vbri(mp3(write_xing="0", id3v2_version="0"), 44)[: 20 * 288],
        "^truncated: the header promises 44 frames up to byte",
    ),
    "voc": (lambda: written("VOC", "PCM_16")[:30_000], "^truncated or damaged: no whole packet"),
    "voc without a part of its middle": (lambda: without(FFMPEG_ALONE["voc of several blocks"](), 1_500), "^damaged: "),
    "voc overwritten": (lambda: blown(encode("voc", "pcm_u8", tone(24_000, 16_000), 16_000), 1_500), "^damaged: "),
    "tracks of an ogg": (two_tracks, "^holds 2 sound tracks"),
}


@pytest.mark.promise(
    "A file that lacks its end, or sound in its middle, is refused, where the file tells of it.", "input"
)
@pytest.mark.parametrize("kind", LACKING)
def test_what_is_lacking_is_found(tmp_path: Path, kind: str) -> None:
    content, reason = LACKING[kind]
    with pytest.raises(BadClipError, match=reason):
        inspected(tmp_path / "a", content())


STATES_NO_LENGTH: dict[str, Callable[[], bytes]] = {
    "mp3": lambda: mp3(write_xing="0", id3v2_version="0"),
    "mp2": lambda: encode("mp2", "mp2", tone(48_000, 48_000), 48_000),
    "mpeg": lambda: encode("mpeg", "mp2", tone(48_000, 48_000), 48_000),
    "pieces of voc": lambda: encode("voc", "pcm_u8", tone(24_000, 16_000), 16_000),
    **{
        kind: FFMPEG_ALONE[kind]
        for kind in ("aac", "ac3", "transport stream", "webm of a browser", "wma of a live stream")
    },
    "pieces of avi": avi_to_a_pipe,
}


@pytest.mark.parametrize("where", ["before", "at its beginning", "in its middle", "at its end", "behind"])
@pytest.mark.parametrize("kind", STATES_NO_LENGTH)
def test_zeros_in_what_does_not_state_its_length_may_have_been_sound(tmp_path: Path, kind: str, where: str) -> None:
    content = STATES_NO_LENGTH[kind]()
    third = len(content) // 3
    with_zeros = {
        "before": bytes(3_000) + content,
        "at its beginning": bytes(third) + content[third:],
        "in its middle": content[:third] + bytes(third) + content[2 * third :],
        "at its end": content[: 2 * third] + bytes(third),
        "behind": content + bytes(3_000),
    }
    with pytest.raises(
        BadClipError, match=r"^\d+ bytes of zeros stand (before|behind) |^truncated|^damaged|begins with z"
    ):
        inspected(tmp_path / "a", with_zeros[where])


@pytest.mark.parametrize(
    ("kind", "zeros"), {"amr": 910, "aac": 1, "gsm": 100, "latm": 1_000, "wavpack": 70_000}.items()
)
def test_a_few_zeros_behind_are_padding(tmp_path: Path, kind: str, zeros: int) -> None:
    whole = inspected(tmp_path / "a", FFMPEG_ALONE[kind]())
    assert inspected(tmp_path / "a", FFMPEG_ALONE[kind]() + bytes(zeros)).frames == whole.frames


def test_what_is_lost_in_gsm_is_found(tmp_path: Path) -> None:
    content = FFMPEG_ALONE["gsm"]()
    for damaged in (content[:-40], changed(content, 2_000, bytes(100)), content[:2_000] + content[2_001:]):
        with pytest.raises(BadClipError, match="^truncated or damaged|^not audio"):
            inspected(tmp_path / "a", damaged)


def test_a_packet_that_gives_no_sound_is_found(tmp_path: Path) -> None:
    content = encode("ipod", "alac", tone(48_000, 48_000, 6), 48_000)
    with av.open(io.BytesIO(content)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    for packet in packets[3:9]:
        with pytest.raises(BadClipError, match="^truncated or damaged: no (sound|whole packet)"):
            inspected(tmp_path / "a", changed(content, (packet.pos or 0) + packet.size // 10, bytes(200)))


@pytest.mark.parametrize("side", ["before", "behind"])
def test_zeros_around_an_mp3(tmp_path: Path, side: str) -> None:
    content, zeros = mp3(write_xing="0", id3v2_version="0"), bytes(100_000)
    padded = zeros + content if side == "before" else content + zeros
    with pytest.raises(BadClipError, match="^100000 bytes of zeros stand") as error:
        inspected(tmp_path / "a", padded)
    assert advised(tmp_path / "a", error.value) == content
    assert inspected(tmp_path / "a", mp3() + zeros)  # which states how many frames there are


def advised(path: Path, error: BadClipError) -> bytes:
    """What the command gives that the error names."""
    command = str(error).split("`")[1].replace("FILE", str(path)).split(" > ")[0]
    return subprocess.run(command.split(), capture_output=True, check=True).stdout


AMONG_ZEROS: dict[str, Callable[[], bytes]] = {
    **{kind: FFMPEG_ALONE[kind] for kind in ("ac3", "amr", "transport stream", "m4a", "tta", "flv")},
    "e-ac3": lambda: encode("eac3", "eac3", tone(48_000, 48_000, 2), 48_000),
    "latm": FFMPEG_ALONE["latm"],
    "transport stream of mp2": lambda: encode("mpegts", "mp2", tone(48_000, 48_000), 48_000),
    "mp3 that states its length": mp3,
    "wav": lambda: written("WAV"),
    "au": lambda: written("AU"),
}


@pytest.mark.parametrize("side", ["before", "behind"])
@pytest.mark.parametrize("kind", AMONG_ZEROS)
def test_zeros_are_named_and_the_advice_gives_the_sound(tmp_path: Path, kind: str, side: str) -> None:
    content, path = AMONG_ZEROS[kind](), tmp_path / "a"
    alone = inspected(path, content)
    if side == "behind" and kind in ("m4a", "tta", "flv", "mp3 that states its length", "wav", "au"):
        path.write_bytes(content + bytes(5_000))
        assert inspect_clip(path).frames == alone.frames  # its header tells that it is whole
        return
    with pytest.raises(BadClipError, match=f"^5000 bytes of zeros stand {side} ") as error:
        inspected(path, bytes(5_000) + content if side == "before" else content + bytes(5_000))
    assert inspected(path, advised(path, error.value)).frames == alone.frames


def test_the_first_frames_of_an_mp3_are_sound(tmp_path: Path) -> None:
    """Of which FFmpeg, where it is not told that they are MP3, takes some for a film without sound."""
    content = encode("mp3", "libmp3lame", tone(44_100, 44_100), 44_100, write_xing="0", id3v2_version="0")
    end = mpeg_frame_bytes(content[:4]) or 0
    for count in range(2, 7):
        end += mpeg_frame_bytes(content[end : end + 4]) or 0
        info = inspected(tmp_path / "a", content[:end])
        assert (info.decoder, round(info.frames / 1152)) == (None, count)
        with pytest.raises(BadClipError, match="^truncated: ends inside a frame"):
            inspected(tmp_path / "a", content[: end - 50])


def test_a_tag_that_says_it_is_huge_takes_no_memory(tmp_path: Path) -> None:
    item = struct.pack("<2I", 500_000_000, 0) + b"Title\0x"
    (tmp_path / "a").write_bytes(
        FFMPEG_ALONE["wavpack"]() + item + b"APETAGEX" + struct.pack("<4I8x", 2000, len(item) + 32, 1, 0)
    )
    tracemalloc.start()
    try:
        assert inspect_clip(tmp_path / "a").frames == 24_000
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_mp3_of_free_format_is_named_and_the_advice_works(tmp_path: Path) -> None:
    content = bytearray(mp3(48_000, write_xing="0", id3v2_version="0"))
    for at in range(0, len(content), 288):
        content[at + 2] &= 0x0F
    with pytest.raises(BadClipError, match=r"^a file of the kind MP3 \(free format\), which does not say") as error:
        inspected(tmp_path / "a", bytes(content))
    code = str(error.value).split('"')[1].replace("FILE", str(tmp_path / "a")).replace("NEW", str(tmp_path / "new"))
    exec(code)
    assert inspect_clip(tmp_path / "new.wav").frames == len(content) // 288 * 576


_ID3 = b"ID3\3\0\0\0\0\1\0" + bytes(128)


@pytest.mark.parametrize("kind", ["m4a", "wma", "webm", "wavpack", "amr", "ac3"])
def test_a_tag_before_what_has_none_is_named_and_the_advice_works(tmp_path: Path, kind: str) -> None:
    content = FFMPEG_ALONE[kind]()
    with pytest.raises(BadClipError, match=r"^138 bytes of a tag stand before .*`tail -c \+139 FILE > NEW`"):
        inspected(tmp_path / "a", _ID3 + content)
    assert inspected(tmp_path / "a", (_ID3 + content)[139 - 1 :])


@pytest.mark.parametrize(
    ("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "PCM_16"), ("AIFF", "PCM_16")]
)
@pytest.mark.parametrize("lost", [0, 700])
def test_a_tag_does_not_hide_what_is_lacking(tmp_path: Path, kind: str, subtype: str, lost: int) -> None:
    content = written(kind, subtype)
    with pytest.raises(BadClipError, match="^138 bytes of a tag stand before what begins as (Ogg|WAV|AIFF)"):
        inspected(tmp_path / "a", _ID3 + content[: len(content) - lost])


@pytest.mark.parametrize("after", [_NOISE, b"hello world " * 30], ids=["noise", "text"])
def test_junk_behind_amr_is_not_sound(tmp_path: Path, after: bytes) -> None:
    content = FFMPEG_ALONE["amr"]()
    with pytest.raises(BadClipError, match="^truncated or damaged: something that is not sound after 1.02 s"):
        inspected(tmp_path / "a", content + after)
    (tmp_path / "a").write_bytes(content + _TAG)
    assert inspect_clip(tmp_path / "a").seconds == pytest.approx(true_seconds(content))


def test_mp4_may_begin_with_empty_space(tmp_path: Path) -> None:
    content = FFMPEG_ALONE["mp4 in fragments"]()  # of which only the parts are looked at
    (tmp_path / "a").write_bytes(struct.pack(">I4s", 16, b"free") + bytes(8) + content)
    with (tmp_path / "a").open("rb") as file:
        check_mp4(file)


def test_pauses_of_amr_are_silence(tmp_path: Path) -> None:
    content = FFMPEG_ALONE["amr"]()
    with_pauses = content[: 6 + 20 * 32] + b"\x7c" * 10 + content[6 + 30 * 32 :]  # frames of 32 bytes; 15: no data
    whole = inspected(tmp_path / "a", content)
    assert inspected(tmp_path / "a", with_pauses).frames == whole.frames
    assert str(whole.decoder).endswith("libopencore_amrnb")


def test_pauses_of_wide_band_amr_are_silence(tmp_path: Path) -> None:
    spoken = b"".join(b"\x14" + _NOISE[33 * at : 33 * at + 32] for at in range(20))  # 20 ms each
    content = b"#!AMR-WB\n" + spoken + b"\x4c" + _NOISE[:5] + b"\x7c" * 9 + spoken  # a description of noise; no data
    assert inspected(tmp_path / "a", content).seconds == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("kind", ["W64", "NIST"])
@pytest.mark.parametrize("behind", [_TAG, bytes(5_000)], ids=["a tag", "zeros"])
def test_what_follows_the_sound_is_not_read_as_sound(tmp_path: Path, kind: str, behind: bytes) -> None:
    path = tmp_path / "a"
    assert inspected(path, written(kind) + behind).frames == 24_000
    assert len(load_mono(path, 16_000)) == 24_000


@pytest.mark.parametrize("bits", [33, 45, 53])
def test_samples_of_odd_width_are_refused(tmp_path: Path, bits: int) -> None:
    size = -(-bits // 8)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8_000, 8_000 * size, size, bits)
    content = b"WAVE" + fmt + struct.pack("<4sI", b"data", 400 * size) + _NOISE[: 400 * size]
    with pytest.raises(BadClipError, match="^FFmpeg has no decoder for its sound: export it again, as WAV or FLAC$"):
        inspected(tmp_path / "a.wav", struct.pack("<4sI", b"RIFF", len(content)) + content)


def test_padded_samples_are_refused(tmp_path: Path) -> None:
    content = bytearray(written("WAV", "PCM_32"))
    content[34:36] = (20).to_bytes(2, "little")
    with pytest.raises(BadClipError, match="^a WAV file whose samples take more bytes than its bits need"):
        inspected(tmp_path / "a", bytes(content))


def test_24_bits_in_32_are_refused_and_the_advice_works(tmp_path: Path) -> None:
    for samples in (tone(800, 8_000), tone(800, 8_000) / 5_000):  # libsndfile guesses at both, and wrong at the second
        content = bytearray(written("WAV", "PCM_32", 800, 8_000)[:44])
        content[34:36] = (24).to_bytes(2, "little")
        content += (samples * 2**23).astype("<i4").tobytes()
        with pytest.raises(
            BadClipError, match="^a WAV file of 24 bits in 32, .* where `arecord -f S24_LE` wrote it"
        ) as error:
            inspected(tmp_path / "a", bytes(content))
        code = str(error.value).split('"')[1].replace("FILE", str(tmp_path / "a")).replace("NEW", str(tmp_path / "new"))
        exec(code)
        assert np.abs(load_mono(tmp_path / "new.wav", 8_000) - samples[:, 0]).max() < 1e-6


def test_what_stands_before_a_sound_is_named_and_the_advice_works(tmp_path: Path) -> None:
    for before in (b"\xef\xbb\xbf", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n\r\n"):
        with pytest.raises(BadClipError, match=f"^{len(before)} bytes of something else stand before .* WAV") as error:
            inspected(tmp_path / "a", before + written("WAV"))
        assert advised(tmp_path / "a", error.value) == written("WAV")
    with pytest.raises(BadClipError, match="^2 bytes of something else stand before .* MP4"):
        inspected(tmp_path / "a", b"\r\n" + FFMPEG_ALONE["m4a"]())


def blown(content: bytes, size: int) -> bytes:
    """With zeros in its middle."""
    half = len(content) // 2
    return content[:half] + bytes(size) + content[half + size :]


def without(content: bytes, size: int) -> bytes:
    """Without some bytes in its middle."""
    half = len(content) // 2
    return content[:half] + content[half + size :]


HOLED = ["wavpack", "tta", "matroska", "webm", "webm of a browser", "flac in ogg", "aac in wav", "flac in wav"]
HOLED += ["transport stream", "mp3 with a few zeros at its end", "wma", "wma to a pipe", "avi", "avi to a pipe"]


@pytest.mark.promise("Sound with a hole in its middle is refused, where the file tells of it.", "input")
@pytest.mark.parametrize("hole", [blown, without])
@pytest.mark.parametrize("kind", HOLED)
def test_a_hole_is_found(tmp_path: Path, kind: str, hole: Callable[[bytes, int], bytes]) -> None:
    content = FFMPEG_ALONE[kind]()
    size = 188 * 20 if kind == "transport stream" else 1_500
    if kind == "transport stream":  # its packets are of one length, and so are whole ones that are lost
        content = content[: len(content) // 376 * 376]
    (tmp_path / "a").write_bytes(hole(content, size))
    with pytest.raises(BadClipError, match="^truncated|^damaged|^holds no samples"):
        inspect_clip(tmp_path / "a")


def test_a_hole_in_aac_that_begins_in_the_head_of_a_frame_is_found(tmp_path: Path) -> None:
    content = encode("adts", "aac", tone(66_150, 44_100), 44_100)
    heads = [at for at in range(2_000, len(content) - 2_000) if content[at : at + 3] == b"\xff\xf1\x50"]
    for at in [head + 2 for head in heads[:8]]:
        with pytest.raises(BadClipError, match="^damaged: something that is not sound after"):
            inspected(tmp_path / "a", changed(content, at, bytes(500)))


def test_a_fragment_that_is_cut_between_two_packets_is_found(tmp_path: Path) -> None:
    content = encode("mp4", "aac", tone(48_000, 16_000), 16_000, movflags="+delay_moov", frag_duration="500000")
    with av.open(io.BytesIO(content)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    for packet in packets[5:20]:
        with pytest.raises(BadClipError, match="^truncated: a part that begins at byte"):
            inspected(tmp_path / "a", content[: packet.pos])


def test_a_rate_that_changes_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(mp3() + encode("mp3", "libmp3lame", tone(24_000, 44_100), 44_100))
    with pytest.raises(BadClipError, match="^changes from 16000 Hz and 1 channels to 44100 Hz and 1 after 1.5"):
        inspect_clip(tmp_path / "a.mp3")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (written("FLAC"), lambda: written("FLAC", frames=9_000), "^several files in one: "),
        (FFMPEG_ALONE["tta"](), FFMPEG_ALONE["tta"], "^several files in one: "),
        (FFMPEG_ALONE["flv"](), FFMPEG_ALONE["flv"], "^several files in one: "),
        (FFMPEG_ALONE["wma"](), FFMPEG_ALONE["wma"], "^several files in one: "),
        (FFMPEG_ALONE["m4a"](), FFMPEG_ALONE["m4a"], "^several files in one: "),
        (FFMPEG_ALONE["mp4 in fragments"](), FFMPEG_ALONE["mp4 in fragments"], "^several files in one: "),
        (
            written("OGG", "VORBIS"),
            lambda: written("OGG", "VORBIS", rate=44_100),
            "^several files in one: ",
        ),
    ],
    ids=["flac", "tta", "flv", "wma", "m4a", "fragments", "ogg"],
)
def test_joined_files_that_nothing_reads_whole_are_refused(
    tmp_path: Path, first: bytes, second: Callable[[], bytes], reason: str
) -> None:
    (tmp_path / "a").write_bytes(first + second())
    with pytest.raises(BadClipError, match=reason) as error:
        inspect_clip(tmp_path / "a")
    if "several" in reason:
        assert f"`head -c {len(first)} FILE`" in str(error.value)


ALONE = {
    "wav": lambda: written("WAV"),
    "mp3": mp3,
    "flac": lambda: written("FLAC"),
    "ogg": lambda: written("OGG", "VORBIS"),
    **{kind: FFMPEG_ALONE[kind] for kind in ("m4a", "tta", "wavpack", "aac", "webm", "flv")},
}


@pytest.mark.promise("Of files of several kinds that were joined, no part is left out unsaid.", "input", "30 pairs")
@pytest.mark.parametrize("second", ["wav", "mp3", "flac"])
@pytest.mark.parametrize("first", ALONE)
def test_files_of_two_kinds_joined_are_refused(tmp_path: Path, first: str, second: str) -> None:
    content = ALONE[first]()
    (tmp_path / "a").write_bytes(content + ALONE[second]())
    if first == second == "mp3":
        assert inspect_clip(tmp_path / "a").seconds > 2
        return
    with pytest.raises(BadClipError, match="^several files in one|^its header says|^truncated or damaged|^damaged"):
        inspect_clip(tmp_path / "a")


def wav(promised: int, held: int, after: bytes = b"") -> bytes:
    content = written("WAV", "PCM_16", held)
    return changed(content, content.index(b"data") + 4, (2 * promised).to_bytes(4, "little")) + after


BEYOND = {
    "a size that is too small": lambda: wav(1_000, 24_000),
    "a recorder that lost power": lambda: wav(0, 24_000),
    "two files joined": lambda: wav(24_000, 24_000) * 2,
    "raw samples behind the last chunk": lambda: wav(9_000, 9_000, b"LIST\4\0\0\0INFO" + written("WAV")[44:]),
    "a few bytes": lambda: wav(1_000, 1_000) + b"\7" * 63,
    "a second chunk of sound": lambda: wav(1_000, 1_000) + b"data" + (40).to_bytes(4, "little") + b"\7" * 40,
    "a small file joined": lambda: wav(1_000, 1_000) + wav(5, 5),
    "aiff": lambda: changed(written("AIFF"), written("AIFF").index(b"SSND") + 4, (8_008).to_bytes(4, "big")),
    "au": lambda: changed(written("AU"), 8, (8_000).to_bytes(4, "big")),
    "caf": lambda: changed(written("CAF"), written("CAF").index(b"data") + 4, (8_004).to_bytes(8, "big")),
    "cafs joined": lambda: written("CAF") * 2,
    "w64s joined": lambda: written("W64") * 2,
    "w64": lambda: changed(written("W64"), written("W64").index(b"data") + 16, (8_024).to_bytes(8, "little")),
}


@pytest.mark.parametrize("kind", BEYOND)
def test_sound_beyond_what_the_header_says_is_counted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(BEYOND[kind]())
    with pytest.raises(
        BadClipError, match=r"^its header says \d+ (frames|bytes) of sound, after which \d{2,5} bytes follow"
    ) as error:
        inspect_clip(path)
    assert ("ffmpeg -ignore_length 1" in str(error.value)) == path.read_bytes().startswith(b"RIFF")


def test_the_advice_about_a_wrong_size_gives_the_whole_sound(tmp_path: Path) -> None:
    for promised in (0, 1_000):
        content = wav(promised, 24_000)
        with av.open(io.BytesIO(content), options={"ignore_length": "1"}) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == 24_000


AFTER = {
    "a chunk": b"LIST\x04\0\0\0INFO",
    "a large chunk": b"LIST" + (600).to_bytes(4, "little") + bytes(range(100, 200)) * 6,
    "a chunk that was not padded": b"id3 \x41\0\0\0" + b"\7" * 65 + b"LIST" + (600).to_bytes(4, "little") + b"x" * 600,
    "a tag": b"ID3\3\0\0\0\0\2\x2c" + b"title" * 60,
    "an old tag": b"TAG" + b"title" * 25,
    "zeros": bytes(5_000),
}


@pytest.mark.parametrize("what", AFTER)
def test_what_may_follow_the_sound(tmp_path: Path, what: str) -> None:
    (tmp_path / "a.wav").write_bytes(wav(2_000, 2_000, AFTER[what]))
    assert inspect_clip(tmp_path / "a.wav").frames == 2_000


NO_SOUND = {
    "a saved error page": (b"<!DOCTYPE html>\n<html>404</html>" * 20, "^no sound but a web page: the download failed"),
    "a page without a doctype": (b"\n<HTML><body>" * 20, "^no sound but a web page"),
    "an answer of S3": (b"<?xml version='1.0'?><Error/>", "^no sound but an XML document"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "run `git lfs pull`"),
    "git-annex": (b"/annex/objects/MD5E-s12--1.wav\n", "run `git annex get"),
    "DVC": (b"outs:\n- md5: 1\n  path: a.wav\n", "run `dvc pull`"),
    "WMA from a server": (
        encode("asf_stream", "wmav2", tone(24_000, 16_000), 16_000),
        "^no sound but WMA as a server streams it",
    ),
    "macOS": (b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(100), "^no sound but a macOS side file"),
    "an archive": (b"PK\3\4" + bytes(100), "^no sound but a ZIP archive: unpack it"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "^no sound but a picture"),
    "JSON": (b'{"error": "not found"}', "^no sound but JSON, such as a server sends"),
    "a part of a page": (b"<br />\n<b>Warning</b>: fopen", "^no sound but a web page"),
    "a link of git-annex as text": (b"../../.git/annex/objects/aa/bb/x.wav", "run `git annex get"),
    "an Audacity project": (b"SQLite format 3\0" + bytes(200), "an Audacity project .*: export its sound as WAV"),
    "a shortcut": (b"[InternetShortcut]\r\nURL=http://x/a.wav", "^no sound but a shortcut"),
    "a program": (b"MZ\x90\0" + bytes(200), "^no sound but a program"),
    "a tar archive": (
        b"a.wav".ljust(257, b"\0") + b"ustar\0" + b"00" + bytes(300),
        "^no sound but a tar archive: unpack",
    ),
    "an xz archive": (b"\xfd7zXZ\0" + bytes(50), "^no sound but an xz archive: unpack"),
    "OptimFROG": (b"OFR \x0f\0\0\0" + bytes(range(1, 200)), "^no sound but OptimFROG, .* `ofr --decode FILE`"),
    "blanks": (b" \r\n" * 99, "^not audio .*: it begins with zeros or blanks"),
    "a playlist": (b"#EXTM3U\n#EXTINF:10,\nfile:///a.mp3\n", "^no sound but a playlist"),
    "text": (b"not a sound at all" * 50, "^not audio .*: it is text that begins with 'not a sound at all"),
    "zeros": (bytes(1_000), "^not audio .*: it begins with zeros or blanks: the copy or the download failed"),
    "noise": (bytes(range(160, 250)) * 9, "^not audio .*: it begins with the bytes a0 a1 a2"),
    "a header alone": (b"RIFF\x24\0\0\0WAVEfmt ", "^not audio .*: it begins as WAV, .* broke off; fetch or copy"),
    "an M4A without its index": (FFMPEG_ALONE["m4a"]()[:2_000], "^truncated: a part that begins at byte"),
    "nothing": (b"", "^empty file: fetch or export the clip again$"),
}


@pytest.mark.promise(
    "A file that is not sound is named for what it is, with what to type next.", "input", "27 files, each under 7 names"
)
@pytest.mark.parametrize("what", NO_SOUND)
def test_what_is_not_sound_is_named(tmp_path: Path, what: str) -> None:
    content, reason = NO_SOUND[what]
    for suffix in (".wav", ".mp3", ".raw", ".au", ".vox", ".gsm", ".m4a"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        with pytest.raises(BadClipError, match=reason) as error:
            inspect_clip(path)
        assert str(tmp_path) not in str(error.value)


def test_ffmpeg_whose_process_some_headers_of_adx_end_is_given_none(tmp_path: Path) -> None:
    content = encode("adx", "adpcm_adx", tone(24_000, 16_000), 16_000)
    for one in (content, changed(content, 5, b"\0")):
        with pytest.raises(BadClipError, match="^begins as ADX, .*`ffmpeg -i FILE NEW.flac` takes its sound"):
            inspected(tmp_path / "a.wav", one)


@pytest.mark.promise("No file makes the intake open another one, as a playlist would.", "input")
def test_a_file_does_not_make_ffmpeg_open_another_one(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(written("WAV"))
    (tmp_path / "a.wav").write_text("ffconcat version 1.0\nfile secret.wav\n")
    with pytest.raises(BadClipError, match="^not audio"):
        inspect_clip(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("tracks", "reason"), [(0, "^holds no sound$"), (2, "^holds 2 sound tracks: .*ffmpeg -i FILE -map 0:a:0")]
)
def test_a_film_without_sound_or_with_two_tracks(tmp_path: Path, tracks: int, reason: str) -> None:
    with av.open(tmp_path / "a.mkv", "w") as output:
        picture = output.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 16
        streams = [output.add_stream("flac", rate=8_000, layout="mono") for _ in range(tracks)]
        output.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.ones((1, 4_000), np.int16), layout="mono")
            frame.sample_rate, frame.pts = 8_000, 0
            output.mux(stream.encode(frame))
        for stream in (picture, *streams):
            output.mux(stream.encode(None))
    with pytest.raises(BadClipError, match=reason):
        inspect_clip(tmp_path / "a.mkv")


@pytest.mark.parametrize(
    ("kind", "picture"), [("matroska", "mpeg4"), ("asf", "mpeg4"), ("flv", "flv"), ("avi", "mpeg4")]
)
def test_a_film_may_last_longer_than_its_sound(tmp_path: Path, kind: str, picture: str) -> None:
    sound, frames = tone(24_000, 44_100), 40
    with av.open(tmp_path / "a", "w", format=kind) as output:
        pictures = output.add_stream(picture, rate=10)
        pictures.width = pictures.height = 16
        stream = output.add_stream("libmp3lame", rate=44_100, layout="mono")
        for number in range(frames):
            one = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
            one.pts = number
            output.mux(pictures.encode(one))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44_100, 0
        output.mux([*stream.encode(frame), *stream.encode(None), *pictures.encode(None)])
    content = (tmp_path / "a").read_bytes()
    assert inspect_clip(tmp_path / "a").seconds == pytest.approx(true_seconds(content))
    with pytest.raises(BadClipError, match="^truncated"):
        inspected(tmp_path / "a", content[: len(content) * 3 // 4])


def test_decoders_say_nothing_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(mp3())
    damaged[3_000:4_000] = b"\xff\xfb" * 500
    for name, content in {"a": loud_then_quiet(), "b": mp3() + mp3(), "c": bytes(damaged), "d": mp3()[:-700]}.items():
        (tmp_path / name).write_bytes(content)
        try:
            inspect_clip(tmp_path / name)
        except BadClipError:
            continue
    os.write(2, b"the terminal is heard\n")
    assert capfd.readouterr() == ("", "the terminal is heard\n")


MUST = {
    "loud_then_quiet_vbr.mp3": 22.10, "vbr_noxing.mp3": 0.50, "xing_says_0.mp3": 4.04, "two_mp3_joined.mp3": 2.09,
    "chained_serials.ogg": 2.02, "gsm.wav": 0.40, "mp3inwav.wav": 0.50, "ffmpeg_piped.w64": 1.0, "phone.m4a": 0.45,
    "m4a_named.wav": 0.45, "browser.webm": 0.40, "win.wma": 0.38, "w.wv": 1.0, "whatsapp_granule_-1.ogg": 1.01,
    "data_short.wav": "after which 10800 bytes follow", "data0.wav": "0 frames of sound, after which 12800 bytes follow",
    "html.wav": "a web page", "lfs.wav": "git lfs pull", "._c00.wav": "a macOS side file",
}  # fmt: skip


@pytest.mark.parametrize("name", MUST)
def test_cases_that_people_reported(name: str) -> None:
    shared = os.environ.get("FA_SHARED_DATA")
    if not shared:
        pytest.skip("FA_SHARED_DATA is unset: no cases beside it")
    path, must = Path(shared).parent / "cases" / "audio" / name, MUST[name]
    if isinstance(must, str):
        with pytest.raises(BadClipError, match=must):
            inspect_clip(path)
    else:
        assert inspect_clip(path).seconds == pytest.approx(must, abs=0.006)
