"""The published code's network with the channels of the narrow one, for parity at a fraction of the cost."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.reference import reference_model
from fa_assets.encoders.cnn14 import architecture
from fa_assets.encoders.cnn14.checkpoint import NARROW, load_state_dict
from fa_assets.encoders.cnn14.definition import ENCODER, Cnn14

Embed = Callable[[np.ndarray], np.ndarray]
"""(n, crop_samples) -> (n, 2048) float32."""


def narrow_reference(checkpoint: Path, network: Cnn14 = ENCODER) -> Embed:
    """It with these weights; crops go through it one at a time, as ``panns_inference`` is mostly called."""
    model = reference_model(network.front)
    channels = architecture.channels_of(NARROW)
    for block, pair in enumerate(pairwise(channels), start=1):
        setattr(model, f"conv_block{block}", type(model.conv_block1)(*pair))
    model.fc1 = torch.nn.Linear(channels[-1], architecture.EMBEDDING_SIZE)
    model.load_state_dict(load_state_dict(checkpoint, network))
    model.eval()

    @torch.no_grad()
    def embed(crops: np.ndarray) -> np.ndarray:
        return np.concatenate([model(torch.from_numpy(crop[None]))["embedding"].numpy() for crop in crops])

    return embed
