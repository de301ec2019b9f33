"""Embeddings in two dimensions, to be looked at."""

import numpy as np

_NEIGHBOURS = 15


def project(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components.

    Args:
        embeddings: float (n, d), finite, n at least 3.

    Returns:
        float64 (n, 2), where each component's largest value by size is positive, so that the picture does not flip from
        run to run; and float64 (2,), the share of the variance that each explains.
    """
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    # The smaller of the two Gram matrices has all of it: a fold has fewer clips than an embedding has numbers.
    n, d = centred.shape
    with threadpool_limits(
        1, user_api="blas"
    ):  # a tenth of a second for 1,000 clips; threads would wait for each other
        gram = centred @ centred.T if n <= d else centred.T @ centred
        total = np.trace(gram)
        variance, vectors = eigh(gram, subset_by_index=[len(gram) - 2, len(gram) - 1], overwrite_a=True)
    variance, vectors = variance[::-1].clip(min=0), vectors[:, ::-1]
    points = vectors * np.sqrt(variance) if n <= d else centred @ vectors
    signs = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    return points * np.where(signs == 0, 1, signs), variance / total if total > 0 else np.zeros(2)


def umap(embeddings: np.ndarray) -> np.ndarray | None:
    """The same by UMAP (L. McInnes, J. Healy, J. Melville, "UMAP: Uniform Manifold Approximation and Projection", 2018) with
    cosine distances, 15 neighbours and seed 0; None where the package umap-learn is not installed, or of 15 clips or fewer.

    Args:
        embeddings: float (n, d), finite, n at least 3.

    Returns:
        float64 (n, 2).
    """
    try:
        from umap import UMAP
    except ImportError:
        return None
    if len(embeddings) <= _NEIGHBOURS:
        return None
    reducer = UMAP(n_neighbors=_NEIGHBOURS, metric="cosine", random_state=0, n_jobs=1)
    return np.asarray(reducer.fit_transform(embeddings), np.float64)
