"""Which clips are independent of one another? Clips of one group (recording, uploader, site) are not, nor are copies.

Folds keep such a unit whole, and the bootstrap draws it whole: drawn clip by clip, a nominal 95% interval over recordings
of 5 to 20 clips each covers 52 to 83% (docs/evaluation.md).
"""

from collections.abc import Sequence

import numpy as np


def independent_units(*columns: Sequence[str | None]) -> np.ndarray:
    """The unit of each clip, int64 (n,), numbered in order of appearance.

    Clips share a unit when they share the value of a column, or are linked by others that do.

    Args:
        columns: of each clip its group, say, or the digest of its file; empty or None is shared with none.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = len(columns[0])
    nodes: dict[tuple[int, str], int] = {}
    edges = [
        (row, rows + nodes.setdefault((column, value), len(nodes)))
        for row, values in enumerate(zip(*columns, strict=True))
        for column, value in enumerate(values)
        if value
    ]
    size = rows + len(nodes)
    clip, node = np.array(edges, np.int64).reshape(-1, 2).T
    _, unit = connected_components(coo_array((np.ones(len(edges)), (clip, node)), shape=(size, size)), directed=False)
    return in_order_of_appearance(unit[:rows])


def in_order_of_appearance(units: np.ndarray) -> np.ndarray:
    """The same units, int64 (n,), numbered 0, 1, ... as they first appear."""
    _, first, of = np.unique(units, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[of], np.int64)
