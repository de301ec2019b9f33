"""What corrected labels did to LWLRAP: two models of the same folds and embeddings, fitted on the labels as they were given and
as they are corrected."""

from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.bootstrap import paired_bootstrap
from fa_assets.metrics.lwlrap import lwlrap_sums


@dataclass(frozen=True)
class Effect:
    """LWLRAP of both models on some clips, and the 95% interval of the difference where both are judged by the same labels.

    Attributes:
        on: which clips, by which labels.
        clips: how many.
        before, after: out of fold, of the model of the given labels and of the corrected ones.
        low, high: of after less before (paired bootstrap over units).
        units: independent clips or groups that it rests on.
    """

    on: str
    clips: int
    before: float
    after: float
    low: float | None = None
    high: float | None = None
    units: int | None = None


OWN_LABELS = "all clips, each model by the labels it was fitted on"
CORRECTED_LABELS = "all clips, by the corrected labels"
UNTOUCHED = "clips without a correction"


def effects_of_corrections(
    given: np.ndarray, corrected: np.ndarray, before: np.ndarray, after: np.ndarray, units: np.ndarray
) -> list[Effect]:
    """The effect on all clips by each model's own labels, on all by the corrected ones, and on those without a correction; the
    last is left out where there are none with a label.

    Args:
        given, corrected: bool (n, C), the labels.
        before, after: float (n, C), the out-of-fold logits of the models that were fitted on them.
        units: integer (n,), see `units`.
    """
    untouched = (given == corrected).all(axis=1)
    found = [Effect(OWN_LABELS, len(given), lwlrap_sums(given, before).overall, lwlrap_sums(corrected, after).overall)]
    for on, rows in ((CORRECTED_LABELS, np.ones(len(given), bool)), (UNTOUCHED, untouched)):
        truth = corrected[rows]
        if truth.any():
            gain = paired_bootstrap(truth, after[rows], before[rows], units=units[rows])
            was, now = (lwlrap_sums(truth, logits[rows]).overall for logits in (before, after))
            found.append(Effect(on, int(rows.sum()), was, now, gain.low, gain.high, gain.units))
    return found
