"""The engine that the settings ask for: this process, or Ray."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from fa_assets.encoders.embed_clips import Engine, LocalEngine
from fa_assets.encoders.ray import EncoderRecipe, RayEngine, RayOptions, require_ray
from fa_assets.encoders.threads import usable_cpus
from fa_assets.graph.encoder import LazyEncoder
from fa_assets.settings import Settings
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


def check_engine(settings: Settings) -> None:
    """Raise a UserError, before any work, when what was asked for is not there: Ray, or the device in this process."""
    if settings.engine == "ray":
        require_ray()
    elif settings.device != "auto":  # which takes what there is: torch need not be loaded to find out
        from fa_assets.encoders.cnn14.encoder import resolve_device

        resolve_device(settings.device)


@contextmanager
def open_engine(settings: Settings, checkpoint: Path, sha1: str) -> Iterator[RecordedEngine]:
    """The engine, with the encoder of these weights; nothing is loaded or started before there is work."""
    if settings.engine == "local":
        yield _Local(LazyEncoder(settings, checkpoint, sha1))
        return
    from fa_assets.encoders.cnn14.encoder import encoder_fingerprint

    recipe = EncoderRecipe(
        checkpoint=checkpoint,
        sha1=sha1,
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
        fingerprint=encoder_fingerprint(sha1, settings.precision),
    )
    options = RayOptions(
        address=settings.ray_address,
        actor_gpus=settings.ray_actor_gpus,
        actor_cpus=settings.ray_actor_cpus,
        decode_cpus=settings.ray_decode_cpus,
        actors=settings.ray_actors,
    )
    with RayEngine(recipe, options, device=settings.device, batch_size=settings.batch_size) as engine:
        yield engine
