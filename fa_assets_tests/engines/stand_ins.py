"""An encoder and decoders that workers of a Ray cluster can make: small, and with the faults that a test asks for."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fa_assets.panns.embed_clips import Clip, decode_crops
from fa_assets.storage.embedding_store import CropKey


@dataclass(frozen=True)
class SumEncoder:
    """Embeds a crop as (sum, absolute sum, content length), in no less than `seconds` a batch; its own factory.

    `notes` gets a line for each time one is made: the process's number, and the GPUs that it may see.
    """

    notes: Path
    seconds: float = 0.0
    batch_size: int = 4
    device: str = "cpu"
    device_name: str = "a stand-in"

    def __call__(self) -> "SumEncoder":
        with self.notes.open("a") as notes:
            notes.write(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\n")
        return self

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        time.sleep(self.seconds)
        return np.stack([crops.sum(axis=1), np.abs(crops).sum(axis=1), np.float32(lengths)], axis=1).astype(np.float32)


def decode_but_die_of_poison(clip: Clip, keys: Sequence[CropKey]) -> np.ndarray:
    """Decodes, but a clip called poison*.wav ends the process, as a fault in a decoder's library does."""
    if clip.fname.startswith("poison"):
        os.abort()
    return decode_crops(clip, keys)
