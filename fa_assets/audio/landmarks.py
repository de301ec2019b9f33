"""Landmarks: a fingerprint of sound that survives other levels, encodings, shifts, excerpts and added noise.

Peaks of the spectrogram keep their place in frequency and their distances in time whatever is done to the level, and the
strongest ones outlast noise and lossy encoding. A landmark is such a peak with two of those that follow it, as a number of
32 bits: two clips with several of these at one and the same distance in time hold the same recording (A. Wang, "An
Industrial-Strength Audio Search Algorithm", ISMIR 2003, with three peaks in place of two, which chance matches far less
often). It does not withstand another speed or pitch, and knows nothing of sounds that are merely alike.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import soxr

RATE = 8000
"""Hz; what is above half of it has no part in it."""
HOP = 64
_WINDOW = 512
_NEIGHBOURHOOD = (17, 13)
"""Frames (8 ms) by bins (16 Hz) in which a peak is the largest value."""
_BLOCK_FRAMES, _PEAKS_IN_BLOCK = 62, 10
"""Of each half second the strongest peaks are taken."""
_FOLLOWING, _TARGETS = 12, 4
"""Of so many peaks that follow, the first few that are near enough are joined with it two by two."""
_MOST_FRAMES, _MOST_BINS = 63, 100
_CHUNK = 30 * RATE
"""Samples that are analysed at once; a few landmarks are lost where one chunk ends."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Of one clip: `hashes` uint32 (n,), ascending, and `frames` uint16 (n,), when each begins, in `HOP` samples, modulo 65536
    (524 s)."""

    hashes: np.ndarray
    frames: np.ndarray


class LandmarkFinder:
    """Finds the landmarks of a sound that comes in blocks.

    Args:
        rate: of the blocks, Hz.
    """

    def __init__(self, rate: int) -> None:
        self._resampler = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="LQ") if rate != RATE else None
        self._held: list[np.ndarray] = []
        self._n_held = 0
        self._frames_done = 0
        self._found: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, mono: np.ndarray) -> None:
        """Take the next samples, float32 (n,)."""
        self._take(self._resampler.resample_chunk(mono) if self._resampler else mono)

    def finish(self) -> Landmarks:
        """The landmarks of all of it."""
        if self._resampler:
            self._take(self._resampler.resample_chunk(np.empty(0, np.float32), last=True))
        self._analyse()
        hashes, frames = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        order = np.argsort(hashes, kind="stable")
        return Landmarks(hashes[order], frames[order])

    def _take(self, samples: np.ndarray) -> None:
        while len(samples):
            some = samples[: _CHUNK - self._n_held]
            samples = samples[len(some) :]
            self._held.append(some)
            self._n_held += len(some)
            if self._n_held == _CHUNK:
                self._analyse()

    def _analyse(self) -> None:
        samples = np.concatenate([*self._held, np.zeros(max(_WINDOW - self._n_held, 0), np.float32)])
        hashes, frames = _joined(*_peaks(samples))
        self._found.append((hashes, (frames + self._frames_done).astype(np.uint16)))
        self._frames_done += _CHUNK // HOP
        self._held, self._n_held = [], 0


@cache
def _hann() -> np.ndarray:
    return np.hanning(_WINDOW).astype(np.float32)


def _peaks(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strongest peaks of the spectrogram of samples (n,): frame and bin of each, int64 (peaks,), by frame."""
    from scipy import fft
    from scipy.ndimage import maximum_filter

    framed = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::HOP]
    level = np.abs(fft.rfft(framed * _hann(), axis=1))
    is_peak = (level == maximum_filter(level, size=_NEIGHBOURHOOD)) & (level > 0)
    is_peak[:, :2] = False  # the mean, which recorders differ in
    frame, bin = np.nonzero(is_peak)
    block = frame // _BLOCK_FRAMES
    order = np.lexsort((-level[frame, bin], block))
    rank = np.arange(len(order)) - np.searchsorted(block[order], block[order])
    strong = np.sort(order[rank < _PEAKS_IN_BLOCK])
    return frame[strong], bin[strong]


def _joined(frame: np.ndarray, bin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The landmarks of peaks that are sorted by frame: hashes uint32 (n,), and frames int64 (n,)."""
    after = np.arange(len(frame))[:, None] + np.arange(1, _FOLLOWING + 1)
    near = after < len(frame)
    after = np.minimum(after, max(len(frame) - 1, 0))
    later, higher = frame[after] - frame[:, None], bin[after] - bin[:, None]
    near &= (later > 0) & (later <= _MOST_FRAMES) & (higher != 0) & (np.abs(higher) <= _MOST_BINS)
    near &= near.cumsum(axis=1) <= _TARGETS
    place = later * (2 * _MOST_BINS + 1) + higher + _MOST_BINS  # of a target as seen from its peak, below 2**14
    targets = np.where(near, place, 0)[np.arange(len(frame))[:, None], np.argsort(~near, axis=1, kind="stable")]
    hashes, frames = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    for one, other in combinations(range(_TARGETS), 2):
        whole = targets[:, other] > 0
        key = (bin.astype(np.uint64) << np.uint64(28)) | (targets[:, one] << 14 | targets[:, other]).astype(np.uint64)
        hashes.append(_mixed(key[whole]))
        frames.append(frame[whole])
    return np.concatenate(hashes), np.concatenate(frames)


def _mixed(keys: np.ndarray) -> np.ndarray:
    """64 bits spread over 32, uint32 (n,): Fibonacci hashing (Knuth, "The Art of Computer Programming" 3, 6.4)."""
    return (keys * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)).astype(np.uint32)
