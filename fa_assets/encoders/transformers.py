"""Audio models of Hugging Face's transformers: transformers:FOLDER, or transformers:OWNER/NAME@COMMIT of the hub.

Each crop goes through the model's own feature extractor by itself and without the zeros at its end, and shares a batch only
with crops whose features have the same shape. So nothing is padded but what the extractor pads, nothing is masked, and a
crop's embedding is that of plain transformers code on a clip of that length. Code that comes with a model is never run, and
weights are read from safetensors files alone.

Card and window follow from the JSON files beside the weights, without transformers.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fa_assets.encoders.base import (
    CheckpointError,
    Encoder,
    EncoderCard,
    EncoderDefinition,
    EncoderFamily,
    HubFolder,
    content_length,
    require_crops,
    require_installed,
)
from fa_assets.encoders.devices import device_name, full_float32, resolve_device
from fa_assets.encoders.threads import limit_torch_threads
from fa_assets.encoders.weights import HUB_CONFIGURATION, fetch_hub_folder
from fa_assets.errors import UserError, one_line
from fa_assets.store.source_files import SourceFileError, read_description

EXTRA = "fa_assets[transformers]"
REQUIRES = ("transformers",)
WINDOW_S = 10.0
"""The window of models that take any length."""
BATCH_SIZE = 16
"""Crops at a time by default."""

_FRAME_S = 0.01
"""AST counts its window in frames of the spectrogram, 10 ms apart."""
_LEAST_S = 0.025
"""The shortest sound of which all of these models make a frame; what is shorter keeps zeros at its end."""
_PAGE_BYTES = 1_000_000
"""Beyond which a model's page is not read."""
_UNUSED = "masked_spec_embed"
"""Weights that models have for their training alone, and that their files may lack."""


class Pooling(NamedTuple):
    """How an embedding is made: the output that it is, if one is; where config.json says its length; and in words."""

    output: str | None
    dimension: str
    words: str


_MEAN = Pooling(None, "hidden_size", "mean of the last hidden state over the frames of the content")
_PROJECTION = Pooling("audio_embeds", "projection_dim", "projection of the audio tower")
_POOLING = {
    "audio-spectrogram-transformer": Pooling("pooler_output", "hidden_size", "pooler: mean of both class tokens"),
    "clap": _PROJECTION,
    "clap_audio_model": _PROJECTION,
}
"""By model type; `_MEAN` for any other."""


class TransformersEncoder:
    """A model on one device.

    Args:
        folder: with what `TransformersModel.check_weights` asks for.
        card: the model's.
        device: see `resolve_device`.
        batch_size: crops at a time.
    """

    def __init__(self, folder: Path, card: EncoderCard, *, device: str = "auto", batch_size: int | None = None) -> None:
        limit_torch_threads()
        self.card = card
        self.device = resolve_device(device)
        self.device_name = device_name(self.device)
        self.batch_size = batch_size or BATCH_SIZE
        self._extractor = open_extractor(folder)
        self._model = open_model(folder).to(self.device)
        self._output = pooling_of(read_json(folder / "config.json")).output
        self._fills_window = hasattr(self._extractor, "chunk_length")  # as Whisper's, with silence

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """(n, crop_samples) float32 crops -> (n, dimension) float32; content ends with a crop's last sample that is not zero,
        whatever `lengths` say.

        Raises:
            ValueError: crops of another shape or type.
        """
        require_crops(self.card, crops)
        least = round(_LEAST_S * self.card.sample_rate)
        contents = [max(least, content_length(crop)) for crop in crops]
        features = [
            self._extractor(crop[:content], sampling_rate=self.card.sample_rate, return_tensors="pt")
            for crop, content in zip(crops, contents, strict=True)
        ]
        alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for row, one in enumerate(features):
            alike[tuple(value.shape for value in one.values())].append(row)
        embeddings: dict[int, np.ndarray] = {}
        for rows in alike.values():
            for start in range(0, len(rows), self.batch_size):
                batch = rows[start : start + self.batch_size]
                pooled = self._pool([features[row] for row in batch], [contents[row] for row in batch])
                embeddings.update(zip(batch, pooled, strict=True))
        return np.stack([embeddings[row] for row in range(len(crops))])

    def _pool(self, features: Sequence[Mapping[str, Any]], contents: Sequence[int]) -> np.ndarray:
        """The embeddings of crops whose features have one shape; `contents` are their lengths in samples."""
        import torch

        batch = {name: torch.cat([one[name] for one in features]).to(self.device) for name in features[0]}
        with torch.inference_mode(), full_float32():
            output = self._model(**batch)
            if self._output is not None:
                return output[self._output].float().cpu().numpy()
            if "last_hidden_state" not in output:
                raise UserError(
                    f"{self.card.name} gives {', '.join(output)}, and no last_hidden_state: use another model."
                )
            states = output.last_hidden_state.float()
            share = [content / self.card.crop_samples if self._fills_window else 1 for content in contents]
            means = [own[: math.ceil(part * len(own))].mean(dim=0) for own, part in zip(states, share, strict=True)]
            return torch.stack(means).cpu().numpy()


