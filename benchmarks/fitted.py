"""What intervals and chance are worth where scores are those of classifiers, out of fold; for `benchmarks.statistics`.

A classifier is a ridge regression on 20 features, which are normal, those of a group correlated by a half, and moved by
`signal` in a direction of the class where it is present. Clips of a group have the same labels.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.chance import labels_of
from fa_assets.metrics.bootstrap import paired_bootstrap
from fa_assets.metrics.chance import PERMUTATIONS, permutation_threshold
from fa_assets.metrics.folds import grouped_folds
from fa_assets.metrics.lwlrap import lwlrap_sums

FITTED = {"400 clips": (400, 1), "80 x 5": (80, 5), "40 x 10": (40, 10), "20 x 20": (20, 20), "80 clips": (80, 1)}
"""Groups, and clips in each."""
_FEATURES = 20
_DIRECTIONS = np.random.default_rng(99).normal(size=(8, _FEATURES))


def fitted_above_chance(setting: str, *, trials: int, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """How often classifiers fitted on noise are above the permutation threshold."""
    random = np.random.default_rng(seed)
    above = 0
    for trial in range(trials):
        truth, units, features = _clips(random, *FITTED[setting], signal=0)
        scores, _ = _out_of_fold(features, truth, grouped_folds(truth, units, seed=trial))
        above += lwlrap_sums(truth, scores).overall > permutation_threshold(truth, scores, units, trial, permutations)
    return above / trials


def fitted_coverage(setting: str, signal: float, *, trials: int, seed: int = 0) -> tuple[float, float, float]:
    """LWLRAP, and how often 95% intervals of it, and of its difference to that with noise on the features, hold what the
    classifiers of the five folds reach on 2000 new clips, on average."""
    random = np.random.default_rng(seed)
    reached, held = [], np.zeros(2)
    for trial in range(trials):
        truth, units, features = _clips(random, *FITTED[setting], signal=signal)
        new_truth, _, new_features = _clips(random, 2000, 1, signal=signal)
        folds, scores, on_new = grouped_folds(truth, units, seed=trial), [], []
        for noise in (0, 0.6):
            known, new = (one + noise * random.normal(size=one.shape) for one in (features, new_features))
            own, models = _out_of_fold(known, truth, folds)
            scores.append(own)
            on_new.append(np.mean([lwlrap_sums(new_truth, new @ model + mean).overall for model, mean in models]))
        ours, gain = (paired_bootstrap(truth, scores[0], one, 400, trial, units) for one in (None, scores[1]))
        held += [ours.low <= on_new[0] <= ours.high, gain.low <= on_new[0] - on_new[1] <= gain.high]
        reached.append(on_new[0])
    return float(np.mean(reached)), *(held / trials).tolist()


def simulated(trials: int) -> Iterator[str]:
    """A line for each setting."""
    for setting in FITTED:
        yield f"on noise, {setting}: {fitted_above_chance(setting, trials=trials):.1%} above the permutations"
        for signal in (0.25, 0.5, 1):
            lwlrap, own, gain = fitted_coverage(setting, signal, trials=trials)
            yield f"{setting}: of LWLRAP {lwlrap:.3f} on new clips {own:.1%}, of a difference {gain:.1%}"


def _clips(
    random: np.random.Generator, groups: int, size: int, signal: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (n, 8), units (n,) and features (n, 20)."""
    truth, units = labels_of(random, groups, size)
    shared, own = random.normal(size=(groups, _FEATURES))[units], random.normal(size=(len(units), _FEATURES))
    return truth, units, np.sqrt(0.5) * (shared + own) + signal * truth @ _DIRECTIONS


def _out_of_fold(
    features: np.ndarray, truth: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Scores (n, 8), and of each fold the weights (20, 8) and what is added (8,)."""
    scores, models = np.empty(truth.shape), []
    for fold in np.unique(folds):
        own = folds == fold
        middle, frequency = features[~own].mean(axis=0), truth[~own].mean(axis=0)
        x = features[~own] - middle
        weights = np.linalg.solve(x.T @ x + 10 * np.eye(_FEATURES), x.T @ (truth[~own] - frequency))
        models.append((weights, frequency - middle @ weights))
        scores[own] = features[own] @ weights + models[-1][1]
    return scores, models
