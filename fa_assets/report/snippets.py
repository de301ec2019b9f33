"""Short sounds that a page can carry inside it, and how they look."""

import base64
import io
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import cut_crops
from fa_assets.audio.decode import BadClipError, stream_mono
from fa_assets.intake.clip_files import locate_clip
from fa_assets.intake.kaggle import KaggleDataset

log = logging.getLogger(__name__)

SECONDS = 4.0
RATE = 32_000
"""Hz."""
_WINDOW, _HOP, _MELS = 1024, 400, 64
_RANGE_DB = 70.0


@dataclass(frozen=True)
class LocalClip:
    """A clip that may be on this machine: its name, where it would lie, the sha256 its bytes must have, and its decoder."""

    fname: str
    path: Path
    sha256: str
    decoder: str | None = None


@dataclass(frozen=True, eq=False)
class Snippet:
    """The first `SECONDS` of a clip, float32 (n,), mono at `RATE`."""

    samples: np.ndarray

    @property
    def sound(self) -> str:
        """As MP3 (some 60 kbit/s) in a data address."""
        import soundfile

        mp3 = io.BytesIO()
        soundfile.write(mp3, self.samples.clip(-1, 1), RATE, format="MP3", subtype="MPEG_LAYER_III")
        return "data:audio/mpeg;base64," + base64.b64encode(mp3.getvalue()).decode()

    @property
    def spectrogram(self) -> str:
        """The log-mel spectrogram as PNG in a data address: time to the right, 0 to 16 kHz upwards, 70 dB of level."""
        from librosa.filters import mel
        from matplotlib import colormaps
        from PIL import Image

        padded = np.pad(self.samples, (0, max(0, _WINDOW - len(self.samples))))
        frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
        power = np.abs(np.fft.rfft(frames)) ** 2 @ mel(sr=RATE, n_fft=_WINDOW, n_mels=_MELS).T
        level = 10 * np.log10(power + 1e-10)
        shade = ((level - level.max()) / _RANGE_DB + 1).clip(0, 1)
        image = Image.fromarray(np.uint8(shade.T[::-1] * 255))
        image.putpalette(np.uint8(colormaps["magma"](np.arange(256))[:, :3] * 255).tobytes())
        png = io.BytesIO()
        image.save(png, format="PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def local_clips(dataset: KaggleDataset, clips: pa.Table) -> dict[str, LocalClip]:
    """The clips of a table (fname, sha256, decoder) that are still in the dataset folder, by name."""
    folder = Path(os.path.realpath(dataset.clips_folder))
    decoders = clips["decoder"].to_pylist() if "decoder" in clips.column_names else [None] * clips.num_rows
    found = {}
    for fname, sha256, decoder in zip(clips["fname"].to_pylist(), clips["sha256"].to_pylist(), decoders, strict=True):
        with suppress(BadClipError, OSError):
            if (path := locate_clip(folder, fname, dataset.limits)).exists():
                found[fname] = LocalClip(fname, path, sha256, decoder)
    if not found and clips.num_rows:
        log.warning("no clip is in %s: the page has none to play (FA_DATASET names the dataset folder)", folder)
    return found


def snippet(clip: LocalClip) -> Snippet | None:
    """The beginning of a clip; None when the file is not here, cannot be read, or is not the one that was evaluated."""
    try:
        pieces = stream_mono(clip.path, RATE, clip.sha256, clip.decoder)
        crops, n_samples = cut_crops(pieces, [0], round(SECONDS * RATE))
    except (OSError, BadClipError) as error:
        log.warning("%s is not in the report: %s", clip.fname, error)
        return None
    return Snippet(crops[0, :n_samples])


def snippets(clips: Iterable[LocalClip], limit: int) -> dict[str, Snippet]:
    """Of the first `limit` clips that are here, by name."""
    found: dict[str, Snippet] = {}
    for clip in clips:
        if len(found) == limit:
            break
        if clip.fname not in found and (sound := snippet(clip)) is not None:
            found[clip.fname] = sound
    return found
