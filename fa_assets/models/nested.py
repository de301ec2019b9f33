"""Contenders judged on the same folds, and the choice among them judged without bias. Two kinds of figures, not to be confused:

- A contender's own out-of-fold LWLRAP. The best one of a table is the maximum of several noisy figures, so it is too high.
- The nested one. For each fold, the contender is chosen by the other folds alone (fitted on three of them, judged on the
  fourth, four times), then fitted on these four and judged on the fold. No fold has a say in the contender it is judged by.

A model fitted without folds a and b judges b when a is the outer fold, and a when b is; so a contender costs 5 + 10 fits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from fa_assets.metrics.bootstrap import PairedBootstrap, resampled, simultaneous
from fa_assets.metrics.lwlrap import LwlrapSums, lwlrap_sums, positive_precisions
from fa_assets.progress import ProgressCallback, no_progress

CHOSEN = "chosen in each fold"

Scorer = Callable[[np.ndarray], np.ndarray]
"""Called with bool (n,), the clips held out: their scores (m, C) by a model fitted on the others."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a contender, or of the nested choice among all.

    Attributes:
        name: the contender's, or `CHOSEN`.
        scores: float64 (n, C), out of fold.
        lwlrap: of these.
        per_fold: LWLRAP of each fold.
        against_baseline: the paired bootstrap of the difference to the first contender.
        simultaneous: the ends of the interval of that difference that holds for all contenders at once; None for the first one
            and for the nested choice, which is a single one.
        selected_in: the folds in which the nested choice took the contender; none for the nested choice itself.
        chosen: the contender of each fold, for the nested choice.
    """

    name: str
    scores: np.ndarray
    lwlrap: float
    per_fold: tuple[float, ...]
    against_baseline: PairedBootstrap
    simultaneous: tuple[float, float] | None = None
    selected_in: tuple[int, ...] = ()
    chosen: tuple[str, ...] = ()


def judge_nested(
    names: Sequence[str],
    scorers: Iterable[Scorer],
    truth: np.ndarray,
    fold_of: np.ndarray,
    *,
    units: np.ndarray | None = None,
    progress: ProgressCallback = no_progress,
) -> list[Outcome]:
    """Judge contenders, the first of which is the baseline, and last the nested choice among them all.

    Args:
        names, scorers: of the contenders; each scorer is done with before the next one is asked for.
        truth: bool (n, C).
        fold_of: int (n,), the fold of each clip.
        units: int (n,), the independent unit of each, which the bootstrap draws; without, each clip is one.
        progress: told the number of fits done.
    """
    folds = sorted(set(fold_of.tolist()))
    left_outs = [*((fold,) for fold in folds), *combinations(folds, 2)]
    total = len(names) * len(left_outs)
    out_of_fold = np.empty((len(names), *truth.shape))
    judged: list[dict[int, list[LwlrapSums]]] = [{fold: [] for fold in folds} for _ in names]
    for number, scorer in enumerate(scorers):
        for done, left_out in enumerate(left_outs, number * len(left_outs) + 1):
            held_out = np.isin(fold_of, left_out)
            scores = scorer(held_out)
            progress(done, total)
            if len(left_out) == 1:
                out_of_fold[number, held_out] = scores
                continue
            for outer, judge in (left_out, left_out[::-1]):
                rows = fold_of[held_out] == judge
                judged[number][outer].append(lwlrap_sums(truth[held_out][rows], scores[rows]))
    inner = [{fold: sum(sums[1:], sums[0]) for fold, sums in one.items()} for one in judged]
    best = {fold: max(range(len(names)), key=lambda one: inner[one][fold].overall) for fold in folds}
    nested = np.empty(truth.shape)
    for fold in folds:
        nested[fold_of == fold] = out_of_fold[best[fold], fold_of == fold]
    selected_in = [tuple(fold for fold in folds if best[fold] == number) for number in range(len(names))]
    found = _outcomes((*names, CHOSEN), [*out_of_fold, nested], truth, fold_of, units)
    return [
        *(replace(one, selected_in=own) for one, own in zip(found, selected_in, strict=False)),
        replace(found[-1], chosen=tuple(names[best[fold]] for fold in folds)),
    ]


def _outcomes(
    names: Sequence[str], scores: Sequence[np.ndarray], truth: np.ndarray, fold_of: np.ndarray, units: np.ndarray | None
) -> list[Outcome]:
    """Of all contenders, the baseline first, and last of the nested choice."""
    order = np.argsort(fold_of, kind="stable")  # that of predictions, so that the draws are those of the comparison
    drawn = None if units is None else units[order]
    ranked = [positive_precisions(truth[order], one[order]) for one in scores]
    clip, _, baseline = ranked[0]
    positives = np.bincount(clip, minlength=len(truth))
    gains = [np.bincount(clip, weights=precision - baseline, minlength=len(truth)) for _, _, precision in ranked]
    ends = simultaneous(np.stack(gains[1:-1]), positives, units=drawn).tolist() if len(gains) > 2 else []
    return [
        Outcome(
            name,
            own,
            lwlrap_sums(truth, own).overall,
            tuple(lwlrap_sums(truth[fold_of == fold], own[fold_of == fold]).overall for fold in np.unique(fold_of)),
            resampled(gain, positives, units=drawn),
            interval,
        )
        for name, own, gain, interval in zip(
            names, scores, gains, [None, *((low, high) for low, high in ends), None], strict=True
        )
    ]
