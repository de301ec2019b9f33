"""The CNN14 encoder as a resource: loaded when first needed, once per process for the same weights and settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg

from fa_assets.encoders.cnn14.loading import load_encoder
from fa_assets.encoders.embed_clips import NOTHING_COMPUTED
from fa_assets.store.recipe import Scalar

if TYPE_CHECKING:
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder


class EncoderSettings(dg.ConfigurableResource):
    """How embeddings are computed: device, precision, crops per batch."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    batch_size: int | None = None

    def check_device(self) -> None:
        """Raise a UserError when the device that was asked for is not there."""
        if self.device != "auto":  # which takes what there is: torch need not be loaded to find out
            from fa_assets.encoders.cnn14.encoder import resolve_device

            resolve_device(self.device)

    def lazy(self, checkpoint: Path, sha1: str) -> "LazyEncoder":
        """The encoder with these weights, not loaded yet; `sha1` is the file's, so a replaced file is loaded anew."""
        return LazyEncoder(self, checkpoint, sha1)


class LazyEncoder:
    """Gives the encoder when called; knows whether it ever was."""

    def __init__(self, settings: EncoderSettings, checkpoint: Path, sha1: str) -> None:
        self._arguments = (checkpoint, sha1, settings.device, settings.precision, settings.batch_size)
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
