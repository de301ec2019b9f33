"""Figures of one ranking: truth bool (n,) with at least one True, scores float (n,); nan where there is nothing to rank."""

import numpy as np

RECALL = 0.8
"""At which precision is told."""


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """scikit-learn's."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores))


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """scikit-learn's; nan without negatives."""
    from sklearn.metrics import roc_auc_score

    return float("nan") if truth.all() else float(roc_auc_score(truth, scores))


def precision_at_recall(truth: np.ndarray, scores: np.ndarray) -> float:
    """The highest precision, of scikit-learn's curve, at which recall is at least `RECALL`."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth, scores)
    return float(precision[recall >= RECALL].max())
