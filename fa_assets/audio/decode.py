"""An audio file as mono float32 samples at an encoder's rate, the same as `librosa.load` gives.

What is hashed and what is decoded is one open file, whatever is put in its place meanwhile; and it is hashed again after the
last sample, so that samples of a file that was being rewritten are never taken for those of its bytes before or after.

A clip is good when the whole file decodes, holds at least one sample, all of them finite, and was not cut short; why it
is not is said in a `BadClipError`. libsndfile, soxr and hashlib release the GIL, so clips can be read from several
threads.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
import soundfile
import soxr

from fa_assets.audio.truncation import find_shortfall, mp3_states_its_length, ogg_lacks_its_end
from fa_assets.errors import UserError
from fa_assets.store.source_files import SourceFileError, reading

RATES = range(100, 1_000_001)
"""Rates in Hz of clips that are read, infrasound to ultrasound. A lower one in a header is damage more often than a
recording, and would make hundreds of samples of every one."""
LONGEST_S = 4 * 3600
"""Seconds of the longest clip that is read. A few bytes of FLAC can unpack to days."""

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

    Levels over all channels, 1 being full scale: `peak` is the largest absolute sample, `rms` the root of the mean square,
    `clipped_share` the part of the samples at `CLIPPED_LEVEL` or beyond, 0 to 1.
    """

    sample_rate: int
    channels: int
    frames: int
    seconds: float
    sha256: str
    peak: float
    rms: float
    clipped_share: float


class BadClipError(UserError):
    """A clip that cannot be used; the message is the reason, without the clip's name."""


def inspect_clip(path: Path) -> ClipInfo:
    """Decode a whole file, in blocks, and hash its bytes.

    Raises:
        BadClipError: no such file, not a file, unreadable, empty, not audio, of a rate outside `RATES`, longer than
            `LONGEST_S`, damaged, truncated, without samples, or with NaN or infinite samples.
    """
    with _open(path) as (sound, file, sha256):
        with _elsewhere(file):
            _refuse_truncated(file, sound)
            states_its_length = sound.format != "MP3" or mp3_states_its_length(file)
        frames, peak, squares, clipped = 0, 0.0, 0.0, 0
        for block in _blocks(sound):
            level = np.abs(block)
            frames += len(block)
            peak = max(peak, float(level.max()))
            squares += float(np.square(block, dtype=np.float64).sum())
            clipped += int((level >= CLIPPED_LEVEL).sum())
        if frames < sound.frames and states_its_length:
            raise BadClipError(f"truncated: the header promises {sound.frames} frames, the file holds {frames}")
        if not frames:
            raise BadClipError("holds no samples")
        samples = frames * sound.channels
        return ClipInfo(
            sound.samplerate,
            sound.channels,
            frames,
            frames / sound.samplerate,
            sha256,
            peak,
            math.sqrt(squares / samples),
            clipped / samples,
        )


def resampled_length(frames: int, sample_rate: int, rate: int) -> int:
    """Number of samples that `load_mono` gives at `rate` Hz for a file of `frames` frames at `sample_rate` Hz.

    ceil(frames * rate / sample_rate) in the floating-point arithmetic of `librosa.resample`. At unusual rates (1159
    Hz) a product that should be whole comes out slightly above it; librosa then gives one sample more, and so do we.
    """
    return math.ceil(frames * (rate / sample_rate))


def load_mono(path: Path, rate: int, sha256: str | None = None) -> np.ndarray:
    """Samples of a clip at `rate` Hz, the mean of its channels: (n,) float32, n = `resampled_length`.

    Equal to `librosa.load(path, sr=rate, mono=True)`: libsndfile, mean of the channels, soxr HQ, then zeros or a cut
    at the end to reach the length.

    Args:
        sha256: of the bytes that are expected (hex), where known.

    Raises:
        BadClipError: as `inspect_clip`, except that a file that was cut short may pass; or the bytes are others.
    """
    return np.concatenate(list(stream_mono(path, rate, sha256)))


