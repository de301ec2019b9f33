"""The test stage: the clips without (or with held-back) labels, and the submission.

Without a `test/` folder these assets hold no rows.
"""

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fa_assets.audio.decode import ClipInfo
from fa_assets.audio.landmark_file import load_landmarks
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.clips import LANDMARKS, SHOWN_PAIRS
from fa_assets.graph.display import records
from fa_assets.graph.engine import EngineOptions
from fa_assets.graph.evaluation import averages, out_of_fold_figures, read_predictions
from fa_assets.graph.source import TEST_RECORDINGS, Source
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips
from fa_assets.intake.test_set import read_submission_clips
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.gate import WAY_OUT
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.predictions import Predictions, matrix, name_column
from fa_assets.metrics.same_recording import first_of_recording, same_recordings
from fa_assets.metrics.thresholds import decide
from fa_assets.metrics.units import in_order_of_appearance, independent_units
from fa_assets.models.blend import Blend
from fa_assets.models.classifier_file import FinalClassifier, load_classifier, load_final
from fa_assets.store.atomic import write_file
from fa_assets.store.embedding_store import embedding_matrix, list_column
from fa_assets.store.ledger import StoredFile
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import ValueHeader

FINAL, FOLD_MEAN, CALIBRATED, OUT_OF_FOLD = "final", "fold_mean", "calibrated", "out_of_fold"
_SHOWN = ("lwlrap", "map")
"""Of test_metrics, beside the table."""
_NO_LABELS = "The labels of no test clip are known: see test.csv in docs/data.md."
FILES = {
    FINAL: "submission.csv",
    FOLD_MEAN: "submission_fold_mean.csv",
    CALIBRATED: "submission_calibrated.csv",
}
GROUP = "submission"


def test_clips_asset(curated: Asset) -> Asset:
    """`test_clips`; `curated` is curated_clips."""
    reads: dict[str, Asset | Source] = {"recordings": TEST_RECORDINGS, "curated": curated}
    return Asset("test_clips", GROUP, inspect_test_clips, tables.TEST_CLIPS, version="11", reads=reads)


def submission_asset(
    scheme: str,
    engines: Sequence[EngineOptions],
    classifier: Asset,
    embeddings: Sequence[Asset],
    predictions: Sequence[Asset],
    gate: Asset,
) -> Asset:
    """`submission`, by one encoder, or by the blend of several.

    Args:
        engines, embeddings, predictions: of each encoder, the main one first; the embeddings of the test clips.
        gate: says whether one may be made: `comparison` or `blend`.
    """
    others = {one.name: one for one in (*embeddings[1:], *predictions[1:])}
    return Asset(
        "submission",
        GROUP,
        partial(submit, scheme=scheme, engines=engines),
        tables.SUBMISSION,
        version="4",
        reads={
            "classifier": classifier,
            "embeddings": embeddings[0],
            "predictions": predictions[0],
            "gate": gate,
            **others,
        },
        settings={"scheme": scheme},
        kinds=frozenset({"csv"}),
    )


def test_metrics_asset(submission: Asset, clips: Asset) -> Asset:
    """`test_metrics`; `clips` are the test clips."""
    reads = {"submission": submission, "clips": clips}
    return Asset("test_metrics", GROUP, score_submission, tables.TEST_METRICS, version="10", reads=reads)


