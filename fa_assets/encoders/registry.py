"""The encoders there are: the built-in ones, and those of installed packages; and one of them, loaded from its recipe.

A package offers an encoder by an entry point of the group ``fa_assets.encoders``, whose name is the card's and whose value
names an `EncoderDefinition`::

    [project.entry-points."fa_assets.encoders"]
    perch = "my_package.perch:ENCODER"
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from fa_assets.encoders.base import Encoder, EncoderDefinition
from fa_assets.encoders.weights import require_sha1
from fa_assets.errors import UserError

GROUP = "fa_assets.encoders"
DEFAULT = "cnn14"
"""The encoder where none is named, as in values of versions that had no other."""

_CHECKPOINT = "_checkpoint"
_BUILT_IN = {
    name: EntryPoint(name, f"fa_assets.encoders.{module}:ENCODER", GROUP)
    for name, module in ((DEFAULT, "cnn14.definition"), ("birdnet", "birdnet"))
}


def encoder_entries() -> Mapping[str, EntryPoint]:
    """The encoders by name; nothing of them is imported. A built-in one comes before a package's of its name."""
    return {**{entry.name: entry for entry in entry_points(group=GROUP)}, **_BUILT_IN}


def find_encoder(name: str) -> EncoderDefinition:
    """The encoder of that name; its libraries are not imported.

    Raises:
        UserError: there is none, or its module cannot be imported or offers something else.
    """
    entry = _BUILT_IN.get(name) or encoder_entries().get(name)
    if entry is None:
        raise UserError(
            f"Unknown encoder {name!r}: there is {', '.join(sorted(encoder_entries()))}. Others come with packages that have "
            f"an entry point of the group {GROUP}."
        )
    try:
        found = entry.load()
    except Exception as error:  # whatever another package's module raises
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"Encoder {name} ({entry.value}) cannot be imported: {said}. Install what it needs.") from error
    if not isinstance(found, EncoderDefinition) or found.card.name != name or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UserError(
            f"Encoder {name}: {entry.value} is not an EncoderDefinition whose card has this name, of lower case letters, "
            "digits and underscores. Fix its package."
        )
    return found


def checkpoint_asset(name: str) -> str:
    """The asset that holds which weights an encoder has."""
    return name + _CHECKPOINT


def is_checkpoint(asset: str) -> bool:
    """Whether an asset is that of some encoder's weights."""
    return asset.endswith(_CHECKPOINT)


@dataclass(frozen=True)
class EncoderRecipe:
    """Which encoder to load, with which weights and how; calling it gives the encoder.

    Attributes:
        name: the encoder's, in the registry.
        checkpoint: the weights file.
        sha1: of the weights.
        device, precision, batch_size: see `EncoderDefinition.load`.
    """

    name: str
    checkpoint: Path
    sha1: str
    device: str = "auto"
    precision: str = "fp32"
    batch_size: int | None = None

    @property
    def fingerprint(self) -> str:
        return find_encoder(self.name).fingerprint(self.sha1, self.precision)

    def __call__(self) -> Encoder:
        """The encoder, loaded once in a process for the same recipe.

        Raises:
            UserError: the weights are gone or others now; what `EncoderDefinition.load` raises.
        """
        return _load(self)


@lru_cache(maxsize=1)
def _load(recipe: EncoderRecipe) -> Encoder:
    definition = find_encoder(recipe.name)
    definition.require_installed()
    require_sha1(recipe.checkpoint, recipe.sha1, checkpoint_asset(recipe.name))
    encoder = definition.load(
        recipe.checkpoint, device=recipe.device, precision=recipe.precision, batch_size=recipe.batch_size
    )
    require_sha1(recipe.checkpoint, recipe.sha1, checkpoint_asset(recipe.name))  # nor was it replaced meanwhile
    return encoder
