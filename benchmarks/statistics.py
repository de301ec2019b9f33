"""Do intervals, gate and chance keep the error rates that they name? ``python -m benchmarks.statistics`` simulates it.

Every simulation has a truth that is known, so that it can be counted how often the answer is wrong. Seeds are fixed.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import expit

from benchmarks.chance import SCORERS, above_chance, labels_of
from benchmarks.fitted import simulated
from fa_assets.metrics.bootstrap import RESAMPLES, paired_bootstrap, resampled, simultaneous
from fa_assets.metrics.chance import lwlrap_without_knowledge
from fa_assets.metrics.corrections import OWN_LABELS, UNTOUCHED, effects_of_corrections
from fa_assets.metrics.figures import CLASS, METRICS, MICRO, OVERALL, Figure, decisions, ranking
from fa_assets.metrics.folds import continued_folds, fold_quality, grouped_folds, stratified_folds
from fa_assets.metrics.gate import judge
from fa_assets.metrics.label_audit import find_label_issues
from fa_assets.metrics.label_ranks import RankChanges
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.predictions import Predictions

GROUPED = {"80 x 5": (80, 5, 0.3), "80 x 5, higher": (80, 5, 0.6), "40 x 10": (40, 10, 0.6), "20 x 20": (20, 20, 0.4)}
"""Groups, clips in each, and the correlation of two clips of a group."""
CLASSES = {
    "40 of 400 clips": (400, 1, 0.1),
    "10 of 400 clips": (400, 1, 0.025),
    "16 of 80 groups of 5": (80, 5, 0.2),
    "8 of 40 groups of 10": (40, 10, 0.2),
}
"""Groups, clips in each, and the share of groups that have the class."""
UNEQUAL = (
    [1] * 90 + [2] * 20 + [3] * 8 + [5] * 4 + [7] * 3 + [9, 12, 16, 24, 87]
)  # labels of units, where mixtures are linked


def coverage(setting: str, *, by_unit: bool, trials: int, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """How often a nominal 95% interval holds the true difference, which is 0.

    A clip has one or two labels; what it gains is normal with a standard deviation of 0.2, partly its group's.
    """
    groups, size, correlation = GROUPED[setting]
    random = np.random.default_rng(seed)
    units = np.repeat(np.arange(groups), size)
    held = 0
    for trial in range(trials):
        shared, own = random.normal(size=groups)[units], random.normal(size=len(units))
        gain = 0.2 * (np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)
        labels = random.integers(1, 3, len(units))
        found = resampled(gain * labels, labels, resamples, trial, units if by_unit else None)
        held += found.low <= 0 <= found.high
    return held / trials


def coverage_of_lwlrap(
    setting: str, skill: float = 1.5, *, trials: int, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The mean of LWLRAP over all such sets of clips, and how often a nominal 95% interval holds it.

    Clips of a group have the same labels, one or two of eight classes of unequal frequency; the scores are normal, higher
    by `skill` where the class is present, and correlated within a group.
    """
    random = np.random.default_rng(seed)
    found = []
    for trial in range(trials):
        truth, units, scores = _scored(random, setting, skill)
        found.append(paired_bootstrap(truth, scores, None, resamples, trial, units))
    expected = np.mean([one.difference for one in found])
    return float(expected), float(np.mean([one.low <= expected <= one.high for one in found]))


def coverage_of_averages(
    setting: str, skill: float = 1.5, *, trials: int, seed: int = 0
) -> dict[tuple[str, str], tuple[float, float]]:
    """The same of every figure over all clips (macro) and micro, by its name and scope. Labels are given to scores above 1."""
    random = np.random.default_rng(seed)
    found: dict[tuple[str, str], list[Figure]] = {}
    for trial in range(trials):
        truth, units, scores = _scored(random, setting, skill)
        folds = grouped_folds(truth, units, seed=trial).astype(np.int64)
        log_odds = 2 * scores - skill - 1
        clips = Predictions(units, folds, tuple("abcdefgh"), truth, log_odds, expit(log_odds), units, scores > 1)
        for one in (figure for metric in METRICS.values() for figure in metric(clips)):
            if one.scope in (OVERALL, MICRO) and one.low is not None:
                found.setdefault((one.metric, one.scope), []).append(one)
    held = {}
    for name, figures in found.items():
        low, value, high = np.array([(one.low, one.value, one.high) for one in figures], np.float64).T
        expected = value.mean()
        held[name] = float(expected), float(((low <= expected) & (expected <= high)).mean())
    return held


