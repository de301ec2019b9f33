"""Near-duplicates across folds: clips so alike to the network that a model fitted on one has seen the other.

Similarity is the cosine of the embeddings after standardisation (each feature less its mean, over its standard
deviation), which is how the classifiers see them: raw embeddings of one network all point much the same way. Parts of one
recording are told by `same_recording`, whatever the network makes of them.

Most pairs are ruled out by their first principal components: of two vectors of length 1 with the parts p and q in these and
the rests r and s, the cosine is p.q + r.s, at most p.q + |r| |s|. What that leaves is computed in full: nothing is approximate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

_COMPONENTS = 256
_SAMPLE = 4096
"""Rows that the principal components are of; so few are compared without."""
_TILE = 1024
"""Rows that are compared at a time with as many of another fold."""


@dataclass(frozen=True)
class Pair:
    """Two rows, (fold, row of it) each, and how alike they are."""

    first: tuple[int, int]
    second: tuple[int, int]
    similarity: float


@dataclass(frozen=True)
class NearDuplicates:
    """What `pairs_across_folds` found: the pairs most alike first, how many there are in all, and of how many clips."""

    most_alike: tuple[Pair, ...]
    pairs: int
    clips: int


@dataclass(frozen=True, eq=False)
class Directions:
    """Standardises embeddings, and makes their length 1, so that the product of two is their similarity.

    Attributes:
        mean, scale: float32 (d,).
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, vectors: Sequence[np.ndarray]) -> "Directions":
        """By all rows of these (n, d)."""
        rows = sum(map(len, vectors))
        blocks = [one[start : start + _TILE] for one in vectors for start in range(0, len(one), _TILE)]
        mean = (sum(one.sum(axis=0, dtype=np.float64) for one in blocks) / rows).astype(np.float32)
        spread = np.sqrt(sum(np.square(one - mean).sum(axis=0, dtype=np.float64) for one in blocks) / rows)
        return cls(mean, np.where(spread > 0, spread, 1).astype(np.float32))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Rows (n, d) as float32 (n, d)."""
        unit = (np.asarray(vectors, np.float32) - self.mean) / self.scale
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
        return unit


def directions(vectors: np.ndarray) -> np.ndarray:
    """Rows (n, d) standardised by themselves and of length 1, float32."""
    return Directions.of([vectors])(vectors)


def pairs_across_folds(vectors: Sequence[np.ndarray], threshold: float, most: int = 100) -> NearDuplicates:
    """The pairs of rows in different folds that are at least `threshold` alike.

    Args:
        vectors: of each fold, (n, d) float, finite.
        threshold: of the similarity, -1 to 1.
        most: pairs that are given.
    """
    direct = Directions.of(vectors)
    bounds = _bounds(vectors, direct)
    concerned = [np.zeros(len(one), bool) for one in vectors]
    best: list[tuple[float, tuple[int, int], tuple[int, int]]] = []
    pairs = 0
    for f, g in combinations(range(len(vectors)), 2):
        for a, b in _tiles(len(vectors[f]), len(vectors[g])):
            possible = bounds[f][a] @ bounds[g][b].T >= threshold - 1e-4
            rows, columns = (
                a.start + np.flatnonzero(possible.any(axis=1)),
                b.start + np.flatnonzero(possible.any(axis=0)),
            )
            similarity = direct(vectors[f][rows]) @ direct(vectors[g][columns]).T
            alike = similarity >= threshold - 1e-6
            concerned[f][rows[alike.any(axis=1)]] = True
            concerned[g][columns[alike.any(axis=0)]] = True
            pairs += int(alike.sum())
            first, second = np.nonzero(alike)
            own = similarity[first, second]
            best += [
                (float(own[one]), (f, int(rows[first[one]])), (g, int(columns[second[one]])))
                for one in np.argsort(-own, kind="stable")[:most]
            ]
            best = sorted(best, key=lambda pair: -pair[0])[:most]
    shown = tuple(Pair(first, second, similarity) for similarity, first, second in best)
    return NearDuplicates(shown, pairs, sum(int(one.sum()) for one in concerned))


def _bounds(vectors: Sequence[np.ndarray], direct: Directions) -> list[np.ndarray]:
    """Of each fold float32 (n, k), whose products are not below the similarities."""
    from scipy.linalg import eigh

    step = sum(map(len, vectors)) // _SAMPLE
    if not step:
        return [direct(one) for one in vectors]
    sample = direct(np.concatenate([one[::step] for one in vectors]))
    dimension = sample.shape[1]
    _, first = eigh(sample.T @ sample, subset_by_index=(max(0, dimension - _COMPONENTS), dimension - 1))

    def bound(rows: np.ndarray) -> np.ndarray:
        part = direct(rows) @ first
        rest = np.sqrt(np.maximum(1 - np.square(part).sum(axis=1, keepdims=True), 0))
        return np.hstack([part, rest])

    parts = [[bound(one[start : start + _TILE]) for start in range(0, len(one), _TILE)] for one in vectors]
    return [np.concatenate(one) if one else np.empty((0, first.shape[1] + 1), np.float32) for one in parts]


def _tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, rows, _TILE):
        for column in range(0, columns, _TILE):
            yield slice(row, row + _TILE), slice(column, column + _TILE)
