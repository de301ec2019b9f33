"""The figures of out-of-fold predictions: one row for each metric, scope and key.

A metric is a function from predictions to figures, registered in `METRICS`. LWLRAP's figure of a clip weighs as many as
the clip has labels, so its figures overall, of a fold or of any other set of clips are weighted means of those of the
clips, and a bootstrap over clips needs no ranking (see `bootstrap`).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import repeat

import numpy as np
import pyarrow as pa

from fa_assets.metrics.bootstrap import resampled
from fa_assets.metrics.intervals import NO_INTERVAL, Curve, interval, ratio
from fa_assets.metrics.lwlrap import positive_precisions
from fa_assets.metrics.predictions import Predictions
from fa_assets.metrics.reliability import ABOVE, reliability

OVERALL, MICRO, FOLD, CLASS, CLIP = "overall", "micro", "fold", "class", "clip"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        metric: its name.
        scope: overall (the macro average, of what is computed class by class), micro, fold, class or clip.
        key: which of them; empty overall and of micro.
        value: None where there is nothing to score.
        weight: the positives it rests on.
        low, high: the ends of its 95% interval; None where there is none (see `intervals`).
        units: independent clips or groups that it rests on: with a positive, of precision with the label given, of F1 with
            either; None where they are not known, or no interval is ever computed.
        unit: of a clip, where they are known.
    """

    metric: str
    scope: str
    key: str
    value: float | None
    weight: int
    low: float | None = None
    high: float | None = None
    units: int | None = None
    unit: int | None = None


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

    @property
    def units(self) -> np.ndarray | None:
        """The independent unit of each clip, int64; None where they are not known, and each clip counts as one."""
        units = [one.unit for one in self.of(CLIP).values()]
        return None if None in units else np.array(units, np.int64)


def figures_table(figures: Iterable[Figure], schema: pa.Schema) -> pa.Table:
    """Figures as the stored table."""
    rows = list(figures)
    return pa.table([[getattr(row, one.name) for row in rows] for one in fields(Figure)], schema=schema)


