"""The encoder of a run: loaded when first needed, once per process for the same weights and settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fa_assets.encoders.cnn14.loading import load_encoder
from fa_assets.encoders.embed_clips import NOTHING_COMPUTED
from fa_assets.store.recipe import Scalar

if TYPE_CHECKING:
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder


class LazyEncoder:
    """Gives the encoder of these weights when called, and knows whether it ever was; `sha1` is the file's, so a replaced file
    is loaded again."""

    def __init__(self, device: str, precision: str, batch_size: int | None, checkpoint: Path, sha1: str) -> None:
        self._arguments = (checkpoint, sha1, device, precision, batch_size)
        self._loaded: Cnn14Encoder | None = None

    def __call__(self) -> "Cnn14Encoder":
        if self._loaded is None:
            self._loaded = load_encoder(*self._arguments)
        return self._loaded

    @property
    def environment(self) -> Mapping[str, Scalar]:
        """What it computed on; says so when everything was reused and nothing computed."""
        if self._loaded is None:
            return {"engine": "local", "device": NOTHING_COMPUTED}
        return {
            "engine": "local",
            "device": self._loaded.device,
            "device_name": self._loaded.device_name,
            "precision": self._loaded.precision,
            "batch_size": self._loaded.batch_size,
        }
