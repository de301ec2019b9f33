"""The test stage: the clips without (or with held-back) labels, the classifier of all curated clips, and the submission.

Without a `test/` folder these assets hold no rows, and there is a classifier to tag other files with all the same.
"""

import csv
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fa_assets.encoders.registry import find_encoder
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.encoder import classifier_origin, fingerprint_of
from fa_assets.graph.evaluation import read_predictions
from fa_assets.graph.features import FitOptions, TrainingClips, training_set
from fa_assets.graph.source import TEST_RECORDINGS, Source
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, read_submission_clips
from fa_assets.metrics.average_precision import mean_average_precision
from fa_assets.metrics.figures import METRICS, OVERALL
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.gate import WAY_OUT
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.predictions import list_column, matrix, name_column
from fa_assets.models.classifier_file import StoredClassifier, load_classifier, save_classifier
from fa_assets.store.atomic import write_file
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.ledger import StoredFile
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import ValueHeader

FINAL, FOLD_MEAN, OUT_OF_FOLD = "final", "fold_mean", "out_of_fold"
FILES = {FINAL: "submission.csv", FOLD_MEAN: "submission_fold_mean.csv"}
GROUP = "submission"


def test_clips_asset(folds: Asset) -> Asset:
    """`test_clips`; `folds` has the classes."""
    reads: dict[str, Asset | Source] = {"recordings": TEST_RECORDINGS, "folds": folds}
    return Asset("test_clips", GROUP, inspect_test_clips, tables.TEST_CLIPS, version="2", reads=reads)


def final_classifier_asset(scheme: str, encoder: str, fit: FitOptions, folds: Asset, embeddings: Asset) -> Asset:
    """`final_classifier`."""
    return Asset(
        "final_classifier",
        GROUP,
        partial(fit_final_classifier, scheme=scheme, encoder=encoder, fit=fit),
        tables.CLASSIFIER,
        version="3",
        reads={"folds": folds, "embeddings": embeddings},
        settings={"scheme": scheme, **fit.settings},
        kinds=frozenset({fit.kind, "numpy"}),
    )


def submission_asset(
    scheme: str, encoder: str, classifier: Asset, embeddings: Asset, predictions: Asset, comparison: Asset
) -> Asset:
    """`submission`; `embeddings` are those of the test clips."""
    return Asset(
        "submission",
        GROUP,
        partial(submit, scheme=scheme, encoder=encoder),
        tables.SUBMISSION,
        version="2",
        reads={
            "classifier": classifier,
            "embeddings": embeddings,
            "predictions": predictions,
            "comparison": comparison,
        },
        settings={"scheme": scheme},
        kinds=frozenset({"csv"}),
    )


def test_metrics_asset(submission: Asset, clips: Asset) -> Asset:
    """`test_metrics`; `clips` are the test clips."""
    reads = {"submission": submission, "clips": clips}
    return Asset("test_metrics", GROUP, score_submission, tables.TEST_METRICS, version="2", reads=reads)


def inspect_test_clips(work: Work, recordings: KaggleDataset, folds: Stored) -> Made:
    """One row per clip of the test set: the rows of sample_submission.csv, in order; where it has none, what lies in
    test/. With labels and usage (Public, Private) where test.csv has them. Every clip needs a row in a submission, so
    none is left out: one that cannot be read is an error."""
    test = read_submission_clips(recordings, folds.header.details["classes"])
    infos = []
    if test.fnames:
        with work.phase("inspect"):
            intake = inspect_clips(
                recordings.test_folder,
                LabelledClips(test.fnames, tuple(labels or () for labels in test.labels)),
                threads=usable_cpus(),
                limits=recordings.limits,
                progress=work.track("clips"),
                way_out="Each needs a row in the submission: fix them.",
            )
        infos = [clip.info for clip in intake.clips]
    else:
        work.log.info(f"{recordings.test_folder} is not there: there is nothing to submit")
    columns: dict[str, list[object]] = {
        "fname": list(test.fnames),
        "labels": [None if labels is None else list(labels) for labels in test.labels],
        "usage": list(test.usage),
    }
    table = pa.table(
        [columns.get(name, [getattr(info, name, None) for info in infos]) for name in tables.TEST_CLIPS.names],
        schema=tables.TEST_CLIPS,
    )
    return Made(
        table,
        version=work.version_by_content(table, {}),
        facts={
            "clips": len(infos),
            "clips_with_labels": sum(labels is not None for labels in test.labels),
            "hours": round(sum(info.seconds for info in infos) / 3600, 4),
        },
    )