def inspect_test_clips(work: Work, recordings: KaggleDataset, curated: Stored) -> Made:
    """One row per clip of the test set: the rows of sample_submission.csv, in order; where it has none, what lies in
    test/. With labels and usage (Public, Private) where test.csv has them. Every clip needs a row in a submission, so
    none is left out: one that cannot be read is an error. Those with the bytes of a curated clip, or that sound like one
    recording with it, are named; copies and near-duplicates among themselves share a unit."""
    test = read_submission_clips(recordings, curated.header.details["classes"])
    for note in test.notes:
        work.log.warning(note)
    infos = []
    if test.fnames:
        with work.phase("inspect"):
            intake = inspect_clips(
                recordings.test_folder,
                LabelledClips(test.fnames, tuple(labels or () for labels in test.labels)),
                threads=usable_cpus(),
                limits=recordings.limits,
                progress=work.track("clips"),
                may_be_silent=True,
                with_landmarks=True,
                way_out="Each needs a row in the submission: fix them, or take them out of sample_submission.csv or test/.",
            )
        infos = [clip.info for clip in intake.clips]
    sha256, fnames = (curated.table[name].to_pylist() for name in ("sha256", "fname"))
    by_bytes = dict(zip(sha256[::-1], fnames[::-1], strict=True))  # the first one
    alike, units = _like_others(work, curated.table, infos)
    columns: dict[str, Sequence[object]] = {
        "fname": list(test.fnames),
        "labels": [None if labels is None else list(labels) for labels in test.labels],
        "usage": list(test.usage),
        "same_as": [by_bytes.get(info.sha256) for info in infos],
        "same_recording": alike or [None] * len(infos),
        "unit": units,
    }
    table = pa.table(
        [columns.get(name, [getattr(info, name, None) for info in infos]) for name in tables.TEST_CLIPS.names],
        schema=tables.TEST_CLIPS,
    )
    details = {"compared_by_sound": alike is not None}
    named = [row for row in zip(test.fnames, columns["same_recording"], strict=True) if row[1]]
    return Made(
        table,
        version=work.version_by_content(table, details),
        facts={
            "clips": len(infos),
            "clips_with_labels": sum(labels is not None for labels in test.labels),
            "clips_among_curated": sum(one is not None for one in columns["same_as"]),
            "clips_like_curated": None if alike is None else len(named),
            "hours": round(sum(info.seconds for info in infos) / 3600, 4),
        },
        display={"like_curated_clips": records(["clip", "like"], named[:SHOWN_PAIRS]) if named else None},
        details=details,
    )


def _like_others(work: Work, curated: pa.Table, infos: list[ClipInfo]) -> tuple[list[str | None] | None, list[int]]:
    """The columns same_recording and unit of the test clips; without the landmarks of the curated clips, only the latter."""
    sha256, fnames, recording = (curated[name].to_pylist() for name in ("sha256", "fname", "same_recording"))
    own = [info.sha256 for info in infos]
    with work.phase("near_duplicates"):
        kept = load_landmarks(work.root / LANDMARKS, sha256) if infos else None
        known, names = ([*kept], fnames) if kept is not None else ([], [])
        pairs = same_recordings([*known, *(info.landmarks for info in infos if info.landmarks)], known=len(known))
        first = first_of_recording(pairs, [*names, *own], recording[: len(names)])[len(names) :]
    units: list[int] = independent_units(own, first).tolist()
    named = {*names}
    return None if kept is None else [one if one in named else None for one in first], units


