"""The clips' embeddings as the classifiers take them: in memory, or in a file on the disk where they are too large for that."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import dagster as dg
import numpy as np

from fa_assets.encoders.registry import find_encoder
from fa_assets.errors import UserError
from fa_assets.graph.encoder import require_encoder
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.recorder import Materialization
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.one_vs_rest import OneVsRest, fit_one_vs_rest
from fa_assets.models.out_of_core import fit_out_of_core
from fa_assets.progress import ProgressCallback
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.recipe import Scalar
from fa_assets.store.row_file import RowFile, row_file

IN_MEMORY, OUT_OF_CORE = "in memory", "out of core"


@dataclass(frozen=True, eq=False)
class TrainingClips:
    """All curated clips: file names object (n,), folds int (n,), the C classes, labels bool (n, C)."""

    fnames: np.ndarray
    fold_of: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray

    @classmethod
    def read(cls, work: Materialization) -> "TrainingClips":
        """The stored ones."""
        classes = work.read("class_vocabulary").table["class_name"].to_pylist()
        clips = work.read("curated_clips").table
        return cls(
            np.array(clips["fname"].to_pylist(), dtype=object),
            np.asarray(work.read("folds").table["fold"]),
            tuple(classes),
            multi_hot(clips["labels"].to_pylist(), classes),
        )


class TrainingSet(Protocol):
    """The embeddings of all clips with their labels, by fold."""

    way: str
    """`IN_MEMORY` or `OUT_OF_CORE`: how classifiers are fitted on it."""

    def fit(self, held_out: int | None, settings: Settings, progress: ProgressCallback) -> OneVsRest:
        """The classifier of all clips, or of those of the other folds."""
        ...

    def of_fold(self, fold: int, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The fold's clips in their order, some at a time: row numbers (n,) of all clips, embeddings (n, d)."""
        ...


def recipe_settings(settings: Settings) -> Mapping[str, Scalar]:
    """What the values of a fit depend on. Where a fit out of core begins is a part of it when it was set: what the
    default makes of the clips follows from the clips."""
    fit = {"C": settings.regularization_c, "max_iter": settings.max_iter}
    default = Settings.model_fields["fit_in_memory_gb"].default
    return fit if settings.fit_in_memory_gb == default else {**fit, "fit_in_memory_gb": settings.fit_in_memory_gb}


@contextmanager
def training_set(
    work: Materialization,
    log: dg.DagsterLogManager,
    asset: str,
    clips: TrainingClips,
    settings: Settings,
    scratch: Path,
) -> Iterator[TrainingSet]:
    """Read a fold-partitioned embeddings asset.

    Args:
        scratch: folder for a file of all embeddings, if there are more than `fit_in_memory_gb`; it is gone afterwards.

    Raises:
        UserError: a fold's embeddings are of other clips than the folds say now, or of another encoder than the settings;
            there is no room for the file.
    """
    dimension = find_encoder(settings.encoder).card.dimension
    gigabytes = 4e-9 * len(clips.fnames) * dimension
    if gigabytes <= settings.fit_in_memory_gb:
        yield _InMemory(stack_by_clip(work, asset, clips.fnames, clips.fold_of, settings.encoder), clips)
        return
    log.info(
        f"{gigabytes:.3g} GB of embeddings are more than FA_FIT_IN_MEMORY_GB={settings.fit_in_memory_gb:g}: they are read from "
        f"a file in {scratch} at every step"
    )
    with row_file(scratch, dimension, len(clips.fnames)) as file:
        with work.phase("read"):
            for fold, partition in enumerate(FOLD_NAMES):
                _append(work, asset, partition, clips.fnames[clips.fold_of == fold].tolist(), file, settings.encoder)
        yield _OnDisk(file, clips)


class _InMemory:
    way = IN_MEMORY

    def __init__(self, features: np.ndarray, clips: TrainingClips) -> None:
        self._features, self._fold_of, self._truth = features, clips.fold_of, clips.truth

    def fit(self, held_out: int | None, settings: Settings, progress: ProgressCallback) -> OneVsRest:
        features, truth = self._features, self._truth
        if held_out is not None:
            chosen = self._fold_of != held_out
            features, truth = features[chosen], truth[chosen]
        return fit_one_vs_rest(
            features, truth, C=settings.regularization_c, max_iter=settings.max_iter, progress=progress
        )

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

    def fit(self, held_out: int | None, settings: Settings, progress: ProgressCallback) -> OneVsRest:
        out = slice(0, 0) if held_out is None else slice(self._starts[held_out], self._starts[held_out + 1])
        return fit_out_of_core(
            self._file,
            self._truth,
            held_out=out,
            C=settings.regularization_c,
            max_iter=settings.max_iter,
            progress=progress,
        )

    def of_fold(self, fold: int, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        stop = self._starts[fold + 1]
        for start in range(self._starts[fold], stop, at_once):
            rows = slice(start, min(start + at_once, stop))
            yield self._order[rows], self._file.read(rows)


def stack_by_clip(
    work: Materialization, asset: str, fnames: np.ndarray, fold_of: np.ndarray, encoder: str
) -> np.ndarray:
    """A fold-partitioned embeddings asset as one (clips, d) float32 array, in the order of the clips.

    Raises:
        UserError: a fold's embeddings are of other clips than the folds say now, or of another encoder.
    """
    stacked: np.ndarray | None = None
    for fold in range(N_FOLDS):
        value = work.read(asset, str(fold))
        require_encoder(value.header, encoder)
        table = value.table
        rows = np.flatnonzero(fold_of == fold)
        if table["fname"].to_pylist() != list(fnames[rows]):
            raise _of_other_clips(asset, str(fold))
        vectors = embedding_matrix(table["embedding"])
        if stacked is None:
            stacked = np.empty((len(fnames), vectors.shape[1]), np.float32)
        stacked[rows] = vectors
    assert stacked is not None
    return stacked


def _append(work: Materialization, asset: str, partition: str, fnames: list[str], file: RowFile, encoder: str) -> None:
    """Write a fold's embeddings to the file, in tables of a few rows."""
    with work.scan(asset, partition) as scan:
        require_encoder(scan.header, encoder)
        done = 0
        for part in scan.parts:
            if part["fname"].to_pylist() != fnames[done : done + part.num_rows]:
                raise _of_other_clips(asset, partition)
            if part.num_rows:
                file.append(embedding_matrix(part["embedding"]))
            done += part.num_rows
    if done != len(fnames):
        raise _of_other_clips(asset, partition)


def _of_other_clips(asset: str, partition: str) -> UserError:
    return UserError(f"{asset}, fold {partition}, was made for other clips or folds: materialize it again.")
