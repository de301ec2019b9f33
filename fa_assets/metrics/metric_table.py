"""LWLRAP sums as a stored table: one row per fold and class, and back without loss.

Columns: fold, class_name, precision_sum, count, lwlrap (null without positives). Classes follow vocabulary order within
each fold.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa

from fa_assets.metrics.lwlrap import LwlrapSums


def rows_of(sums: Mapping[int, LwlrapSums], classes: Sequence[str]) -> list[tuple[int, str, float, int, float | None]]:
    """The rows of the table: fold, class, sum of precisions, positives, LWLRAP or None."""
    return [
        (fold, name, float(precision_sum), int(count), float(precision_sum / count) if count else None)
        for fold, one in sorted(sums.items())
        for name, precision_sum, count in zip(classes, one.precision_sum, one.count, strict=True)
    ]


def sums_of(table: pa.Table) -> tuple[list[str], dict[int, LwlrapSums]]:
    """The class names and each fold's sums of a stored table (`tied` is not in it and reads 0)."""
    fold = np.asarray(table["fold"])
    names = np.asarray(table["class_name"])
    precision_sum = np.asarray(table["precision_sum"])
    count = np.asarray(table["count"])
    return list(dict.fromkeys(names)), {
        int(one): LwlrapSums(precision_sum[fold == one], count[fold == one], tied=0) for one in np.unique(fold)
    }


def total_of(sums: Mapping[int, LwlrapSums]) -> LwlrapSums:
    """The sums over all folds; at least one."""
    return reduce(add, (sums[fold] for fold in sorted(sums)))
