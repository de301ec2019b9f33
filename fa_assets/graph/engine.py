"""The engine that computes embeddings: this process, or Ray."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fa_assets.encoders.embed_clips import Engine, LocalEngine
from fa_assets.encoders.ray import EncoderRecipe, RayEngine, RayOptions, require_ray
from fa_assets.encoders.threads import usable_cpus
from fa_assets.graph.encoder import LazyEncoder
from fa_assets.store.recipe import Scalar


class RecordedEngine(Engine, Protocol):
    """An engine that says what it computed on."""

    @property
    def environment(self) -> Mapping[str, Scalar]: ...


class _Local(LocalEngine):
    def __init__(self, encoder: LazyEncoder) -> None:
        super().__init__(encoder, usable_cpus())
        self._lazy = encoder

    @property
    def environment(self) -> Mapping[str, Scalar]:
        return self._lazy.environment


@dataclass(frozen=True)
class EngineOptions:
    """Where and how embeddings are computed.

    Attributes:
        device, precision, batch_size: of the encoder; see `Cnn14Encoder`.
        ray: the cluster; None for this process.
    """

    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    ray: RayOptions | None = None


def check_engine(options: EngineOptions) -> None:
    """Raise a UserError, before any work, when what was asked for is not there: Ray, or the device in this process."""
    if options.ray is not None:
        require_ray()
    elif options.device != "auto":  # which takes what there is: torch need not be loaded to find out
        from fa_assets.encoders.cnn14.encoder import resolve_device

        resolve_device(options.device)


@contextmanager
def open_engine(options: EngineOptions, checkpoint: Path, sha1: str) -> Iterator[RecordedEngine]:
    """The engine, with the encoder of these weights; nothing is loaded or started before there is work."""
    if options.ray is None:
        yield _Local(LazyEncoder(options.device, options.precision, options.batch_size, checkpoint, sha1))
        return
    from fa_assets.encoders.cnn14.encoder import encoder_fingerprint

    recipe = EncoderRecipe(
        checkpoint=checkpoint,
        sha1=sha1,
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        fingerprint=encoder_fingerprint(sha1, options.precision),
    )
    with RayEngine(recipe, options.ray, device=options.device, batch_size=options.batch_size) as engine:
        yield engine
