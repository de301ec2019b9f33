"""Mean average precision, as scikit-learn computes it class by class."""

import numpy as np


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """The mean over classes of the average precision of ranking all rows by the class's score.

    Args:
        truth: bool (n, C).
        scores: float (n, C).

    Returns:
        The mean over the classes that have a positive; nan where none has.
    """
    from sklearn.metrics import average_precision_score

    with_positives = np.flatnonzero(truth.any(axis=0))
    if not with_positives.size:
        return float("nan")
    return float(np.mean([average_precision_score(truth[:, one], scores[:, one]) for one in with_positives]))