class TransformersModel(EncoderDefinition):
    """The model in a folder, or of a commit of the hub."""

    def __init__(self, which: str) -> None:
        self._folder = Path(which)
        published = None
        if not self._folder.is_dir():
            pinned = re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})", which)
            if not pinned:
                raise UserError(
                    f"transformers:{which}: there is no such folder, and a model of the hub has to be pinned to a commit, "
                    "transformers:OWNER/NAME@COMMIT with its 40 hex digits (on the model's page: Files and versions, History)."
                )
            published = HubFolder(*pinned.groups())
            self._folder = configuration_of(published)
        self.card = read_card(f"transformers:{which}", self._folder, published)

    def load(self, weights: Path, *, device: str, precision: str, batch_size: int | None) -> Encoder:
        self.require_precision(precision)
        return TransformersEncoder(weights, self.card, device=device, batch_size=batch_size)

    def check_weights(self, path: Path) -> bool:
        """True; see `EncoderDefinition`. Refuses a folder whose model is another, or lacks weights."""
        card = read_card(self.card.name, path, None)
        found, wanted = ((one.sample_rate, one.crop_seconds, one.dimension) for one in (card, self.card))
        if found != wanted:
            raise CheckpointError(
                f"{path}: rate, window and dimension are {found}, those of {self.card.name} {wanted}. {self.weights_hint}"
            )
        _require_own_files(path)
        open_extractor(path)
        open_model(path)
        return True

    def default_weights(self, demo_set: bool) -> str:
        return "published" if self.card.weights else str(self._folder)

    @property
    def weights_hint(self) -> str:
        return "FA_ENCODER says where its weights are: leave --checkpoint out."


class Transformers(EncoderFamily):
    """The audio models of AutoModel: AST, CLAP's audio tower, Wav2Vec2, HuBERT, WavLM, Whisper's encoder and others."""

    name = "transformers"
    which = "MODEL"
    licence = "Apache-2.0"
    requires = REQUIRES
    extra = EXTRA

    def member(self, which: str) -> EncoderDefinition:
        require_installed(self)
        return TransformersModel(which)


@lru_cache
def configuration_of(published: HubFolder) -> Path:
    """The folder with the JSON files of a model on the hub; a commit's do not change."""
    return fetch_hub_folder(published, HUB_CONFIGURATION)


def read_card(name: str, folder: Path, published: HubFolder | None) -> EncoderCard:
    """The card of the model in a folder.

    Raises:
        CheckpointError: its configuration is not there, or not an audio model's.
    """
    config = read_json(folder / "config.json")
    whole = folder / "processor_config.json"
    features = (read_json(whole) if whole.is_file() else {}).get("feature_extractor")
    features = features or read_json(folder / "preprocessor_config.json")
    pooling, model_type = pooling_of(config), config.get("model_type")
    dimension: Any = config.get(pooling.dimension, config.get("d_model"))  # Whisper's word
    rate: Any = features.get("sampling_rate")
    window = _window_seconds(features)
    if not all(isinstance(one, int | float) for one in (rate, window, dimension)):
        raise CheckpointError(
            f"{folder}: a model of type {model_type} without sampling_rate and window in preprocessor_config.json, or "
            f"{pooling.dimension} in config.json. Give an audio model of transformers' AutoModel, with its feature extractor."
        )
    about = _front_matter(folder)
    return EncoderCard(
        name=name,
        title=f"{published.repository if published else folder.name} ({model_type})",
        sample_rate=rate,
        crop_seconds=float(window),
        dimension=dimension,
        code_licence=Transformers.licence,
        weights_licence=", ".join(_titles(about.get("license"))) or "as the model's page says",
        citation=f"the model's page, {published.url if published else folder / 'README.md'}",
        trained_on=_titles(about.get("datasets")),
        pooling=pooling.words,
        framework="huggingface",
        weights=published,
        requires=REQUIRES,
        extra=EXTRA,
    )


