"""From which probability on is a label given? A threshold for each class, and what the decisions are worth.

A threshold is chosen on out-of-fold predictions: the one with the best F1, or the one with the highest recall among those
whose precision is at least P. The decisions that are judged are nested: a fold's thresholds are chosen on the other folds
alone, so that no clip has a say in the threshold it is judged by.
"""

import math

import numpy as np

from fa_assets.errors import UserError
from fa_assets.metrics.calibration import has_scale

F1 = "f1"
"""The rule that takes the best F1; the other one is precision=P."""


def parse_rule(text: str) -> float | None:
    """The precision that a rule asks for; None for `F1`.

    Raises:
        UserError: it is neither f1 nor precision=P with P above 0 and at most 1.
    """
    name, _, value = text.partition("=")
    try:
        if text == F1:
            return None
        if name == "precision" and 0 < float(value) <= 1:
            return float(value)
    except ValueError:
        pass
    raise UserError(f"FA_THRESHOLD_RULE={text!r}: give f1, or precision=P with P above 0 and at most 1.")


def choose_thresholds(
    truth: np.ndarray, probabilities: np.ndarray, precision: float | None, calibrate: bool = False
) -> np.ndarray:
    """The threshold of each class, float64 (C,): a label is given where the probability is at least this.

    nan where there is none: the class has no positives, all clips have the same score, no threshold reaches the precision, or
    calibration makes its probability its frequency.
    Of thresholds that do as well, the one with the higher precision.

    Args:
        truth: bool (n, C).
        probabilities: float (n, C).
        precision: at least this; None for the best F1.
        calibrate: whether decisions are made on calibrated probabilities.
    """
    from sklearn.metrics import precision_recall_curve

    chosen = np.full(truth.shape[1], math.nan)
    can = truth.any(axis=0) & (probabilities != probabilities[:1]).any(axis=0)
    for column in np.flatnonzero(can & has_scale(truth, probabilities) if calibrate else can):
        precisions, recalls, levels = precision_recall_curve(truth[:, column], probabilities[:, column])
        p, r = precisions[:-1], recalls[:-1]
        hits = np.rint(r * truth[:, column].sum())  # in whole clips, so that what is as good is equal
        given = np.rint(hits / np.where(p > 0, p, 1))
        merit = np.where(p >= precision, r, 0.0) if precision else 2 * hits / (given + truth[:, column].sum())
        best = int(np.lexsort((p, merit))[-1])
        if merit[best] > 0:
            chosen[column] = levels[best]
    return chosen


def decide(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Which labels are given, bool (n, C); none of a class without a threshold."""
    return np.asarray(probabilities >= np.where(np.isnan(thresholds), np.inf, thresholds))


def nested_decisions(
    truth: np.ndarray, probabilities: np.ndarray, fold_of: np.ndarray, precision: float | None, calibrate: bool = False
) -> np.ndarray:
    """Which labels are given, bool (n, C), in each fold by thresholds of the others; fold_of is int (n,)."""
    decided = np.zeros(truth.shape, bool)
    for fold in np.unique(fold_of):
        own = fold_of == fold
        thresholds = choose_thresholds(truth[~own], probabilities[~own], precision, calibrate)
        decided[own] = decide(probabilities[own], thresholds)
    return decided
