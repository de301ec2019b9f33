"""An encoder that workers of a Ray cluster can make, decoders with the faults that a test asks for, and an engine of them."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fa_assets.audio.crops import CropScheme
from fa_assets.encoders.base import Encoder, EncoderCard
from fa_assets.encoders.clip import Clip
from fa_assets.encoders.decoded import decode_crops
from fa_assets.encoders.embed_clips import ClipEmbeddings, Decode, LocalEngine, embed_clips
from fa_assets.encoders.ray import RayEngine
from fa_assets.encoders.ray_cluster import RayOptions
from fa_assets.progress import ProgressCallback
from fa_assets.store.embedding_store import CropKey, EmbeddingStore

CARD = EncoderCard(
    name="sums",
    title="Sums",
    sample_rate=32_000,
    crop_seconds=10,
    dimension=3,
    code_licence="",
    weights_licence="",
    citation="",
)


@dataclass(frozen=True)
class SumEncoder:
    """Embeds a crop as (sum, absolute sum, content length), in no less than `seconds` a batch, and silence as NaN; its own
    factory. The first batches wait until there is one in each of `together` processes.

    `notes` gets a line for each time one is made: the process's number, and the GPUs that it may see.
    """

    notes: Path
    seconds: float = 0.0
    together: int = 1
    batch_size: int = 4
    device: str = "cpu"
    device_name: str = "a stand-in"
    card: EncoderCard = CARD

    def __call__(self) -> "SumEncoder":
        with self.notes.open("a") as notes:
            notes.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
        return self

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        time.sleep(self.seconds)
        self.notes.with_name(f"{self.notes.name}-{os.getpid()}").touch()
        while len(list(self.notes.parent.glob(f"{self.notes.name}-*"))) < self.together:
            time.sleep(0.01)
        sums = np.stack([crops.sum(axis=1), np.abs(crops).sum(axis=1), np.float32(lengths)], axis=1).astype(np.float32)
        sums[~crops.any(axis=1)] = np.nan
        return sums


def embed_here(
    clips: Sequence[Clip],
    scheme: CropScheme,
    store: EmbeddingStore,
    encoder: Callable[[], Encoder],
    card: EncoderCard,
    **progress: ProgressCallback,
) -> ClipEmbeddings:
    """`embed_clips` in this process."""
    return embed_clips(LocalEngine(encoder, 2), clips, scheme, store, card, **progress)


def decode_but_die_once(clip: Clip, keys: Sequence[CropKey]) -> np.ndarray:
    """Decodes, but the first process that has a clip called die-once*.wav ends."""
    mark = clip.path.with_suffix(".died")
    if clip.fname.startswith("die-once") and not mark.exists():
        mark.touch()
        os.abort()
    return decode_crops(clip, keys)


def decode_but_die(clip: Clip, keys: Sequence[CropKey]) -> np.ndarray:
    os.abort()


def engine_at(
    address: str, folder: Path, seconds: float = 0, decode: Decode = decode_crops, actors: int = 2, together: int = 1
) -> RayEngine:
    """Batches of 4 crops; `folder`/loads is the encoders' `notes`."""
    options = RayOptions(address=address, actors=actors)
    return RayEngine(SumEncoder(folder / "loads", seconds, together), options, batch_size=4, decode=decode)
