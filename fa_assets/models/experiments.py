"""Would another classifier have done better? Variants of it on the same folds, from embeddings that are there already.

A variant says what differs from the baseline, which has the notebook's settings: C=2, tolerance 1e-4, no class weights,
standardised features, the mean over five crops. All of them, the baseline too, are fitted by `torch_lbfgs`, so that a
difference is never one between solvers. Two kinds of figures, not to be confused:

- A variant's own out-of-fold LWLRAP. The best one of a table is the maximum of several noisy figures, so it is too high.
- The nested one. For each fold, the variant is chosen by the other folds alone (fitted on three of them, judged on the fourth,
  four times), then fitted on these four and judged on the fold. No fold has a say in the variant it is judged by.

A model fitted without folds a and b judges b when a is the outer fold, and a when b is; so a variant costs 5 + 10 fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import combinations
from typing import Literal, get_args, get_type_hints

import numpy as np

from fa_assets.errors import BadInputError, UserError
from fa_assets.metrics.bootstrap import PairedBootstrap, paired_bootstrap
from fa_assets.metrics.lwlrap import LwlrapSums, lwlrap_sums
from fa_assets.models import torch_lbfgs
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.progress import ProgressCallback, no_progress

MAX_ITERATIONS = 1000
"""Of each solve, the notebook's."""
RESAMPLES = 2000
SEED = 0
_CROPS = {1: (0.5,), 3: (0.0, 0.5, 1.0), 5: (0.0, 0.5, 1.0, 0.25, 0.75)}
"""Where the crops of a variant lie, as fractions of the slack; all are among those of mc5."""


@dataclass(frozen=True)
class Variant:
    """One classifier: what differs from the baseline, which is `Variant()`.

    Attributes:
        C: inverse strength of the L2 penalty.
        tol: largest component of the gradient at which the solver stops. At the notebook's 1e-4 that is well before the
            optimum, and part of what the classifier is.
        weights: "balanced" gives positives and negatives of a class the same total weight.
        norm: of the features: standardise each, scale each clip to length 1 (l2), or none.
        pool: over the crops of a clip: mean, max, or both one after the other.
        crops: how many crops of a clip are used.
    """

    C: float = 2.0
    tol: float = 1e-4
    weights: Literal["none", "balanced"] = "none"
    norm: Literal["standardise", "l2", "none"] = "standardise"
    pool: Literal["mean", "max", "mean+max"] = "mean"
    crops: Literal[1, 3, 5] = 5

    @property
    def name(self) -> str:
        """What differs, e.g. ``C=0.1,norm=l2``; ``baseline`` when nothing does."""
        own = [
            f"{one.name}={getattr(self, one.name)}" for one in fields(self) if getattr(self, one.name) != one.default
        ]
        return ",".join(own).replace(".0,", ",").removesuffix(".0") or "baseline"


STANDARD = "C=0.02 C=0.2 C=20 tol=1e-6 weights=balanced norm=l2,C=200 norm=none pool=max pool=mean+max crops=1 crops=3"
"""What the setting ``all`` stands for."""


def parse_variants(text: str) -> tuple[Variant, ...]:
    """The variants a setting names: separated by spaces, each ``name=value,name=value``; ``all`` for `STANDARD`.

    Raises:
        UserError: a name or value that there is not.
    """
    variants: list[Variant] = []
    for part in STANDARD.split() if text.strip() == "all" else text.split():
        variant = Variant(**dict(_assignment(one) for one in part.split(",")))  # type: ignore[arg-type]
        if variant != Variant() and variant not in variants:
            variants.append(variant)
    return tuple(variants)


def _assignment(text: str) -> tuple[str, str | float | int]:
    name, _, value = text.partition("=")
    types = get_type_hints(Variant)
    if name not in types:
        raise UserError(f"FA_EXPERIMENTS: {text!r}; a variant is name=value,... with the names {', '.join(types)}.")
    choices = get_args(types[name])
    if not choices:
        try:
            if (number := float(value)) > 0:
                return name, number
        except ValueError:
            pass
        raise UserError(f"FA_EXPERIMENTS: {text!r}; {name} is a number above 0.")
    for choice in choices:
        if str(choice) == value:
            return name, choice
    raise UserError(f"FA_EXPERIMENTS: {text!r}; {name} is one of {', '.join(map(str, choices))}.")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a variant, or of the nested choice among all.

    Attributes:
        variant: None for the nested choice.
        lwlrap: out of fold.
        per_fold: LWLRAP of each fold.
        against_baseline: the paired bootstrap of the difference to the baseline.
        selected_in: the folds in which the nested choice took the variant; none for the nested choice itself.
        chosen: the variant of each fold, for the nested choice.
    """

    variant: Variant | None
    lwlrap: float
    per_fold: tuple[float, ...]
    against_baseline: PairedBootstrap
    selected_in: tuple[int, ...] = ()
    chosen: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The variant's, or `CHOSEN`."""
        return CHOSEN if self.variant is None else self.variant.name