def fit_final_classifier(
    work: Work, folds: Stored, embeddings: Stored, *, scheme: str, encoder: str, fit: FitOptions
) -> Made:
    """The classifier that is used: fitted on the embeddings of all curated clips, with the settings of the out-of-fold
    models. The value has a row per class; the model itself, with its scaler, is `<storage>/classifiers/final.npz`
    (plain arrays), which `fa-assets predict` reads."""
    clips = TrainingClips.of(folds)
    fingerprint = fingerprint_of(embeddings, encoder)
    dimension = find_encoder(encoder).card.dimension
    with training_set(work, embeddings, clips, dimension, fit) as features, work.phase("fit"):
        model = features.fit(None, fit, work.track("classes"))
    origin = classifier_origin(work, None, scheme, encoder, fingerprint)
    file = work.root / "classifiers" / "final.npz"
    digest = save_classifier(file, StoredClassifier(model, clips.classes, origin))
    table = pa.table(
        [
            clips.classes,
            model.positives,
            model.iterations,
            model.converged,
            model.trained,
            model.intercept.astype(np.float64),
            np.linalg.norm(model.coef.astype(np.float64), axis=1),
        ],
        schema=tables.CLASSIFIER,
    )
    return Made(
        table,
        facts={
            "clips": len(clips.fnames),
            "classes_not_converged": int((model.trained & ~model.converged).sum()),
            "classes_untrained": int((~model.trained).sum()),
            "fit": features.way,
            "encoder_fingerprint": origin.encoder_fingerprint,
        },
        details={"classes": clips.classes},
        files=[work.stored(file, digest)],
    )


def submit(
    work: Work,
    classifier: Stored,
    embeddings: Stored,
    predictions: Stored,
    comparison: Stored,
    *,
    scheme: str,
    encoder: str,
) -> Made:
    """The probabilities of the test clips, in the columns and rows of sample_submission.csv, in
    `<storage>/submission/`: submission.csv by the final classifier, submission_fold_mean.csv as the mean of the five fold
    models. Refused when the out-of-fold figure is below the gate (FA_MIN_LWLRAP; check submission_gate of comparison)."""
    gate = comparison.header.details
    folder = work.root / "submission"
    for name in FILES.values():  # so that none of an earlier run stays where this one makes none
        (folder / name).unlink(missing_ok=True)
    if not gate["gate_passed"]:
        raise UserError(f"No submission is made: {gate['gate']}. {WAY_OUT}")
    table = embeddings.table
    fnames, classes = table["fname"].to_pylist(), tuple(classifier.header.details["classes"])
    features = embedding_matrix(table["embedding"]) if fnames else None
    fingerprint = fingerprint_of(embeddings, encoder)
    with work.phase("predict"):
        of_model = partial(_probabilities, work.root / "classifiers", features, classes, fingerprint)
        by_fold = [of_model(f"{scheme}_fold_{fold}.npz", predictions.header) for fold in range(N_FOLDS)]
        by_model = {FINAL: of_model("final.npz", classifier.header), FOLD_MEAN: np.mean(by_fold, axis=0)}
    files: list[StoredFile] = []
    for name, values in by_model.items() if fnames else ():
        write = partial(write_submission, fnames=fnames, classes=classes, probabilities=values)
        files.append(work.stored(folder / FILES[name], write_file(folder / FILES[name], write)))
    judged = read_predictions(predictions)
    figures = (row for metric in METRICS.values() for row in metric(judged))
    return Made(
        pa.concat_tables(
            pa.table(
                [
                    pa.repeat(name, len(fnames)),
                    pa.array(fnames, pa.string()),
                    name_column(classes, len(fnames)),
                    list_column(values),
                ],
                schema=tables.SUBMISSION,
            )
            for name, values in by_model.items()
        ),
        facts={"clips": len(fnames), "classes": len(classes), "gate": gate["gate"]},
        details={
            "classes": classes,
            "curated_clips": len(judged.fnames),
            "out_of_fold": {one.metric: one.value for one in figures if one.scope == OVERALL},
        },
        files=files,
    )


