"""What an encoder is to the platform: a card, weights, and crops in, embeddings out.

An encoder is added by one file: a subclass of `EncoderDefinition` with a card and `load`, and an entry point of the group
``fa_assets.encoders`` that names an instance of it (see `registry`). Reading the card imports none of the encoder's libraries:
import them in `load`. An `EncoderFamily` in its place offers one for each model that a user has.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from fa_assets.errors import UserError

_MOST_SAMPLES = 100_000_000
"""Of a crop: 400 MB."""


class CheckpointError(UserError):
    """A weights file that cannot be used, and why."""


@dataclass(frozen=True)
class Zipped:
    """The ZIP archive that a file is published in: the file's name in it, the archive's size in bytes and md5 (hex)."""

    member: str
    size_bytes: int
    md5: str


@dataclass(frozen=True)
class WeightsFile:
    """A published file: where it is, the name it is kept under, its size in bytes and the sha1 (hex) of its bytes.

    Where it is `zipped`, `url` is the archive's.
    """

    url: str
    file_name: str
    size_bytes: int
    sha1: str
    zipped: Zipped | None = None


@dataclass(frozen=True)
class HubFolder:
    """A model on the Hugging Face hub, as it is in a commit (40 hex digits)."""

    repository: str
    commit: str

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repository}/tree/{self.commit}"


@dataclass(frozen=True)
class Checkpoint:
    """Verified weights, in a file or a folder; `sha1` is the file's, or of all that count in the folder.

    `origin` says where it came from (URLs without credentials and query); `trained` is False for generated weights.
    """

    path: Path
    size_bytes: int
    sha1: str
    origin: str
    trained: bool


@dataclass(frozen=True)
class EncoderCard:
    """What people and the platform need to know of an encoder.

    Attributes:
        name: in settings and names of assets: lower case letters, digits and underscores.
        title: for people.
        sample_rate: in Hz, of the crops it takes.
        crop_seconds: the crops' length.
        dimension: numbers of an embedding.
        code_licence, weights_licence, citation: of the network and its weights.
        trained_on: titles of the corpora that the weights have seen, e.g. FSD50K, Freesound.
        pooling: how an embedding is made of what the network gives.
        framework: what the network runs on, as Dagster's UI names and pictures it.
        precisions: values of FA_PRECISION that it knows.
        weights: the published file or folder, if there is one.
        requires: modules that `load` imports and that fa_assets does not bring.
        extra: what pip installs for these, e.g. "fa_assets[birdnet]".
        norm_bounds: Euclidean norms that its embeddings may have, if they are known.
        duplicate_similarity: cosine of its standardised embeddings from which two clips count as near-duplicates.
    """

    name: str
    title: str
    sample_rate: int
    crop_seconds: float
    dimension: int
    code_licence: str
    weights_licence: str
    citation: str
    trained_on: tuple[str, ...] = ()
    pooling: str = ""
    framework: str = "pytorch"
    precisions: tuple[str, ...] = ("fp32",)
    weights: WeightsFile | HubFolder | None = None
    requires: tuple[str, ...] = ()
    extra: str | None = None
    norm_bounds: tuple[float, float] | None = None
    duplicate_similarity: float = 0.98

    def __post_init__(self) -> None:
        """Raise a UserError where crops or embeddings would be of a size that no network has."""
        whole = isinstance(self.sample_rate, int) and isinstance(self.dimension, int)
        if not (whole and 100 <= self.sample_rate <= 1_000_000 and 1 <= self.dimension <= 1_000_000):
            raise UserError(
                f"{self.name}: {self.sample_rate} Hz and {self.dimension} numbers cannot be right: correct its card."
            )
        if not 0.001 <= self.crop_seconds <= min(3600, _MOST_SAMPLES / self.sample_rate):
            raise UserError(
                f"{self.name}: crops of {self.crop_seconds:g} s at {self.sample_rate} Hz cannot be right: correct its card."
            )

    @property
    def crop_samples(self) -> int:
        return round(self.crop_seconds * self.sample_rate)

    @property
    def weights_size(self) -> str:
        """The published file's, in MB; nothing where it is not known."""
        return f"{self.weights.size_bytes / 1e6:.0f} MB" if isinstance(self.weights, WeightsFile) else ""

    @property
    def terms(self) -> str:
        """What is to be said of trained weights before they are first used."""
        return f"Weights of {self.title}: {self.weights_licence}." + f" Cite {self.citation}." * bool(self.citation)


class Encoder(Protocol):
    """A loaded encoder. `device_name` is the processor's or GPU's own name."""

    @property
    def card(self) -> EncoderCard: ...

    @property
    def batch_size(self) -> int:
        """Crops that it takes at a time."""
        ...

    @property
    def device(self) -> str: ...

    @property
    def device_name(self) -> str: ...

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """(n, crop_samples) float32 crops, zeros after the first `lengths` samples of each -> (n, dimension) float32.

        A crop's embedding does not depend on the crops beside it.
        """
        ...


