"""A clip to embed."""

from dataclasses import dataclass
from pathlib import Path

from fa_assets.audio.decode import resampled_length
from fa_assets.store.crop_keys import CropKey, content_digest


@dataclass(frozen=True)
class Clip:
    """One clip to embed: its name, where it lies, the sha256 its bytes must have, its rate in Hz, its frames, and what decoded
    it (as `ClipInfo.decoder`)."""

    fname: str
    path: Path
    sha256: str
    sample_rate: int
    frames: int
    decoder: str | None = None

    @property
    def content(self) -> str:
        """What stands for it in the keys of its crops."""
        return content_digest(self.sha256, self.decoder)

    def samples_at(self, rate: int) -> int:
        """Length in samples at a rate in Hz."""
        return resampled_length(self.frames, self.sample_rate, rate)

    def content_of(self, key: CropKey) -> int:
        """How many of a crop's samples lie before the clip's end."""
        return min(key.length, self.samples_at(key.rate) - key.start)
