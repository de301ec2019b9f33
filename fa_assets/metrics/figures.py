"""The figures of out-of-fold predictions: one row for each metric, scope and key.

A metric is a function from predictions to figures, registered in `METRICS`. LWLRAP's figure of a clip weighs as many as
the clip has labels, so its figures overall, of a fold or of any other set of clips are weighted means of those of the
clips, and a bootstrap over clips needs no ranking (see `bootstrap`).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa

from fa_assets.metrics.average_precision import average_precisions
from fa_assets.metrics.lwlrap import positive_precisions
from fa_assets.metrics.predictions import Predictions

OVERALL, FOLD, CLASS, CLIP = "overall", "fold", "class", "clip"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        metric: its name in `METRICS`.
        scope: overall, fold, class or clip.
        key: which of them; empty overall.
        value: None where there is nothing to score.
        weight: the positives it rests on.
    """

    metric: str
    scope: str
    key: str
    value: float | None
    weight: int


class Figures:
    """The figures of one set of predictions."""

    def __init__(self, figures: Iterable[Figure], classes: Iterable[str]) -> None:
        self.classes = tuple(classes)
        self._by: dict[tuple[str, str], dict[str, Figure]] = {}
        for one in figures:
            self._by.setdefault((one.metric, one.scope), {})[one.key] = one

    @classmethod
    def of_table(cls, table: pa.Table, classes: Iterable[str]) -> "Figures":
        """From the stored table."""
        return cls((Figure(**row) for row in table.to_pylist()), classes)

    def overall(self, metric: str = "lwlrap") -> float | None:
        """Over all clips."""
        return self._by[metric, OVERALL][""].value

    def of(self, scope: str, metric: str = "lwlrap") -> Mapping[str, Figure]:
        """Those of a scope, by key."""
        return self._by.get((metric, scope), {})

    def values(self, scope: str, metric: str = "lwlrap") -> np.ndarray:
        """Those of a scope in their order, float64; nan where there is nothing to score."""
        return np.array([math.nan if one.value is None else one.value for one in self.of(scope, metric).values()])

    def weights(self, scope: str, metric: str = "lwlrap") -> np.ndarray:
        """The positives they rest on, int64."""
        return np.array([one.weight for one in self.of(scope, metric).values()], np.int64)


def figures_table(figures: Iterable[Figure], schema: pa.Schema) -> pa.Table:
    """Figures as the stored table."""
    rows = list(figures)
    return pa.table([[getattr(row, one.name) for row in rows] for one in fields(Figure)], schema=schema)


def lwlrap(predictions: Predictions) -> Iterator[Figure]:
    """LWLRAP (see `fa_assets.metrics.lwlrap`) overall, of each fold, class, and clip that has a label."""
    row, column, precision = positive_precisions(predictions.truth, predictions.logits)

    def means(of: np.ndarray, size: int) -> Iterator[tuple[float | None, int]]:
        count = np.bincount(of, minlength=size)
        total = np.bincount(of, weights=precision, minlength=size)
        return ((float(t / c) if c else None, int(c)) for t, c in zip(total, count, strict=True))

    def figures(scope: str, keys: Iterable[str], of: np.ndarray, size: int) -> Iterator[Figure]:
        for key, (value, weight) in zip(keys, means(of, size), strict=True):
            yield Figure("lwlrap", scope, key, value, weight)

    n, n_classes = predictions.truth.shape
    n_folds = int(predictions.fold.max(initial=0)) + 1
    yield from figures(OVERALL, [""], np.zeros_like(row), 1)
    yield from figures(FOLD, map(str, range(n_folds)), predictions.fold[row], n_folds)
    yield from figures(CLASS, predictions.classes, column, n_classes)
    yield from (one for one in figures(CLIP, map(str, predictions.fnames), row, n) if one.weight)


def mean_average_precision(predictions: Predictions) -> Iterator[Figure]:
    """Average precision of each class, and its mean over classes: in each fold, and the mean over folds. Folds are not
    pooled: the
    models of two folds do not share a scale."""
    folds = np.unique(predictions.fold)
    by_fold = np.array(
        [
            average_precisions(
                predictions.truth[predictions.fold == fold], predictions.logits[predictions.fold == fold]
            )
            for fold in folds
        ]
    )
    positives = predictions.truth.sum(axis=0)
    of_folds = [_mean(row) for row in by_fold]
    yield Figure("map", OVERALL, "", _mean(np.array([v for v in of_folds if v is not None])), int(positives.sum()))
    for fold, value in zip(folds, of_folds, strict=True):
        yield Figure("map", FOLD, str(fold), value, int(predictions.truth[predictions.fold == fold].sum()))
    for name, column, count in zip(predictions.classes, by_fold.T, positives, strict=True):
        yield Figure("map", CLASS, name, _mean(column), int(count))


METRICS: Mapping[str, Callable[[Predictions], Iterator[Figure]]] = {"lwlrap": lwlrap, "map": mean_average_precision}
"""What is computed of every set of predictions; a new metric is a function here."""


def _mean(values: np.ndarray) -> float | None:
    """Of those that are not nan."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
