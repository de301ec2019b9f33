"""Decoded clips, kept while a run lasts for its other encoders that take the same rate: so each clip is decoded once.

They lie in a file without a name, as in `row_file`: its space is free again when the process ends, however that ends. Where the
disk has no room for a clip, the next encoder decodes it itself.
"""

import shutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock

import numpy as np

from fa_assets.audio.crops import cut_crops
from fa_assets.audio.decode import BadClipError, stream_mono
from fa_assets.encoders.clip import Clip
from fa_assets.store.crop_keys import CropKey
from fa_assets.store.row_file import read_at, write_at

_PIECE = 1 << 20
"""Samples that are read at a time."""


class DecodedClips:
    """Clips as `stream_mono` gives them, by content and rate; used by several threads at once.

    Args:
        folder: on the disk that takes them; at most half of what is free there is used.
    """

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # open as long as this is
        self._room = shutil.disk_usage(folder).free // 2
        self._end = 0
        self._places: dict[tuple[str, int], tuple[int, int]] = {}
        self._lock = Lock()

    def stream(self, clip: Clip, rate: int) -> Iterator[np.ndarray]:
        """The samples of a clip in pieces, as `stream_mono`; where they are kept, what lies at its path now does not matter.

        Raises:
            BadClipError: as `stream_mono`.
        """
        kept = self._places.get((clip.content, rate))
        return self._kept(*kept) if kept else self._keeping(clip, rate)

    def _kept(self, place: int, samples: int) -> Iterator[np.ndarray]:
        for first in range(0, samples, _PIECE):
            piece = np.empty(min(_PIECE, samples - first), np.float32)
            read_at(self._file.fileno(), piece, place + 4 * first)
            yield piece

    def _keeping(self, clip: Clip, rate: int) -> Iterator[np.ndarray]:
        samples = clip.samples_at(rate)
        with self._lock:
            place = self._end
            keeps = place + 4 * samples <= self._room
            if keeps:
                self._end += 4 * samples
        done = 0
        for piece in stream_mono(clip.path, rate, clip.sha256, clip.decoder):
            yield piece
            try:
                keeps = keeps and done + len(piece) <= samples
                if keeps:
                    write_at(self._file.fileno(), piece, place + 4 * done)
            except OSError:  # the disk is full
                keeps = False
            done += len(piece)
        if keeps and done == samples:
            self._places[clip.content, rate] = place, samples


@lru_cache(maxsize=1)
def decoded_in(run_id: str, folder: Path) -> DecodedClips:
    """What this process keeps of a run; that of the run before is given up."""
    folder.mkdir(parents=True, exist_ok=True)
    return DecodedClips(folder)


def decode_crops(clip: Clip, keys: Sequence[CropKey], decoded: DecodedClips | None = None) -> np.ndarray:
    """The crops of a clip that are asked for, all of one rate and length: (len(keys), length) float32.

    Args:
        decoded: where clips are kept for other encoders.

    Raises:
        BadClipError: there is no such file, its bytes changed, or it does not decode to what was recorded of it.
    """
    rate = keys[0].rate
    pieces = decoded.stream(clip, rate) if decoded else stream_mono(clip.path, rate, clip.sha256, clip.decoder)
    crops, n_samples = cut_crops(pieces, [key.start for key in keys], keys[0].length)
    if n_samples != clip.samples_at(rate):
        raise BadClipError(f"{n_samples} samples at {rate} Hz, {clip.samples_at(rate)} expected")
    return crops
