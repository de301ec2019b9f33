"""May a submission be made? Only when the out-of-fold figure shows that the embeddings are worth it.

With a minimum, LWLRAP must reach it. Without one, two things must be shown: that LWLRAP is above what scores reach that know
nothing of the sound, by the lower end of its 95% interval, and that it is not below the baseline scheme's on the same clips by
`MARGIN` or more (non-inferiority: G. Piaggio and others, "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA
308, 2012), by a bound that allows for losses that no clip showed (`PairedBootstrap.at_least`). What is worse by `MARGIN` passes
in at most 2.5% of cases, however few clips differ; so of fewer than 369 only what is better can pass. Predictions that are the
baseline's to the last bit, as of clips that are all shorter than a crop, cannot be worse. The margin is for rounding:
scikit-learn's solver stops early, and where exactly depends on the machine.
"""

from dataclasses import dataclass
from math import ceil, log, sqrt

from fa_assets.metrics.bootstrap import CONFIDENCE, FEW_UNITS, PairedBootstrap

MARGIN = 0.01
"""LWLRAP; on the demo set, rounding alone moves it by about as much."""
WAY_OUT = (
    "Check the weights, the labels and comparison; of few clips little can be shown. FA_MIN_LWLRAP sets another threshold; "
    "FA_MIN_LWLRAP=0 accepts all."
)


@dataclass(frozen=True)
class Verdict:
    """Whether it may, and the figures that say so, in a sentence."""

    passed: bool
    reason: str


def judge(
    lwlrap: float,
    own: PairedBootstrap,
    gain: PairedBootstrap,
    chance: float,
    minimum: float | None,
    is_baseline: bool = False,
) -> Verdict:
    """Judge an out-of-fold LWLRAP.

    Args:
        lwlrap: of the scheme.
        own: its bootstrap, as `comparison.interval`.
        gain: its difference to the baseline.
        chance: LWLRAP without knowledge of the sound.
        minimum: FA_MIN_LWLRAP.
        is_baseline: the predictions are the baseline's to the last bit.
    """
    if minimum is not None:
        passed = lwlrap >= minimum
        return Verdict(passed, f"LWLRAP {lwlrap:.4f}, {'at least' if passed else 'below'} FA_MIN_LWLRAP={minimum:g}")
    figures = (
        f"LWLRAP {lwlrap:.4f} ({CONFIDENCE:.0%} interval {own.low:.4f} to {own.high:.4f}; {chance:.4f} without knowledge of "
        f"the sound), {gain.difference:+z.4f} against the baseline (interval {gain.low:+z.4f} to {gain.high:+z.4f}; not below "
        f"{gain.at_least:+z.4f} with {(1 + CONFIDENCE) / 2:.1%} confidence), {gain.units} independent clips or groups"
        f"{f' (below {FEW_UNITS}, intervals are rough)' if gain.units < FEW_UNITS else ''}"
    )
    if own.low <= chance:
        return Verdict(False, f"{figures}: not shown to be above chance")
    if is_baseline:
        return Verdict(True, f"{figures}: above chance, and the predictions are the baseline's")
    if gain.at_least <= -MARGIN:
        needed = enough(gain)
        what = f"about {needed}" if needed > gain.units else "more, or smaller,"
        said = (
            f"it may be below the baseline by {MARGIN} or more. Were both as good, {what} independent clips or groups"
        )
        return Verdict(False, f"{figures}: {said} would show it")
    return Verdict(True, f"{figures}: above chance, and not below the baseline by {MARGIN} or more")


def enough(gain: PairedBootstrap) -> int:
    """Of how many units that differ as these do, but not on average, `at_least` is above -`MARGIN` in about half of cases."""
    spread = (gain.high - gain.low) / 2 * sqrt(gain.units)
    unseen = -log((1 - CONFIDENCE) / 2)
    return ceil(((spread + sqrt(spread**2 + 4 * unseen * MARGIN)) / (2 * MARGIN)) ** 2)
