"""The clips' embeddings as the classifiers take them: in memory, or in a file on the disk where they are too large for that."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from fa_assets.catalog.environment import library_versions
from fa_assets.errors import UserError
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.work import Stored, Work
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.blend import Blend
from fa_assets.models.classifier_file import ClassifierOrigin
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.recipe import Scalar
from fa_assets.store.row_file import RowFile, row_file

IN_MEMORY, FROM_FILE = "in memory", "from a file"


@dataclass(frozen=True)
class FitOptions:
    """How classifiers are fitted.

    Attributes:
        classifier: which, in `CLASSIFIERS`.
        C, max_iter: of the logistic regressions.
        in_memory_gb: gigabytes of embeddings above which they are not held in memory.
        is_default_limit: whether that is the default.
        device: where it runs, if it runs on devices.
    """

    classifier: str
    C: float
    max_iter: int
    in_memory_gb: float
    is_default_limit: bool
    device: str

    def fit(self, X: np.ndarray | RowFile, Y: np.ndarray, progress: ProgressCallback = no_progress) -> OneVsRest:
        """The classifier of rows (n, d) with labels bool (n, C)."""
        fit = CLASSIFIERS[self.classifier].fit
        return fit(X, Y, C=self.C, max_iter=self.max_iter, device=self.device, progress=progress)

    @property
    def takes_files(self) -> bool:
        return CLASSIFIERS[self.classifier].takes_files

    @property
    def kind(self) -> str:
        """The icon of what it makes."""
        return CLASSIFIERS[self.classifier].kind

    @property
    def settings(self) -> Mapping[str, Scalar]:
        """What the values of a fit depend on. Where fitting from a file begins is a part of it when it was set: what the
        default makes of the clips follows from the clips."""
        fit: dict[str, Scalar] = {"classifier": self.classifier, "C": self.C, "max_iter": self.max_iter}
        if self.takes_files and not self.is_default_limit:
            fit["fit_in_memory_gb"] = self.in_memory_gb
        return fit


def classifier_origin(
    work: Work, partition: str | None, scheme: str, encoder: str, encoder_fingerprint: str, blend: Blend | None = None
) -> ClassifierOrigin:
    """What the file of a classifier says of the materialization that fits it."""
    return ClassifierOrigin(
        asset=work.asset,
        partition=partition,
        data_version=work.version,
        scheme=scheme,
        encoder=encoder,
        encoder_fingerprint=encoder_fingerprint,
        settings=work.recipe.settings,
        versions=library_versions(),
        blend=blend,
    )


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


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The embeddings of all clips: an array in the order of the clips, or a file with one fold after the other."""

    features: np.ndarray | RowFile
    clips: TrainingClips

    @property
    def way(self) -> str:
        """`IN_MEMORY` or `FROM_FILE`."""
        return IN_MEMORY if isinstance(self.features, np.ndarray) else FROM_FILE

    def fit(self, held_out: int | None, options: FitOptions, progress: ProgressCallback) -> OneVsRest:
        """The classifier of all clips, or of those of the other folds."""
        fold_of = self.clips.fold_of
        if isinstance(self.features, np.ndarray):
            chosen = slice(None) if held_out is None else np.flatnonzero(fold_of != held_out)
            X: np.ndarray | RowFile = self.features[chosen]
        else:
            chosen = np.argsort(fold_of, kind="stable")
            chosen = chosen[fold_of[chosen] != (-1 if held_out is None else held_out)]
            X = self.features if held_out is None else self.features.without(self._place_of(held_out))
        return options.fit(X, self.clips.truth[chosen], progress)

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


@contextmanager
def training_set(
    work: Work, embeddings: Stored, clips: TrainingClips, dimension: int, options: FitOptions
) -> Iterator[TrainingSet]:
    """Read embeddings that are stored by fold; into a file of the local folder, which is gone afterwards, where there
    are more than `options.in_memory_gb`.

    Raises:
        UserError: a fold's embeddings are of other clips; they are more than `options.in_memory_gb` and the classifier
            needs them in memory.
        StorageError: there is no room for the file.
    """
    gigabytes = 4e-9 * len(clips.fnames) * dimension
    if gigabytes <= options.in_memory_gb:
        yield TrainingSet(stack_by_clip(embeddings, clips), clips)
        return
    too_much = f"{gigabytes:.3g} GB of embeddings are more than FA_FIT_IN_MEMORY_GB={options.in_memory_gb:g}"
    if not options.takes_files:
        raise UserError(
            f"{too_much}, and FA_CLASSIFIER={options.classifier} needs them in memory: set FA_CLASSIFIER=torch, which reads "
            "them from a file, or raise FA_FIT_IN_MEMORY_GB (a fit takes three times as much)."
        )
    scratch = work.recorder.local_root
    work.log.info(f"{too_much}: they are read from a file in {scratch} at every step")
    with row_file(scratch, dimension, len(clips.fnames)) as file:
        with work.phase("read"):
            for fold, partition in enumerate(FOLD_NAMES):
                found: list[str] = []
                with embeddings.scan(partition) as scan:
                    for part in filter(len, scan.parts):
                        found += part["fname"].to_pylist()
                        file.append(embedding_matrix(part["embedding"]))
                _require_clips(embeddings, clips, fold, found)
        yield TrainingSet(file, clips)


def stack_by_clip(embeddings: Stored, clips: TrainingClips) -> np.ndarray:
    """Embeddings that are stored by fold as one float32 array (clips, d), in the order of the clips.

    Raises:
        UserError: a fold's embeddings are of other clips.
    """
    stacked = np.empty((0, 0), np.float32)
    for fold, partition in enumerate(FOLD_NAMES):
        table = embeddings.of(partition)
        _require_clips(embeddings, clips, fold, table["fname"].to_pylist())
        vectors = embedding_matrix(table["embedding"])
        if not stacked.size:
            stacked = np.empty((len(clips.fold_of), vectors.shape[1]), np.float32)
        stacked[clips.fold_of == fold] = vectors
    return stacked


def _require_clips(embeddings: Stored, clips: TrainingClips, fold: int, found: list[str]) -> None:
    if found != clips.fnames[clips.fold_of == fold].tolist():
        raise UserError(f"{embeddings.asset}, fold {fold}, was made for other clips or folds: materialize it again.")
