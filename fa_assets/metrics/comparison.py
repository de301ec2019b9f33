"""One set of predictions against another: the same clips, folds and classes, or there is no comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fa_assets.errors import BadInputError
from fa_assets.metrics.lwlrap import LwlrapSums


@dataclass(frozen=True, eq=False)
class Difference:
    """LWLRAP of both sides, value by value; `nan` where there are no positives.

    Attributes:
        ours, baseline: float64 (k,), one value per fold or per class.
    """

    ours: np.ndarray
    baseline: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """float64 (k,): ours minus the baseline, so that more is better."""
        return self.ours - self.baseline


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Attributes:
        ours, baseline: LWLRAP over all folds.
        folds: the folds, ascending; `per_fold` follows their order.
        per_fold: LWLRAP per fold.
        per_class: LWLRAP per class, in column order.
        recorded: a figure from elsewhere that ours is held against, or None.
    """

    ours: float
    baseline: float
    folds: tuple[int, ...]
    per_fold: Difference
    per_class: Difference
    recorded: float | None

    @property
    def difference(self) -> float:
        """Ours minus the baseline."""
        return self.ours - self.baseline

    @property
    def difference_to_recorded(self) -> float | None:
        """Ours minus the recorded figure, None where none is given."""
        return None if self.recorded is None else self.ours - self.recorded


def compare(
    ours: Mapping[int, LwlrapSums], baseline: Mapping[int, LwlrapSums], recorded: float | None = None
) -> Comparison:
    """Hold our LWLRAP against a baseline computed on the same clips, and against a recorded figure.

    Args:
        ours, baseline: the sums of each fold.
        recorded: an LWLRAP that was published or noted down earlier.

    Raises:
        BadInputError: a fold is missing on one side, or its positives per class differ: then the two were not computed
            on the same clips; every such fold is named.
    """
    folds = tuple(sorted({*ours, *baseline}))
    offenders = [
        f"fold {fold}: only one side has it"
        if fold not in ours or fold not in baseline
        else f"fold {fold}: the positives per class differ"
        for fold in folds
        if fold not in ours or fold not in baseline or not np.array_equal(ours[fold].count, baseline[fold].count)
    ]
    if offenders or not folds:
        raise BadInputError(
            "the two sides were not scored on the same clips and classes; compute both on the same folds",
            offenders or ["there are no folds"],
        )
    our_total, baseline_total = _total(ours, folds), _total(baseline, folds)
    return Comparison(
        ours=our_total.overall,
        baseline=baseline_total.overall,
        folds=folds,
        per_fold=Difference(
            np.array([ours[fold].overall for fold in folds]), np.array([baseline[fold].overall for fold in folds])
        ),
        per_class=Difference(our_total.per_class, baseline_total.per_class),
        recorded=recorded,
    )


def _total(sums: Mapping[int, LwlrapSums], folds: tuple[int, ...]) -> LwlrapSums:
    total = sums[folds[0]]
    for fold in folds[1:]:
        total = total + sums[fold]
    return total
