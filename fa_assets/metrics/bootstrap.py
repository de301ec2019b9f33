"""Is one set of scores really better than another? A paired bootstrap over clips, exact in every resample.

LWLRAP is a quotient of two sums over clips, so the LWLRAP of a resample is the quotient of the resampled sums: no ranking is
done twice and nothing is approximated. Both sides are scored on the same resampled clips (paired), so what makes a clip
hard for both cancels out. The interval is the percentile interval (B. Efron, R. Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13). It says how far the difference depends on which clips there are; the fitted models stay as
they are, so it does not cover another seed, other folds or other weights.
"""

from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.lwlrap import positive_precisions

CONFIDENCE = 0.95
_BINS = 41
_CHUNK_CELLS = 4_000_000
"""Drawn clips held at once: about 100 MB of working memory."""


@dataclass(frozen=True)
class PairedBootstrap:
    """What `paired_bootstrap` found.

    Attributes:
        difference: LWLRAP of a minus that of b, on the clips as they are.
        low, high: the ends of the interval that holds the middle `CONFIDENCE` of the resampled differences.
        share_won: of the resamples, those where a is better than b.
        resamples: how many there were.
        counts, edges: the histogram of the resampled differences, k counts and k + 1 edges.
    """

    difference: float
    low: float
    high: float
    share_won: float
    resamples: int
    counts: tuple[int, ...]
    edges: tuple[float, ...]


def paired_bootstrap(
    truth: np.ndarray, logits_a: np.ndarray, logits_b: np.ndarray, resamples: int, seed: int
) -> PairedBootstrap:
    """Resample the clips with replacement, and take the difference in LWLRAP each time.

    Args:
        truth: bool (n, C).
        logits_a, logits_b: float (n, C), the two sides' scores of the same clips and classes.
        resamples: how many, at least 1.
        seed: of the draws; the same seed and clips give the same resamples.

    Raises:
        ValueError: the shapes differ, scores are NaN, or no clip has a label.
    """
    clip, _, precision_a = positive_precisions(truth, logits_a)
    _, _, precision_b = positive_precisions(truth, logits_b)
    gain = np.bincount(clip, weights=precision_a - precision_b, minlength=len(truth))
    return resampled(gain, np.bincount(clip, minlength=len(truth)), resamples, seed)


def resampled(gain: np.ndarray, positives: np.ndarray, resamples: int, seed: int) -> PairedBootstrap:
    """The same, from what each clip adds.

    Args:
        gain: float64 (n,), the sum of the precisions of the clip's labels under a, less that under b.
        positives: int (n,), the clip's labels.
        resamples, seed: as above.

    Raises:
        ValueError: no clip has a label.
    """
    parts = np.stack([gain, positives.astype(np.float64)])
    labelled = parts[:, parts[1] > 0]  # clips without a label have no part in it
    n = labelled.shape[1]
    if n == 0:
        raise ValueError("no clip has a label: there is no LWLRAP to compare")
    random = np.random.default_rng(seed)
    differences = np.empty(resamples)
    step = max(1, _CHUNK_CELLS // n)
    for start in range(0, resamples, step):
        drawn = random.integers(0, n, size=(min(step, resamples - start), n))
        gained, labels = labelled[:, drawn].sum(axis=2)
        differences[start : start + step] = gained / labels
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    counts, edges = np.histogram(differences, bins=_BINS)
    return PairedBootstrap(
        difference=float(labelled[0].sum() / labelled[1].sum()),
        low=float(low),
        high=float(high),
        share_won=float((differences > 0).mean()),
        resamples=resamples,
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
    )


def verdict(found: PairedBootstrap, ours: str, baseline: str) -> str:
    """Is the gain real? One sentence, e.g. ``verdict(found, "MC5", "the centre crop")``."""
    figures = (
        f"{found.difference:+z.4f} LWLRAP ({CONFIDENCE:.0%} interval {found.low:+z.4f} to {found.high:+z.4f} over "
        f"{found.resamples} resamples of the clips, {found.share_won:.1%} of them won)"
    )
    if found.difference == found.low == found.high == 0:
        return f"There is no difference between {ours} and {baseline} on these clips."
    if found.low > 0:
        return f"{ours} is better than {baseline}: {figures}. The gain is larger than the choice of clips explains."
    if found.high < 0:
        return f"{ours} is worse than {baseline}: {figures}. The loss is larger than the choice of clips explains."
    return (
        f"{ours} against {baseline}: {figures}. The interval includes 0, so these clips do not show a real difference."
    )
