"""The labels that out-of-fold predictions doubt most: present ones that look wrong, absent ones that look missing.

Confident learning (C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
70, 2021), for each class as a question of its own, present or absent. A class's threshold is the mean probability that
the model gives to an answer where that answer is the given one; so a class the model is generally unsure of has a lower
one. A label is doubted when the opposite answer is at least as probable as its threshold. No model has seen the clips it
judges, because the predictions are out of fold.
"""

from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.predictions import Predictions

MISSING, WRONG = "missing label", "wrong label"


@dataclass(frozen=True)
class LabelIssue:
    """One label of one clip that the model doubts.

    Attributes:
        fname, class_name: the clip and the class.
        kind: `MISSING` (absent, looks present) or `WRONG` (present, looks absent).
        fold: the fold the clip was held out in.
        probability: of the class, from the model that did not see the clip.
        self_confidence: the probability of the label as it is given: `probability`, or 1 - `probability` of an absent one.
        threshold: what the opposite answer's probability had to reach.
        margin: how far it went from the threshold (0) to certainty (1).
    """

    fname: str
    class_name: str
    kind: str
    fold: int
    probability: float
    self_confidence: float
    threshold: float
    margin: float


def find_label_issues(predictions: Predictions) -> list[LabelIssue]:
    """Every doubted label, the largest margin first; then the least self-confidence, then by name.

    Classes without a positive or without a negative have no threshold and are left out.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    doubts: list[LabelIssue] = []
    for column, name in enumerate(predictions.classes):
        present, probability = truth[:, column], probabilities[:, column]
        if present.all() or not present.any():
            continue
        for kind, suspects, opposite, threshold in (
            (MISSING, ~present, probability, float(probability[present].mean())),
            (WRONG, present, 1 - probability, float((1 - probability[~present]).mean())),
        ):
            for row in np.flatnonzero(suspects & (opposite >= threshold)):
                against = float(opposite[row])
                doubts.append(
                    LabelIssue(
                        fname=str(predictions.fnames[row]),
                        class_name=name,
                        kind=kind,
                        fold=int(predictions.fold[row]),
                        probability=float(probability[row]),
                        self_confidence=1 - against,
                        threshold=threshold,
                        margin=(against - threshold) / (1 - threshold) if threshold < 1 else 0.0,
                    )
                )
    return sorted(doubts, key=lambda one: (-one.margin, one.self_confidence, one.fname, one.class_name))
