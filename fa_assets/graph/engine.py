"""The engine that the settings ask for: this process, or Ray."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from fa_assets.encoders.devices import resolve_device
from fa_assets.encoders.embed_clips import Engine, LocalEngine
from fa_assets.encoders.ray import RayEngine
from fa_assets.encoders.ray_cluster import RayOptions, require_ray
from fa_assets.encoders.registry import EncoderRecipe, find_encoder
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError
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
    """Raise a UserError, before any work, when what was asked for is not there: the encoder's libraries, the
    precision, Ray or the device."""
    definition = find_encoder(settings.encoder)
    definition.require_installed()
    definition.require_precision(settings.precision)
    if settings.engine == "ray":
        require_ray()
        if ":" in settings.device:
            raise UserError(
                f"FA_DEVICE={settings.device} names one GPU of one machine: with FA_ENGINE=ray say cuda, Ray gives each "
                "actor its own."
            )
    elif settings.device != "auto":  # which takes what there is: torch need not be loaded to find out
        resolve_device(settings.device)


@contextmanager
def open_engine(settings: Settings, recipe: EncoderRecipe) -> Iterator[RecordedEngine]:
    """The engine, with the encoder of this recipe; nothing is loaded or started before there is work."""
    if settings.engine == "local":
        yield _Local(LazyEncoder(recipe))
        return
    options = RayOptions(
        address=settings.ray_address,
        actor_gpus=settings.ray_actor_gpus,
        actor_cpus=settings.ray_actor_cpus,
        decode_cpus=settings.ray_decode_cpus,
        actors=settings.ray_actors,
    )
    with RayEngine(recipe, options, device=settings.device, batch_size=settings.batch_size) as engine:
        yield engine
