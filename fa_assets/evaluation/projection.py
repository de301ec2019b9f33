"""Embeddings in two dimensions, to be looked at."""

import numpy as np


def project(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components.

    Args:
        embeddings: float (n, d), finite, n at least 3.

    Returns:
        float64 (n, 2), where each component's largest value by size is positive, so that the picture does not flip from
        run to run; and float64 (2,), the share of the variance that each explains.
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    # The smaller of the two Gram matrices has all of it: a fold has fewer clips than an embedding has numbers.
    n, d = centred.shape
    gram = centred @ centred.T if n <= d else centred.T @ centred
    variance, vectors = np.linalg.eigh(gram)
    variance, vectors = variance[::-1].clip(min=0), vectors[:, ::-1]
    points = vectors[:, :2] * np.sqrt(variance[:2]) if n <= d else centred @ vectors[:, :2]
    signs = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    total = variance.sum()
    return points * np.where(signs == 0, 1, signs), variance[:2] / total if total > 0 else np.zeros(2)
