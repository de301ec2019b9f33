"""Would another classifier have done better? Variants of it on the same folds, from embeddings that are there already.

A variant says what differs from the baseline, which has the notebook's settings: C=2, tolerance 1e-4, no class weights,
standardised features, the mean over five crops. All of them, the baseline too, are fitted by `torch_lbfgs`, so that a
difference is never one between solvers. They are judged as `nested` says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

import numpy as np

from fa_assets.errors import BadInputError, UserError
from fa_assets.models import torch_lbfgs
from fa_assets.models.nested import Outcome, Scorer, judge_nested
from fa_assets.progress import ProgressCallback, no_progress

MAX_ITERATIONS = 1000
"""Of each solve, the notebook's."""
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


def run_experiments(
    variants: Sequence[Variant],
    crops: Mapping[float, np.ndarray],
    truth: np.ndarray,
    fold_of: np.ndarray,
    *,
    units: np.ndarray | None = None,
    progress: ProgressCallback = no_progress,
) -> list[Outcome]:
    """Judge the baseline, the variants, and the nested choice among them all.

    Args:
        variants: besides the baseline.
        crops: float32 (n, d), the embedding of the crop at each fraction of the slack: 0, 0.25, 0.5, 0.75 and 1.
        truth: bool (n, C).
        fold_of: int (n,), the fold of each clip.
        units: int (n,), as `judge_nested`.
        progress: told the number of fits done.

    Raises:
        BadInputError: an embedding is not finite.
    """
    if any(not np.isfinite(one).all() for one in crops.values()):
        raise BadInputError("embeddings of crops are not finite; compute them again")
    contenders = [Variant(), *variants]
    scorers = (_scorer(variant, features_of(crops, variant), truth) for variant in contenders)
    return judge_nested([one.name for one in contenders], scorers, truth, fold_of, units=units, progress=progress)


def _scorer(variant: Variant, features: np.ndarray, truth: np.ndarray) -> Scorer:
    def score(held_out: np.ndarray) -> np.ndarray:
        model = torch_lbfgs.fit(
            features[~held_out],
            truth[~held_out],
            C=variant.C,
            max_iter=MAX_ITERATIONS,
            tolerance=variant.tol,
            standardise=variant.norm == "standardise",
            balanced=variant.weights == "balanced",
        )
        return model.logits(features[held_out])

    return score


def features_of(crops: Mapping[float, np.ndarray], variant: Variant) -> np.ndarray:
    """One row per clip, float32 (n, d) or, for mean+max, (n, 2 d); for l2 of length 1."""
    stacked = np.stack([crops[fraction] for fraction in _CROPS[variant.crops]])
    mean, largest = stacked.mean(axis=0, dtype=np.float64).astype(np.float32), stacked.max(axis=0)
    pooled = {"mean": mean, "max": largest, "mean+max": np.hstack([mean, largest])}[variant.pool]
    if variant.norm == "l2":
        pooled /= np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
    return pooled
