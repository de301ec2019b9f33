"""Would more clips help? The classifier fitted on a few clips of each class, and judged on the same folds.

For a size and a draw, each fold is predicted by a classifier of clips drawn from the other folds. The spread over the draws
says how much depends on which clips they are. With all clips of the other folds it is the out-of-fold LWLRAP as usual.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fa_assets.errors import UserError
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.progress import ProgressCallback, no_progress

DRAWS = 5
SEED = 0


@dataclass(frozen=True)
class Point:
    """One size: at least `clips_per_class` clips of each class (None: all there are), the mean number of clips that a
    classifier was fitted on, and the out-of-fold LWLRAP of each draw."""

    clips_per_class: int | None
    clips: float
    lwlraps: tuple[float, ...]


def parse_sizes(text: str) -> tuple[int, ...]:
    """The sizes a setting names, ascending: ``4,8,16``.

    Raises:
        UserError: something else.
    """
    try:
        sizes = {int(part) for part in text.split(",")}
        if min(sizes) > 0:
            return tuple(sorted(sizes))
    except ValueError:
        pass
    raise UserError(f"FA_LEARNING_CURVE={text!r}: give whole numbers of clips per class, above 0, e.g. 4,8,16.")


def draw_clips(truth: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Rows of truth, bool (n, C), of which each class has at least `size`, or all there are; ascending.

    Rows are taken in a random order as long as one of their classes lacks clips.
    """
    lacking = np.minimum(truth.sum(axis=0), size)
    chosen = []
    for row in random.permutation(len(truth)):
        if (lacking[truth[row]] > 0).any():
            lacking[truth[row]] -= 1
            chosen.append(row)
    return np.sort(chosen)


def learning_curve(
    sizes: Sequence[int],
    features: np.ndarray,
    truth: np.ndarray,
    fold_of: np.ndarray,
    fit: Callable[[np.ndarray, np.ndarray], OneVsRest],
    *,
    progress: ProgressCallback = no_progress,
) -> list[Point]:
    """A point for each size, and one for all clips. Sizes that no class has more clips than are left out: all clips would be
    drawn.

    Args:
        sizes: clips per class.
        features: float32 (n, d).
        truth: bool (n, C).
        fold_of: int (n,), the fold of each clip.
        fit: makes the classifier of some rows.
        progress: told the number of fits done.
    """
    folds = np.unique(fold_of)
    most = max(int(truth[fold_of != fold].sum(axis=0).max()) for fold in folds)
    sizes = [size for size in sizes if size < most]
    fits = (len(sizes) * DRAWS + 1) * len(folds)
    done = 0
    points: list[Point] = []
    for size in (*sizes, None):
        lwlraps, clips = [], []
        for draw in range(DRAWS if size else 1):
            random = np.random.default_rng([SEED, draw])
            logits = np.empty(truth.shape)
            for fold in folds:
                rows, held_out = np.flatnonzero(fold_of != fold), fold_of == fold
                if size:
                    rows = rows[draw_clips(truth[rows], size, random)]
                logits[held_out] = fit(features[rows], truth[rows]).logits(features[held_out])
                clips.append(len(rows))
                progress(done := done + 1, fits)
            lwlraps.append(lwlrap_sums(truth, logits).overall)
        points.append(Point(size, float(np.mean(clips)), tuple(lwlraps)))
    return points
