"""Several encoders' classifiers as one: which blend of their log-odds is best, judged on out-of-fold predictions.

The contenders are each encoder alone, the mean and the geometric mean of the probabilities, and a stacked logistic regression:
one weight for each encoder's log-odds and an intercept, shared by all classes, fitted on the out-of-fold log-odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fa_assets.models import scikit_learn
from fa_assets.models.nested import Outcome, judge_nested
from fa_assets.progress import ProgressCallback, no_progress

MEAN, GEOMETRIC, STACKED = "mean", "geometric mean", "stacked"


@dataclass(frozen=True)
class Blend:
    """How the log-odds of several encoders become one probability.

    Attributes:
        name: of the contender.
        method: what the weights are of: probabilities (`mean`), their logarithms (`geometric mean`), log-odds (`stacked`).
        encoders: their names, the main one first.
        weights: of each.
        intercept: added to the weighted log-odds.
    """

    name: str
    method: str
    encoders: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float = 0.0

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Blend":
        """From what JSON keeps of one."""
        return cls(**{**fields, "encoders": tuple(fields["encoders"]), "weights": tuple(fields["weights"])})

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float64 (n, C), of log-odds (encoders, n, C)."""
        from scipy.special import expit, log_expit

        weighted = partial(np.tensordot, self.weights, axes=1)
        if self.method == MEAN:
            return np.asarray(weighted(expit(logits)))
        if self.method == GEOMETRIC:
            return np.asarray(np.exp(weighted(log_expit(logits))))
        return np.asarray(expit(weighted(logits) + self.intercept))


def contenders(encoders: Sequence[str]) -> tuple[str, ...]:
    """The names of the blends that there are, the main encoder alone first."""
    return *encoders, MEAN, GEOMETRIC, STACKED


def fit_blend(name: str, encoders: Sequence[str], logits: np.ndarray, truth: np.ndarray) -> Blend:
    """A blend of that name.

    Args:
        encoders: the main one first.
        logits: float64 (encoders, n, C), out of fold.
        truth: bool (n, C).
    """
    if name == STACKED:
        model = scikit_learn.fit(logits.reshape(len(encoders), -1).T, truth.reshape(-1, 1))
        weights = model.coef[0] / model.scale
        return Blend(
            name, STACKED, tuple(encoders), tuple(weights.tolist()), float(model.intercept[0] - weights @ model.mean)
        )
    shares = [name == one for one in encoders] if name in encoders else [1 / len(encoders)] * len(encoders)
    return Blend(name, GEOMETRIC if name == GEOMETRIC else MEAN, tuple(encoders), tuple(map(float, shares)))


def judge_blends(
    encoders: Sequence[str],
    logits: np.ndarray,
    truth: np.ndarray,
    fold_of: np.ndarray,
    *,
    units: np.ndarray | None = None,
    progress: ProgressCallback = no_progress,
) -> list[Outcome]:
    """Judge every contender, and the nested choice among them, as `judge_nested`; arguments as there and in `fit_blend`."""

    def score(name: str, held_out: np.ndarray) -> np.ndarray:
        blend = fit_blend(name, encoders, logits[:, ~held_out], truth[~held_out])
        return blend.probabilities(logits[:, held_out])

    names = contenders(encoders)
    return judge_nested(names, (partial(score, name) for name in names), truth, fold_of, units=units, progress=progress)
