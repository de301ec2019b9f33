"""May a submission be made? Only when the out-of-fold figure says that the embeddings are worth it.

With a minimum, LWLRAP must reach it. Without one, the scheme must not be below the baseline scheme on the same clips by
significantly more than `MARGIN`: the upper end of the 95% interval of a paired bootstrap over clips must not be below
-`MARGIN`. The interval accounts for the choice of clips, the margin for rounding: scikit-learn's solver stops early, and where
exactly depends on the machine. So a difference by rounding or by a few clips, as on small sets, does not refuse a submission.
"""

from dataclasses import dataclass

from fa_assets.metrics.bootstrap import CONFIDENCE

MARGIN = 0.01
"""LWLRAP; on the demo set, rounding alone moves it by about as much."""

WAY_OUT = (
    "Check the weights, the labels and comparison. FA_MIN_LWLRAP sets another threshold; FA_MIN_LWLRAP=0 accepts all."
)


@dataclass(frozen=True)
class Verdict:
    """Whether it may, and the figures that say so, in a sentence."""

    passed: bool
    reason: str


def judge(lwlrap: float, difference: float, low: float, high: float, minimum: float | None) -> Verdict:
    """Judge an out-of-fold LWLRAP.

    Args:
        lwlrap: of the scheme.
        difference, low, high: to the baseline scheme, with its 95% interval.
        minimum: FA_MIN_LWLRAP.
    """
    if minimum is not None:
        passed = lwlrap >= minimum
        return Verdict(passed, f"LWLRAP {lwlrap:.4f}, {'at least' if passed else 'below'} FA_MIN_LWLRAP={minimum:g}")
    figures = (
        f"LWLRAP {lwlrap:.4f}, {difference:+z.4f} against the baseline "
        f"({CONFIDENCE:.0%} interval {low:+z.4f} to {high:+z.4f})"
    )
    if high >= -MARGIN:
        return Verdict(True, f"{figures}: not significantly below it by more than {MARGIN}")
    return Verdict(False, f"{figures}: below it by more than {MARGIN} and by more than the choice of clips explains")
