"""The encoder of a run: its recipe, loaded when first needed, and what is noted of it."""

from collections.abc import Mapping

from fa_assets.catalog.environment import library_versions
from fa_assets.encoders.base import Encoder
from fa_assets.encoders.embed_clips import NOTHING_COMPUTED
from fa_assets.encoders.registry import EncoderRecipe
from fa_assets.graph.work import Work
from fa_assets.models.blend import Blend
from fa_assets.models.classifier_file import ClassifierOrigin
from fa_assets.store.recipe import Scalar


def classifier_origin(
    work: Work, partition: str | None, scheme: str, encoder: str, encoder_fingerprint: str, blend: Blend | None = None
) -> ClassifierOrigin:
    """What the file of a classifier says of the materialization that fits it."""
    return ClassifierOrigin(
        asset=work.asset,
        partition=partition,
        data_version=work.version,
        scheme=scheme,
        encoder=encoder,
        encoder_fingerprint=encoder_fingerprint,
        settings=work.recipe.settings,
        versions=library_versions(),
        blend=blend,
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
