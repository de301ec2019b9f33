"""The label audit as it is now, with the predictions, clips and embeddings that it was made from."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from fa_assets.audio.crops import SCHEMES, distinct_crops
from fa_assets.audio.decode import resampled_length
from fa_assets.encoders.registry import DEFAULT, find_encoder
from fa_assets.errors import UserError
from fa_assets.metrics.near_duplicates import directions
from fa_assets.metrics.predictions import Predictions, predictions_of
from fa_assets.models.classifier_file import load_classifier
from fa_assets.store.crop_keys import CropKey, content_digest
from fa_assets.store.embedding_store import EmbeddingStore, embedding_matrix
from fa_assets.store.ledger import Ledger
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import MissingValueError, ValueHeader, ValueStore

log = logging.getLogger(__name__)

AUDIT = "label_audit"
_NEIGHBOURS = 6
_TOP = 5
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Alike:
    """Another clip: its name and the cosine of the standardised embeddings, -1 to 1."""

    fname: str
    similarity: float


@dataclass(frozen=True)
class CropHeard:
    """A part of a clip, in seconds, and the out-of-fold probability of a class in it alone."""

    start: float
    end: float
    probability: float


@dataclass(frozen=True, eq=False)
class Audit:
    """One materialization of the label audit.

    Attributes:
        id, run_id: of the materialization.
        doubts: its rows, the most doubted first.
        clips: the rows of the folds by the clip's name.
        predictions: what the doubts are drawn from.
        made_of: the asset's names of predictions and embeddings.
        judged: the data version of the predictions.
    """

    root: StoragePath
    id: str
    run_id: str
    doubts: Sequence[Mapping[str, Any]]
    clips: Mapping[str, Mapping[str, Any]]
    predictions: Predictions
    made_of: tuple[str, str]
    judged: str

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """The clips' rows in the predictions."""
        return {fname: row for row, fname in enumerate(self.predictions.fnames)}

    def probabilities(self, fname: str) -> Mapping[str, float]:
        """Of every class, from the model that did not see the clip, the most probable first."""
        own = self.predictions.probabilities[self.row_of[fname]]
        return {self.predictions.classes[column]: float(own[column]) for column in np.argsort(-own, kind="stable")}

    def top(self, fname: str, class_name: str) -> Mapping[str, float]:
        """The five most probable classes; and the class in question, where it is none of them."""
        everything = self.probabilities(fname)
        return {
            name: value for place, (name, value) in enumerate(everything.items()) if place < _TOP or name == class_name
        }

    def alike(self, fname: str, threshold: float | None) -> tuple[list[Alike], list[Alike]]:
        """The clip's near-duplicates, and the clips nearest to it beside them; the most alike first.

        Args:
            threshold: the similarity from which on two clips are near-duplicates; None for the encoder's.
        """
        row, unit = self.row_of[fname], self._directions
        limit = threshold or find_encoder(self._encoder).card.duplicate_similarity
        similarity = unit @ unit[row]
        similarity[row] = -np.inf
        others, clip = [self.clips[name] for name in self.predictions.fnames], self.clips[fname]
        shared = [{key: clip[key]} for key in ("sha256", "same_recording") if clip.get(key)]
        copies = [any(one.items() <= other.items() for one in shared) for other in others]
        near = (similarity >= limit - 1e-6) | (np.array(copies) & (similarity > -np.inf))
        order = np.argsort(-similarity, kind="stable")[: len(similarity) - 1]
        found = [(near[one], Alike(str(self.predictions.fnames[one]), float(similarity[one]))) for one in order]
        duplicates = [one for is_near, one in found if is_near]
        return duplicates[:_NEIGHBOURS], [one for is_near, one in found if not is_near][:_NEIGHBOURS]

    def crops(self, fname: str, class_name: str) -> list[CropHeard]:
        """What the model makes of each part of a clip by itself; nothing where embedding store or classifier are gone."""
        clip, prefix = self.clips[fname], self.made_of[0].removesuffix("_oof_predictions")
        try:
            fitted = load_classifier(self.root / "classifiers" / f"{prefix}_fold_{clip['fold']}.npz")
        except UserError as error:
            log.warning("%s", error)
            return []
        card = find_encoder(fitted.origin.encoder).card
        n_samples = resampled_length(clip["frames"], clip["sample_rate"], card.sample_rate)
        starts = sorted(
            one.start for one in distinct_crops(n_samples, SCHEMES[fitted.origin.scheme], card.crop_samples)
        )
        digest = content_digest(clip["sha256"], clip.get("decoder"))
        keys = {CropKey(digest, card.sample_rate, start, card.crop_samples): start for start in starts}
        with _LOADING:  # a store is used by one thread at a time
            stored = _store(self.root, fitted.origin.encoder_fingerprint).load(keys)
        if len(stored) < len(keys):
            return []
        column = fitted.classes.index(class_name)
        heard = fitted.model.probabilities(np.stack([stored[key] for key in keys]))[:, column]
        rate = card.sample_rate
        return [
            CropHeard(start / rate, min(start + card.crop_samples, n_samples) / rate, float(one))
            for start, one in zip(keys.values(), heard, strict=True)
        ]

    @cached_property
    def _parts(self) -> list[Any]:
        values = ValueStore(self.root)
        return [values.read(self.made_of[1], str(fold)) for fold in np.unique(self.predictions.fold)]

    @property
    def _encoder(self) -> str:
        return str(self._parts[0].header.details.get("encoder", DEFAULT))

    @cached_property
    def _directions(self) -> np.ndarray:
        """The standardised embeddings, float32 (n, d), rows as in the predictions."""
        names = [fname for part in self._parts for fname in part.table["fname"].to_pylist()]
        if names != list(self.predictions.fnames):
            raise UserError(
                f"{self.made_of[1]} was made again for other clips than {AUDIT}: run `fa-assets run`, and reload."
            )
        return directions(np.concatenate([embedding_matrix(part.table["embedding"]) for part in self._parts]))


