"""The encoder of a run: its recipe, loaded when first needed; and values of another one, refused."""

from collections.abc import Mapping

from fa_assets.encoders.base import Checkpoint, Encoder
from fa_assets.encoders.embed_clips import NOTHING_COMPUTED
from fa_assets.encoders.registry import DEFAULT, EncoderRecipe
from fa_assets.errors import UserError
from fa_assets.settings import Settings
from fa_assets.store.recipe import Scalar
from fa_assets.store.values import ValueHeader


def recipe_of(settings: Settings, weights: Checkpoint) -> EncoderRecipe:
    """The encoder that the settings ask for, with these weights."""
    return EncoderRecipe(
        settings.encoder, weights.path, weights.sha1, settings.device, settings.precision, settings.batch_size
    )


def require_encoder(header: ValueHeader, encoder: str) -> None:
    """Raise a UserError where embeddings were made by another encoder; those of versions that knew one do not say."""
    made_by = header.details.get("encoder", DEFAULT)
    if made_by != encoder:
        part = "" if header.partition is None else f", part {header.partition},"
        raise UserError(
            f"{header.asset}{part} was made by encoder {made_by}, and FA_ENCODER is {encoder}: materialize it again, or set "
            f"FA_ENCODER={made_by}."
        )


class LazyEncoder:
    """Gives the encoder of a recipe when called, and knows whether it ever was."""

    def __init__(self, recipe: EncoderRecipe) -> None:
        self._recipe = recipe
        self._loaded: Encoder | None = None

    def __call__(self) -> Encoder:
        if self._loaded is None:
            self._loaded = self._recipe()
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
            "precision": self._recipe.precision,
            "batch_size": self._loaded.batch_size,
        }
