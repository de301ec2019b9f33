"""Where the network listens: crops of 10 seconds, placed by a scheme.

A scheme is a value. Crops of it that start at the same sample are one crop with the sum of their weights, so each is
computed once; the weights of a clip's crops sum to 1.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

CROP_SAMPLES = 320_000
"""10 s at 32 kHz, the length CNN14 was trained on (PANNs, Kong et al. 2020)."""


@dataclass(frozen=True)
class CropScheme:
    """A name, and where each crop starts as a fraction of the slack: the clip's length less the crop's, at least 0.

    The start is `int(fraction * slack)`.
    """

    name: str
    fractions: tuple[float, ...]


@dataclass(frozen=True)
class Crop:
    """One crop: its first sample at 32 kHz, and its weight in the mean over the clip's crops."""

    start: int
    weight: float


SCHEMES: Mapping[str, CropScheme] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            CropScheme("mc5", (0.0, 0.5, 1.0, 0.25, 0.75)),
            CropScheme("center", (0.5,)),
        )
    }
)
"""The schemes by name: `mc5` (begin, centre, end, a quarter, three quarters) and `center`."""


def distinct_crops(n_samples: int, scheme: CropScheme) -> tuple[Crop, ...]:
    """The crops of a clip of `n_samples` samples at 32 kHz, each start once, in the order of the scheme.

    A clip of 10 s or less has one crop, which starts at 0.
    """
    slack = max(n_samples - CROP_SAMPLES, 0)
    counts = Counter(int(fraction * slack) for fraction in scheme.fractions)
    return tuple(Crop(start, count / len(scheme.fractions)) for start, count in counts.items())


def cut_crops(pieces: Iterable[np.ndarray], starts: Sequence[int]) -> tuple[np.ndarray, int]:
    """The crops of a clip that comes in pieces.

    Args:
        pieces: the clip's samples at 32 kHz, (n,) each.
        starts: the crops' first samples.

    Returns:
        (len(starts), 320000) float32, zeros after the end of the clip; and the clip's number of samples.
    """
    crops = np.zeros((len(starts), CROP_SAMPLES), np.float32)
    first = 0
    for piece in pieces:
        last = first + len(piece)
        for crop, start in zip(crops, starts, strict=True):
            low, high = max(first, start), min(last, start + CROP_SAMPLES)
            if low < high:
                crop[low - start : high - start] = piece[low - first : high - first]
        first = last
    return crops, first