def stream_mono(path: Path, rate: int, sha256: str | None = None) -> Iterator[np.ndarray]:
    """The samples of `load_mono` in pieces, so that memory does not grow with the clip: one block of the file at a time.

    An MP3 is decoded in one piece, because soundfile seeks after each read, after which an MP3 decoder gives other samples.

    Raises:
        BadClipError: as `load_mono`, possibly after all pieces.
    """
    with _open(path, sha256) as (sound, _, _):
        own_rate = sound.samplerate
        blocks = iter([_read(sound, -1)]) if sound.format == "MP3" else _blocks(sound)
        resampler = soxr.ResampleStream(own_rate, rate, 1, dtype="float32", quality="soxr_hq")
        frames = given = 0
        held = np.empty(0, np.float32)  # the newest piece: only the last one knows how long it must be
        for block in blocks:
            frames += len(block)
            mono = block.mean(axis=1)
            piece = mono if own_rate == rate else resampler.resample_chunk(mono)
            if len(held):
                yield held
                given += len(held)
            held = piece
        if not frames:
            raise BadClipError("holds no samples")
        if own_rate != rate:
            held = np.concatenate([held, resampler.resample_chunk(np.empty(0, np.float32), last=True)])
        left = resampled_length(frames, own_rate, rate) - given
        yield np.pad(held[:left], (0, max(left - len(held), 0)))


@contextmanager
def _open(path: Path, expected: str | None = None) -> Iterator[tuple[soundfile.SoundFile, FileIO, str]]:
    """The sound, the file it is read from, and the sha256 of its bytes, which are still the same when the context ends."""
    try:
        with reading(path) as file:
            sha256 = _sha256(file)
            if expected not in (None, sha256):
                raise BadClipError("its bytes changed since it was inspected")
            with _sound(file) as sound:
                yield sound, file, sha256
            if _sha256(file) != sha256:
                raise BadClipError("its bytes changed while it was read")
    except SourceFileError as error:
        raise BadClipError(error.reason) from error


def _sha256(file: FileIO) -> str:
    """Of all bytes of a file, which is at its start then."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest


@contextmanager
def _elsewhere(file: FileIO) -> Iterator[None]:
    """The file may be read anywhere, and then goes on from where it was: libsndfile reads the same one."""
    position = file.tell()
    yield
    file.seek(position)


@contextmanager
def _sound(file: FileIO) -> Iterator[soundfile.SoundFile]:
    try:
        # By number, and so without its name: libsndfile takes anything that is called *.raw or *.vox for sound.
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError as error:
        if not os.fstat(file.fileno()).st_size:
            raise BadClipError("empty file") from error
        # Its words for an MP3 without a frame that decodes would send people looking for the file.
        reason = "no sound found" if error.error_string.startswith("File does not exist") else error.error_string
        raise BadClipError(f"not audio libsndfile can read: {reason}") from error
    with sound:
        if sound.frames == _UNKNOWN_FRAMES:
            raise BadClipError("does not state its length, as a stream does; write it to a file again")
        if sound.samplerate not in RATES:
            raise BadClipError(f"a rate of {sound.samplerate} Hz; {RATES[0]} to {RATES[-1]} Hz are read")
        if sound.frames > LONGEST_S * sound.samplerate:
            hours = sound.frames / sound.samplerate / 3600
            raise BadClipError(f"{hours:.1f} hours long; up to {LONGEST_S // 3600} are read: cut it into pieces")
        yield sound


def _blocks(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """The file in blocks of (frames, channels) float32, none empty, up to the frames it states, as `load_mono` reads it."""
    left = sound.frames
    while left:
        wanted = min(left, max(_BLOCK_SAMPLES // sound.channels, 1))
        block = _read(sound, wanted)
        left = left - wanted if len(block) == wanted else 0  # libsndfile may find "more" behind the end of an MP3
        if len(block):
            yield block


def _read(sound: soundfile.SoundFile, frames: int) -> np.ndarray:
    """The next `frames` frames (-1: all) or as many as there are: (frames, channels) float32, finite."""
    start = 0
    try:
        start = sound.tell()
        block = sound.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise BadClipError(f"truncated or damaged: no sound after frame {start}: {error.error_string}") from error
    if not np.isfinite(block).all():
        raise BadClipError("contains NaN or infinite samples")
    return block


def _refuse_truncated(file: FileIO, sound: soundfile.SoundFile) -> None:
    if sound.format == "OGG" and ogg_lacks_its_end(file):
        raise BadClipError("truncated: the Ogg stream stops before its last page")
    shortfall = find_shortfall(file)
    if shortfall is None:
        return
    frame_bytes = sound.channels * _SAMPLE_BYTES.get(sound.subtype, 0)
    if not frame_bytes:
        raise BadClipError(
            f"truncated: the header promises {shortfall.promised} bytes, the file holds {shortfall.held}"
        )
    promised, held = shortfall.promised // frame_bytes, shortfall.held // frame_bytes
    if held < promised:
        raise BadClipError(f"truncated: the header promises {promised} frames, the file holds {held}")