def submit(
    work: Work,
    classifier: Stored,
    embeddings: Stored,
    predictions: Stored,
    gate: Stored,
    *,
    scheme: str,
    engines: Sequence[EngineOptions],
    **others: Stored,
) -> Made:
    """The probabilities of the test clips, in the columns and rows of sample_submission.csv, in
    `<storage>/submission/`: submission.csv by the final classifier, submission_fold_mean.csv as the mean of the five fold
    models; with FA_CALIBRATION=platt submission_calibrated.csv, for metrics that take probabilities at their word. Refused
    when the out-of-fold figure is below the gate (FA_MIN_LWLRAP; check submission_gate of comparison, or of blend where the
    final classifier is one)."""
    found = gate.header.details
    folder = work.root / "submission"
    for name in FILES.values():  # so that none of an earlier run stays where this one makes none
        (folder / name).unlink(missing_ok=True)
    if not found["gate_passed"] and embeddings.table.num_rows:
        raise UserError(f"No submission is made: {found['gate']}. {WAY_OUT}")
    every, classes = list(others.values()), tuple(classifier.header.details["classes"])
    of_test, of_folds = (embeddings, *every[: len(engines) - 1]), (predictions, *every[len(engines) - 1 :])
    fnames = embeddings.table["fname"].to_pylist()
    features = [embedding_matrix(one.table["embedding"]) for one in of_test]
    fingerprints = [one.encoder_fingerprint for one in of_test]
    with work.phase("predict"):
        models, headers = work.root / "classifiers", [one.header for one in of_folds]
        final = load_final(models)
        of_model = partial(_probabilities, classes=classes, fingerprints=fingerprints, features=features)
        by_fold = [
            of_model(_of_fold(models, f"{scheme}_fold_{fold}.npz", engines, final.blend), headers)
            for fold in range(N_FOLDS)
        ]
        by_model = {FINAL: of_model(final, [classifier.header] * len(engines)), FOLD_MEAN: np.mean(by_fold, axis=0)}
        if final.calibration is not None:
            by_model[CALIBRATED] = final.calibration.apply(by_model[FINAL])
    files: list[StoredFile] = []
    for name, values in by_model.items() if fnames else ():
        write = partial(write_submission, fnames=fnames, classes=classes, probabilities=values)
        files.append(work.stored(folder / FILES[name], write_file(folder / FILES[name], write)))
    judged = read_predictions(predictions)
    names, listed = pa.array(fnames, pa.string()), name_column(classes, len(fnames))
    parts = ([pa.repeat(name, len(fnames)), names, listed, list_column(values)] for name, values in by_model.items())
    return Made(
        pa.concat_tables(pa.table(part, schema=tables.SUBMISSION) for part in parts),
        facts={"clips": len(fnames), "classes": len(classes), "gate": found["gate"]},
        details={
            "classes": classes,
            "curated_clips": len(judged.fnames),
            "out_of_fold": found.get("out_of_fold") or out_of_fold_figures(judged),
            "thresholds": classifier.table["threshold"].to_pylist(),
            "thresholds_of": CALIBRATED if final.calibration else FINAL,
        },
        files=files,
    )


def score_submission(work: Work, submission: Stored, clips: Stored) -> Made:
    """The averages of all metrics of the submission on the test clips whose labels are known (test.csv), with 95% intervals
    over clips (copies and near-duplicates as one): all, each usage (Public, Private), and, where some are curated clips or
    sound like one recording with them, those that are new; beside the out-of-fold figures of the curated clips. No rows where
    no label is known."""
    details = submission.header.details
    classes = details["classes"]
    table, submitted = clips.table, submission.table
    labels, scopes = table["labels"].to_pylist(), scopes_of(table)
    truth = multi_hot([own or () for own in labels], classes)
    fnames, units = np.array(table["fname"].to_pylist(), object), np.asarray(table["unit"])
    thresholds = np.array(details["thresholds"], np.float64)
    rows: list[tuple[str, str, str, int, float | None, float | None, float | None, int | None]] = []
    with work.phase("score"):
        for model in pc.unique(submitted["model"]).to_pylist() if truth.any() else ():
            own = submitted.filter(pc.equal(submitted["model"], model))
            scores = matrix(own["probability"], len(classes))
            decided = decide(scores, thresholds) if model == details["thresholds_of"] else None
            for scope, chosen in scopes.items():
                judged = Predictions(
                    fnames[chosen],
                    np.zeros(chosen.sum(), np.int64),
                    classes,
                    truth[chosen],
                    scores[chosen],
                    scores[chosen],
                    in_order_of_appearance(units[chosen]),
                    None if decided is None else decided[chosen],
                )
                if judged.truth.any():
                    rows += [
                        (model, name, scope, len(judged.fnames), one.value, one.low, one.high, one.units)
                        for name, one in averages(judged)
                    ]
    if rows:
        rows += [
            (OUT_OF_FOLD, metric, "curated", details["curated_clips"], value, None, None, None)
            for metric, value in details["out_of_fold"].items()
        ]
    found = {(model, metric, scope): value for model, metric, scope, _, value, *_ in rows}
    final, out_of_fold = found.get((FINAL, "lwlrap", "all")), found.get((OUT_OF_FOLD, "lwlrap", "curated"))
    return Made(
        pa.Table.from_pylist(
            [dict(zip(tables.TEST_METRICS.names, row, strict=True)) for row in rows], schema=tables.TEST_METRICS
        ),
        facts={
            "clips_with_labels": int(scopes["all"].sum()),
            **{
                f"{metric}_{scope}": value
                for (model, metric, scope), value in found.items()
                if model == FINAL and metric in _SHOWN
            },
            "lwlrap_out_of_fold": out_of_fold,
            "test_minus_out_of_fold": None if final is None or out_of_fold is None else final - out_of_fold,
        },
        display={
            "figures": records(tables.TEST_METRICS.names, rows),
            "nothing_to_do": None if rows else dg.MetadataValue.text(_NO_LABELS),
        },
    )


