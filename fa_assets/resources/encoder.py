"""The CNN14 encoder as a resource: loaded when first needed, once per process for the same weights and settings."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.recipe import Scalar

if TYPE_CHECKING:
    from fa_assets.panns.encoder import Cnn14Encoder


class EncoderSettings(dg.ConfigurableResource):
    """How embeddings are computed: device, precision, crops per batch."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    batch_size: int | None = None

    def check_device(self) -> None:
        """Raise a UserError when the device that was asked for is not there."""
        if self.device != "auto":  # which takes what there is: torch need not be loaded to find out
            from fa_assets.panns.encoder import resolve_device

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
            self._loaded = _load(*self._arguments)
        return self._loaded

    @property
    def environment(self) -> Mapping[str, Scalar]:
        """What it computed on; says so when everything was reused and nothing computed."""
        if self._loaded is None:
            return {"device": "none: every crop was in the store"}
        return {
            "device": self._loaded.device,
            "device_name": self._loaded.device_name,
            "precision": self._loaded.precision,
            "batch_size": self._loaded.batch_size,
        }


@lru_cache(maxsize=1)
def _load(checkpoint: Path, sha1: str, device: str, precision: str, batch_size: int | None) -> "Cnn14Encoder":
    from fa_assets.panns.encoder import Cnn14Encoder

    _require_sha1(checkpoint, sha1)
    return Cnn14Encoder(checkpoint, device=device, precision=precision, batch_size=batch_size)


def _require_sha1(checkpoint: Path, sha1: str) -> None:
    """Embeddings are stored under the weights' sha1: a file that was replaced since must not be used under it.

    Raises:
        UserError: the file is gone or another one.
    """
    try:
        with checkpoint.open("rb") as file:
            found = hashlib.file_digest(file, "sha1").hexdigest()
    except OSError as error:
        raise UserError(
            f"The weights {checkpoint} cannot be read ({error}): materialize cnn14_checkpoint again."
        ) from error
    if found != sha1:
        raise UserError(
            f"The weights {checkpoint} changed since cnn14_checkpoint was materialized (sha1 {found}, {sha1} was recorded): "
            "materialize cnn14_checkpoint again."
        )
