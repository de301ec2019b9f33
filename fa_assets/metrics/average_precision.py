"""Mean average precision, as scikit-learn computes it class by class."""

import numpy as np


def average_precisions(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The average precision of ranking all rows by the class's score.

    Args:
        truth: bool (n, C).
        scores: float (n, C).

    Returns:
        float64 (C,); nan for a class without positives.
    """
    from sklearn.metrics import average_precision_score

    found = np.full(truth.shape[1], np.nan)
    for one in np.flatnonzero(truth.any(axis=0)):
        found[one] = average_precision_score(truth[:, one], scores[:, one])
    return found


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """The mean over the classes that have a positive; nan where none has. Arguments as above."""
    found = average_precisions(truth, scores)
    known = found[~np.isnan(found)]
    return float(known.mean()) if known.size else float("nan")
