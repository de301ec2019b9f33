"""The engine that computes embeddings: this process, or Ray."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fa_assets.encoders.base import Checkpoint, EncoderCard, require_installed
from fa_assets.encoders.decoded import decode_crops, decoded_in
from fa_assets.encoders.devices import resolve_device
from fa_assets.encoders.embed_clips import Engine, LocalEngine
from fa_assets.encoders.ray import RayEngine
from fa_assets.encoders.ray_cluster import RayOptions, require_ray
from fa_assets.encoders.registry import EncoderRecipe, find_encoder
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError


@dataclass(frozen=True)
class EngineOptions:
    """Which encoder computes embeddings, and where.

    Attributes:
        encoder: its name in the registry.
        device, precision, batch_size: see `EncoderDefinition.load`.
        ray: the cluster; None for this process.
        prefix: of the names of its assets, such as ``birdnet/``; empty for the main encoder.
        priority: of the steps that embed: an encoder's come one after another, so that it is loaded once.
        shares_rate: whether another encoder of the graph takes the same sample rate.
    """

    encoder: str
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None
    ray: RayOptions | None = None
    prefix: str = ""
    priority: int = 0
    shares_rate: bool = False

    @property
    def card(self) -> EncoderCard:
        return find_encoder(self.encoder).card

    def recipe(self, weights: Checkpoint) -> EncoderRecipe:
        """The encoder with these weights."""
        return EncoderRecipe(self.encoder, weights.path, weights.sha1, self.device, self.precision, self.batch_size)


def check_engine(options: EngineOptions) -> None:
    """Raise a UserError, before any work, when what was asked for is not there: the encoder's libraries, the
    precision, Ray or the device."""
    definition = find_encoder(options.encoder)
    require_installed(definition.card)
    definition.require_precision(options.precision)
    if options.ray is not None:
        require_ray()
        if ":" in options.device:
            raise UserError(
                f"FA_DEVICE={options.device} names one GPU of one machine: with FA_ENGINE=ray say cuda, Ray gives each "
                "actor its own."
            )
    elif options.device != "auto":  # which takes what there is: torch need not be loaded to find out
        resolve_device(options.device)


@contextmanager
def open_engine(options: EngineOptions, recipe: EncoderRecipe, run_id: str, scratch: Path) -> Iterator[Engine]:
    """The engine, with the encoder of this recipe; nothing is loaded or started before there is work.

    Clips that the run decodes are kept in the folder `scratch` for other encoders.
    """
    if options.ray is None:
        decoded = decoded_in(run_id, scratch) if options.shares_rate else None
        yield LocalEngine(recipe, usable_cpus(), partial(decode_crops, decoded=decoded))
        return
    with RayEngine(recipe, options.ray, device=options.device, batch_size=options.batch_size) as engine:
        yield engine
