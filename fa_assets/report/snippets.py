"""Short sounds that a page can carry inside it."""

import base64
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fa_assets.audio.crops import cut_crops
from fa_assets.audio.decode import BadClipError, stream_mono

log = logging.getLogger(__name__)

SECONDS = 4.0
RATE = 32_000
"""Hz."""


@dataclass(frozen=True)
class LocalClip:
    """A clip that may be on this machine: its name, where it would lie, the sha256 its bytes must have, and its decoder."""

    fname: str
    path: Path
    sha256: str
    decoder: str | None = None


def snippet(clip: LocalClip) -> str | None:
    """The clip's first `SECONDS`, mono at `RATE`, as FLAC in a data address.

    None when the file is not here, cannot be read, or is another than the one that was evaluated.
    """
    import soundfile

    try:
        pieces = stream_mono(clip.path, RATE, clip.sha256, clip.decoder)
        crops, n_samples = cut_crops(pieces, [0], round(SECONDS * RATE))
    except (OSError, BadClipError) as error:
        log.warning("%s is not in the report: %s", clip.fname, error)
        return None
    flac = io.BytesIO()
    soundfile.write(flac, crops[0, :n_samples].clip(-1, 1), RATE, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(flac.getvalue()).decode()


def snippets(clips: Sequence[LocalClip], limit: int) -> dict[str, str]:
    """Data addresses of the first `limit` clips that are here, by name."""
    found: dict[str, str] = {}
    for clip in clips:
        if len(found) == limit:
            break
        if clip.fname not in found and (sound := snippet(clip)) is not None:
            found[clip.fname] = sound
    return found
