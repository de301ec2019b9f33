"""The clips of a finished run as arrays, for parts of the benchmark that fit classifiers on them again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.predictions import Predictions
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import ValueStore

Fit = Callable[[np.ndarray, np.ndarray], OneVsRest]


@dataclass(frozen=True, eq=False)
class Embedded:
    """n clips in the order of the label CSV: names object (n,), folds (n,), labels bool (n, C), vectors float32 (n, d)."""

    fnames: np.ndarray
    fold_of: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, storage: StoragePath, scheme: str) -> "Embedded":
        """From the values of a run."""
        values = ValueStore(storage)
        folds = values.read("folds")
        fnames, fold_of = folds.table["fname"].to_pylist(), np.asarray(folds.table["fold"])
        classes = tuple(folds.header.details["classes"])
        by_fold = [values.read(f"{scheme}_embeddings", str(fold)).table for fold in np.unique(fold_of)]
        stacked = np.concatenate([embedding_matrix(table["embedding"]) for table in by_fold])
        row_of = {name: row for row, name in enumerate(name for t in by_fold for name in t["fname"].to_pylist())}
        vectors = stacked[[row_of[name] for name in fnames]]
        truth = multi_hot(folds.table["labels"].to_pylist(), classes)
        return cls(np.array(fnames, dtype=object), fold_of, classes, truth, vectors)

    def predict(self, fit: Fit, *, truth: np.ndarray | None = None, vectors: np.ndarray | None = None) -> Predictions:
        """Out of fold; with other labels or vectors where they are given."""
        Y, X = self.truth if truth is None else truth, self.vectors if vectors is None else vectors
        logits, probabilities = np.empty(Y.shape), np.empty(Y.shape)
        for fold in np.unique(self.fold_of):
            held_out = self.fold_of == fold
            logits[held_out], probabilities[held_out] = fit(X[~held_out], Y[~held_out]).predict(X[held_out])
        return Predictions(self.fnames, self.fold_of.astype(np.int64), self.classes, Y, logits, probabilities)


def lwlrap_of(found: Predictions) -> float:
    """Over all clips."""
    return lwlrap_sums(found.truth, found.logits).overall


def table(columns: str, rows: list[list[object]]) -> str:
    """Rows in Markdown; numbers to four decimals at most. `columns` are separated by `` | ``."""

    def cell(value: object) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = [f"| {columns} |", "|---" * (columns.count("|") + 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(cell, row))} |" for row in rows)])
