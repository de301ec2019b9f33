"""The intake: the clips with their classes, and the folds. Everything that can be wrong with the input is found here, by
name."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.audio.decode import ClipInfo
from fa_assets.audio.landmark_file import save_landmarks
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import BadInputError, UserError
from fa_assets.graph import clip_tables, tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.source import CURATED_RECORDINGS
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.clips import Intake, folders_not_read, inspect_clips, unnamed_clips
from fa_assets.intake.corpora.layout import read_source
from fa_assets.intake.kaggle import (
    KaggleDataset,
    LabelledClips,
    read_classes,
    read_given_folds,
    read_labels,
    table_notes,
)
from fa_assets.intake.names import listed
from fa_assets.metrics.folds import (
    FOLD_SEED,
    MOST_MOVED,
    N_FOLDS,
    continued_folds,
    fold_balance,
    fold_quality,
    grouped_folds,
)
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.reproduction import known_corpus
from fa_assets.metrics.same_recording import SameRecording, first_of_recording, same_recordings
from fa_assets.store.ledger import StoredFile
from fa_assets.store.recipe import Scalar
from fa_assets.store.values import MissingValueError

_CORRECTED = "corrected"
"""The fact with the labels that verdicts changed: a JSON list of clip, class and verdict."""
SHOWN_PAIRS = 100
LANDMARKS = "landmarks/curated_clips.parquet"
"""Below the storage root: those of the clips, which the test clips are compared with."""


def clips_asset(on_bad_clip: Literal["fail", "skip"], window_s: float) -> Asset:
    """`curated_clips`; `window_s` is the length of the encoder's crops, in seconds."""
    return Asset(
        "curated_clips",
        "clips",
        partial(curated_clips, on_bad_clip=on_bad_clip, window_s=window_s),
        tables.CLIPS,
        version="12",
        reads={"recordings": CURATED_RECORDINGS},
        settings={"on_bad_clip": on_bad_clip},
    )


def folds_asset(clips: Asset, folds: Literal["sticky", "fresh"], near_duplicates: Literal["warn", "group"]) -> Asset:
    """`folds`; `clips` is curated_clips."""
    return Asset(
        "folds",
        "clips",
        partial(assign_folds, sticky=folds == "sticky", near_duplicates=near_duplicates == "group"),
        tables.FOLDS,
        version="6",
        reads={"clips": clips},
        settings={"n_folds": N_FOLDS, "seed": FOLD_SEED, "folds": folds, "near_duplicates": near_duplicates},
    )


def curated_clips(
    work: Work, recordings: KaggleDataset, *, on_bad_clip: Literal["fail", "skip"], window_s: float
) -> Made:
    """One row per clip, in the order of the label CSV: its labels, sample rate (Hz), channels, length (frames and
    seconds) and sha256. Every clip is decoded once and its bytes are hashed, so that a bad one is found before anything
    is computed from it; what a bad clip does is a setting (FA_ON_BAD_CLIP). With it go the classes: the columns of
    sample_submission.csv after fname, in order; without that file the sorted set of labels. Their order is that of every label
    and score matrix. Labels follow the verdicts in label_corrections.csv, where there are any. Clips that sound like one
    recording are told by peaks of their spectrograms (docs/evaluation.md). What corpus it is, is taken from SOURCE.txt, or told
    by the clips of FSDKaggle2019."""
    from fa_assets.report.clips import durations, label_counts

    labelled = read_labels(recordings)
    classes = read_classes(recordings, labelled)
    require_enough(recordings, labelled, classes)
    with work.phase("inspect"):
        intake = inspect_clips(
            recordings.clips_folder,
            labelled,
            on_bad_clip=on_bad_clip,
            threads=usable_cpus(),
            limits=recordings.limits,
            progress=work.track("clips"),
            with_landmarks=True,
        )
    fnames = [clip.fname for clip in intake.clips]
    infos = [clip.info for clip in intake.clips]
    with work.phase("near_duplicates"):
        pairs, kept = _by_sound(work, infos)
        recordings_of = first_of_recording(pairs, fnames)
    table = _table_of(intake, recordings_of, read_given_folds(recordings, fnames, N_FOLDS))
    seconds = np.array([info.seconds for info in infos])
    left_out = [[clip.fname, clip.reason] for clip in intake.bad]
    for line in (*labelled.notes, *table_notes(recordings), *_left_out(recordings, labelled, intake)):
        work.log.warning(line)
    labels = table["labels"].to_pylist()
    drawn = work.draw({"durations": partial(durations, seconds), "label_counts": partial(label_counts, labels)})
    details = {"classes": classes, "left_out": left_out}
    return Made(
        table,
        version=work.version_by_content(table, details),
        facts={
            "clips": len(fnames),
            "corpus": read_source(recordings.root) or known_corpus(labelled.fnames, labelled.labels),
            "classes": len(classes),
            "clips_left_out": len(left_out),
            "multi_label_clips": sum(len(clip.labels) > 1 for clip in intake.clips),
            "near_duplicates": sum(one is not None for one in recordings_of),
            **_corrections(labelled),
            **_lengths(seconds, window_s),
        },
        display={
            "left_out": records(["fname", "reason"], left_out),
            "near_duplicate_pairs": _near_duplicates(pairs, fnames),
            **drawn,
            _CORRECTED: records(["fname", "class", "verdict"], labelled.changes),
        },
        details=details,
        files=[kept],
    )


