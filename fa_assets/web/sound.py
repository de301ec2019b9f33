"""A clip as a browser plays it and as a picture: only what is in the dataset's table, whole, and seekable.

What libsndfile reads, of the formats that every browser plays, is sent as it is; anything else is decoded as the encoders hear
it, and sent as a WAV file, of which the newest few are kept.
"""

import io
import math
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fa_assets.audio.decode import BadClipError, resampled_length, stream_mono
from fa_assets.audio.quiet import quiet
from fa_assets.errors import UserError
from fa_assets.intake.clip_files import locate_clip
from fa_assets.store.source_files import is_file
from fa_assets.web.audit import current
from fa_assets.web.site import Site

_PLAYED = {
    ("WAV", "PCM_U8"): "audio/wav",
    ("WAV", "PCM_16"): "audio/wav",
    ("WAV", "PCM_24"): "audio/wav",
    ("WAV", "FLOAT"): "audio/wav",
    ("WAVEX", "PCM_16"): "audio/wav",
    ("WAVEX", "PCM_24"): "audio/wav",
    ("FLAC", "PCM_16"): "audio/flac",
    ("FLAC", "PCM_24"): "audio/flac",
    ("OGG", "VORBIS"): "audio/ogg",
    ("OGG", "OPUS"): "audio/ogg",
    ("MPEG", "MPEG_LAYER_III"): "audio/mpeg",
    ("MP3", "MPEG_LAYER_III"): "audio/mpeg",
}
"""What browsers play, as libsndfile names it: format and coding, to the media type."""
_KEPT = 20
"""Decoded clips on the disk."""
_RATE = 32_000
_HOP, _WINDOW, _MELS, _LOWEST_HZ = 256, 1024, 96, 30.0
_COLUMNS = 1000
_AT_ONCE = 256
"""Columns of a spectrogram computed at a time, so that memory does not grow with the clip."""
_FLOOR_DB = -75.0
_TICKS_HZ = (250, 1000, 4000, 12_000)


def sound(site: Site, request: Request) -> Response:
    """The clip ``fname``; parts of it where the request has a range."""
    clip, path = _clip(site, request.query_params.get("fname", ""))
    kind = _media_type(path)
    if kind is None:
        path, kind = _decoded(path, clip, site.scratch), "audio/wav"
    return FileResponse(path, media_type=kind, headers={"Content-Security-Policy": "default-src 'none'; sandbox"})


def spectrogram(site: Site, request: Request) -> Response:
    """The log-mel spectrogram of the clip ``fname`` as PNG, of the bytes that were evaluated."""
    clip, path = _clip(site, request.query_params.get("fname", ""))
    try:
        picture = _png(path, clip["sha256"], clip.get("decoder"), clip["frames"], clip["sample_rate"])
    except BadClipError as error:
        raise UserError(f"{clip['fname']}: {error}") from error
    return Response(picture, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def ticks() -> list[tuple[str, float]]:
    """Frequencies beside the picture: what is written, and how far from the bottom, 0 to 1."""
    low, high = _mel(_LOWEST_HZ), _mel(_RATE / 2)
    return [(f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz", (_mel(hz) - low) / (high - low)) for hz in _TICKS_HZ]


def _clip(site: Site, fname: str) -> tuple[Mapping[str, Any], Path]:
    """A clip of the table, and its file.

    Raises:
        UserError: it is not in the table, or not in the folder.
    """
    clip = current(site.root).clips.get(fname)
    if clip is None:
        raise UserError("There is no such clip in the dataset's table.")
    try:
        path = locate_clip(Path(os.path.realpath(site.dataset.clips_folder)), fname, site.dataset.limits)
    except BadClipError as error:
        raise UserError(f"{fname}: {error}") from error
    if not is_file(path):
        raise UserError(f"{fname} is no longer in {site.dataset.clips_folder}.")
    return clip, path


def _media_type(path: Path) -> str | None:
    """Of what a browser plays; None of anything else."""
    try:
        # By number: of a name, libsndfile believes the ending.
        with quiet(), path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as about:
            return _PLAYED.get((about.format, about.subtype))
    except (OSError, soundfile.LibsndfileError):
        return None


def _decoded(path: Path, clip: Mapping[str, Any], scratch: Path) -> Path:
    """The clip as a WAV file in the folder `scratch`.

    Raises:
        UserError: it cannot be read, or its bytes are others than those that were evaluated.
    """
    target = scratch / f"{clip['sha256']}.wav"
    if target.exists():
        return target
    draft = target.with_suffix(f".{os.urandom(8).hex()}")
    try:
        with soundfile.SoundFile(draft, "w", _RATE, 1, "PCM_16", format="WAV") as file:
            for piece in stream_mono(path, _RATE, clip["sha256"], clip.get("decoder")):
                file.write(piece.clip(-1, 1))
        draft.rename(target)
    except BadClipError as error:
        raise UserError(f"{clip['fname']}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    for old in sorted(scratch.glob("*.wav"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)
    return target


@lru_cache(maxsize=256)
def _png(path: Path, sha256: str, decoder: str | None, frames: int, rate: int) -> bytes:
    from matplotlib.image import imsave

    n_samples = resampled_length(frames, rate, _RATE)
    columns = np.concatenate(list(_columns(stream_mono(path, _RATE, sha256, decoder), n_samples)), axis=1)
    decibels = 10 * np.log10(np.maximum(columns / max(columns.max(), 1e-10), 1e-12))
    picture = io.BytesIO()
    imsave(picture, decibels, cmap="magma", vmin=_FLOOR_DB, vmax=0, origin="lower", format="png")
    return picture.getvalue()


def _columns(pieces: Iterator[np.ndarray], n_samples: int) -> Iterator[np.ndarray]:
    """Mel powers (mels, columns), each column the mean of as many frames as make `_COLUMNS` of the whole clip."""
    import librosa

    pooled = math.ceil(n_samples / _HOP / _COLUMNS)
    block = _HOP * pooled * _AT_ONCE
    held, left = np.empty(0, np.float32), n_samples
    for piece in pieces:
        held, left = np.concatenate([held, piece]), left - len(piece)
        while len(held) >= block or (len(held) and left <= 0):
            own, held = held[:block], held[block:]
            mel = librosa.feature.melspectrogram(
                y=np.pad(own, (0, max(_WINDOW - len(own), 0))),
                sr=_RATE,
                n_fft=_WINDOW,
                hop_length=_HOP,
                n_mels=_MELS,
                fmin=_LOWEST_HZ,
                htk=True,
            )[:, : math.ceil(len(own) / _HOP)]
            edges = range(0, mel.shape[1], pooled)
            yield np.add.reduceat(mel, edges, axis=1) / np.diff([*edges, mel.shape[1]])


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)
