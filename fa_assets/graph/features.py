"""The clips' embeddings as the classifiers take them: in memory, or in a file on the disk where they are too large for that."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np

from fa_assets.encoders.cnn14.architecture import EMBEDDING_SIZE
from fa_assets.errors import UserError
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.recorder import Materialization
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.progress import ProgressCallback
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.recipe import Scalar
from fa_assets.store.row_file import RowFile, row_file

IN_MEMORY, FROM_FILE = "in memory", "from a file"


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


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The embeddings of all clips: an array in the order of the clips, or a file with one fold after the other."""

    features: np.ndarray | RowFile
    clips: TrainingClips

    @property
    def way(self) -> str:
        """`IN_MEMORY` or `FROM_FILE`."""
        return IN_MEMORY if isinstance(self.features, np.ndarray) else FROM_FILE

    def fit(self, held_out: int | None, settings: Settings, progress: ProgressCallback) -> OneVsRest:
        """FA_CLASSIFIER's model of all clips, or of those of the other folds."""
        fold_of = self.clips.fold_of
        if isinstance(self.features, np.ndarray):
            chosen = slice(None) if held_out is None else np.flatnonzero(fold_of != held_out)
            X: np.ndarray | RowFile = self.features[chosen]
        else:
            chosen = np.argsort(fold_of, kind="stable")
            chosen = chosen[fold_of[chosen] != (-1 if held_out is None else held_out)]
            X = self.features if held_out is None else self.features.without(self._place_of(held_out))
        classifier = CLASSIFIERS[settings.classifier]
        return classifier.fit(
            X,
            self.clips.truth[chosen],
            C=settings.regularization_c,
            max_iter=settings.max_iter,
            device=settings.device,
            progress=progress,
        )

    def of_fold(self, fold: int, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The fold's clips in their order, some at a time: row numbers (n,) of all clips, embeddings (n, d)."""
        rows, first = np.flatnonzero(self.clips.fold_of == fold), self._place_of(fold).start
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            if isinstance(self.features, np.ndarray):
                yield some, self.features[some]
            else:
                yield some, self.features.read(slice(first + start, first + start + len(some)))

    def _place_of(self, fold: int) -> slice:
        """A fold's rows in the file."""
        first = int((self.clips.fold_of < fold).sum())
        return slice(first, first + int((self.clips.fold_of == fold).sum()))


def recipe_settings(settings: Settings) -> Mapping[str, Scalar]:
    """What the values of a fit depend on. Where fitting from a file begins is a part of it when it was set: what the default
    makes of the clips follows from the clips."""
    fit: dict[str, Scalar] = {
        "classifier": settings.classifier,
        "C": settings.regularization_c,
        "max_iter": settings.max_iter,
    }
    default = Settings.model_fields["fit_in_memory_gb"].default
    if settings.fit_in_memory_gb != default and CLASSIFIERS[settings.classifier].takes_files:
        fit["fit_in_memory_gb"] = settings.fit_in_memory_gb
    return fit


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
        UserError: a fold's embeddings are of other clips than the folds say now; they are more than `fit_in_memory_gb` and the
            classifier needs them in memory.
        StorageError: there is no room for the file.
    """
    gigabytes = 4e-9 * len(clips.fnames) * EMBEDDING_SIZE
    if gigabytes <= settings.fit_in_memory_gb:
        yield TrainingSet(stack_by_clip(work, asset, clips.fnames, clips.fold_of), clips)
        return
    too_much = f"{gigabytes:.3g} GB of embeddings are more than FA_FIT_IN_MEMORY_GB={settings.fit_in_memory_gb:g}"
    if not CLASSIFIERS[settings.classifier].takes_files:
        raise UserError(
            f"{too_much}, and FA_CLASSIFIER={settings.classifier} needs them in memory: set FA_CLASSIFIER=torch, which reads "
            "them from a file, or raise FA_FIT_IN_MEMORY_GB (a fit takes three times as much)."
        )
    log.info(f"{too_much}: they are read from a file in {scratch} at every step")
    with row_file(scratch, EMBEDDING_SIZE, len(clips.fnames)) as file:
        with work.phase("read"):
            for fold, partition in enumerate(FOLD_NAMES):
                _append(work, asset, partition, clips.fnames[clips.fold_of == fold].tolist(), file)
        yield TrainingSet(file, clips)


def stack_by_clip(work: Materialization, asset: str, fnames: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """A fold-partitioned embeddings asset as one (clips, 2048) float32 array, in the order of the clips.

    Raises:
        UserError: a fold's embeddings are of other clips than the folds say now.
    """
    stacked: np.ndarray | None = None
    for fold in range(N_FOLDS):
        table = work.read(asset, str(fold)).table
        rows = np.flatnonzero(fold_of == fold)
        if table["fname"].to_pylist() != list(fnames[rows]):
            raise _of_other_clips(asset, str(fold))
        vectors = embedding_matrix(table["embedding"])
        if stacked is None:
            stacked = np.empty((len(fnames), vectors.shape[1]), np.float32)
        stacked[rows] = vectors
    assert stacked is not None
    return stacked


def _append(work: Materialization, asset: str, partition: str, fnames: list[str], file: RowFile) -> None:
    """Write a fold's embeddings to the file, in tables of a few rows."""
    with work.scan(asset, partition) as scan:
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