class EncoderDefinition(ABC):
    """What the module of an encoder offers."""

    card: EncoderCard
    version: int = 1
    """Raised when the embeddings that its code computes from the same weights change."""

    @property
    def name(self) -> str:
        """Its name in settings: the card's."""
        return self.card.name

    @abstractmethod
    def load(self, weights: Path, *, device: str, precision: str, batch_size: int | None) -> Encoder:
        """The encoder with these weights.

        Args:
            weights: what passed `check_weights`.
            device: as the setting; `devices.resolve_device` makes a torch device of it.
            precision: one of the card's.
            batch_size: crops at a time; None leaves it to the encoder.

        Raises:
            UserError: the weights or the device cannot be used.
        """

    def check_weights(self, path: Path) -> bool:
        """Whether the weights there were trained; raises a CheckpointError where they are not this encoder's."""
        return True

    def make_demo_weights(self, path: Path) -> None:
        """Write seeded, untrained weights, unless they are there; raises a CheckpointError where it has no such thing."""
        raise CheckpointError(f"Encoder {self.card.name} has no demo weights. {self.weights_hint}")

    @property
    def has_demo_weights(self) -> bool:
        return type(self).make_demo_weights is not EncoderDefinition.make_demo_weights

    def default_weights(self, demo_set: bool) -> str:
        """Which weights are taken where none are named: for the demo set the demo ones, if there are any."""
        return "demo" if demo_set and self.has_demo_weights else "published"

    @property
    def weights_hint(self) -> str:
        """How to say which weights to take."""
        named = [name for name, has in (("published", self.card.weights), ("demo", self.has_demo_weights)) if has]
        return (
            " or ".join(
                [f"Give a file of {self.card.title} (`--checkpoint FILE`)", *(f"`--checkpoint {n}`" for n in named)]
            )
            + f"; beside another encoder, {self.card.name}=FILE in FA_ENCODERS."
        )

    def fingerprint(self, sha1: str, precision: str) -> str:
        """What an embedding depends on besides its crop, as 16 hex digits; `sha1` is the weights'."""
        kind = self.card.name.partition(":")[0]  # of a family's member the rest is where its weights lie
        return digest_of({"encoder": kind, "weights_sha1": sha1, "precision": precision, "version": self.version})

    def require_precision(self, precision: str) -> None:
        """Raise a UserError that names the precisions there are, where this is none of them."""
        if precision not in self.card.precisions:
            raise UserError(
                f"Unknown precision {precision!r} for encoder {self.card.name}: use one of {', '.join(self.card.precisions)}."
            )


class EncoderFamily(ABC):
    """Encoders of one kind, of which FA_ENCODER=NAME:WHICH names one.

    Attributes:
        name: the entry point's.
        which: what stands behind the colon, e.g. "FILE".
        licence: of the code that runs them.
        requires, extra: as those of `EncoderCard`.
    """

    name: str
    which: str
    licence: str
    requires: tuple[str, ...]
    extra: str

    @abstractmethod
    def member(self, which: str) -> EncoderDefinition:
        """The encoder that is called so; its card's name is NAME:WHICH.

        Raises:
            UserError: there is none.
        """


def to_install(encoder: EncoderCard | EncoderFamily) -> str | None:
    """The command that installs what an encoder or a family lacks here; None where it lacks nothing."""
    missing = [name for name in encoder.requires if find_spec(name) is None]
    return f"pip install '{encoder.extra or ' '.join(missing)}'" if missing else None


def require_installed(encoder: EncoderCard | EncoderFamily) -> None:
    """Raise a UserError that says what to install, where something is missing."""
    if command := to_install(encoder):
        raise UserError(f"Encoder {encoder.name} needs what is not installed: {command}.")


def require_crops(card: EncoderCard, crops: np.ndarray) -> None:
    """Raise a ValueError where crops are not (n, crop_samples) float32."""
    if crops.ndim != 2 or crops.shape[1] != card.crop_samples or crops.dtype != np.float32:
        raise ValueError(f"crops of shape (n, {card.crop_samples}) and type float32, not {crops.shape}, {crops.dtype}")


def content_length(crop: np.ndarray) -> int:
    """Samples up to the last one that is not zero."""
    return len(crop) - int(np.argmax(crop[::-1] != 0)) if crop.any() else 0


def digest_of(ingredients: dict[str, object]) -> str:
    """16 hex digits of named values, whatever their order."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def embed_checked(encoder: Encoder, crops: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """`Encoder.embed`, its result checked against the card.

    Raises:
        UserError: another shape or type.
    """
    card = encoder.card
    embeddings = encoder.embed(crops, lengths)
    shape, kind = getattr(embeddings, "shape", type(embeddings).__name__), getattr(embeddings, "dtype", "")
    if shape != (len(crops), card.dimension) or kind != np.float32:
        raise UserError(
            f"Encoder {card.name} gave {shape} {kind} for {len(crops)} crops; its card says "
            f"({len(crops)}, {card.dimension}) float32. Nothing of it was stored: check that the weights are this encoder's, "
            "or correct the card."
        )
    return embeddings
