"""One set of predictions against another: the same clips, folds and classes, or there is no comparison."""

from dataclasses import dataclass

import numpy as np

from fa_assets.errors import BadInputError
from fa_assets.metrics.bootstrap import PairedBootstrap, resampled
from fa_assets.metrics.figures import CLASS, CLIP, FOLD, OVERALL, Figures


@dataclass(frozen=True, eq=False)
class Difference:
    """LWLRAP of both sides, value by value; `nan` where there are no positives.

    Attributes:
        keys: the folds, or the classes.
        ours, baseline: float64 (k,).
    """

    keys: tuple[str, ...]
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
        per_fold, per_class: LWLRAP of each.
        gain: the paired bootstrap.
    """

    ours: float
    baseline: float
    per_fold: Difference
    per_class: Difference
    gain: PairedBootstrap


def compare(ours: Figures, baseline: Figures) -> Comparison:
    """Compare our LWLRAP with a baseline computed on the same clips. What is resampled are our units.

    Raises:
        BadInputError: the two were not computed on the same clips, folds and classes, or no clip has a label.
    """
    offenders = [
        f"the {scope} figures are of other keys or positives"
        for scope in (FOLD, CLASS, CLIP)
        if [(one.key, one.weight) for one in ours.of(scope).values()]
        != [(one.key, one.weight) for one in baseline.of(scope).values()]
    ]
    if offenders or not ours.of(CLIP):
        raise BadInputError(
            "The two sides were not scored on the same clips and classes: materialize the predictions of both again.",
            offenders or ["no clip has a label"],
        )
    weights = ours.weights(CLIP)
    gain = (ours.values(CLIP) - baseline.values(CLIP)) * weights
    return side_by_side(ours, baseline, resampled(gain, weights, units=ours.units))


def interval(figures: Figures) -> PairedBootstrap:
    """The bootstrap of LWLRAP itself: its `difference` is that to 0."""
    weights = figures.weights(CLIP)
    return resampled(figures.values(CLIP) * weights, weights, units=figures.units, is_score=True)


def side_by_side(ours: Figures, baseline: Figures, gain: PairedBootstrap) -> Comparison:
    """The same of figures that were compared before, with the bootstrap that was made then."""
    per_fold, per_class = (
        Difference(tuple(ours.of(scope)), ours.values(scope), baseline.values(scope)) for scope in (FOLD, CLASS)
    )
    return Comparison(float(ours.values(OVERALL)[0]), float(baseline.values(OVERALL)[0]), per_fold, per_class, gain)
