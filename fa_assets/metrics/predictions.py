"""Out-of-fold predictions as matrices, from the stored table with a row per clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from fa_assets.metrics.intervals import drawn
from fa_assets.metrics.units import in_order_of_appearance


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of all folds, fold after fold, each in the order of the label CSV.

    Attributes:
        fnames: object (n,), the clips.
        fold: int64 (n,), the fold each was held out in.
        classes: the C class names, in the order of the columns.
        truth: bool (n, C).
        logits, probabilities: float64 (n, C).
        units: int64 (n,), the independent unit of each clip, from 0; figures have intervals where they are known.
        decided: bool (n, C), which labels are given (see `thresholds`); there are figures of decisions where they are known.
        sha256: object (n,), of each clip's bytes, hex; runs are compared by them, where they are known.
    """

    fnames: np.ndarray
    fold: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray
    units: np.ndarray | None = None
    decided: np.ndarray | None = None
    sha256: np.ndarray | None = None

    @cached_property
    def weights(self) -> np.ndarray:
        """How often each clip is in a resample, float32 (n, resamples); no resamples where the units are not known."""
        return np.empty((len(self.fold), 0), np.float32) if self.units is None else drawn(self.units)

    def support(self, labels: np.ndarray) -> int:
        """How many units have any of these labels, bool (n,) or (n, C)."""
        return 0 if self.units is None else len(np.unique(self.units[labels.reshape(len(labels), -1).any(axis=1)]))


def predictions_of(table: pa.Table, classes: list[str]) -> Predictions:
    """The stored table as matrices; of a version before the columns unit and sha256, without these."""
    truth, logits, probabilities = (matrix(table[name], len(classes)) for name in ("truth", "logit", "probability"))
    return Predictions(
        np.array(table["fname"].to_pylist(), dtype=object),
        np.asarray(table["fold"]).astype(np.int64),
        tuple(classes),
        truth.astype(bool),
        logits,
        probabilities,
        in_order_of_appearance(np.asarray(table["unit"])) if "unit" in table.column_names else None,
        sha256=np.array(table["sha256"].to_pylist(), dtype=object) if "sha256" in table.column_names else None,
    )


def matrix(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """A column of lists of `width` numbers as a matrix (n, width)."""
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).reshape(-1, width)


def name_column(names: Sequence[str], rows: int) -> pa.ListArray:
    """A column whose every row lists the same names."""
    offsets = np.arange(0, rows * len(names) + 1, max(1, len(names)), dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(np.tile(np.array(names, dtype=object), rows), pa.string()))
