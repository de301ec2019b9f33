"""A map of all clips: each a point, alike ones near each other, to point at and to play."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.label_audit import MISSING, WRONG
from fa_assets.metrics.projection import project, umap

_COLOURS = 8
_WIDTH, _HEIGHT, _MARGIN = 1200, 700, 16


@dataclass(frozen=True)
class Point:
    """Where a clip lies, and its classes of style: ``c3 f0 d1`` for its class, fold and doubt."""

    x: int
    y: int
    classes: str


@dataclass(frozen=True)
class EmbeddingMap:
    """The map.

    Attributes:
        alt: what it shows, in words.
        points: of each clip.
        radius: of a point.
        keys: the colours and what they mean, by what is coloured.
        data: for the script: of each clip [name, labels, fold, doubt], and sounds as data addresses by name.
    """

    alt: str
    points: Sequence[Point]
    radius: int
    keys: Mapping[str, Sequence[tuple[int, str]]]
    data: Mapping[str, object]
    width: int = _WIDTH
    height: int = _HEIGHT


def embedding_map(
    embeddings: np.ndarray,
    fnames: Sequence[str],
    labels: Sequence[Sequence[str]],
    folds: Sequence[int],
    doubts: Mapping[str, Sequence[tuple[str, str]]],
    sounds: Mapping[str, str],
) -> EmbeddingMap | None:
    """The map of the clips by UMAP, where it is installed, or their first two principal components.

    Args:
        embeddings: float (n, d).
        labels: for each clip its classes; the first gives the colour.
        doubts: by clip, kind and class of its doubted labels, the most doubted first.
        sounds: data addresses by clip.

    Returns:
        None when there are fewer than three clips, or numbers that are not finite.
    """
    if len(embeddings) < 3 or not np.isfinite(embeddings).all():
        return None
    points, how = umap(embeddings), "UMAP"
    if points is None:
        points, explained = project(embeddings)
        how = f"the first two principal components ({explained.sum():.0%} of the variance)"
    first = [own[0] if own else "" for own in labels]
    common = [name for name, _ in Counter(sorted(first)).most_common(_COLOURS) if name]
    colour = {name: number for number, name in enumerate(common)}
    kinds = [doubts[fname][0][0] if fname in doubts else "" for fname in fnames]
    doubt = {WRONG: 1, MISSING: 2}
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    placed = np.rint((points - low) / span * (_WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN) + _MARGIN).astype(int)
    others = [(_COLOURS, "other classes")] if any(name not in colour for name in first) else []
    return EmbeddingMap(
        f"{len(points)} clips by {how}; alike ones lie near each other.",
        [
            Point(int(x), _HEIGHT - int(y), f"c{colour.get(name, _COLOURS)} f{fold} d{doubt.get(kind, 0)}")
            for (x, y), name, fold, kind in zip(placed, first, folds, kinds, strict=True)
        ],
        9 if len(points) <= 500 else 6 if len(points) <= 5000 else 4,
        {
            "class": [*((number, name) for name, number in colour.items()), *others],
            "fold": [(fold, f"fold {fold}") for fold in sorted(set(folds))],
            "doubt": [(0, "a label looks wrong"), (1, "a label looks missing"), (_COLOURS, "none is doubted")],
        },
        {
            "clips": [
                [fname, ", ".join(own), fold, ", ".join(f"{kind} {name}" for kind, name in doubts.get(fname, ()))]
                for fname, own, fold in zip(fnames, labels, folds, strict=True)
            ],
            "sounds": dict(sounds),
        },
    )
