"""Is one set of scores really better than another? A paired bootstrap over independent units, exact in every resample.

LWLRAP is a quotient of two sums over clips, so the LWLRAP of a resample is the quotient of the resampled sums: no ranking is
done twice and nothing is approximated. Both sides are scored on the same resampled clips (paired), so what makes a clip
hard for both cancels out. What is drawn is a unit (see `units`): a group or a set of identical clips, as a whole; any
other clip alone. The interval is the expanded percentile interval (T. Hesterberg, "What Teachers Should Know About the
Bootstrap", The American Statistician 69, 2015): of n units the resamples vary less than new units would, by a factor of
(n - 1) / n in variance, and know nothing of how uncertain that is itself, so the percentiles are further out. It says how far
the difference depends on which units there are; the fitted models stay as they are, so it does not cover another seed, other
folds or other weights. Resamples know nothing of losses that no unit showed; `at_least` does.
"""

from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.lwlrap import positive_precisions
from fa_assets.metrics.units import in_order_of_appearance

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 0
"""Of all comparisons, so that one difference has one interval wherever it stands."""
FEW_UNITS = 40
"""Below this an interval is rough."""
FEWEST_UNITS = 6
"""Fewer show nothing: that all of five favour one side happens by chance in 1 of 16 cases."""
_BINS = 41
_CHUNK_CELLS = 4_000_000
"""Drawn clips held at once: about 100 MB of working memory."""


@dataclass(frozen=True)
class PairedBootstrap:
    """What `paired_bootstrap` found.

    Attributes:
        difference: LWLRAP of a minus that of b, on the clips as they are.
        low, high: the ends of the interval (`CONFIDENCE`).
        at_least: what the difference is not below in 97.5% of cases, however few units differ: the quantile of weighted
            differences whose weights are exponential, with one more unit in which b is perfect and a gets nothing (N. Gaffke,
            "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable", Mathematical
            Methods of Statistics 14, 2005). Of n equal units without a difference it is -3.7 / n, as Clopper and Pearson's.
        share_won: of the resamples, those where a is better than b.
        resamples: how many there were.
        units: how many were drawn each time: those with a label.
        counts, edges: the histogram of the resampled differences, k counts and k + 1 edges.
    """

    difference: float
    low: float
    high: float
    at_least: float
    share_won: float
    resamples: int
    units: int
    counts: tuple[int, ...]
    edges: tuple[float, ...]

    @property
    def warning(self) -> str:
        """As `few_units` says."""
        return few_units(self.units)


def few_units(units: int) -> str:
    """What is to be said of an interval that rests on so few units; empty where they are many."""
    if units >= FEW_UNITS:
        return ""
    return f"The interval rests on {units} independent clips or groups; below {FEW_UNITS} it is rough."


def paired_bootstrap(
    truth: np.ndarray,
    logits_a: np.ndarray,
    logits_b: np.ndarray | None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    units: np.ndarray | None = None,
) -> PairedBootstrap:
    """Resample the units with replacement, and take the difference in LWLRAP each time.

    Args:
        truth: bool (n, C).
        logits_a, logits_b: float (n, C), the two sides' scores of the same clips and classes; None for LWLRAP of a itself.
        resamples: how many, at least 1.
        seed: of the draws; the same seed and units in the same order give the same resamples.
        units: integer (n,), the unit of each clip; without, each is one.

    Raises:
        ValueError: the shapes differ, scores are NaN, or no clip has a label.
    """
    clip, _, precision_a = positive_precisions(truth, logits_a)
    precision_b = 0 if logits_b is None else positive_precisions(truth, logits_b)[2]
    gain = np.bincount(clip, weights=precision_a - precision_b, minlength=len(truth))
    positives = np.bincount(clip, minlength=len(truth))
    return resampled(gain, positives, resamples, seed, units, is_score=logits_b is None)


def resampled(
    gain: np.ndarray,
    positives: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    units: np.ndarray | None = None,
    is_score: bool = False,
) -> PairedBootstrap:
    """The same, from what each clip adds.

    Args:
        gain: float64 (n,), the sum of the precisions of the clip's labels under a, less that under b.
        positives: int (n,), the clip's labels.
        resamples, seed, units: as above.
        is_score: LWLRAP of a itself, without b: the interval is that of a proportion (`proportion_interval`).

    Raises:
        ValueError: no clip has a label.
    """
    from scipy.special import ndtr, ndtri

    of_units = _by_unit(gain, positives, units)
    observed, units_drawn = float(of_units[0].sum() / of_units[1].sum()), of_units.shape[1]
    differences = _differences(of_units, resamples, seed)
    if is_score:
        low, high = proportion_interval(observed, float(differences.var()), units_drawn)
    else:
        tail = ndtr(ndtri((1 - CONFIDENCE) / 2) * _expansion(units_drawn))
        low, high = np.quantile(differences, [tail, 1 - tail]).tolist()
    counts, edges = np.histogram(differences.round(12), bins=_BINS)  # rounding alone has no bins
    return PairedBootstrap(
        difference=observed,
        low=low,
        high=high,
        at_least=low if is_score else _at_least(of_units, resamples, seed, is_better=low > 0),
        share_won=float((differences > 0).mean()),
        resamples=resamples,
        units=units_drawn,
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
    )


