"""The encoders there are: the built-in ones, and those of installed packages; and one of them, loaded from its recipe.

A package offers an encoder by an entry point of the group ``fa_assets.encoders``, whose name is the card's and whose value
names an `EncoderDefinition`::

    [project.entry-points."fa_assets.encoders"]
    perch = "my_package.perch:ENCODER"

An `EncoderFamily` there offers encoders whose names are NAME:WHICH.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path, PurePath

from fa_assets.encoders.base import Encoder, EncoderDefinition, EncoderFamily, require_installed
from fa_assets.encoders.weights import require_sha1
from fa_assets.errors import UserError, one_line

GROUP = "fa_assets.encoders"
DEFAULT = "cnn14"
"""The encoder where none is named, as in values of versions that had no other."""

_CHECKPOINT = "_checkpoint"
_BUILT_IN = {
    name: EntryPoint(name, f"fa_assets.encoders.{offered}", GROUP)
    for name, offered in (
        (DEFAULT, "cnn14.definition:ENCODER"),
        ("cnn14_16k", "cnn14.definition:ENCODER_16K"),
        ("birdnet", "birdnet:ENCODER"),
        ("onnx", "onnx:ENCODER"),
        ("transformers", "transformers:ENCODER"),
    )
}


def encoder_entries() -> Mapping[str, EntryPoint]:
    """The encoders by name; nothing of them is imported. A built-in one comes before a package's of its name."""
    return {**{entry.name: entry for entry in entry_points(group=GROUP)}, **_BUILT_IN}


def find_encoder(name: str) -> EncoderDefinition:
    """The encoder of that name; its libraries are not imported.

    Raises:
        UserError: there is none, or its module cannot be imported or offers something else.
    """
    kind, colon, which = name.partition(":")
    found = find_entry(kind)
    if isinstance(found, EncoderFamily):
        if not which:
            raise UserError(f"Encoder {kind} is many: say which one, {kind}:{found.which} (docs/encoders.md).")
        return found.member(which)
    if colon:
        raise UserError(f"Unknown encoder {name!r}: {kind} is one alone, without what stands behind the colon.")
    return found


def find_entry(name: str) -> EncoderDefinition | EncoderFamily:
    """What an entry point offers; raises as `find_encoder`."""
    entry = _BUILT_IN.get(name) or encoder_entries().get(name)
    if entry is None:
        raise UserError(
            f"Unknown encoder {name!r}: there is {', '.join(sorted(encoder_entries()))}. Others come with packages that have "
            f"an entry point of the group {GROUP}."
        )
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # whatever another package's module raises
        said = one_line(error, None) if isinstance(error, Exception) else f"it ends the program ({error})"
        raise UserError(f"Encoder {name} ({entry.value}) cannot be imported: {said}. Install what it needs.") from error
    is_one = isinstance(found, EncoderDefinition | EncoderFamily)
    if not is_one or found.name != name or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise UserError(
            f"Encoder {name}: {entry.value} is not an EncoderDefinition whose card has this name, of lower case letters, "
            "digits and underscores, nor an EncoderFamily of this name. Fix its package."
        )
    return found


def with_absolute_path(name: str, folder: Path) -> str:
    """The encoder's name; where it names a file or folder, from `folder` on, by its absolute path."""
    kind, _, which = name.partition(":")
    path = folder / Path(which).expanduser()
    return f"{kind}:{path}" if which and path.exists() else name


def asset_prefix(name: str) -> str:
    """What assets of an encoder's own are called by: its name, or for NAME:PATH the kind and the end of the path."""
    kind, _, which = name.partition(":")
    end = PurePath(re.sub("@[0-9a-f]{40}$", "", which)).name.removesuffix(f".{kind}")
    return re.sub(r"\W+", "_", f"{kind}_{end}".lower(), flags=re.ASCII).strip("_")


def checkpoint_asset(name: str) -> str:
    """The asset that holds which weights an encoder has."""
    return asset_prefix(name) + _CHECKPOINT


def key_prefix(name: str) -> str:
    """What the names of an encoder's assets and files begin with where it stands beside the main one."""
    return f"{asset_prefix(name)}/"


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
        """The encoder, loaded once in a process for the same recipe; the one before is given up first.

        Raises:
            UserError: the weights are gone or others now; what `EncoderDefinition.load` raises.
        """
        return _load(self)


@lru_cache(maxsize=1)
def _load(recipe: EncoderRecipe) -> Encoder:
    _load.cache_clear()  # two encoders are not in memory at once
    definition = find_encoder(recipe.name)
    require_installed(definition.card)
    require_sha1(recipe.checkpoint, recipe.sha1, checkpoint_asset(recipe.name))
    encoder = definition.load(
        recipe.checkpoint, device=recipe.device, precision=recipe.precision, batch_size=recipe.batch_size
    )
    require_sha1(recipe.checkpoint, recipe.sha1, checkpoint_asset(recipe.name))  # nor was it replaced meanwhile
    return encoder