def _by_sound(work: Work, infos: Sequence[ClipInfo]) -> tuple[SameRecording, StoredFile]:
    """The pairs of clips that sound like one recording, and the file of their landmarks, which the test clips need."""
    landmarks, file = [info.landmarks for info in infos if info.landmarks], work.root / LANDMARKS
    digest = save_landmarks(file, [info.sha256 for info in infos], landmarks)
    return same_recordings(landmarks), work.stored(file, digest)


def require_enough(dataset: KaggleDataset, labelled: LabelledClips, classes: Sequence[str]) -> None:
    """Refuse clips that are too few for the folds, or all of one label."""
    if len(labelled.fnames) < N_FOLDS:
        raise UserError(
            f"{dataset.labels_csv} names {len(labelled.fnames)} clips: {N_FOLDS} folds need at least {N_FOLDS}."
        )
    if len(classes) < 2:
        raise UserError(
            f"{dataset.labels_csv} has one label, {classes[0]}, and nothing to tell it from: add clips with another label."
        )


def _table_of(intake: Intake, recordings_of: Sequence[str | None], given: np.ndarray | None) -> pa.Table:
    """A row for each clip, with the first clip of its recording and the fold that it is given."""
    columns: dict[str, Sequence[object]] = {
        "fname": [clip.fname for clip in intake.clips],
        "labels": [list(clip.labels) for clip in intake.clips],
        "group": [clip.group for clip in intake.clips],
        "same_recording": recordings_of,
        "given_fold": [None] * len(intake.clips) if given is None else given.tolist(),
    }
    of_files = {
        name: [getattr(clip.info, name) for clip in intake.clips] for name in {*tables.CLIPS.names} - columns.keys()
    }
    return pa.table(columns | of_files, schema=tables.CLIPS)


def _near_duplicates(pairs: SameRecording, fnames: Sequence[str]) -> dg.MetadataValue | None:
    """The pairs that agree most."""
    shown = zip(pairs.first[:SHOWN_PAIRS], pairs.second[:SHOWN_PAIRS], pairs.peaks[:SHOWN_PAIRS], strict=True)
    rows = [(fnames[one], fnames[other], int(peaks)) for one, other, peaks in shown]
    return records(["clip", "like", "peaks"], rows)


def _corrections(labelled: LabelledClips) -> dict[str, Scalar]:
    """What the verdicts changed, as the ledger has it; nothing without verdicts."""
    if not labelled.corrections:
        return {}
    changes = labelled.changes
    return {"verdicts": len(labelled.corrections), "labels_corrected": len(changes), _CORRECTED: json.dumps(changes)}


def _left_out(dataset: KaggleDataset, labelled: LabelledClips, intake: Intake) -> Iterator[str]:
    """What of the dataset is not used, in words."""
    for one in intake.bad:
        yield f"left out {one.fname!r}: {one.reason}"
    kept = {label for clip in intake.clips for label in clip.labels}
    if lost := sorted({label for own in labelled.labels for label in own} - kept):
        yield f"{len(lost)} classes have no clip left, since all of theirs are left out: {listed(lost)}"
    try:
        unnamed, aside = unnamed_clips(dataset, labelled), folders_not_read(dataset)
    except BadInputError as error:
        yield f"which files have no row in {dataset.labels_csv.name} cannot be told: {error}"
        return
    if unnamed:
        yield (
            f"{len(unnamed)} files in {dataset.clips_folder.name} have no row in {dataset.labels_csv.name} and are not used: "
            f"{listed(unnamed)}"
        )
    if aside:
        yield f"audio in other folders is not read, {', '.join(aside)}: test clips belong into {dataset.test_folder.name}/"


def _lengths(seconds: np.ndarray, window_s: float) -> dict[str, float]:
    return {
        f"clips_over_{window_s:g}_s": int((seconds > window_s).sum()),
        "hours": round(float(seconds.sum()) / 3600, 4),
        "longest_s": round(float(seconds.max()), 3),
        "median_s": round(float(np.median(seconds)), 3),
    }