CHOSEN = "chosen in each fold"


def run_experiments(
    variants: Sequence[Variant],
    crops: Mapping[float, np.ndarray],
    truth: np.ndarray,
    fold_of: np.ndarray,
    *,
    progress: ProgressCallback = no_progress,
) -> list[Outcome]:
    """Judge the baseline, the variants, and the nested choice among them all.

    Args:
        variants: besides the baseline.
        crops: float32 (n, d), the embedding of the crop at each fraction of the slack: 0, 0.25, 0.5, 0.75 and 1.
        truth: bool (n, C).
        fold_of: int (n,), the fold of each clip.
        progress: told the number of fits done.

    Raises:
        BadInputError: an embedding is not finite.
    """
    if any(not np.isfinite(one).all() for one in crops.values()):
        raise BadInputError("embeddings of crops are not finite; compute them again")
    contenders = [Variant(), *variants]
    folds = sorted(set(fold_of.tolist()))
    left_outs = [*((fold,) for fold in folds), *combinations(folds, 2)]
    total = len(contenders) * len(left_outs)
    out_of_fold = np.empty((len(contenders), *truth.shape))
    judged: list[dict[int, list[LwlrapSums]]] = [{fold: [] for fold in folds} for _ in contenders]
    for number, variant in enumerate(contenders):
        features = features_of(crops, variant)
        for done, left_out in enumerate(left_outs, number * len(left_outs) + 1):
            held_out = np.isin(fold_of, left_out)
            logits = _fit(variant, features[~held_out], truth[~held_out]).logits(features[held_out])
            progress(done, total)
            if len(left_out) == 1:
                out_of_fold[number, held_out] = logits
                continue
            for outer, judge in (left_out, left_out[::-1]):
                rows = fold_of[held_out] == judge
                judged[number][outer].append(lwlrap_sums(truth[held_out][rows], logits[rows]))
    inner = [{fold: sum(sums[1:], sums[0]) for fold, sums in one.items()} for one in judged]
    best = {fold: max(range(len(contenders)), key=lambda one: inner[one][fold].overall) for fold in folds}
    nested = np.empty(truth.shape)
    for fold in folds:
        nested[fold_of == fold] = out_of_fold[best[fold], fold_of == fold]
    outcome = partial(_outcome, truth, fold_of, out_of_fold[0])
    found = [
        outcome(variant, logits, selected_in=tuple(fold for fold in folds if best[fold] == number))
        for number, (variant, logits) in enumerate(zip(contenders, out_of_fold, strict=True))
    ]
    return [*found, outcome(None, nested, chosen=tuple(contenders[best[fold]].name for fold in folds))]


def _fit(variant: Variant, features: np.ndarray, truth: np.ndarray) -> OneVsRest:
    return torch_lbfgs.fit(
        features,
        truth,
        C=variant.C,
        max_iter=MAX_ITERATIONS,
        tolerance=variant.tol,
        standardise=variant.norm == "standardise",
        balanced=variant.weights == "balanced",
    )


def _outcome(
    truth: np.ndarray,
    fold_of: np.ndarray,
    baseline: np.ndarray,
    variant: Variant | None,
    logits: np.ndarray,
    selected_in: tuple[int, ...] = (),
    chosen: tuple[str, ...] = (),
) -> Outcome:
    by_fold = (lwlrap_sums(truth[fold_of == fold], logits[fold_of == fold]).overall for fold in np.unique(fold_of))
    difference = paired_bootstrap(truth, logits, baseline, RESAMPLES, SEED)
    return Outcome(variant, lwlrap_sums(truth, logits).overall, tuple(by_fold), difference, selected_in, chosen)


def features_of(crops: Mapping[float, np.ndarray], variant: Variant) -> np.ndarray:
    """One row per clip, float32 (n, d) or, for mean+max, (n, 2 d); for l2 of length 1."""
    stacked = np.stack([crops[fraction] for fraction in _CROPS[variant.crops]])
    mean, largest = stacked.mean(axis=0, dtype=np.float64).astype(np.float32), stacked.max(axis=0)
    pooled = {"mean": mean, "max": largest, "mean+max": np.hstack([mean, largest])}[variant.pool]
    if variant.norm == "l2":
        pooled /= np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
    return pooled
