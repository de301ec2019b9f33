"""What a notebook or script imports: `run` the graph, query what it made with `open_catalog`, tag files with a `Tagger`.

A `Tagger` has the weights, the precision and the crop scheme that its classifier was fitted with, or it is not made:
embeddings of another encoder would give numbers without meaning. Files go through the same decoding and crops as the clips.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fa_assets.audio.crops import SCHEMES
from fa_assets.audio.decode import BadClipError, inspect_clip
from fa_assets.encoders.base import Encoder
from fa_assets.encoders.clip import Clip
from fa_assets.encoders.embed_clips import embed_once
from fa_assets.encoders.registry import EncoderRecipe, checkpoint_asset, find_encoder, key_prefix
from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.clip_files import locate_clip
from fa_assets.models.classifier_file import ClassifierOrigin, FinalClassifier, load_final
from fa_assets.store.roots import StoragePath, open_root
from fa_assets.store.source_files import USUAL_LIMITS, Limits
from fa_assets.store.storage_errors import require_there
from fa_assets.store.values import ValueStore

if TYPE_CHECKING:
    from fa_assets.catalog.database import Catalog
    from fa_assets.graph.runner import RunOutcome

__all__ = ["Tag", "TaggedFile", "Tagger", "open_catalog", "run"]


def run(
    dataset: str | Path | None = None,
    storage: str | Path | None = None,
    *,
    select: str | None = None,
    folds: Sequence[str | int] | None = None,
    force: bool = False,
    **settings: Any,
) -> "RunOutcome":
    """Materialize what is not current, as `fa-assets run` does, in this process.

    >>> outcome = run("clips", "results", device="cpu", select="comparison", force=True)
    >>> [(one.asset, one.reason) for one in outcome.planned]
    [('comparison', 'forced')]

    Args:
        dataset: the dataset folder; the generated demo set where neither it nor FA_DATASET is given.
        storage: the storage folder, or the address of an object store.
        select: an asset selection, e.g. ``+mc5_metrics`` for it and all it needs; without one, everything.
        folds: only these folds of the partitioned assets; consecutive.
        force: also what is current.
        settings: any other setting by its name (`fa_assets.settings.Settings`). What is not given here is read from the
            environment (FA_DEVICE, ...), which is afterwards as it was before.

    Raises:
        UserError: a setting, the dataset or the selection cannot be used, or an asset or a blocking check failed; what was
            finished is kept.
    """
    from fa_assets.definitions import code_location_with
    from fa_assets.graph import runner

    location = code_location_with(dataset=dataset, storage=storage, **settings)
    before = dict(os.environ)
    try:
        runner.prepare_environment(location)
        outcome = runner.run(
            location, select=select, folds=None if folds is None else [str(one) for one in folds], force=force
        )
    finally:
        os.environ.clear()
        os.environ.update(before)
    if outcome.failures:
        raise UserError("\n".join(["The run failed; what was finished is kept.", *outcome.failures]))
    return outcome


def open_catalog(storage: str | Path | None = None, *, local: str | Path | None = None) -> "Catalog":
    """The catalog of a storage folder, up to date with its ledger; docs/catalog.md has its tables.

    >>> open_catalog("results").query("select scheme, count(*) as clips from embeddings group by scheme order by scheme")
       scheme  clips
    0  center     24
    1     mc5     24

    Args:
        storage: the storage folder, or the address of an object store; FA_STORAGE where it is not given.
        local: the folder of what lies on this machine; the storage folder where that is one.

    Raises:
        UserError: there is no such storage folder; the catalog is open for writing elsewhere, or of a newer version.
    """
    from fa_assets.definitions import code_location_with

    recorder = code_location_with(storage=storage, local=local).recorder
    require_there(recorder.root)
    catalog = recorder.catalog
    catalog.sync()
    return catalog


@dataclass(frozen=True)
class Tag:
    """A class, its probability, and from which probability on its label is given; None where it never is."""

    class_name: str
    probability: float
    threshold: float | None = None

    @property
    def is_given(self) -> bool:
        """Whether the label is given."""
        return self.threshold is not None and self.probability >= self.threshold


@dataclass(frozen=True)
class TaggedFile:
    """A file with the probability of every class, the most probable first."""

    path: Path
    tags: tuple[Tag, ...]


class Tagger:
    """The final classifier and the encoder that belongs to it; or several, of a blend.

    >>> tagger = Tagger.load("results")
    >>> len(tagger.classes)
    4
    >>> best = tagger.tag("clips/test/t0.wav")[0]
    >>> best.class_name, f"{best.probability:.1f}"
    ('Noise', '1.0')
    """

    def __init__(self, classifier: FinalClassifier, encoders: Sequence[Encoder], limits: Limits = USUAL_LIMITS) -> None:
        self.classifier = classifier
        self._encoders = encoders
        self._limits = limits

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it knows, in the order of the vocabulary."""
        return self.classifier.members[0].classes

    @classmethod
    def load(
        cls,
        storage: str | StoragePath,
        *,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        limits: Limits = USUAL_LIMITS,
    ) -> "Tagger":
        """The final classifier of a storage folder.

        Args:
            storage: the folder, or the address of an object store.
            device: as the setting FA_DEVICE.
            checkpoint: where the weights (of a blend, the main encoder's) lie now, if they were moved.
            limits: how large a file may be.

        Raises:
            UserError: there is none, it is damaged, the weights are not where they were, or those it was fitted with are not
                those of the folder.
        """
        root = open_root(storage) if isinstance(storage, str | Path) else storage
        final = load_final(root / "classifiers")
        main, *others = (one.origin for one in final.members)
        recipes = [
            _recipe(root, main, "", device, checkpoint),
            *(_recipe(root, one, key_prefix(one.encoder), device) for one in others),
        ]
        return cls(final, [one() for one in recipes], limits)

    def tag(self, path: str | Path) -> tuple[Tag, ...]:
        """The probability of every class for one audio file, the most probable first.

        Raises:
            BadInputError: it cannot be read.
        """
        return self.tag_files([path])[0].tags

    def tag_files(self, paths: Sequence[str | Path]) -> list[TaggedFile]:
        """The same for several files.

        Raises:
            BadInputError: files that cannot be read, all of them named.
        """
        embeddings = [np.empty((len(paths), one.card.dimension), np.float32) for one in self._encoders]
        bad: list[str] = []
        for row, path in enumerate(map(Path, paths)):
            try:
                for vectors, own in zip(embeddings, self._embed(path), strict=True):
                    vectors[row] = own
            except BadClipError as error:
                bad.append(f"{path}: {error}")
        if bad:
            raise BadInputError("Files that cannot be tagged:", bad)
        probabilities = self.classifier.calibrated(embeddings)
        thresholds = self.classifier.thresholds
        return [
            TaggedFile(
                Path(path),
                tuple(Tag(self.classes[one], float(row[one]), thresholds[one]) for one in np.argsort(-row)),
            )
            for path, row in zip(paths, probabilities, strict=True)
        ]

    def _embed(self, path: Path) -> list[np.ndarray]:
        """Of each encoder, the weighted mean over the scheme's crops, as `embed_clips` makes it."""
        info = inspect_clip(locate_clip(path.parent, path.name, self._limits), may_be_silent=True)
        clip = Clip(path.name, path, info.sha256, info.sample_rate, info.frames, info.decoder)
        scheme = SCHEMES[self.classifier.members[0].origin.scheme]
        return [embed_once(clip, scheme, encoder) for encoder in self._encoders]


