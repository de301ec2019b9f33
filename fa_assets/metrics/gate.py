"""May a submission be made? Only when the out-of-fold figure says that the embeddings are worth it.

With a minimum, LWLRAP must reach it. Without one, MC5 must not be below the centre crop on the same clips by more than
`MARGIN` for sure: the upper end of the 95% interval of a paired bootstrap over clips must not be below -`MARGIN`. The interval
is for the choice of clips, the margin for the rest: scikit-learn's stopping rule ends the solves early, and where exactly
depends on how a machine rounds. So a difference of rounding or of a handful of clips, as on small sets, is no reason to
refuse.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fa_assets.metrics.bootstrap import CONFIDENCE, paired_bootstrap
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.prediction_table import Predictions, predictions_of
from fa_assets.store.values import MissingValueError, Value

MARGIN = 0.01
"""LWLRAP; on the demo set, rounding alone moves it by about as much."""

RESAMPLES = 2000
SEED = 42
WAY_OUT = "Look at the weights, the labels and comparison. FA_MIN_LWLRAP sets another threshold; FA_MIN_LWLRAP=0 lets all pass."


@dataclass(frozen=True)
class Verdict:
    """Whether it may, and the figures that say so, in a sentence."""

    passed: bool
    reason: str


def judge(ours: Predictions, baseline: Predictions | None, minimum: float | None) -> Verdict:
    """Judge the out-of-fold predictions of MC5.

    Args:
        baseline: those of the centre crop; only needed without a minimum.
        minimum: FA_MIN_LWLRAP.
    """
    lwlrap = lwlrap_sums(ours.truth, ours.logits).overall
    if minimum is not None:
        passed = lwlrap >= minimum
        return Verdict(passed, f"LWLRAP {lwlrap:.4f}, {'at least' if passed else 'below'} FA_MIN_LWLRAP={minimum:g}")
    if baseline is None:
        return Verdict(True, "there is no centre baseline yet: submission judges again, when there is")
    if list(ours.fnames) != list(baseline.fnames) or ours.classes != baseline.classes:
        return Verdict(False, "the two crop schemes were predicted on other clips or classes: materialize both again")
    found = paired_bootstrap(ours.truth, ours.logits, baseline.logits, RESAMPLES, SEED)
    figures = (
        f"LWLRAP {lwlrap:.4f}, {found.difference:+z.4f} against the centre crop "
        f"({CONFIDENCE:.0%} interval {found.low:+z.4f} to {found.high:+z.4f})"
    )
    if found.high >= -MARGIN:
        return Verdict(True, f"{figures}: not below it for sure by more than {MARGIN}")
    return Verdict(False, f"{figures}: below it by more than {MARGIN} and by more than the choice of clips explains")


def predictions_to_judge(
    read: Callable[[str, str | None], Value], minimum: float | None
) -> tuple[Predictions, Predictions | None]:
    """MC5's out-of-fold predictions, and the centre crop's where they are needed and there.

    Args:
        read: gives a stored value, by asset and fold.
        minimum: as for `judge`.

    Raises:
        MissingValueError: MC5's are not there.
    """

    def of(scheme: str) -> Predictions:
        asset = f"{scheme}_oof_predictions"
        return predictions_of({fold: read(asset, str(fold)).table for fold in range(N_FOLDS)}, asset)

    if minimum is not None:
        return of("mc5"), None
    try:
        return of("mc5"), of("center")
    except MissingValueError as error:
        if "center" in str(error):
            return of("mc5"), None
        raise