def score_submission(work: Work, submission: Stored, clips: Stored) -> Made:
    """LWLRAP and mAP of the submission on the test clips whose labels are known (test.csv): all, and each usage (Public,
    Private); beside the out-of-fold figures of the curated clips. No rows where no label is known."""
    details = submission.header.details
    classes = details["classes"]
    table, submitted = clips.table, submission.table
    labels = table["labels"].to_pylist()
    usage = np.array(table["usage"].to_pylist(), dtype=object)
    known = np.array([own is not None for own in labels], dtype=bool)
    truth = multi_hot([own or () for own in labels], classes)
    scopes = {"all": known, **{name: known & (usage == name) for name in sorted({*usage} - {""})}}
    rows: list[tuple[str, str, str, int, float]] = []
    with work.phase("score"):
        for model in FILES if truth.any() else ():
            own = submitted.filter(pc.equal(submitted["model"], model))
            scores = matrix(own["probability"], len(classes))
            for scope, chosen in scopes.items():
                rows += _scored(model, scope, truth[chosen], scores[chosen])
    if rows:
        rows += [
            (OUT_OF_FOLD, metric, "curated", details["curated_clips"], value)
            for metric, value in details["out_of_fold"].items()
        ]
    found = {(model, metric, scope): value for model, metric, scope, _, value in rows}
    final, out_of_fold = found.get((FINAL, "lwlrap", "all")), found.get((OUT_OF_FOLD, "lwlrap", "curated"))
    return Made(
        pa.table([list(column) for column in zip(*rows, strict=True)] or [[]] * 5, schema=tables.TEST_METRICS),
        facts={
            "clips_with_labels": int(known.sum()),
            **{f"{metric}_{scope}": value for (model, metric, scope), value in found.items() if model == FINAL},
            "lwlrap_out_of_fold": out_of_fold,
            "test_minus_out_of_fold": None if final is None or out_of_fold is None else final - out_of_fold,
        },
        display={"figures": records(tables.TEST_METRICS.names, rows)} if rows else {},
    )


def _scored(
    model: str, scope: str, truth: np.ndarray, scores: np.ndarray
) -> Iterable[tuple[str, str, str, int, float]]:
    if truth.any():
        yield model, "lwlrap", scope, len(truth), lwlrap_sums(truth, scores).overall
        yield model, "map", scope, len(truth), mean_average_precision(truth, scores)


def _probabilities(
    folder: StoragePath,
    features: np.ndarray | None,
    classes: tuple[str, ...],
    fingerprint: str,
    name: str,
    header: ValueHeader,
) -> np.ndarray:
    """What a stored classifier says of the test clips, float64 (clips, classes).

    Raises:
        UserError: it is not that of the value as it is now, or of the encoder that made the test clips' embeddings.
    """
    stored = load_classifier(folder / name)
    own = (stored.origin.data_version, stored.classes, stored.origin.encoder_fingerprint)
    if own != (header.data_version, classes, fingerprint):
        raise UserError(f"{folder / name} is not that of {header.asset} as it is now: materialize that again.")
    return np.empty((0, len(classes))) if features is None else stored.model.probabilities(features)


def write_submission(path: Path, fnames: Sequence[str], classes: Sequence[str], probabilities: np.ndarray) -> None:
    """Write a submission: fname and a column per class, a row per clip, every number read back as it was.

    Args:
        probabilities: float64 (clips, classes).

    Raises:
        UserError: values that are no probabilities, or a clip twice.
    """
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and (probabilities <= 1).all()):
        bad = [fname for fname, row in zip(fnames, probabilities, strict=True) if not np.isfinite(row).all()]
        raise UserError(f"Some values are no probabilities: {', '.join(bad[:20])}. Materialize final_classifier again.")
    if len(set(fnames)) < len(fnames):
        raise UserError("A test clip is there twice: materialize test_clips again.")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("fname", *classes))
        writer.writerows((fname, *map(repr, map(float, row))) for fname, row in zip(fnames, probabilities, strict=True))
