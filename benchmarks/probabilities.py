"""What out-of-fold probabilities are worth: calibration, thresholds, and how far they move for no good reason."""

from collections.abc import Mapping
from functools import partial
from unittest import mock

import numpy as np

from benchmarks.embedded import Embedded, lwlrap_of
from fa_assets.metrics.predictions import Predictions
from fa_assets.metrics.reliability import Reliability, reliability
from fa_assets.models.classifiers import CLASSIFIERS

THRESHOLDS = np.round(np.arange(0.05, 1, 0.05), 2)


def f1(truth: np.ndarray, chosen: np.ndarray) -> float:
    """Over all cells: 2 hits / (labels + guesses)."""
    return float(2 * (truth & chosen).sum() / max((truth.sum() + chosen.sum()), 1))


def best_threshold(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Of `THRESHOLDS`, the one with the highest F1."""
    return float(max(THRESHOLDS, key=lambda one: f1(truth, probabilities >= one)))


def thresholds(found: Predictions) -> Mapping[str, tuple[str, float]]:
    """F1 over all clips and classes, by how the threshold was chosen: fixed, or by the other folds, one for all classes or one
    for each. With each its range."""
    folds = np.unique(found.fold)
    chosen: dict[str, np.ndarray] = {"0.5": np.full(found.truth.shape, 0.5)}
    for name in ("by the other folds", "by the other folds, for each class"):
        own = np.empty(found.truth.shape)
        for fold in folds:
            others = found.fold != fold
            truth, probabilities = found.truth[others], found.probabilities[others]
            if name.endswith("class"):
                own[~others] = [best_threshold(truth[:, [c]], probabilities[:, [c]]) for c in range(truth.shape[1])]
            else:
                own[~others] = best_threshold(truth, probabilities)
        chosen[name] = own
    return {
        name: (f"{own.min():g} to {own.max():g}", f1(found.truth, found.probabilities >= own))
        for name, own in chosen.items()
    }


def calibration(found: Predictions) -> Reliability:
    """Of all clips and classes."""
    return reliability(found.truth, found.probabilities)


def moved(clips: Embedded, *, noise: float = 1e-6, seeds: int = 3) -> list[list[object]]:
    """LWLRAP of each classifier, and how far it and any probability moves between 1 and 8 threads, and with noise in the
    embeddings, as a part of their largest value."""
    rows: list[list[object]] = []
    for name, classifier in CLASSIFIERS.items():
        module = classifier.fit.__module__
        by_threads = []
        for threads in (1, 8):
            with mock.patch(f"{module}.usable_cpus", lambda threads=threads: threads):
                by_threads.append(clips.predict(classifier.fit))
        size = noise * np.abs(clips.vectors).max()
        noisy = [
            clips.predict(
                classifier.fit,
                vectors=clips.vectors
                + (size * np.random.default_rng(seed).standard_normal(clips.vectors.shape)).astype(np.float32),
            )
            for seed in range(seeds)
        ]
        one = by_threads[0]
        apart = partial(_furthest, one)
        rows.append([name, "1 and 8 threads", f"{lwlrap_of(one):.4f}", *apart(by_threads[1:])])
        rows.append([name, f"noise of {noise:g}, {seeds} seeds", f"{lwlrap_of(one):.4f}", *apart(noisy)])
    return rows


def _furthest(one: Predictions, others: list[Predictions]) -> list[str]:
    lwlrap = max(abs(lwlrap_of(other) - lwlrap_of(one)) for other in others)
    probability = max(float(np.abs(other.probabilities - one.probabilities).max()) for other in others)
    return [f"{lwlrap:.1e}", f"{probability:.1e}"]


COLUMNS = "classifier | between | LWLRAP | moves by at most | a probability by at most"
