"""The clips' embeddings as the classifiers take them: in memory, or in a file on the disk where they are too large for that."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fa_assets.errors import UserError
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.work import Stored, Work
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.one_vs_rest import OneVsRest, fit_one_vs_rest
from fa_assets.models.out_of_core import fit_out_of_core
from fa_assets.progress import ProgressCallback
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.recipe import Scalar
from fa_assets.store.row_file import RowFile, row_file

IN_MEMORY, OUT_OF_CORE = "in memory", "out of core"


@dataclass(frozen=True)
class FitOptions:
    """How classifiers are fitted.

    Attributes:
        C, max_iter: of the logistic regressions.
        in_memory_gb: gigabytes of embeddings above which they are read from a file at every step.
    """

    C: float
    max_iter: int
    in_memory_gb: float
    is_default_limit: bool = True

    @property
    def settings(self) -> Mapping[str, Scalar]:
        """What the values of a fit depend on. Where a fit out of core begins is a part of it when it was set: what the
        default makes of the clips follows from the clips."""
        fit: dict[str, Scalar] = {"C": self.C, "max_iter": self.max_iter}
        return fit if self.is_default_limit else {**fit, "fit_in_memory_gb": self.in_memory_gb}


@dataclass(frozen=True, eq=False)
class TrainingClips:
    """All curated clips: file names object (n,), folds int (n,), the C classes, labels bool (n, C)."""

    fnames: np.ndarray
    fold_of: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray

    @classmethod
    def of(cls, folds: Stored) -> "TrainingClips":
        """From the stored folds."""
        table, classes = folds.table, folds.header.details["classes"]
        return cls(
            np.array(table["fname"].to_pylist(), dtype=object),
            np.asarray(table["fold"]),
            tuple(classes),
            multi_hot(table["labels"].to_pylist(), classes),
        )


class TrainingSet(Protocol):
    """The embeddings of all clips with their labels, by fold."""

    way: str
    """`IN_MEMORY` or `OUT_OF_CORE`: how classifiers are fitted on it."""

    def fit(self, held_out: int | None, options: FitOptions, progress: ProgressCallback) -> OneVsRest:
        """The classifier of all clips, or of those of the other folds."""
        ...

    def of_fold(self, fold: int, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The fold's clips in their order, some at a time: row numbers (n,) of all clips, embeddings (n, d)."""
        ...


@contextmanager
def training_set(
    work: Work, embeddings: Stored, clips: TrainingClips, dimension: int, options: FitOptions
) -> Iterator[TrainingSet]:
    """Read embeddings that are stored by fold; into a file of the local folder, which is gone afterwards, where there
    are more than
    `options.in_memory_gb`.

    Raises:
        UserError: a fold's embeddings are of other clips than the folds say now; there is no room for the file.
    """
    gigabytes = 4e-9 * len(clips.fnames) * dimension
    if gigabytes <= options.in_memory_gb:
        yield _InMemory(stack_by_clip(embeddings, clips.fnames, clips.fold_of), clips)
        return
    scratch = work.recorder.local_root
    work.log.info(
        f"{gigabytes:.3g} GB of embeddings are more than FA_FIT_IN_MEMORY_GB={options.in_memory_gb:g}: they are read from "
        f"a file in {scratch} at every step"
    )
    with row_file(scratch, dimension, len(clips.fnames)) as file:
        with work.phase("read"):
            for fold, partition in enumerate(FOLD_NAMES):
                _append(embeddings, partition, clips.fnames[clips.fold_of == fold].tolist(), file)
        yield _OnDisk(file, clips)


class _InMemory:
    way = IN_MEMORY

    def __init__(self, features: np.ndarray, clips: TrainingClips) -> None:
        self._features, self._fold_of, self._truth = features, clips.fold_of, clips.truth

    def fit(self, held_out: int | None, options: FitOptions, progress: ProgressCallback) -> OneVsRest:
        features, truth = self._features, self._truth
        if held_out is not None:
            chosen = self._fold_of != held_out
            features, truth = features[chosen], truth[chosen]
        return fit_one_vs_rest(features, truth, C=options.C, max_iter=options.max_iter, progress=progress)

    def of_fold(self, fold: int, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = np.flatnonzero(self._fold_of == fold)
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            yield some, self._features[some]


class _OnDisk:
    """The file's rows are the clips fold after fold: fold k's are rows `starts[k]` to `starts[k + 1]`."""

    way = OUT_OF_CORE

    def __init__(self, file: RowFile, clips: TrainingClips) -> None:
        self._file = file
        self._order = np.argsort(clips.fold_of, kind="stable")
        self._starts = np.searchsorted(clips.fold_of[self._order], np.arange(N_FOLDS + 1)).tolist()
        self._truth = clips.truth[self._order]

    def fit(self, held_out: int | None, options: FitOptions, progress: ProgressCallback) -> OneVsRest:
        out = slice(0, 0) if held_out is None else slice(self._starts[held_out], self._starts[held_out + 1])
        return fit_out_of_core(
            self._file,
            self._truth,
            held_out=out,
            C=options.C,
            max_iter=options.max_iter,
            progress=progress,
        )

    def of_fold(self, fold: int, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        stop = self._starts[fold + 1]
        for start in range(self._starts[fold], stop, at_once):
            rows = slice(start, min(start + at_once, stop))
            yield self._order[rows], self._file.read(rows)


def stack_by_clip(embeddings: Stored, fnames: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Embeddings that are stored by fold as one float32 array (clips, d), in the order of the clips.

    Raises:
        UserError: a fold's embeddings are of other clips than the folds say now.
    """
    stacked: np.ndarray | None = None
    for fold, partition in enumerate(FOLD_NAMES):
        table = embeddings.of(partition)
        rows = np.flatnonzero(fold_of == fold)
        if table["fname"].to_pylist() != list(fnames[rows]):
            raise _of_other_clips(embeddings.asset, partition)
        vectors = embedding_matrix(table["embedding"])
        if stacked is None:
            stacked = np.empty((len(fnames), vectors.shape[1]), np.float32)
        stacked[rows] = vectors
    assert stacked is not None
    return stacked


def _append(embeddings: Stored, partition: str, fnames: list[str], file: RowFile) -> None:
    """Write a fold's embeddings to the file, in tables of a few rows."""
    with embeddings.scan(partition) as scan:
        done = 0
        for part in scan.parts:
            if part["fname"].to_pylist() != fnames[done : done + part.num_rows]:
                raise _of_other_clips(embeddings.asset, partition)
            if part.num_rows:
                file.append(embedding_matrix(part["embedding"]))
            done += part.num_rows
    if done != len(fnames):
        raise _of_other_clips(embeddings.asset, partition)


def _of_other_clips(asset: str, partition: str) -> UserError:
    return UserError(f"{asset}, fold {partition}, was made for other clips or folds: materialize it again.")
