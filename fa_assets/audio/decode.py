"""An audio file as mono float32 samples at an encoder's rate, the same as `librosa.load` gives where that reads it whole.

What is hashed and what is decoded is one open file, whatever is put in its place meanwhile; and it is hashed again after the
last sample, so that samples of a file that was being rewritten are never taken for those of its bytes before or after.

A clip is good when the whole file decodes (`sound`), was not cut short, and holds sound: samples that are finite, below
`LOUDEST`, and not silent once the channels are mixed. Why it is not is said in a `BadClipError`. libsndfile, FFmpeg, soxr and
hashlib release the GIL, so clips can be read from several threads.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import numpy as np
import soxr

from fa_assets.audio.landmarks import LandmarkFinder, Landmarks
from fa_assets.audio.sound import LONGEST_S, Sound, open_sound
from fa_assets.errors import BadClipError
from fa_assets.store.source_files import SourceFileError, reading

__all__ = ["BadClipError", "ClipInfo", "inspect_clip", "load_mono", "resampled_length", "stream_mono"]


LOUDEST = 1e10
"""The largest absolute sample that is read, 1 being full scale. Integers of 32 bits that nobody scaled reach 2e9; what is
beyond is a flipped bit, and too large for a network."""
SILENCE = 1e-6
"""-120 dB of full scale: a mix that never reaches it is silence, whatever noise a decoder adds."""
ONE_STEP = 2**-15
"""Of 16 bits: what rounding leaves in the mix of channels that are out of phase."""
CLIPPED_LEVEL = 0.999
"""Of full scale: what was cut off at the largest value of 16 bits (0.99997) or just below it by a limiter."""


@dataclass(frozen=True)
class ClipInfo:
    """What a file holds: rate in Hz, channels, decoded frames, seconds, and the sha256 (hex) of its bytes.

    Levels, 1 being full scale: `peak` is the largest absolute sample of the mean of all channels, which is what an encoder is
    given, `rms` the root of its mean square; `clipped_share` is the part of the samples of all channels at `CLIPPED_LEVEL` or
    beyond, 0 to 1. `decoder` names what read it, with its version; None for libsndfile. `landmarks` where they were asked for.
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
    landmarks: Landmarks | None = field(default=None, compare=False, repr=False)


def inspect_clip(path: Path, *, may_be_silent: bool = False, with_landmarks: bool = False) -> ClipInfo:
    """Decode a whole file, in blocks, and hash its bytes.

    Args:
        may_be_silent: whether silence passes, as in clips that nothing is learnt from.
        with_landmarks: whether its landmarks are found; that takes about as long as decoding.

    Raises:
        BadClipError: no such file, not a file, unreadable, empty, not audio, of a rate outside `RATES`, longer than
            `LONGEST_S`, damaged, truncated, longer than its header says, without samples, with NaN, infinite or absurdly large
            ones, or silent.
    """
    with _open(path) as (sound, sha256):
        finder = LandmarkFinder(sound.rate) if with_landmarks else None
        frames, peak, squares, clipped, loudest = 0, 0.0, 0.0, 0, 0.0
        lowest, highest = math.inf, -math.inf
        for block in _checked(sound):
            level = np.abs(block)
            mixed = _mixed(block)
            if finder:
                finder.add(mixed)
            mono = np.abs(mixed) if sound.channels > 1 else level[:, 0]
            frames += len(block)
            peak = max(peak, float(mono.max()))
            lowest, highest = min(lowest, float(mixed.min())), max(highest, float(mixed.max()))
            loudest = max(loudest, float(level.max()))
            squares += float(np.square(mono, dtype=np.float64).sum())
            clipped += int((level >= CLIPPED_LEVEL).sum())
        if not frames:
            raise BadClipError("holds no samples")
        cancelled = peak <= ONE_STEP and loudest > 10 * max(peak, SILENCE)
        constant = frames > 1 and highest - lowest < SILENCE <= peak and not cancelled
        if (peak < SILENCE or cancelled or constant) and not may_be_silent:
            out_of_phase = "; its channels cancel each other: write one of them as the clip" if cancelled else ""
            is_always = f"is always {lowest:.2g}" if constant else f"never exceeds {max(peak, SILENCE):.2g}"
            raise BadClipError(f"silent: the mean of its channels {is_always} of full scale{out_of_phase}")
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
            finder.finish() if finder else None,
        )


