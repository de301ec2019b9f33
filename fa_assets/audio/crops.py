"""Which parts of a clip an encoder is given: crops of one length, placed by a scheme.

A scheme says where crops start; each has the same weight in the mean over a clip. Crops that start at the same sample are one
crop with the sum of their weights, so each is computed once; the weights of a clip's crops sum to 1. Lengths and starts are in
samples at the encoder's rate. A scheme is added by a class with `starts` and an entry in `SCHEMES`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np


class CropScheme(Protocol):
    """Where a clip's crops lie."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str:
        """The places, to follow "crops": "at 0%, 50% of the slack"."""
        ...

    def starts(self, n_samples: int, crop_samples: int) -> Iterable[int]:
        """The first sample of each crop of a clip; one that reaches beyond the clip's end is padded with zeros."""
        ...


@dataclass(frozen=True)
class Placed:
    """Crops at fractions of the slack, the clip's length less the crop's, at least 0: from `int(fraction * slack)` on."""

    name: str
    fractions: tuple[float, ...]

    @property
    def description(self) -> str:
        return f"at {', '.join(f'{part:.0%}' for part in self.fractions)} of the slack"

    def starts(self, n_samples: int, crop_samples: int) -> Iterable[int]:
        slack = max(n_samples - crop_samples, 0)
        return (int(fraction * slack) for fraction in self.fractions)


@dataclass(frozen=True)
class SideBySide:
    """Crops one after another over the whole clip; the last one is padded with zeros, and counts as much as the others."""

    name: str

    @property
    def description(self) -> str:
        return "side by side over the whole clip"

    def starts(self, n_samples: int, crop_samples: int) -> Iterable[int]:
        return range(0, max(n_samples, 1), crop_samples)


@dataclass(frozen=True)
class Crop:
    """One crop: its first sample, and its weight in the mean over the clip's crops."""

    start: int
    weight: float


MC5 = Placed("mc5", (0.0, 0.5, 1.0, 0.25, 0.75))
"""Begin, centre, end, a quarter, three quarters."""

SCHEMES: Mapping[str, CropScheme] = MappingProxyType(
    {scheme.name: scheme for scheme in (MC5, Placed("center", (0.5,)), SideBySide("tiles"))}
)
"""The schemes by name."""


def distinct_crops(n_samples: int, scheme: CropScheme, crop_samples: int) -> tuple[Crop, ...]:
    """The crops of `crop_samples` samples of a clip of `n_samples`, each start once, in the order of the scheme.

    A clip no longer than a crop has one, which starts at 0.
    """
    counts = Counter(scheme.starts(n_samples, crop_samples))
    return tuple(Crop(start, count / counts.total()) for start, count in counts.items())


def cut_crops(pieces: Iterable[np.ndarray], starts: Sequence[int], crop_samples: int) -> tuple[np.ndarray, int]:
    """The crops of a clip that comes in pieces.

    Args:
        pieces: the clip's samples, (n,) each.
        starts: the crops' first samples.
        crop_samples: the crops' length.

    Returns:
        (len(starts), crop_samples) float32, zeros after the end of the clip; and the clip's number of samples.
    """
    crops = np.zeros((len(starts), crop_samples), np.float32)
    order = sorted(range(len(starts)), key=starts.__getitem__)
    ascending = [starts[row] for row in order]
    first = 0
    for piece in pieces:
        last = first + len(piece)
        for row in order[bisect_right(ascending, first - crop_samples) : bisect_left(ascending, last)]:
            start = starts[row]
            low, high = max(first, start), min(last, start + crop_samples)
            crops[row, low - start : high - start] = piece[low - first : high - first]
        first = last
    return crops, first