def current(root: StoragePath) -> Audit:
    """The audit as it is now.

    Raises:
        UserError: there is none, or what it was made from is gone.
    """
    header = ValueStore(root).header(AUDIT)
    try:
        with _LOADING:
            return _load(root, header.materialization_id if header else None)
    except MissingValueError as error:
        raise UserError(
            f"There is nothing to review yet: `fa-assets run`, or Materialize all in Dagster, makes {AUDIT}. {error}"
        ) from error


def lwlrap_history(root: StoragePath, audit: Audit) -> list[float]:
    """LWLRAP of the model that doubts, and of the one before that, where there is one; nothing while they are being made."""
    metrics = audit.made_of[0].removesuffix("_oof_predictions") + "_metrics"
    found: list[float] = []
    for entry in Ledger(root / "ledger").newest_of(metrics):
        judged = {one.data_version for one in entry.inputs if one.asset == audit.made_of[0]}
        if not found and audit.judged not in judged:
            break
        value = entry.metadata.get("lwlrap")
        if isinstance(value, float):
            found.append(value)
        if len(found) == 2:
            break
    return found


@lru_cache(maxsize=1)
def _store(root: StoragePath, fingerprint: str) -> EmbeddingStore:
    """The embeddings of single crops; what was read of its index is kept."""
    return EmbeddingStore(root, fingerprint)


@lru_cache(maxsize=1)
def _load(root: StoragePath, id: str | None) -> Audit:
    values = ValueStore(root)
    audit = values.read(AUDIT)
    predictions_name = _input(audit.header, "_oof_predictions")
    predictions = values.read(predictions_name)
    folds = values.read("folds")
    return Audit(
        root,
        str(audit.header.materialization_id),
        audit.header.run_id,
        audit.table.to_pylist(),
        {row["fname"]: row for row in folds.table.to_pylist()},
        predictions_of(predictions.table, predictions.header.details["classes"]),
        (predictions_name, _input(predictions.header, "_embeddings")),
        predictions.header.data_version,
    )


def _input(header: ValueHeader, ending: str) -> str:
    return next(one.asset for one in header.inputs if one.asset.endswith(ending))