CLASS_FIGURES = ("map", "auc", "f1")


def class_coverage(setting: str, *, trials: int, seed: int = 0) -> dict[str, float]:
    """How often the 95% interval of a class's figure holds the mean of the figure over all such sets of clips.

    The clips of `CLASSES[setting]`, in five folds; the scores are normal, 1.5 higher where the class is present, and those of a
    group are correlated by 0.5. F1 is of a fixed threshold.
    """
    random = np.random.default_rng(seed)
    groups, size, frequency = CLASSES[setting]
    units = np.repeat(np.arange(groups), size)
    correlation = 0.5 if size > 1 else 0.0
    found: dict[str, list[Figure]] = {name: [] for name in CLASS_FIGURES}
    for _ in range(trials):
        truth = (random.random(groups) < frequency)[units]
        shared, own = random.normal(size=groups)[units], random.normal(size=len(units))
        scores = correlation**0.5 * shared + (1 - correlation) ** 0.5 * own + 1.5 * truth
        columns = truth[:, None], scores[:, None], scores[:, None]
        clips = Predictions(units, units % 5, ("a",), *columns, units, scores[:, None] > 1)
        for one in (*ranking(clips), *decisions(clips)):
            if one.scope == CLASS and one.metric in found:
                found[one.metric].append(one)
    held = {}
    for name, figures in found.items():
        expected = np.mean([one.value for one in figures if one.value is not None])
        held[name] = float(np.mean([one.low <= expected <= one.high for one in figures if one.low is not None]))
    return held