def scopes_of(clips: pa.Table) -> dict[str, np.ndarray]:
    """Which test clips are scored together, bool (n,): those with labels, and parts of these."""
    known = clips["labels"].is_valid().to_numpy()
    seen_by = {"same_as", "same_recording"} & {*clips.column_names}  # an older version did not compare them by sound
    seen = np.any([clips[name].is_valid().to_numpy() for name in seen_by], axis=0)
    usage = np.array(clips["usage"].to_pylist(), dtype=object)
    scopes = {"all": known, **{name: known & (usage == name) for name in sorted({*usage} - {""})}}
    return scopes | ({"new": known & ~seen} if (known & seen).any() else {})


def _of_fold(folder: StoragePath, name: str, engines: Sequence[EngineOptions], blend: Blend | None) -> FinalClassifier:
    """The classifiers of a fold, blended as the final ones."""
    return FinalClassifier(tuple(load_classifier(folder / f"{one.prefix}{name}") for one in engines), blend)


def _probabilities(
    model: FinalClassifier,
    headers: Sequence[ValueHeader],
    *,
    classes: tuple[str, ...],
    fingerprints: Sequence[str],
    features: Sequence[np.ndarray],
) -> np.ndarray:
    """What a stored classifier says of the test clips, float64 (clips, classes).

    Raises:
        UserError: it is not that of the values as they are now, or of the encoders that made the test clips' embeddings.
    """
    expected = [(one.data_version, classes, made_by) for one, made_by in zip(headers, fingerprints, strict=True)]
    found = [(one.origin.data_version, one.classes, one.origin.encoder_fingerprint) for one in model.members]
    if found != expected:
        names = ", ".join(dict.fromkeys(one.asset for one in headers))
        raise UserError(f"The classifiers of {names} are not those of its value as it is now: materialize that again.")
    return model.probabilities(features) if len(features[0]) else np.empty((0, len(classes)))


def write_submission(path: Path, fnames: Sequence[str], classes: Sequence[str], probabilities: np.ndarray) -> None:
    """Write a submission: fname and a column per class, a row per clip, every number read back as it was.

    Args:
        probabilities: float64 (clips, classes).

    Raises:
        UserError: values that are not probabilities, or a clip twice.
    """
    bad = [fname for fname, row in zip(fnames, probabilities, strict=True) if not ((row >= 0) & (row <= 1)).all()]
    if bad:  # a NaN is neither
        raise UserError(
            f"Some values are not probabilities: {', '.join(bad[:20])}. Materialize final_classifier again."
        )
    if len(set(fnames)) < len(fnames):
        raise UserError("A test clip is there twice: materialize test_clips again.")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("fname", *classes))
        writer.writerows((fname, *map(repr, map(float, row))) for fname, row in zip(fnames, probabilities, strict=True))
