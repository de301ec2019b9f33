"""May a submission be made? Only when the out-of-fold figure shows that the embeddings are worth it.

With a minimum, LWLRAP must reach it. Without one, two things must be shown, each by the lower end of a 95% interval of a
bootstrap: that LWLRAP is above what scores reach that know nothing of the sound, and that it is not below the baseline
scheme's on the same clips by `MARGIN` or more (non-inferiority: G. Piaggio and others, "Reporting of Noninferiority and
Equivalence Randomized Trials", JAMA 308, 2012). What is worse by `MARGIN` passes in some 2.5% of cases, where many clips
differ, and in more where few do (docs/evaluation.md); fewer than `FEWEST_UNITS` units do not pass. The
margin is for rounding: scikit-learn's solver stops early, and where exactly depends on the machine.
"""

from dataclasses import dataclass

from fa_assets.metrics.bootstrap import CONFIDENCE, FEWEST_UNITS, PairedBootstrap

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


def judge(lwlrap: float, own: PairedBootstrap, gain: PairedBootstrap, chance: float, minimum: float | None) -> Verdict:
    """Judge an out-of-fold LWLRAP.

    Args:
        lwlrap: of the scheme.
        own: its bootstrap, as `comparison.interval`.
        gain: its difference to the baseline.
        chance: LWLRAP without knowledge of the sound.
        minimum: FA_MIN_LWLRAP.
    """
    if minimum is not None:
        passed = lwlrap >= minimum
        return Verdict(passed, f"LWLRAP {lwlrap:.4f}, {'at least' if passed else 'below'} FA_MIN_LWLRAP={minimum:g}")
    figures = (
        f"LWLRAP {lwlrap:.4f} ({CONFIDENCE:.0%} interval {own.low:.4f} to {own.high:.4f}; {chance:.4f} without knowledge of "
        f"the sound), {gain.difference:+z.4f} against the baseline (interval {gain.low:+z.4f} to {gain.high:+z.4f}), "
        f"{gain.units} independent clips or groups"
    )
    if gain.units < FEWEST_UNITS:
        return Verdict(False, f"{figures}: fewer than {FEWEST_UNITS} independent clips or groups show nothing")
    if own.low <= chance:
        return Verdict(False, f"{figures}: not shown to be above chance")
    if gain.low <= -MARGIN:
        return Verdict(False, f"{figures}: it may be below the baseline by {MARGIN} or more")
    return Verdict(True, f"{figures}: above chance, and not below the baseline by {MARGIN} or more")