def lwlrap(predictions: Predictions) -> Iterator[Figure]:
    """LWLRAP (see `fa_assets.metrics.lwlrap`) overall, of each fold, class, and clip that has a label."""
    row, column, precision = positive_precisions(predictions.truth, predictions.logits)
    n, n_classes = predictions.truth.shape
    n_folds = int(predictions.fold.max(initial=0)) + 1

    def sums(of: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        return np.bincount(of, weights=precision, minlength=size), np.bincount(of, minlength=size)

    def figures(scope: str, keys: Iterable[str], of: np.ndarray, size: int) -> Iterator[Figure]:
        for key, total, count in zip(keys, *sums(of, size), strict=True):
            yield Figure("lwlrap", scope, key, float(total / count) if count else None, int(count))

    overall = next(figures(OVERALL, [""], np.zeros_like(row), 1))
    if predictions.units is not None and overall.weight:
        found = resampled(*sums(row, n), units=predictions.units, is_score=True)
        overall = replace(overall, low=found.low, high=found.high, units=found.units)
    yield overall
    for scope, keys, of, size in (
        (FOLD, [*map(str, range(n_folds))], predictions.fold[row], n_folds),
        (CLASS, predictions.classes, column, n_classes),
    ):
        drawn = _weighted_means(predictions, row, of, precision, size)
        for place, one in enumerate(figures(scope, keys, of, size)):
            has_label = np.bincount(row[of == place], minlength=n) > 0
            low, high, units_of = _interval(one.value, drawn[place], predictions, has_label)
            yield replace(one, low=low, high=high, units=units_of)
    units = repeat(None) if predictions.units is None else predictions.units.tolist()
    for one, unit in zip(figures(CLIP, map(str, predictions.fnames), row, n), units, strict=False):
        if one.weight:
            yield replace(one, unit=unit)


def ranking(predictions: Predictions) -> Iterator[Figure]:
    """How well a class ranks the clips: average precision (`map`), ROC AUC (`auc`), d' (`dprime`), and the precision at a
    recall of `RECALL` (`precision_at_recall`).

    Each is computed in every fold, and is the mean over folds: the models of two folds do not share a scale. Overall (macro) is
    the mean over the classes in each fold, then over folds; micro takes all labels of a fold as one ranking. d' is that of the
    ROC AUC (S. Hershey and others, "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017).
    """
    truth, folds = predictions.truth, np.unique(predictions.fold)
    shape = len(RANKINGS), len(folds), truth.shape[1] + 1  # the last one is micro
    values = np.full(shape, np.nan)
    drawn = np.full((*shape, predictions.weights.shape[1]), np.nan, np.float32)
    for place, fold in enumerate(folds):
        own = np.flatnonzero(predictions.fold == fold)
        present, scores, weights = truth[own], predictions.logits[own], predictions.weights[own]
        rankings = [*zip(present.T, scores.T, strict=True), (present.reshape(-1), scores.reshape(-1))]
        for column, (labels, ranked) in enumerate(rankings):
            if labels.any():
                clip = np.arange(len(labels)) * len(own) // len(labels)
                as_they_are = Curve.of(labels, ranked, np.ones((len(own), 1)), clip)
                values[:, place, column] = [figure(as_they_are)[0] for figure in RANKINGS.values()]
                of_draws = Curve.of(labels, ranked, weights, clip)
                drawn[:, place, column] = [figure(of_draws) for figure in RANKINGS.values()]
    for metric, by_fold, drawn_by_fold in zip(RANKINGS, values, drawn, strict=True):
        macro = _mean(by_fold[:, :-1], 1)
        found = [
            (OVERALL, "", _mean(macro), _mean(_mean(drawn_by_fold[:, :-1], 1)), truth),
            (MICRO, "", _mean(by_fold[:, -1]), _mean(drawn_by_fold[:, -1]), truth),
            *(
                (CLASS, name, _mean(by_fold[:, column]), _mean(drawn_by_fold[:, column]), truth[:, column])
                for column, name in enumerate(predictions.classes)
            ),
        ]
        for scope, key, value, resamples, labels in found:
            one = _figure(metric, scope, key, value, resamples, predictions, labels)
            yield one
            if metric == AUC:
                dprime, *ends = map(_dprime, (one.value, one.low, one.high))
                low, high = NO_INTERVAL if None in (dprime, *ends) else ends
                yield replace(one, metric="dprime", value=dprime, low=low, high=high)
        for fold, value, resamples in zip(folds, macro, drawn_by_fold, strict=True):
            labels = truth & (predictions.fold == fold)[:, None]
            yield _figure(metric, FOLD, str(fold), value, _mean(resamples[:-1]), predictions, labels)


def decisions(predictions: Predictions) -> Iterator[Figure]:
    """F1, precision and recall of the labels that are given, of each class, macro (overall) and micro; none where nothing was
    decided. A class without positives has none and no part in the mean, nor has precision where no clip is given the label."""
    if predictions.decided is None:
        return
    truth, decided = predictions.truth, predictions.decided
    weights = np.column_stack(
        [np.ones(len(truth), np.float32), predictions.weights]
    )  # the first one is the clips as they are
    with_micro = [(one.T.astype(np.float32) @ weights).astype(np.float64) for one in (truth & decided, decided, truth)]
    hits, given, positives = (np.vstack([one, one.sum(axis=0)]) for one in with_micro)
    every = {
        "f1": (ratio(2 * hits, given + positives), truth | decided),
        "precision": (ratio(hits, given), decided),
        "recall": (ratio(hits, positives), truth),
    }
    for metric, (values, rests_on) in every.items():
        values[positives == 0] = np.nan
        found: list[tuple[str, str, np.ndarray, int | slice]] = [
            (OVERALL, "", _mean(values[:-1]), slice(None)),
            (MICRO, "", values[-1], slice(None)),
            *((CLASS, name, values[one], one) for one, name in enumerate(predictions.classes)),
        ]
        for scope, key, own, column in found:
            known, labels = _or_none(own[0]), rests_on[:, column]
            ends = _interval(known, own[1:], predictions, labels)
            yield Figure(metric, scope, key, known, int(truth[:, column].sum()), *ends)


def label_ranking(predictions: Predictions) -> Iterator[Figure]:
    """How well a clip ranks the classes, besides LWLRAP: coverage error (how far down its ranking one has to go for all its
    labels, 1 at best) and one-error (the share of clips whose first class is not a label), of the clips that have a label;
    among equal scores the worst rank counts."""
    labelled = predictions.truth.any(axis=1)
    truth, scores, weights = (one[labelled] for one in (predictions.truth, predictions.logits, predictions.weights))
    lowest = np.where(truth, scores, np.inf).min(axis=1, initial=np.inf)
    depth = (scores >= lowest[:, None]).sum(axis=1)
    is_wrong = np.where(truth, scores, -np.inf).max(axis=1) <= np.where(truth, -np.inf, scores).max(axis=1)
    for metric, of_clip, ends in (
        ("coverage_error", depth, (1.0, truth.shape[1])),
        ("one_error", is_wrong, (0.0, 1.0)),
    ):
        value = float(of_clip.mean()) if len(truth) else np.nan
        drawn = ratio(of_clip @ weights, weights.sum(axis=0))
        yield _figure(metric, OVERALL, "", value, drawn, predictions, predictions.truth, ends)


def calibration(predictions: Predictions) -> Iterator[Figure]:
    """Whether probabilities mean what they say (see `reliability`). The Brier score has an interval; the errors have none:
    they are above 0 by chance, the more so in resamples."""
    found, labels = reliability(predictions.truth, predictions.probabilities), predictions.truth
    of_clip = np.square(predictions.probabilities - labels).mean(axis=1)
    drawn = ratio(of_clip @ predictions.weights, predictions.weights.sum(axis=0))
    yield _figure("brier", OVERALL, "", found.brier, drawn, predictions, labels)
    for metric, value in zip(CALIBRATION[1:], (found.brier_skill, *found.errors), strict=True):
        yield Figure(metric, OVERALL, "", _or_none(value), int(labels.sum()))
    yield from class_figures(CALIBRATION[-1], predictions, found.classwise)


def class_figures(metric: str, predictions: Predictions, values: np.ndarray) -> Iterator[Figure]:
    """What is known of each class by other means, float64 (C,), nan where it is not."""
    positives = predictions.truth.sum(axis=0).tolist()
    for name, value, weight in zip(predictions.classes, values.tolist(), positives, strict=True):
        yield Figure(metric, CLASS, name, _or_none(value), weight)


METRICS: Mapping[str, Callable[[Predictions], Iterator[Figure]]] = {
    "lwlrap": lwlrap,
    "ranking": ranking,
    "decisions": decisions,
    "label_ranking": label_ranking,
    "calibration": calibration,
}
"""What is computed of every set of predictions; a new metric is a function here."""

MAP, AUC = "map", "auc"
CALIBRATION = (
    "brier",
    "brier_skill",
    "expected_calibration_error",
    f"calibration_error_above_{ABOVE}",
    "calibration_error_classwise",
)
DECIDED = ("f1", "precision", "recall")
"""What `decisions` says of the labels that are given."""
RANKINGS: Mapping[str, Callable[[Curve], np.ndarray]] = {
    MAP: Curve.average_precision,
    AUC: Curve.roc_auc,
    "precision_at_recall": Curve.precision_at_recall,
}
"""Of one ranking: the figure in all resamples."""


def _figure(
    metric: str,
    scope: str,
    key: str,
    value: float | np.ndarray,
    drawn: np.ndarray,
    predictions: Predictions,
    labels: np.ndarray,
    ends: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """A figure with its interval; labels, bool (n,) or (n, C), are those it rests on."""
    known = _or_none(value)
    return Figure(metric, scope, key, known, int(labels.sum()), *_interval(known, drawn, predictions, labels, ends))


def _interval(
    value: float | None,
    drawn: np.ndarray,
    predictions: Predictions,
    labels: np.ndarray,
    ends: tuple[float, float] = (0.0, 1.0),
) -> tuple[float | None, float | None, int | None]:
    """The ends of the interval, and the units that it rests on."""
    if not drawn.size:
        return *NO_INTERVAL, None
    units = predictions.support(labels)
    return *(NO_INTERVAL if value is None else interval(value, drawn, units, ends)), units


def _weighted_means(
    predictions: Predictions, row: np.ndarray, of: np.ndarray, values: np.ndarray, size: int
) -> np.ndarray:
    """The mean of the values of clips, in these rows, with each number in `of` and in each resample, (size, resamples)."""
    from scipy.sparse import csr_array

    total, count = (
        csr_array((one.astype(np.float32), (of, row)), shape=(size, len(predictions.truth))) @ predictions.weights
        for one in (values, np.ones_like(values))
    )
    return ratio(total, count)


def _dprime(auc: float | None) -> float | None:
    """d' of a ROC AUC; None where that is 0 or 1, for which it is infinite."""
    from scipy.special import ndtri

    return None if auc is None or not 0 < auc < 1 else float(np.sqrt(2) * ndtri(auc))


def _mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Of those that are not nan; nan where all are."""
    return ratio(np.nansum(values, axis=axis), (~np.isnan(values)).sum(axis=axis))


def _or_none(value: float | np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
