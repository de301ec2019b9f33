"""Which clips are independent of one another? Clips of one group (recording, uploader, site) are not, nor are identical files.

Folds keep such a unit whole, and the bootstrap draws it whole: drawn clip by clip, a nominal 95% interval over recordings
of 5 to 20 clips each covers 58 to 81% (docs/evaluation.md).
"""

from collections.abc import Sequence

import numpy as np


def independent_units(groups: Sequence[str | None], digests: Sequence[str]) -> np.ndarray:
    """The unit of each clip, int64 (n,), numbered in order of appearance.

    Clips share a unit when they share a group or a digest, or are linked by others that do.

    Args:
        groups: of each clip; empty or None is no group.
        digests: of each clip's file.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = len(groups)
    nodes: dict[tuple[str, str], int] = {}
    edges = [
        (row, rows + nodes.setdefault(key, len(nodes)))
        for row, (group, digest) in enumerate(zip(groups, digests, strict=True))
        for key in ((("group", group),) if group else ()) + (("digest", digest),)
    ]
    size = rows + len(nodes)
    clip, node = np.array(edges, np.int64).reshape(-1, 2).T
    _, unit = connected_components(coo_array((np.ones(len(edges)), (clip, node)), shape=(size, size)), directed=False)
    return in_order_of_appearance(unit[:rows])


def in_order_of_appearance(units: np.ndarray) -> np.ndarray:
    """The same units, int64 (n,), numbered 0, 1, ... as they first appear."""
    _, first, of = np.unique(units, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[of], np.int64)