def false_winners(
    variants: int, clips: int, *, trials: int, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """How often some variant seems to differ from the baseline though none does: by intervals of each, and of all at once.

    A clip's differences spread by 0.2 and are correlated by a half, as they share the baseline.
    """
    random = np.random.default_rng(seed)
    positives = np.ones(clips, np.int64)
    alone = together = 0
    for trial in range(trials):
        gains = 0.2 * np.sqrt(0.5) * (random.normal(size=(variants, clips)) + random.normal(size=clips))
        own = [resampled(gain, positives, resamples, trial) for gain in gains]
        alone += any(one.low > 0 or one.high < 0 for one in own)
        ends = simultaneous(gains, positives, resamples, trial)
        together += bool(((ends[:, 0] > 0) | (ends[:, 1] < 0)).any())
    return alone / trials, together / trials


def passed_gate(
    clips: int,
    loss: float,
    *,
    lose_all: Literal["", "few", "large"] = "",
    sizes: Sequence[int] = (1,),
    trials: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> float:
    """How often the gate passes what is truly worse than the baseline by `loss`: the spread of a unit's loss is 0.25; or
    few units, a share of `loss`, lose all, and the others nothing; or all gain 0.02, and some of the largest size lose all.
    Of sizes, numbers of labels, each unit has one at random."""
    random = np.random.default_rng(seed)
    passed = 0
    for trial in range(trials):
        own = resampled(random.normal(0.6, 0.3, clips), np.ones(clips, np.int64), resamples, trial, is_score=True)
        labels = random.choice(sizes, clips)
        if lose_all == "few":
            gains = -1.0 * (random.random(clips) < loss)
        elif lose_all == "large":
            share = (loss + 0.02) / 1.02 * np.sum(sizes) / np.sum(sizes, where=np.equal(sizes, max(sizes)))
            gains = np.where((labels == max(sizes)) & (random.random(clips) < share), -1.0, 0.02)
        else:
            gains = random.normal(-loss, 0.25, clips)
        gain = resampled(gains * labels, labels, resamples, trial)
        passed += judge(own.difference, own, gain, 0.3, None).passed
    return passed / trials


def told_worse(clips: int, loss: float, *, trials: int, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """How often `not_worse` warns of a true loss; a clip's difference spreads by 0.25."""
    random = np.random.default_rng(seed)
    told = 0
    for trial in range(trials):
        change = resampled(random.normal(-loss, 0.25, clips), np.ones(clips, np.int64), resamples, trial)
        told += RankChanges(clips, (), (), (), 0.5, 0.5, change, (), ()).is_loss(0.01)
    return told / trials


def doubts_accepted(*, trials: int, clips: int = 400, n_classes: int = 8, seed: int = 0) -> tuple[float, float]:
    """What accepting a tenth as many doubts as clips does to LWLRAP where all labels were right and nothing is learnt: the
    mean rise on all clips by their own labels, and on those untouched."""
    random = np.random.default_rng(seed)
    names, classes = np.arange(clips).astype(str).astype(object), tuple("abcdefgh"[:n_classes])
    rise = []
    for _ in range(trials):
        truth = np.eye(n_classes, dtype=bool)[random.integers(0, n_classes, clips)]
        logits = 3 * random.normal(size=truth.shape) + 5 * truth - 3
        doubts = find_label_issues(Predictions(names, np.zeros(clips, int), classes, truth, logits, expit(logits)))
        corrected = truth.copy()
        for one in doubts[: clips // 10]:
            corrected[int(one.fname), classes.index(one.class_name)] ^= True
        found = {one.on: one for one in effects_of_corrections(truth, corrected, logits, logits, np.arange(clips))}
        rise.append([found[on].after - found[on].before for on in (OWN_LABELS, UNTOUCHED)])
    return tuple(np.mean(rise, axis=0).tolist())


def lowered_by_float32(spread: float, *, trials: int, clips: int = 2000, seed: int = 0) -> float:
    """By how much LWLRAP, about 0.8 over 80 classes, is lower on average where clips are ranked by probabilities in float32
    rather than by log-odds, which spread by so much: those near 1 become equal, and a tie takes the worst rank."""
    random = np.random.default_rng(seed)
    lowered = []
    for _ in range(trials):
        truth = np.eye(80, dtype=bool)[random.integers(0, 80, clips)]
        truth[np.arange(clips), random.integers(0, 80, clips)] |= random.random(clips) < 0.15
        easy = random.gamma(2, 0.5, (clips, 1))
        log_odds = spread * (random.normal(size=truth.shape) + 4.5 * easy * truth - 2.5)
        rounded = expit(log_odds).astype(np.float32).astype(np.float64)
        lowered.append(lwlrap_sums(truth, log_odds).overall - lwlrap_sums(truth, rounded).overall)
    return float(np.mean(lowered))


def random_passed_gate(clips: int, *, trials: int, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """How often the gate passes random scores, held against other random scores."""
    random = np.random.default_rng(seed)
    passed = 0
    for trial in range(trials):
        truth, _ = labels_of(random, clips, 1)
        ours, baseline = random.random((2, *truth.shape))
        own, gain = (paired_bootstrap(truth, ours, one, resamples, trial) for one in (None, baseline))
        passed += judge(own.difference, own, gain, lwlrap_without_knowledge(truth), None).passed
    return passed / trials


def late_groups(n_groups: int, seed: int = 0) -> tuple[float, float, float]:
    """400 clips whose groups are named after folds were made: share moved, label imbalance, and that of fresh grouped folds."""
    random = np.random.default_rng(seed)
    truth = np.eye(10, dtype=bool)[random.integers(0, 10, 400)]
    units = random.integers(0, n_groups, 400)
    previous = stratified_folds(truth).astype(np.int64)
    late, fresh = continued_folds(truth, previous, units=units), grouped_folds(truth, units)
    quality = [fold_quality(truth, one).label_imbalance for one in (late, fresh)]
    return float((late != previous).mean()), *quality


def _scored(random: np.random.Generator, setting: str, skill: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, units and scores of a set of clips as `coverage_of_lwlrap` says."""
    groups, size, correlation = GROUPED[setting]
    truth, units = labels_of(random, groups, size)
    shared, own = random.normal(size=(groups, 8))[units], random.normal(size=truth.shape)
    return truth, units, correlation**0.5 * shared + (1 - correlation) ** 0.5 * own + skill * truth


def _coverage(trials: int) -> Iterator[str]:
    for name in GROUPED:
        clips, groups = (coverage(name, by_unit=by_unit, trials=trials) for by_unit in (False, True))
        scores = [coverage_of_lwlrap(name, skill, trials=trials) for skill in (1.5, 3, 4, 5)]
        shown = ", ".join(f"LWLRAP {lwlrap:.4f} {held:.1%}" for lwlrap, held in scores)
        yield f"{name}: differences {groups:.1%} (clips drawn: {clips:.1%}), {shown}"


def _averages(trials: int) -> Iterator[str]:
    for skill in (1.5, 4):
        for name in GROUPED:
            found = coverage_of_averages(name, skill, trials=trials)
            shown = (f"{metric} {scope} {value:.3f} {held:.1%}" for (metric, scope), (value, held) in found.items())
            yield f"{name}: {', '.join(shown)}"


def _classes(trials: int) -> Iterator[str]:
    for name in CLASSES:
        yield f"{name}: {', '.join(f'{one} {share:.1%}' for one, share in class_coverage(name, trials=trials).items())}"


def _variants(trials: int) -> Iterator[str]:
    for variants, clips in ((5, 400), (11, 400), (11, 80)):
        alone, together = false_winners(variants, clips, trials=trials)
        yield f"{variants}, none better, {clips} clips: some differs {alone:.1%} alone, {together:.1%} with all at once"


def _gate(trials: int) -> Iterator[str]:
    for clips in (10, 20, 80, 200, 400, 2000):
        passed = partial(passed_gate, clips, trials=trials)
        shares = [f"{loss} worse {passed(loss):.1%}" for loss in (0.064, 0.01, 0.0, -0.05)]
        few = [f"{share:.0%} lose all {passed(share, lose_all='few'):.1%}" for share in (0.01, 0.0)]
        yield f"{clips} clips pass: {', '.join(shares + few)}"
    for clips in (130, 400):
        passed = partial(passed_gate, clips, sizes=UNEQUAL, trials=trials)
        worse = (f"0.01 worse {how} {passed(0.01, lose_all=how):.1%}" for how in ("", "few", "large"))
        yield f"{clips} units of 1 to 87 labels pass: {', '.join(worse)}; 0.1 better {passed(-0.1):.1%}"
    yield f"random against random, 80 clips: {random_passed_gate(80, trials=trials):.1%} pass"


def _chance(trials: int) -> Iterator[str]:
    for scorer in SCORERS:
        above, both = above_chance(scorer, trials=trials)
        yield f"{scorer}: {above:.1%} above the permutations, {both:.1%} above class frequencies too"


def _before(trials: int) -> Iterator[str]:
    for clips in (80, 400, 2000):
        shares = [f"{loss} worse {told_worse(clips, loss, trials=trials):.1%}" for loss in (0.0, 0.064)]
        yield f"{clips} clips warned of: {', '.join(shares)}"


def _corrections(trials: int) -> Iterator[str]:
    on_all, untouched = doubts_accepted(trials=trials)
    yield f"LWLRAP rises by {on_all:.4f} on all clips by their own labels, by {untouched:.4f} on untouched ones"


def _rounding(trials: int) -> Iterator[str]:
    for spread in (4, 8, 12):
        yield f"log-odds that spread by {spread}: LWLRAP {lowered_by_float32(spread, trials=trials):.5f} lower in float32"


def _folds(trials: int) -> Iterator[str]:
    for groups in (20, 60, 120):
        moved, late, fresh = late_groups(groups)
        yield f"{groups} groups named late: {moved:.0%} moved, imbalance {late:.3f}, fresh {fresh:.3f}"


SIMULATIONS = {
    "coverage": _coverage,
    "averages": _averages,
    "classes": _classes,
    "variants": _variants,
    "gate": _gate,
    "chance": _chance,
    "fitted": simulated,
    "before": _before,
    "corrections": _corrections,
    "rounding": _rounding,
    "folds": _folds,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__)
    parser.add_argument("--trials", type=int, default=2000, help="of each simulation (default: %(default)s)")
    parser.add_argument("--only", choices=SIMULATIONS, help="one of them")
    asked = parser.parse_args()
    for name in [asked.only] if asked.only else SIMULATIONS:
        for line in SIMULATIONS[name](asked.trials):
            sys.stdout.write(f"{name}, {line}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
