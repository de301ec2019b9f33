"""Made-up training sets for the tests of classifiers."""

import numpy as np

from benchmarks.evaluation import embeddings_like


def awkward(rows: int, columns: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`embeddings_like` with scales from 1e-8 to 1e8, a constant column, two equal or opposite pairs, a class of a row."""
    X, Y = embeddings_like(rows, columns, classes, seed=seed)
    X *= np.geomspace(1e-8, 1e8, columns, dtype=np.float32)
    X[:, 0], X[:, 1], X[:, 3] = 7.0, X[:, 2], -X[:, 2]
    Y[:, 0] = np.arange(rows) == 5
    return X, Y