def _require_own_files(folder: Path) -> None:
    """Raise a CheckpointError where weights lie elsewhere than beside the configuration, which no digest would cover."""
    named = [read_json(folder / "config.json").get("transformers_weights") or ""]
    for index in folder.glob("*.index.json"):
        parts = read_json(index).get("weight_map")
        named += parts.values() if isinstance(parts, dict) else []
    if elsewhere := sorted({str(name) for name in named if Path(str(name)).name != str(name)}):
        raise CheckpointError(
            f"{folder}: its weights are said to lie in {elsewhere[0]}; put every file into the folder itself."
        )


def pooling_of(config: Mapping[str, Any]) -> Pooling:
    """How embeddings are made of what a model of this configuration gives."""
    return _POOLING.get(str(config.get("model_type")), _MEAN)


def _window_seconds(features: Mapping[str, Any]) -> Any:
    """The length that the feature extractor makes of any clip, in seconds."""
    if "max_length_s" in features:  # CLAP
        return features["max_length_s"]
    if "chunk_length" in features:  # Whisper
        return features["chunk_length"]
    if "num_mel_bins" in features and isinstance(features.get("max_length"), int):  # AST
        return features["max_length"] * _FRAME_S
    return WINDOW_S


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model's folder; raises a CheckpointError where there is none."""
    try:
        return dict(json.loads(read_description(path)))
    except (SourceFileError, ValueError, TypeError, RecursionError) as error:
        said = getattr(error, "reason", error)
        raise CheckpointError(
            f"{path} cannot be read ({said}): a model's folder has config.json, preprocessor_config.json and model.safetensors."
        ) from error


def _front_matter(folder: Path) -> Mapping[str, Any]:
    """What the page of a model says of itself for machines."""
    from huggingface_hub import metadata_load

    page = folder / "README.md"
    try:
        return (metadata_load(page) if page.is_file() and page.stat().st_size < _PAGE_BYTES else None) or {}
    except Exception:  # somebody's YAML; what it says is good to know, no more
        return {}


def _titles(said: Any) -> tuple[str, ...]:
    """What the page names once, or as a list."""
    return tuple(str(one) for one in (said if isinstance(said, list) else [said]) if isinstance(one, str | int))


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Explains what transformers raises."""
    try:
        yield
    except Exception as error:  # of transformers' many kinds
        said = one_line(error)
        raise CheckpointError(
            f"{folder}: transformers cannot load it ({said}). Weights are read from safetensors files alone, and code "
            "that comes with a model is not run: `save_pretrained` of its class writes such a folder."
        ) from error


def open_extractor(folder: Path) -> Any:
    """What makes the model's features of sound; raises a CheckpointError where there is none of transformers' own."""
    import transformers

    extractors: Any = transformers.AutoFeatureExtractor
    with _loading(folder):
        return extractors.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def open_model(folder: Path) -> Any:
    """The network, in float32 on the CPU.

    Raises:
        CheckpointError: it cannot be loaded as it is from safetensors files, without code of its own, or lacks weights.
    """
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    is_clap = str(read_json(folder / "config.json").get("model_type")).startswith("clap")
    network: Any = transformers.ClapAudioModelWithProjection if is_clap else transformers.AutoModel
    with _loading(folder):
        model, report = network.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    missing = sorted(name for name in report["missing_keys"] if not name.endswith(_UNUSED))
    if missing:
        raise CheckpointError(
            f"{folder}: {len(missing)} weights of {type(model).__name__} are not in its files ({', '.join(missing[:3])}): "
            "they are another model's, or not whole."
        )
    return model.get_encoder() if model.config.is_encoder_decoder else model


ENCODER = Transformers()
