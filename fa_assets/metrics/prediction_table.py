"""Out-of-fold predictions as stored tables, one row per clip and class, and back as matrices."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fa_assets.errors import UserError


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of all folds, fold after fold, each in the order of the label CSV.

    Attributes:
        fnames: object (n,), the clips.
        fold: int64 (n,), the fold each was held out in.
        classes: the C class names, in vocabulary order.
        truth: bool (n, C).
        logits, probabilities: float64 (n, C).
    """

    fnames: np.ndarray
    fold: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray


def predictions_of(tables: Mapping[int, pa.Table], asset: str) -> Predictions:
    """All folds' tables, in ascending order of the fold; at least one.

    Raises:
        UserError: the folds are of different classes; `asset` is named as what to materialize again.
    """
    classes: tuple[str, ...] = ()
    parts: list[tuple[np.ndarray, ...]] = []
    for number, table in sorted(tables.items()):
        own = tuple(table["class_name"].unique().to_pylist())
        if parts and own != classes:
            raise UserError(f"{asset}, fold {number}, has other classes: materialize all folds again.")
        classes = own
        matrices = [np.asarray(table[name]).reshape(-1, len(own)) for name in ("truth", "logit", "probability")]
        fnames = table["fname"].take(np.arange(0, table.num_rows, max(1, len(own)))).to_numpy()
        parts.append((fnames, np.full(len(fnames), number), *matrices))
    fnames, fold, truth, logits, probabilities = (np.concatenate(one) for one in zip(*parts, strict=True))
    return Predictions(fnames, fold, classes, truth.astype(bool), logits, probabilities)
