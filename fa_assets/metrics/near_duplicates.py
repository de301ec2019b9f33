"""Near-duplicates across folds: clips so alike that a model fitted on one has seen the other.

Similarity is the cosine of the embeddings after standardisation (each feature less its mean, over its standard
deviation), which is how the classifiers see them: raw embeddings of one network all point much the same way.
"""

from dataclasses import dataclass

import numpy as np

_BLOCK = 1024
"""Rows compared at a time with all that follow: 20 MB for 5000 clips, and one matrix product each."""


@dataclass(frozen=True)
class Pair:
    """Two rows in different folds, and how alike they are."""

    first: int
    second: int
    similarity: float


def directions(vectors: np.ndarray) -> np.ndarray:
    """Rows (n, d) standardised and of length 1, float32: the product of two is their similarity."""
    centred = vectors - vectors.mean(axis=0)
    spread = vectors.std(axis=0)
    unit = centred / np.where(spread > 0, spread, 1)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    return unit.astype(np.float32)


def pairs_across_folds(vectors: np.ndarray, folds: np.ndarray, threshold: float) -> list[Pair]:
    """The pairs of rows in different folds that are at least `threshold` alike, the most alike first.

    Args:
        vectors: (n, d) float, finite.
        folds: integer (n,).
        threshold: of the similarity, -1 to 1.
    """
    unit = directions(vectors)
    pairs: list[Pair] = []
    for start in range(0, len(unit), _BLOCK):
        rows = slice(start, start + _BLOCK)
        similarity = unit[rows] @ unit[start:].T
        alike = np.triu(similarity >= threshold - 1e-6, k=1) & (folds[rows, None] != folds[None, start:])
        pairs += [
            Pair(start + int(a), start + int(b), float(similarity[a, b]))
            for a, b in zip(*np.nonzero(alike), strict=True)
        ]
    return sorted(pairs, key=lambda pair: -pair.similarity)
