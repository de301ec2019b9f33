"""Made-up training sets for the tests of classifiers."""

import numpy as np


def embeddings_like(
    rows: int, columns: int, classes: int, *, noise: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Sparse non-negative float32 features around one prototype per class, and labels, a seventh of them doubled."""
    random = np.random.default_rng(seed)
    truth = np.zeros((rows, classes), dtype=bool)
    truth[np.arange(rows), np.arange(rows) % classes] = True
    doubled = np.flatnonzero(random.random(rows) < 1 / 7)
    truth[doubled, random.integers(0, classes, len(doubled))] = True
    prototypes = random.normal(size=(classes, columns)) * (random.random((classes, columns)) < 0.1)
    features = np.maximum(truth @ prototypes + noise * random.normal(size=(rows, columns)) - 0.5, 0)
    return features.astype(np.float32), truth


def awkward(rows: int, columns: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with scales from 1e-8 to 1e8, a constant column, two pairs of equal or opposite ones, and a class of one row."""
    X, Y = embeddings_like(rows, columns, classes, seed=seed)
    X *= np.geomspace(1e-8, 1e8, columns, dtype=np.float32)
    X[:, 0], X[:, 1], X[:, 3] = 7.0, X[:, 2], -X[:, 2]
    Y[:, 0] = np.arange(rows) == 5
    return X, Y