def assign_folds(work: Work, clips: Stored, *, sticky: bool, near_duplicates: bool) -> Made:
    """The fold each clip is held out in, one row per clip, 0 to 4: 5 multilabel-stratified folds with seed 42, over the
    clips in file order and the classes in their order; or those of train_curated_folds.csv, as they are. At a
    refresh clips keep their folds, by name or by content, and new ones go where their classes are most lacking
    (FA_FOLDS=sticky); or all are stratified again (fresh). Clips of one group (a column of the label CSV) share a fold, and
    so do clips with the same bytes, and with FA_NEAR_DUPLICATES=group those that sound like one recording. Where that would
    move more than a fifth of the clips, all are stratified again."""
    from fa_assets.report.clips import fold_balance_picture

    table = clips.table
    classes = clips.header.details["classes"]
    truth = multi_hot(table["labels"].to_pylist(), classes)
    is_given = table["given_fold"].null_count == 0
    previous = _previous_folds(work, table) if sticky and not is_given else None
    with work.phase("stratify"):
        units = clip_tables.units(table, near_duplicates)
        assigned = np.asarray(table["given_fold"]) if is_given else _assign(truth, units, previous)
    balance = fold_balance(truth, assigned)
    drawn = work.draw({"label_balance": partial(fold_balance_picture, classes, balance)})
    kept = {} if previous is None else _kept(previous, assigned)
    again = kept.get("clips_moved", 0) > MOST_MOVED * (len(assigned) - kept.get("clips_new", 0))
    if again:
        work.log.warning(
            "All clips are stratified again: to keep groups and identical clips whole, more than "
            f"{MOST_MOVED:.0%} of them would have left their folds. Scores before and after are of different folds."
        )
    made = pa.table([assigned, *(table[name] for name in tables.FOLDS.names[1:])], schema=tables.FOLDS)
    return Made(
        made,
        version=work.version_by_content(made, clips.header.details),
        facts={
            "origin": "train_curated_folds.csv"
            if is_given
            else ("multilabel-stratified" if previous is None or again else "continued"),
            **kept,
            **{name: round(value, 5) for name, value in vars(fold_quality(truth, assigned, N_FOLDS)).items()},
            **{f"clips_fold_{fold}": int((assigned == fold).sum()) for fold in range(N_FOLDS)},
        },
        display={
            "positives_by_fold": records(
                ["class", *map(str, range(N_FOLDS))],
                [[name, *map(int, balance[:, column])] for column, name in enumerate(classes)],
            ),
            **drawn,
        },
        details=clips.header.details,
    )


def _previous_folds(work: Work, clips: pa.Table) -> np.ndarray | None:
    """The fold each clip had, (clips,) int64, -1 for a new one; None when there are no earlier folds, or of no clip here.

    A clip is known by its name, or else by its bytes: renamed it keeps its fold, and a copy joins its original.

    Raises:
        UserError: the earlier folds cannot be read.
    """
    try:
        table = work.open(work.asset, by_fold=False).table
    except MissingValueError:
        return None
    except UserError as error:
        raise UserError(
            f"{error} It cannot be continued: copy <storage>/notebook/train_curated_folds.csv into the dataset folder to keep "
            "the folds, or set FA_FOLDS=fresh to have new ones made."
        ) from error
    folds = table["fold"].to_pylist()
    by_name = dict(zip(table["fname"].to_pylist(), folds, strict=True))
    by_bytes = dict(zip(table["sha256"].to_pylist(), folds, strict=True)) if "sha256" in table.column_names else {}
    names, hashes = clips["fname"].to_pylist(), clips["sha256"].to_pylist()
    previous = np.array([by_name.get(n, by_bytes.get(h, -1)) for n, h in zip(names, hashes, strict=True)], np.int64)
    return previous if (previous >= 0).any() else None


def _assign(truth: np.ndarray, units: np.ndarray, previous: np.ndarray | None) -> np.ndarray:
    if previous is not None:
        return continued_folds(truth, previous, n_folds=N_FOLDS, seed=FOLD_SEED, units=units)
    return grouped_folds(truth, units, n_folds=N_FOLDS, seed=FOLD_SEED)


def _kept(previous: np.ndarray, assigned: np.ndarray) -> dict[str, int]:
    return {
        "clips_kept": int((assigned == previous).sum()),
        "clips_moved": int(((assigned != previous) & (previous >= 0)).sum()),
        "clips_new": int((previous < 0).sum()),
    }
