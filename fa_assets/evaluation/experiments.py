"""Would another classifier have done better? Variants of it on the same folds, from embeddings that are there already.

A variant says what differs from the baseline, which stays the notebook's: C=2, tolerance 1e-4, no class weights, standardised
features, the mean over five crops. Two kinds of figures, not to be confused:

- A variant's own out-of-fold LWLRAP. The best one of a table is the maximum of several noisy figures, so it flatters.
- The nested one. For each fold, the variant is chosen by the other folds alone (fitted on three of them, judged on the fourth,
  four times), then fitted on these four and judged on the fold. No fold has a say in the variant it is judged by.

A model fitted without folds a and b judges b when a is the outer fold, and a when b is; so a variant costs 5 + 10 fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Literal, get_args, get_type_hints

import numpy as np

from fa_assets.errors import BadInputError, UserError
from fa_assets.evaluation.bootstrap import PairedBootstrap, paired_bootstrap
from fa_assets.evaluation.lockstep import LossesAndGradients, minimize_in_lockstep
from fa_assets.evaluation.lwlrap import LwlrapSums, lwlrap_sums
from fa_assets.progress import ProgressCallback, no_progress

RESAMPLES = 2000
SEED = 0
_CROPS = {1: (0.5,), 3: (0.0, 0.5, 1.0), 5: (0.0, 0.5, 1.0, 0.25, 0.75)}
"""Where the crops of a variant lie, as fractions of the slack; all are among those of mc5."""


@dataclass(frozen=True)
class Variant:
    """One classifier: what differs from the baseline, which is `Variant()`.

    Attributes:
        C: inverse strength of the L2 penalty.
        tol: largest component of the gradient at which the solver stops.
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
        name: the variant's; "chosen in each fold" for the nested choice.
        lwlrap: out of fold.
        per_fold: LWLRAP of each fold.
        against_baseline: the paired bootstrap of the difference to the baseline.
        chosen: the variant of each fold, for the nested choice.
    """

    name: str
    lwlrap: float
    per_fold: tuple[float, ...]
    against_baseline: PairedBootstrap
    chosen: tuple[str, ...] = ()


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
    pairs = list(combinations(folds, 2))
    total, done = len(contenders) * (len(folds) + len(pairs)), 0
    out_of_fold = np.empty((len(contenders), *truth.shape))
    inner: list[dict[int, LwlrapSums]] = []
    for number, variant in enumerate(contenders):
        features = pooled(crops, variant)
        judged: dict[int, list[LwlrapSums]] = {fold: [] for fold in folds}
        for left_out in [*((fold,) for fold in folds), *pairs]:
            held_out = np.isin(fold_of, left_out)
            logits = _fit_and_score(features, truth, ~held_out, held_out, variant)
            of = fold_of[held_out]
            if len(left_out) == 1:
                out_of_fold[number, held_out] = logits
            else:
                for outer, judge in (left_out, left_out[::-1]):
                    rows = of == judge
                    judged[outer].append(lwlrap_sums(truth[held_out][rows], logits[rows]))
            progress(done := done + 1, total)
        inner.append({fold: sum(sums[1:], sums[0]) for fold, sums in judged.items()})
    best = {fold: max(range(len(contenders)), key=lambda one: inner[one][fold].overall) for fold in folds}
    nested = np.empty(truth.shape)
    for fold in folds:
        nested[fold_of == fold] = out_of_fold[best[fold], fold_of == fold]

    def outcome(name: str, logits: np.ndarray, chosen: tuple[str, ...] = ()) -> Outcome:
        return Outcome(
            name,
            lwlrap_sums(truth, logits).overall,
            tuple(lwlrap_sums(truth[fold_of == fold], logits[fold_of == fold]).overall for fold in folds),
            paired_bootstrap(truth, logits, out_of_fold[0], RESAMPLES, SEED),
            chosen,
        )

    found = [outcome(variant.name, logits) for variant, logits in zip(contenders, out_of_fold, strict=True)]
    return [*found, outcome(CHOSEN, nested, tuple(contenders[best[fold]].name for fold in folds))]


def pooled(crops: Mapping[float, np.ndarray], variant: Variant) -> np.ndarray:
    """One row per clip, float32 (n, d) or, for mean+max, (n, 2 d)."""
    stacked = np.stack([crops[fraction] for fraction in _CROPS[variant.crops]])
    mean, largest = stacked.mean(axis=0, dtype=np.float64).astype(np.float32), stacked.max(axis=0)
    return {"mean": mean, "max": largest, "mean+max": np.hstack([mean, largest])}[variant.pool]


def _fit_and_score(
    features: np.ndarray, truth: np.ndarray, training: np.ndarray, held_out: np.ndarray, variant: Variant
) -> np.ndarray:
    """Logits of the held-out rows, float64, from one-vs-rest logistic regressions fitted on the training rows."""
    X, unseen = features[training].astype(np.float64), features[held_out].astype(np.float64)
    if variant.norm == "standardise":
        mean, scale = X.mean(axis=0), X.std(axis=0)
        scale[scale < 10 * np.finfo(np.float32).eps * np.maximum(1, np.abs(mean))] = 1.0
        X, unseen = (X - mean) / scale, (unseen - mean) / scale
    elif variant.norm == "l2":
        X, unseen = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in (X, unseen))
    Y = truth[training]
    learnt = np.flatnonzero(Y.any(axis=0) & ~Y.all(axis=0))
    logits = np.zeros((len(unseen), truth.shape[1]))
    if learnt.size:
        found = minimize_in_lockstep(
            _losses(X.astype(np.float32), Y[:, learnt], variant),
            np.zeros((learnt.size, X.shape[1] + 1)),
            {"maxiter": 1000, "maxls": 50, "gtol": variant.tol, "ftol": 64 * np.finfo(float).eps},
        )
        weights = np.stack([one.x for one in found])
        logits[:, learnt] = unseen @ weights[:, :-1].T + weights[:, -1]
    not_learnt = np.setdiff1d(np.arange(truth.shape[1]), learnt)
    logits[:, not_learnt] = logits.min(axis=1, initial=0.0, keepdims=True) - 1.0  # never above what was learnt
    return logits


def _losses(X: np.ndarray, Y: np.ndarray, variant: Variant) -> LossesAndGradients:
    """scikit-learn's objective: the mean of the weighted losses plus |w|^2 / (2 C n), the intercept left free."""
    n = len(X)
    penalty = 1.0 / (variant.C * n)
    signs = np.where(Y, -1.0, 1.0)
    share = np.full(Y.shape, 1.0 / n)
    if variant.weights == "balanced":
        positives = Y.sum(axis=0)
        share = np.where(Y, 0.5 / positives, 0.5 / (n - positives))

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sign, weight = signs[:, which], share[:, which]
        margins = ((X @ points[:, :-1].T.astype(np.float32)).astype(np.float64) + points[:, -1]) * sign
        decay = np.exp(-np.abs(margins))
        losses = ((np.maximum(margins, 0) + np.log1p(decay)) * weight).sum(axis=0)
        slopes = np.where(margins >= 0, 1, decay) / (1 + decay) * sign * weight
        gradients = penalty * points
        gradients[:, :-1] += (X.T @ slopes.astype(np.float32)).T
        gradients[:, -1] = slopes.sum(axis=0)
        return losses + 0.5 * penalty * np.square(points[:, :-1]).sum(axis=1), gradients

    return evaluate
