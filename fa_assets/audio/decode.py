"""An audio file as mono float32 samples at an encoder's rate, the same as `librosa.load` gives where that reads it whole.

libsndfile reads a clip where it reads all of it, FFmpeg (`ffmpeg`) the others. A clip is good when the whole file decodes, was
not cut short, and holds sound: samples that are finite, below `LOUDEST`, and not silent once its channels are mixed. Why it is
not is said in a `BadClipError`. libsndfile, FFmpeg, soxr and hashlib release the GIL, so clips can be read from several threads.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr

from fa_assets.audio import first_bytes
from fa_assets.audio.quiet import quiet
from fa_assets.audio.truncation import Extent, find_extent, ogg_pages, xing_header
from fa_assets.errors import BadClipError

__all__ = [
    "BadClipError", "ClipInfo", "Sound", "inspect_clip", "load_mono", "open_sound", "resampled", "resampled_length",
    "stream_mono",
]  # fmt: skip

RATES = range(100, 1_000_001)
"""Rates in Hz of clips that are read, infrasound to ultrasound. A lower one in a header is damage more often than a
recording, and would make hundreds of samples of every one."""
LONGEST_S = 4 * 3600
"""Seconds of the longest clip that is read. A few bytes of FLAC can unpack to days."""

LOUDEST = 1e10
"""The largest absolute sample that is read, 1 being full scale. Integers of 32 bits that nobody scaled reach 2e9; what is beyond
is a flipped bit, and too large for a network."""
SILENCE = 1e-6
"""-120 dB of full scale: a mix that never reaches it is silence, whatever noise a decoder adds."""
CLIPPED_LEVEL = 0.999
"""Of full scale: what was cut off at the largest value of 16 bits (0.99997) or just below it by a limiter."""

_BLOCK_SAMPLES = 1 << 18
"""Samples of all channels that are decoded at a time: 1 MiB, and resampled a few."""
_UNKNOWN_FRAMES = (1 << 63) - 1
"""What libsndfile reports for a stream that does not state its length."""
_SAMPLE_BYTES = {
    "PCM_U8": 1, "PCM_S8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip


@dataclass(frozen=True)
class ClipInfo:
    """What a file holds: rate in Hz, channels, decoded frames, seconds, and the sha256 (hex) of its bytes.

    Levels, 1 being full scale: `peak` is the largest absolute sample of the mean of all channels, which is what an encoder is
    given, `rms` the root of its mean square; `clipped_share` is the part of the samples of all channels at `CLIPPED_LEVEL` or
    beyond, 0 to 1. `decoder` names what read it, with its version; None for libsndfile.
    """

    sample_rate: int
    channels: int
    frames: int
    seconds: float
    sha256: str
    peak: float
    rms: float
    clipped_share: float
    decoder: str | None = None


class Sound(Protocol):
    """An open file: its rate in Hz, its channels, and what reads it (as `ClipInfo.decoder`)."""

    @property
    def rate(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def decoder(self) -> str | None: ...

    def blocks(self) -> Iterator[np.ndarray]:
        """All samples in blocks of (frames, channels) float32, none empty; raises BadClipError where some are missing."""
        ...


def inspect_clip(path: Path) -> ClipInfo:
    """Decode a whole file, in blocks, and hash its bytes.

    Raises:
        BadClipError: no such file, not a file, unreadable, empty, not audio, of a rate outside `RATES`, longer than
            `LONGEST_S`, damaged, truncated, longer than its header says, without samples, with NaN, infinite or absurdly large
            ones, or silent.
    """
    with open_sound(path) as sound:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        frames, peak, squares, clipped, loudest = 0, 0.0, 0.0, 0, 0.0
        for block in _checked(sound):
            level = np.abs(block)
            mono = np.abs(_mixed(block))
            frames += len(block)
            peak = max(peak, float(mono.max()))
            loudest = max(loudest, float(level.max()))
            squares += float(np.square(mono, dtype=np.float64).sum())
            clipped += int((level >= CLIPPED_LEVEL).sum())
        if not frames:
            raise BadClipError("holds no samples")
        if peak < SILENCE:
            out_of_phase = "; its channels cancel each other: write one of them as the clip" if loudest > SILENCE else ""
            raise BadClipError(f"silent: the mean of its channels never reaches {SILENCE:g} of full scale{out_of_phase}")
        return ClipInfo(
            sound.rate,
            sound.channels,
            frames,
            frames / sound.rate,
            sha256,
            peak,
            math.sqrt(squares / frames),
            clipped / (frames * sound.channels),
            sound.decoder,
        )


def resampled_length(frames: int, sample_rate: int, rate: int) -> int:
    """Number of samples that `load_mono` gives at `rate` Hz for a file of `frames` frames at `sample_rate` Hz.

    ceil(frames * rate / sample_rate) in the floating-point arithmetic of `librosa.resample`. At unusual rates (1159
    Hz) a product that should be whole comes out slightly above it; librosa then gives one sample more, and so do we.
    """
    return math.ceil(frames * (rate / sample_rate))


def load_mono(path: Path, rate: int) -> np.ndarray:
    """Samples of a clip at `rate` Hz, the mean of its channels: (n,) float32, n = `resampled_length`.

    Equal to `librosa.load(path, sr=rate, mono=True)` for what libsndfile reads: mean of the channels, soxr HQ, then zeros or a
    cut at the end to reach the length.

    Raises:
        BadClipError: as `inspect_clip`, except that silence passes.
    """
    return np.concatenate(list(stream_mono(path, rate)))


def stream_mono(path: Path, rate: int) -> Iterator[np.ndarray]:
    """The samples of `load_mono` in pieces, so that memory does not grow with the clip: one block of the file at a time.

    Raises:
        BadClipError: as `load_mono`, possibly after some pieces.
    """
    with open_sound(path) as sound:
        yield from resampled(sound, rate)


def resampled(sound: Sound, rate: int) -> Iterator[np.ndarray]:
    """As `stream_mono`, of an open file."""
    resampler = soxr.ResampleStream(sound.rate, rate, 1, dtype="float32", quality="soxr_hq")
    frames = given = 0
    held = np.empty(0, np.float32)  # the newest piece: only the last one knows how long it must be
    for block in _checked(sound):
        frames += len(block)
        mono = _mixed(block)
        piece = mono if sound.rate == rate else resampler.resample_chunk(mono)
        if len(held):
            yield held
            given += len(held)
        held = piece
    if not frames:
        raise BadClipError("holds no samples")
    if sound.rate != rate:
        held = np.concatenate([held, resampler.resample_chunk(np.empty(0, np.float32), last=True)])
    left = resampled_length(frames, sound.rate, rate) - given
    yield np.pad(held[:left], (0, max(left - len(held), 0)))


def _mixed(block: np.ndarray) -> np.ndarray:
    """The mean of the channels: (frames,)."""
    return block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]


def _checked(sound: Sound) -> Iterator[np.ndarray]:
    """The blocks of a sound that is not too long and has no sample that no recorder makes."""
    frames = 0
    for block in sound.blocks():
        frames += len(block)
        if frames > LONGEST_S * sound.rate:
            raise BadClipError(f"longer than {LONGEST_S // 3600} hours, which is the most that is read: cut it into pieces")
        loudest = float(np.abs(block).max())
        if not math.isfinite(loudest):
            raise BadClipError("contains NaN or infinite samples: export it again")
        if loudest > LOUDEST:
            raise BadClipError(
                f"contains a sample of {loudest:.0e}, where full scale is 1 and {LOUDEST:.0e} the most that is read: a bit was "
                "flipped; copy the clip again"
            )
        yield block


class _Unsought(soundfile.SoundFile):
    """A file that is read from its beginning to its end. soundfile seeks after each read where it can, after which an MP3
    decoder gives other samples, and fails where libsndfile cannot (GSM)."""

    def seekable(self) -> bool:
        return False


class _SndfileSound:
    """A file that libsndfile reads whole."""

    decoder: str | None = None

    def __init__(self, file: soundfile.SoundFile, *, stated: bool) -> None:
        self._file = file
        self._stated = stated
        self.rate: int = file.samplerate
        self.channels: int = file.channels

    def blocks(self) -> Iterator[np.ndarray]:
        promised = left = self._file.frames
        missing = 0
        while left:
            wanted = min(left, max(_BLOCK_SAMPLES // self.channels, 1))
            try:
                with quiet():
                    block = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise BadClipError(
                    f"truncated or damaged: no sound after frame {promised - left}: {error.error_string}"
                ) from error
            left -= wanted
            if len(block):
                yield block
            if len(block) < wanted:  # libsndfile may find "more" behind the end of an MP3
                missing = left + wanted - len(block)
                break
        if missing and self._stated:
            raise BadClipError(f"truncated: the header promises {promised} frames, the file holds {promised - missing}")


@contextmanager
def open_sound(path: Path) -> Iterator[Sound]:
    """A clip that is about to be read, once.

    Raises:
        BadClipError: what `inspect_clip` finds before the first sample; `Sound.blocks` raises the rest.
    """
    head = _first_bytes(path)
    with ExitStack() as stack:
        sound = _with_libsndfile(path, stack) or _with_ffmpeg(path, stack, head)
        if sound.rate not in RATES:
            raise BadClipError(f"a rate of {sound.rate} Hz; {RATES[0]} to {RATES[-1]} Hz are read")
        yield sound


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise BadClipError("not a file" if path.exists() else "no such file")
    try:
        with path.open("rb") as file:
            head = file.read(first_bytes.LENGTH)
    except OSError as error:
        raise BadClipError(f"cannot be read: {error.strerror or error}") from error
    if not head:
        raise BadClipError("empty file")
    if what := first_bytes.not_a_sound(head):
        raise BadClipError(f"no sound but {what}")
    return head


def _with_libsndfile(path: Path, stack: ExitStack) -> Sound | None:
    """The sound as libsndfile reads it; None where it reads none, or a part."""
    try:
        with quiet():
            file = stack.enter_context(_Unsought(path))
    except (soundfile.LibsndfileError, TypeError):  # a TypeError where a name ends in .raw
        _check_extent(find_extent(path))
        return None
    if file.format == "RAW":  # what libsndfile takes anything for that is called *.au, *.snd, *.gsm or *.vox
        return None
    if file.samplerate in RATES and LONGEST_S * file.samplerate < file.frames < _UNKNOWN_FRAMES and file.format != "MP3":
        hours = file.frames / file.samplerate / 3600
        raise BadClipError(f"{hours:.1f} hours long; up to {LONGEST_S // 3600} are read: cut it into pieces")
    _check_extent(find_extent(path), file)
    stated = True
    if file.format == "MP3":
        stated = xing_header(path) is not None
        whole = _mp3_is_whole(path, file.frames)
    elif file.format == "FLAC":
        whole = file.frames < _UNKNOWN_FRAMES and _frames_in_packets(path)[1] <= file.frames
    elif file.format == "OGG":
        pages = ogg_pages(path)
        if pages.lacks_end:
            raise BadClipError("truncated: the Ogg stream stops before its last page")
        whole = pages.placed and not pages.chained
    else:
        whole = file.frames < _UNKNOWN_FRAMES and not file.subtype.startswith("MPEG")
    return _SndfileSound(file, stated=stated) if whole else None


def _with_ffmpeg(path: Path, stack: ExitStack, head: bytes) -> Sound:
    from fa_assets.audio import ffmpeg

    try:
        return stack.enter_context(ffmpeg.open_sound(path))
    except ffmpeg.CannotOpenError as error:
        raise BadClipError(f"not audio that libsndfile or FFmpeg can read: {first_bytes.unknown(head)}") from error


def _frames_in_packets(path: Path) -> tuple[int, int]:
    from fa_assets.audio import ffmpeg

    try:
        return ffmpeg.frames_in_packets(path)
    except ffmpeg.CannotOpenError:  # too short for FFmpeg to know it
        return 0, 0


def _mp3_is_whole(path: Path, frames: int) -> bool:
    """Whether libsndfile, which says that an MP3 has so many frames, reads all of it: it believes the first one, or guesses.

    Raises:
        BadClipError: it was cut short.
    """
    packets, held = _frames_in_packets(path)
    header = xing_header(path)
    if header is None or not packets:
        return frames >= held
    if packets < header.frames and header.held < header.size:
        raise BadClipError(f"truncated: the header promises {header.size} bytes, the file holds {header.held}")
    return packets == header.frames


def _check_extent(extent: Extent | None, file: soundfile.SoundFile | None = None) -> None:
    """Refuse a file that holds less or more than its header says."""
    if extent is None:
        return
    frame_bytes = file.channels * _SAMPLE_BYTES.get(file.subtype, 0) if file else 0
    promised, held = (size // (frame_bytes or 1) for size in (extent.promised, extent.held))
    unit = "frames" if frame_bytes else "bytes"
    if held < promised:
        raise BadClipError(f"truncated: the header promises {promised} {unit}, the file holds {held}")
    if extent.beyond:
        raise BadClipError(
            f"its header says {promised} {unit} of sound, after which {extent.beyond} bytes follow that are no part of it: the "
            "recorder lost power, or files were joined. `ffmpeg -ignore_length 1 -i FILE NEW.wav` takes them too, "
            "`ffmpeg -i FILE NEW.wav` what the header says"
        )