def _recipe(
    root: StoragePath, origin: ClassifierOrigin, prefix: str, device: str, moved: str | Path | None = None
) -> EncoderRecipe:
    """The encoder that a classifier was fitted with; `prefix` is that of the asset of its weights, which may have moved."""
    name = origin.encoder
    row = ValueStore(root).read(prefix + checkpoint_asset(name)).table.to_pylist()[0]
    if str(moved) in ("demo", "published") or "://" in str(moved):
        raise UserError(
            f"--checkpoint is the file here that the classifier was fitted with, and {moved!r} is none: leave it out for the "
            f"weights {row['path']}, or say where they were moved to."
        )
    path = Path(moved or row["path"]).expanduser()
    if (inside := path / Path(row["path"]).name).exists():  # the folder that they were moved to
        path = inside
    if not path.exists():
        elsewhere = "" if prefix else ", or say where they lie with --checkpoint FILE (checkpoint= in Python)"
        raise UserError(f"The weights {path} are not there (sha1 {row['sha1']}): put them back{elsewhere}.")
    for precision in find_encoder(name).card.precisions:
        recipe = EncoderRecipe(name, path, row["sha1"], device, precision)
        if recipe.fingerprint == origin.encoder_fingerprint:
            return recipe
    raise UserError(
        f"The final classifier in {root} was fitted on embeddings of other weights than {row['path']}, or by another version "
        "of fa_assets: materialize it again (`fa-assets run`)."
    )