def resampled_length(frames: int, sample_rate: int, rate: int) -> int:
    """Number of samples that `load_mono` gives at `rate` Hz for a file of `frames` frames at `sample_rate` Hz.

    ceil(frames * rate / sample_rate) in the floating-point arithmetic of `librosa.resample`. At unusual rates (1159
    Hz) a product that should be whole comes out slightly above it; librosa then gives one sample more, and so do we.
    """
    return math.ceil(frames * (rate / sample_rate))


def load_mono(path: Path, rate: int, sha256: str | None = None, decoder: str | None = None) -> np.ndarray:
    """Samples of a clip at `rate` Hz, the mean of its channels: (n,) float32, n = `resampled_length`.

    Equal to `librosa.load(path, sr=rate, mono=True)` for what libsndfile reads: mean of the channels, soxr HQ, then zeros or a
    cut at the end to reach the length.

    Args:
        sha256, decoder: what `inspect_clip` found, where it is known: the bytes and their reader must be the same.

    Raises:
        BadClipError: as `inspect_clip`, except that silence passes; or the bytes are others.
    """
    return np.concatenate(list(stream_mono(path, rate, sha256, decoder)))


def stream_mono(path: Path, rate: int, sha256: str | None = None, decoder: str | None = None) -> Iterator[np.ndarray]:
    """The samples of `load_mono` in pieces, so that memory does not grow with the clip: one block of the file at a time.

    Raises:
        BadClipError: as `load_mono`, possibly after all pieces.
    """
    with _open(path, sha256, decoder) as (sound, _):
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


@contextmanager
def _open(path: Path, expected: str | None = None, decoder: str | None = None) -> Iterator[tuple[Sound, str]]:
    """The sound of a file and the sha256 of its bytes, which are still the same when the context ends."""
    try:
        with reading(path) as file:
            sha256 = _sha256(file)
            if expected not in (None, sha256):
                raise BadClipError("its bytes changed since it was inspected")
            with open_sound(file, known_whole=expected is not None and decoder is None) as sound:
                if expected and sound.decoder != decoder:
                    was, now = (name or "libsndfile" for name in (decoder, sound.decoder))
                    raise BadClipError(f"was inspected with {was}, and {now} may give other samples: inspect it again")
                yield sound, sha256
            if _sha256(file) != sha256:
                raise BadClipError("its bytes changed while it was read")
    except SourceFileError as error:
        raise BadClipError(error.reason) from error


def _sha256(file: FileIO) -> str:
    """Of all bytes of a file."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _mixed(block: np.ndarray) -> np.ndarray:
    """The mean of the channels: (frames,)."""
    return block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]


def _checked(sound: Sound) -> Iterator[np.ndarray]:
    """The blocks of a sound that is not too long and has no sample that no recorder makes."""
    frames = 0
    for block in sound.blocks():
        frames += len(block)
        if frames > LONGEST_S * sound.rate:
            raise BadClipError(
                f"longer than {LONGEST_S // 3600} hours, which is the most that is read: cut it into pieces"
            )
        loudest = max(float(block.max()), -float(block.min()))
        if not math.isfinite(loudest):
            raise BadClipError("contains NaN or infinite samples: export it again")
        if loudest > LOUDEST:
            raise BadClipError(
                f"contains a sample of {loudest:.0e}, where full scale is 1 and {LOUDEST:.0e} the most that is read: a bit was "
                "flipped; copy the clip again"
            )
        yield block
