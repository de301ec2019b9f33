"""The files of the original Kaggle notebook, so that a user of it can drop these in."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from re import fullmatch

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import MC5, SCHEMES
from fa_assets.catalog.environment import collect_environment
from fa_assets.encoders.base import Checkpoint, EncoderCard
from fa_assets.encoders.registry import find_encoder
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.features import TrainingClips, stack_by_clip
from fa_assets.graph.model import weights_behind
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.labels import join_labels
from fa_assets.metrics.figures import FOLD, Figures, lwlrap
from fa_assets.metrics.reproduction import RECORDED_CENTER_LWLRAP
from fa_assets.store.atomic import write_file
from fa_assets.store.ledger import Ledger
from fa_assets.store.roots import file_names

STAGE = "c3a_curated"
EMBEDDINGS_FILE = "embeddings_curated_{}.npy"
FILES = tables.files("embeddings.embedding predictions.probability predictions.logit folds.fold folds.labels")
_VERSIONS = ("python", "torch", "librosa", "numpy", "pandas", "scikit-learn", "panns-inference")


def notebook_artifacts_asset(scheme: str, encoder: str, folds: Asset, embeddings: Asset, predictions: Asset) -> Asset:
    """`notebook_artifacts`."""
    return Asset(
        "notebook_artifacts",
        "export",
        partial(write_notebook_files, scheme=scheme, encoder=encoder),
        FILES,
        version="3",
        reads={"folds": folds, "embeddings": embeddings, "predictions": predictions},
        settings={"scheme": scheme},
        kinds=frozenset({"numpy"}),
    )


def write_notebook_files(
    work: Work,
    folds: Stored,
    embeddings: Stored,
    predictions: Stored,
    *,
    scheme: str,
    encoder: str,
) -> Made:
    """The notebook's own files in `<storage>/notebook/`, rows in the order of the label CSV:
    embeddings_curated_mc5.npy, metadata_c3a.json, oof_tta.npy, metrics_c3a_curated.json, train_curated_folds.csv.
    The value lists them with their sizes and hashes. `delta_vs_c2_baseline` is against the recorded 0.8001."""
    clips, card = TrainingClips.of(folds), find_encoder(encoder).card
    checkpoint, found = weights_behind(Ledger(work.root / "ledger"), embeddings), read_predictions(predictions)
    figures = Figures(lwlrap(replace(found, units=None)), found.classes)
    oof = np.empty(found.probabilities.shape, np.float32)
    oof[np.argsort(clips.fold_of, kind="stable")] = found.probabilities
    contents = {
        EMBEDDINGS_FILE.format(scheme): _npy(stack_by_clip(embeddings, clips)),
        "metadata_c3a.json": json.dumps(_metadata(scheme, card, checkpoint), indent=2).encode(),
        "oof_tta.npy": _npy(oof),
        "metrics_c3a_curated.json": json.dumps(_metrics(scheme, checkpoint, figures), indent=2).encode(),
        "train_curated_folds.csv": _folds_csv(folds.table),
    }
    folder = work.root / "notebook"
    for name in file_names(folder):  # of an earlier scheme
        if name not in contents and fullmatch(EMBEDDINGS_FILE.format(r"\w+"), name):
            (folder / name).unlink(missing_ok=True)
    files = [
        work.stored(folder / name, write_file(folder / name, partial(Path.write_bytes, data=content)))
        for name, content in contents.items()
    ]
    return Made(
        pa.Table.from_pylist([asdict(file) for file in files], schema=FILES),
        facts={"folder": str(folder)},
        files=files,
    )


def _metadata(scheme: str, card: EncoderCard, weights: Checkpoint) -> Mapping[str, object]:
    environment = collect_environment()
    return {
        "tta": scheme,
        "sr": card.sample_rate,
        "T_sec": card.crop_seconds,
        "T": card.crop_samples,
        "crops": ["begin", "center", "end", "25%", "75%"] if scheme == MC5.name else SCHEMES[scheme].description,
        "aggregation": "mean",
        "stage": STAGE,
        "versions": {name: environment[name] for name in _VERSIONS},
        "checkpoint": {"path": str(weights.path), "size_bytes": weights.size_bytes, "sha1": weights.sha1},
    }


def _metrics(scheme: str, weights: Checkpoint, figures: Figures) -> Mapping[str, object]:
    lwlrap = figures.overall()
    return {
        "stage": STAGE,
        "oof_lwlrap": lwlrap,
        "per_fold_lwlrap": [one.value for one in figures.of(FOLD).values()],
        "delta_vs_c2_baseline": None if lwlrap is None else lwlrap - RECORDED_CENTER_LWLRAP,
        "tta_scheme": scheme,
        "checkpoint_sha1": weights.sha1,
    }


def _folds_csv(folds: pa.Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fname", "labels", "fold"])
    columns = (folds[name].to_pylist() for name in ("fname", "labels", "fold"))
    writer.writerows((fname, join_labels(labels), fold) for fname, labels, fold in zip(*columns, strict=True))
    return text.getvalue().encode()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
