"""Which clips are worth labelling next? Those that the model is least sure of, and that are unlike one another.

Clips that are alike teach the same thing, and the least certain ones often are alike: so the least certain `POOL` times as many
are grouped by k-means, weighted by how uncertain they are, and of each group the one nearest to its centre is taken (F.
Zhdanov, "Diverse mini-batch Active Learning", 2019).
"""

import numpy as np

from fa_assets.metrics.near_duplicates import directions

POOL = 10
SEED = 42


def margins(probabilities: np.ndarray) -> np.ndarray:
    """How sure the model is of each clip's least certain label, float64 (n,): 0 not at all, 1 certain; of (n, C)."""
    return np.abs(2 * probabilities - 1).min(axis=1)


def next_clips(probabilities: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    """The rows to label next, int64 (at most `count`,), the least certain first. Deterministic.

    Args:
        probabilities: float (n, C), of the clips that have no labels yet.
        vectors: float32 (n, d), their embeddings.
        count: how many are wanted.
    """
    from sklearn.cluster import KMeans

    margin = margins(probabilities)
    pool = np.argsort(margin, kind="stable")[: POOL * count]
    unit = directions(vectors)[pool]
    groups = min(count, len(np.unique(unit, axis=0)))
    if len(pool) <= count or groups < 2:
        return pool[:count]
    found = KMeans(groups, n_init=1, random_state=SEED).fit(unit, sample_weight=1 - margin[pool] + 1e-9)
    distance = np.linalg.norm(unit - found.cluster_centers_[found.labels_], axis=1)
    order = np.lexsort((distance, found.labels_))
    nearest = order[np.unique(found.labels_[order], return_index=True)[1]]
    return pool[np.sort(nearest)]