def simultaneous(
    gains: np.ndarray,
    positives: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    units: np.ndarray | None = None,
) -> np.ndarray:
    """Intervals of several differences that all hold at once in `CONFIDENCE` of cases, float64 (k, 2).

    Each is as many standard deviations of its resamples wide as the largest of all deviations reaches in that share of the
    resamples, which are the same for all (the max statistic: P. Westfall, S. Young, "Resampling-Based Multiple Testing", 1993).

    Args:
        gains: float64 (k, n), each as in `resampled`.
        positives, resamples, seed, units: as there.

    Raises:
        ValueError: no clip has a label.
    """
    every = [_by_unit(gain, positives, units) for gain in gains]
    observed = np.array([gained.sum() / labels.sum() for gained, labels in every])[:, None]
    deviations = np.stack([_differences(one, resamples, seed) for one in every]) - observed
    spread = deviations.std(axis=1, keepdims=True)
    relative = np.divide(np.abs(deviations), spread, out=np.zeros_like(deviations), where=spread > 0)
    reach = np.quantile(relative.max(axis=0), CONFIDENCE) * spread * _expansion(every[0].shape[1])
    return np.asarray(observed + reach * np.array([-1, 1]))


def proportion_interval(value: float, variance: float, units: int) -> tuple[float, float]:
    """The 95% interval of a figure between 0 and 1, which may be near an end: that of Clopper and Pearson, for as many trials
    as would vary so much (E. Korn, B. Graubard, Survey Methodology 24, 1998); where nothing varies, for the units.

    Args:
        value: of the figure.
        variance: of its resamples.
        units: that it rests on.
    """
    from scipy.special import betaincinv

    trials = (value * (1 - value) / variance if 0 < value < 1 and variance > 1e-12 else units) / _expansion(units) ** 2
    hits, misses, tail = value * trials, (1 - value) * trials, (1 - CONFIDENCE) / 2
    low = betaincinv(hits, misses + 1, tail) if value > 0 else 0
    high = betaincinv(hits + 1, misses, 1 - tail) if value < 1 else 1
    return float(low), float(high)


def _expansion(units: int) -> float:
    """How much wider an interval of so many units is than its resamples say: Student's t in place of the normal distribution,
    and n - 1 in place of n."""
    from scipy.special import ndtri, stdtrit

    share, n = (1 + CONFIDENCE) / 2, max(units, 2)
    return float(stdtrit(n - 1, share) / ndtri(share) * np.sqrt(n / (n - 1)))


def _by_unit(gain: np.ndarray, positives: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """What each unit with a label adds, and its labels, float64 (2, units)."""
    has_label = positives > 0  # clips without one have no part in it
    if not has_label.any():
        raise ValueError("no clip has a label: there is no LWLRAP to compare")
    unit = in_order_of_appearance((np.arange(len(gain)) if units is None else units)[has_label])
    return np.stack([np.bincount(unit, weights=one[has_label]) for one in (gain, positives)])


def _differences(of_units: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Of each resample, float64 (resamples,)."""
    n = of_units.shape[1]
    random = np.random.default_rng(seed)
    differences = np.empty(resamples)
    step = max(1, _CHUNK_CELLS // n)
    for start in range(0, resamples, step):
        drawn = random.integers(0, n, size=(min(step, resamples - start), n))
        gained, labels = of_units[:, drawn].sum(axis=2)
        differences[start : start + step] = gained / labels
    return differences


def _at_least(of_units: np.ndarray, resamples: int, seed: int, is_better: bool) -> float:
    """See `PairedBootstrap`; the unit that is added has as many labels as the unit of a label has on average: it may be one of
    the large ones. Where a is shown to be better, the added unit is as large as units are on average."""
    labels = of_units[1]
    size = labels.mean() if is_better else np.square(labels).sum() / labels.sum()
    sums = np.column_stack([of_units, [-size, size]]).T
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK_CELLS // len(sums))
    weighted = [
        random.standard_exponential((min(step, resamples - start), len(sums))) @ sums
        for start in range(0, resamples, step)
    ]
    gained, labels = np.concatenate(weighted).T
    return float(np.quantile(gained / labels, (1 - CONFIDENCE) / 2))


def verdict(found: PairedBootstrap, ours: str, baseline: str) -> str:
    """Is the gain real? One sentence, e.g. ``verdict(found, "MC5", "the centre crop")``."""
    figures = (
        f"{found.difference:+z.4f} LWLRAP ({CONFIDENCE:.0%} interval {found.low:+z.4f} to {found.high:+z.4f} over "
        f"{found.resamples} resamples of {found.units} independent clips or groups, {found.share_won:.1%} of them won)"
    )
    few = f" {found.warning}" if found.warning else ""
    if found.difference == found.low == found.high == 0:
        return f"There is no difference between {ours} and {baseline} on these clips."
    if found.units < FEWEST_UNITS:
        return f"{ours} against {baseline}: {figures}. So few do not show a real difference."
    if found.low > 0:
        return (
            f"{ours} is better than {baseline}: {figures}. The gain is larger than the choice of clips explains.{few}"
        )
    if found.high < 0:
        return f"{ours} is worse than {baseline}: {figures}. The loss is larger than the choice of clips explains.{few}"
    return f"{ours} against {baseline}: {figures}. The interval includes 0, so these clips do not show a real difference.{few}"
