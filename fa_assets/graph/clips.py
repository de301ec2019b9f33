"""The intake: classes, clips and folds. Everything that can be wrong with the input is found here, by name."""

from functools import partial

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.display import pictures, records
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Materialization, Recorder
from fa_assets.graph.source import curated_recordings
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, read_classes, read_given_folds, read_labels
from fa_assets.intake.recordings import scan_recordings
from fa_assets.metrics.folds import FOLD_SEED, N_FOLDS
from fa_assets.settings import Settings
from fa_assets.store.recipe import Recipe
from fa_assets.store.values import MissingValueError


def clip_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """`class_vocabulary`, `curated_clips` and `folds`."""
    vocabulary_recipe = Recipe("1")
    clips_recipe = Recipe("2", {"on_bad_clip": settings.on_bad_clip})
    folds_recipe = Recipe("2", {"n_folds": N_FOLDS, "seed": FOLD_SEED, "folds": settings.folds})

    @dg.asset(group_name="clips", deps=[curated_recordings], code_version=str(vocabulary_recipe), kinds={"parquet"})
    def class_vocabulary(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
    ) -> dg.MaterializeResult:
        """The class names, one row each: the columns of sample_submission.csv after fname, in order; without that file the
        sorted set of labels. Their order is the column order of every label and score matrix."""
        with recorder.materialization(context, vocabulary_recipe) as work:
            source = _observed(work, recorder, dataset)
            classes = read_classes(source, read_labels(source))
            table = pa.table([pa.array(range(len(classes)), pa.int32()), list(classes)], schema=tables.VOCABULARY)
            work.write(table, data_version=work.version_from_content(table), facts={"classes": len(classes)})
        return work.result(tables.column_schema(tables.VOCABULARY), tables.column_lineage(tables.VOCABULARY))

    @dg.asset(
        group_name="clips",
        deps=[curated_recordings, class_vocabulary],
        code_version=str(clips_recipe),
        kinds={"parquet"},
    )
    def curated_clips(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        """One row per clip, in the order of the label CSV: its labels, sample rate (Hz), channels, length (frames and
        seconds) and sha256. Every clip is decoded once and its bytes are hashed, so that a bad one is found before anything
        is computed from it; what a bad clip does is a setting (FA_ON_BAD_CLIP)."""
        from fa_assets.report.clips import durations, label_counts

        with recorder.materialization(context, clips_recipe) as work:
            source = _observed(work, recorder, dataset)
            work.read("class_vocabulary")
            labelled = read_labels(source)
            read_classes(source, labelled)
            if len(labelled.fnames) < N_FOLDS:
                raise UserError(
                    f"{source.labels_csv} names {len(labelled.fnames)} clips: {N_FOLDS} folds need at least {N_FOLDS}."
                )
            with work.phase("inspect"):
                intake = inspect_clips(
                    source.clips_folder,
                    labelled,
                    on_bad_clip=settings.on_bad_clip,
                    threads=usable_cpus(),
                    progress=progress.track(context.log, "curated_clips", "clips"),
                )
            infos = [clip.info for clip in intake.clips]
            table = pa.table(
                [
                    [clip.fname for clip in intake.clips],
                    [list(clip.labels) for clip in intake.clips],
                    [info.sample_rate for info in infos],
                    [info.channels for info in infos],
                    [info.frames for info in infos],
                    [info.seconds for info in infos],
                    [info.sha256 for info in infos],
                    [clip.group for clip in intake.clips],
                    [info.peak for info in infos],
                    [info.rms for info in infos],
                    [info.clipped_share for info in infos],
                ],
                schema=tables.CLIPS,
            )
            seconds = np.array([info.seconds for info in infos])
            left_out = [(clip.fname, clip.reason) for clip in intake.bad]
            for fname, reason in left_out:
                context.log.warning(f"left out {fname}: {reason}")
            work.write(
                table,
                data_version=work.version_from_content(table),
                facts={
                    "clips": len(intake.clips),
                    "clips_left_out": len(intake.bad),
                    "clips_over_10_s": int((seconds > 10).sum()),
                    "multi_label_clips": sum(len(clip.labels) > 1 for clip in intake.clips),
                    "hours": round(float(seconds.sum()) / 3600, 4),
                    "longest_s": round(float(seconds.max()), 3),
                    "median_s": round(float(np.median(seconds)), 3),
                },
                display={
                    **({"left_out": records(["fname", "reason"], left_out)} if left_out else {}),
                    **pictures(
                        recorder.pictures,
                        context.log,
                        {
                            "durations": partial(durations, seconds),
                            "label_counts": partial(label_counts, table["labels"].to_pylist()),
                        },
                    ),
                },
                details={"left_out": left_out},
            )
        return work.result(tables.column_schema(tables.CLIPS), tables.column_lineage(tables.CLIPS))

    @dg.asset(
        group_name="clips",
        deps=[curated_recordings, class_vocabulary, curated_clips],
        code_version=str(folds_recipe),
        kinds={"parquet"},
    )
    def folds(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
    ) -> dg.MaterializeResult:
        """The fold each clip is held out in, one row per clip, 0 to 4: 5 multilabel-stratified folds with seed 42, over the
        clips in file order and the classes in vocabulary order; or those of train_curated_folds.csv, as they are. At a
        refresh clips keep their folds, by name or by content, and new ones go where their classes lack (FA_FOLDS=sticky); or
        all are stratified anew (fresh). Clips of one group (a column of the label CSV) share a fold."""
        from fa_assets.metrics.folds import fold_balance, fold_quality
        from fa_assets.metrics.labels import multi_hot
        from fa_assets.report.clips import fold_balance_picture

        with recorder.materialization(context, folds_recipe) as work:
            source = _observed(work, recorder, dataset)
            classes = work.read("class_vocabulary").table["class_name"].to_pylist()
            clips = work.read("curated_clips").table
            fnames = clips["fname"].to_pylist()
            truth = multi_hot(clips["labels"].to_pylist(), classes)
            given = read_given_folds(source, fnames, N_FOLDS)
            previous = _previous_folds(work, clips) if given is None and settings.folds == "sticky" else None
            with work.phase("stratify"):
                assigned = _assign(truth, clips, previous) if given is None else given
            table = pa.table([fnames, pa.array(assigned, pa.int8()), clips["sha256"]], schema=tables.FOLDS)
            balance = fold_balance(truth, assigned)
            quality = fold_quality(truth, assigned, N_FOLDS)
            work.write(
                table,
                data_version=work.version_from_content(table),
                facts={
                    "origin": source.folds_csv.name
                    if given is not None
                    else ("multilabel-stratified" if previous is None else "continued"),
                    "clips_kept": None if previous is None else int((assigned == previous).sum()),
                    "clips_moved": None if previous is None else int(((assigned != previous) & (previous >= 0)).sum()),
                    "clips_new": None if previous is None else int((previous < 0).sum()),
                    **{name: round(value, 5) for name, value in vars(quality).items()},
                    **{f"clips_fold_{fold}": int((assigned == fold).sum()) for fold in range(N_FOLDS)},
                },
                display={
                    "positives_per_class_and_fold": records(
                        ["class", *(f"fold {fold}" for fold in range(N_FOLDS))],
                        [[name, *map(int, balance[:, column])] for column, name in enumerate(classes)],
                    ),
                    **pictures(
                        recorder.pictures,
                        context.log,
                        {"label_balance": partial(fold_balance_picture, classes, balance)},
                    ),
                },
            )
        return work.result(tables.column_schema(tables.FOLDS), tables.column_lineage(tables.FOLDS))

    return [class_vocabulary, curated_clips, folds]


def _previous_folds(work: Materialization, clips: pa.Table) -> np.ndarray | None:
    """The fold each clip had, (clips,) int64, -1 for a new one; None when there are no earlier folds, or of no clip here.

    A clip is known by its name, or else by its bytes: renamed it keeps its fold, and a copy goes where its twin is.

    Raises:
        UserError: the earlier folds cannot be read.
    """
    try:
        table = work.read("folds").table
    except MissingValueError:
        return None
    except UserError as error:
        raise UserError(
            f"{error} It cannot be continued: copy <storage>/notebook/train_curated_folds.csv into the dataset folder to keep "
            "the folds, or set FA_FOLDS=fresh to make them anew."
        ) from error
    folds = table["fold"].to_pylist()
    by_name = dict(zip(table["fname"].to_pylist(), folds, strict=True))
    by_bytes = dict(zip(table["sha256"].to_pylist(), folds, strict=True)) if "sha256" in table.column_names else {}
    names, hashes = clips["fname"].to_pylist(), clips["sha256"].to_pylist()
    previous = np.array([by_name.get(n, by_bytes.get(h, -1)) for n, h in zip(names, hashes, strict=True)], np.int64)
    return previous if (previous >= 0).any() else None


def _assign(truth: np.ndarray, clips: pa.Table, previous: np.ndarray | None) -> np.ndarray:
    from fa_assets.metrics.folds import continued_folds, grouped_folds, stratified_folds

    groups = [name or "" for name in clips["group"].to_pylist()] if clips["group"].null_count < len(clips) else None
    if previous is not None:
        return continued_folds(truth, previous, n_folds=N_FOLDS, groups=groups)
    if groups is not None:
        return grouped_folds(truth, groups, n_folds=N_FOLDS, seed=FOLD_SEED)
    return stratified_folds(truth, n_folds=N_FOLDS, seed=FOLD_SEED)


def _observed(work: Materialization, recorder: Recorder, dataset: DatasetFolder) -> KaggleDataset:
    """The dataset, with its state recorded as an input before it is read."""
    source = dataset.open()
    with work.phase("observe"):
        state = scan_recordings(source, recorder.recordings_memory)
    work.note_input(curated_recordings.key.to_user_string(), state.curated.data_version)
    return source
