"""The test stage: the clips without (or with held-back) labels, the classifier of all curated clips, and the submission.

Without a `test/` folder these assets hold no rows, and there is a classifier to tag other files with all the same.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fa_assets.audio.crops import SCHEMES
from fa_assets.catalog.environment import library_versions
from fa_assets.encoders.cnn14.architecture import EMBEDDING_SIZE
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.display import records
from fa_assets.graph.embeddings import GPU_POOL, clips_of, embed_partitions
from fa_assets.graph.engine import check_engine
from fa_assets.graph.evaluation import fingerprint_of
from fa_assets.graph.features import TrainingClips, recipe_settings, training_set
from fa_assets.graph.partitions import ALL_IN_ONE_RUN, FOLD_NAMES, SHARDS
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Materialization, Recorder
from fa_assets.graph.source import test_recordings
from fa_assets.intake.clips import inspect_clips
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, read_submission_clips
from fa_assets.intake.recordings import scan_recordings
from fa_assets.metrics.average_precision import mean_average_precision
from fa_assets.metrics.gate import WAY_OUT, judge, predictions_to_judge
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models.classifier_file import ClassifierOrigin, StoredClassifier, load_classifier, save_classifier
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.settings import Settings
from fa_assets.store.atomic import replacing
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.recipe import Recipe
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import ValueHeader

SCHEME = "mc5"
FINAL, FOLD_MEAN = "final", "fold_mean"
FILES = {FINAL: "submission.csv", FOLD_MEAN: "submission_fold_mean.csv"}
_GROUP = "submission"


def test_clips_asset(class_vocabulary: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `test_clips`."""
    recipe = Recipe("1")

    @dg.asset(group_name=_GROUP, deps=[test_recordings, class_vocabulary], code_version=str(recipe), kinds={"parquet"})
    def test_clips(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        """One row per clip of the test set: the rows of sample_submission.csv, in order; where it has none, what lies in
        test/. With labels and usage (Public, Private) where test.csv has them. Every clip needs a row in a submission, so
        none is left out: one that cannot be read is an error."""
        with recorder.materialization(context, recipe) as work:
            source = dataset.open()
            with work.phase("observe"):
                state = scan_recordings(source, recorder.recordings_memory)
            work.note_input(test_recordings.key.to_user_string(), state.test.data_version)
            classes = work.read("class_vocabulary").table["class_name"].to_pylist()
            test = read_submission_clips(source, classes)
            infos = []
            if test.fnames:
                with work.phase("inspect"):
                    intake = inspect_clips(
                        source.test_folder,
                        LabelledClips(test.fnames, tuple(labels or () for labels in test.labels)),
                        threads=usable_cpus(),
                        progress=progress.track(context.log, "test_clips", "clips"),
                        way_out="Each needs a row in the submission: mend them.",
                    )
                infos = [clip.info for clip in intake.clips]
            table = pa.table(
                [
                    list(test.fnames),
                    [None if labels is None else list(labels) for labels in test.labels],
                    list(test.usage),
                    [info.sample_rate for info in infos],
                    [info.channels for info in infos],
                    [info.frames for info in infos],
                    [info.seconds for info in infos],
                    [info.sha256 for info in infos],
                ],
                schema=tables.TEST_CLIPS,
            )
            if not infos:
                context.log.info(f"{source.test_folder} is not there: there is nothing to submit")
            work.write(
                table,
                data_version=work.version_from_content(table),
                facts={
                    "clips": len(infos),
                    "clips_with_labels": sum(labels is not None for labels in test.labels),
                    "hours": round(sum(info.seconds for info in infos) / 3600, 4),
                },
            )
        return work.result(tables.column_schema(tables.TEST_CLIPS), tables.column_lineage(tables.TEST_CLIPS))

    return test_clips


def test_embeddings_asset(settings: Settings, upstream: list[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """The asset `test_mc5_embeddings`; `upstream` are test_clips and cnn14_checkpoint."""
    scheme = SCHEMES[SCHEME]
    recipe = Recipe("1", {"scheme": scheme.name, "precision": settings.precision})

    @dg.asset(
        name=f"test_{SCHEME}_embeddings",
        group_name=_GROUP,
        deps=upstream,
        partitions_def=SHARDS,
        backfill_policy=ALL_IN_ONE_RUN,
        pool=GPU_POOL,
        code_version=str(recipe),
        kinds={"pytorch", "parquet"},
        description="As mc5_embeddings, for the test clips: the same crops, encoder and embedding store. They have no folds; "
        "shard k holds every fifth row, from row k on.",
    )
    def test_embeddings(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        dataset: dg.ResourceParam[DatasetFolder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        with recorder.materialization(context, recipe) as work:
            check_engine(settings)
            table = work.read("test_clips").table
            clips = clips_of(table, KaggleDataset(Path(dataset.folder)).test_folder)
            labels = dict(
                zip(table["fname"].to_pylist(), (own or ["?"] for own in table["labels"].to_pylist()), strict=True)
            )
            shards = {name: clips[int(name) :: len(FOLD_NAMES)] for name in FOLD_NAMES}
            embed_partitions(
                context,
                work,
                scheme,
                settings,
                progress,
                shards,
                labels,
                tables.TEST_EMBEDDINGS,
                "shard",
            )
        return work.result(tables.column_schema(tables.TEST_EMBEDDINGS), tables.column_lineage(tables.TEST_EMBEDDINGS))

    return test_embeddings


def final_classifier_asset(
    settings: Settings, upstream: list[dg.AssetsDefinition | dg.AssetDep]
) -> dg.AssetsDefinition:
    """The asset `final_classifier`; `upstream` is everything it reads."""
    recipe = Recipe("2", recipe_settings(settings))

    @dg.asset(
        group_name=_GROUP,
        deps=upstream,
        code_version=str(recipe),
        kinds={CLASSIFIERS[settings.classifier].kind, "numpy"},
    )
    def final_classifier(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        """The classifier that is used: fitted on mc5_embeddings of all curated clips, with the settings of the out-of-fold
        models. The value has a row per class; the model itself, with its scaler, is `<storage>/classifiers/final.npz`
        (plain arrays), which `fa-assets predict` reads."""
        with recorder.materialization(context, recipe) as work:
            clips = TrainingClips.read(work)
            with (
                training_set(
                    work, context.log, f"{SCHEME}_embeddings", clips, settings, recorder.local_root
                ) as features,
                work.phase("fit"),
            ):
                model = features.fit(None, settings, progress.track(context.log, "final_classifier", "classes"))
            origin = ClassifierOrigin(
                asset=work.asset,
                partition=None,
                data_version=work.version_from_inputs(),
                scheme=SCHEME,
                encoder_fingerprint=fingerprint_of(work, f"{SCHEME}_embeddings"),
                settings=recipe.settings,
                versions=library_versions(),
            )
            file = work.root / "classifiers" / "final.npz"
            save_classifier(file, StoredClassifier(model, clips.classes, origin))
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
            work.write(
                table,
                data_version=origin.data_version,
                facts={
                    "clips": len(clips.fnames),
                    "classes_not_converged": int((model.trained & ~model.converged).sum()),
                    "classes_untrained": int((~model.trained).sum()),
                    "fit": features.way,
                    "encoder_fingerprint": origin.encoder_fingerprint,
                },
                extra_files=[file],
            )
        return work.result(tables.column_schema(tables.CLASSIFIER), tables.column_lineage(tables.CLASSIFIER))

    return final_classifier


def submission_asset(settings: Settings, upstream: list[dg.AssetsDefinition | dg.AssetDep]) -> dg.AssetsDefinition:
    """The asset `submission`; `upstream` is everything it reads."""
    recipe = Recipe("1", {"min_lwlrap": settings.min_lwlrap})

    @dg.asset(group_name=_GROUP, deps=upstream, code_version=str(recipe), kinds={"csv"})
    def submission(context: dg.AssetExecutionContext, recorder: dg.ResourceParam[Recorder]) -> dg.MaterializeResult:
        """The probabilities of the test clips, in the columns and rows of sample_submission.csv, in
        `<storage>/submission/`: submission.csv by the final classifier, submission_fold_mean.csv as the mean of the five fold
        models. Refused when the out-of-fold figure is below the gate (FA_MIN_LWLRAP; check submission_gate of mc5_metrics)."""
        with recorder.materialization(context, recipe) as work:
            verdict = judge(*predictions_to_judge(work.read, settings.min_lwlrap), settings.min_lwlrap)
            if not verdict.passed:
                raise UserError(f"No submission is made: {verdict.reason}. {WAY_OUT}")
            fnames = work.read("test_clips").table["fname"].to_pylist()
            features = _stack_shards(work, fnames)
            classes = tuple(work.read("class_vocabulary").table["class_name"].to_pylist())
            fingerprint = fingerprint_of(work, f"test_{SCHEME}_embeddings")
            folder = work.root / "classifiers"

            def probabilities(file: StoragePath, header: ValueHeader) -> np.ndarray:
                stored = load_classifier(file)
                own = (stored.origin.data_version, stored.classes, stored.origin.encoder_fingerprint)
                if own != (header.data_version, classes, fingerprint):
                    raise UserError(f"{file} is not that of {header.asset} as it is now: materialize that again.")
                return stored.model.probabilities(features)

            with work.phase("predict"):
                by_model = {
                    FINAL: probabilities(folder / "final.npz", work.header("final_classifier")),
                    FOLD_MEAN: np.mean(
                        [
                            probabilities(
                                folder / f"{SCHEME}_fold_{fold}.npz", work.header(f"{SCHEME}_oof_predictions", fold)
                            )
                            for fold in FOLD_NAMES
                        ],
                        axis=0,
                    ),
                }
            files: list[StoragePath] = []
            for name, values in by_model.items() if fnames else ():
                files.append(work.root / "submission" / FILES[name])
                with replacing(files[-1]) as temporary:
                    write_submission(temporary, fnames, classes, values)
            table = pa.concat_tables(
                pa.table(
                    [
                        pa.repeat(name, values.size),
                        pa.array(np.repeat(np.array(fnames, dtype=object), len(classes)), pa.string()),
                        pa.array(np.tile(np.array(classes, dtype=object), len(fnames)), pa.string()),
                        values.reshape(-1),
                    ],
                    schema=tables.SUBMISSION,
                )
                for name, values in by_model.items()
            )
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={"clips": len(fnames), "classes": len(classes), "gate": verdict.reason},
                extra_files=files,
            )
        return work.result(tables.column_schema(tables.SUBMISSION), tables.column_lineage(tables.SUBMISSION))

    return submission


def test_metrics_asset(upstream: list[dg.AssetsDefinition | dg.AssetDep]) -> dg.AssetsDefinition:
    """The asset `test_metrics`; `upstream` is everything it reads."""
    recipe = Recipe("1")

    @dg.asset(group_name=_GROUP, deps=upstream, code_version=str(recipe), kinds={"parquet"})
    def test_metrics(context: dg.AssetExecutionContext, recorder: dg.ResourceParam[Recorder]) -> dg.MaterializeResult:
        """LWLRAP and mAP of the submission on the test clips whose labels are known (test.csv): all, and each usage (Public,
        Private); beside the out-of-fold figures of the curated clips. No rows where no label is known."""
        with recorder.materialization(context, recipe) as work:
            classes = work.read("class_vocabulary").table["class_name"].to_pylist()
            clips = work.read("test_clips").table
            submitted = work.read("submission").table
            labels = clips["labels"].to_pylist()
            usage = np.array(clips["usage"].to_pylist(), dtype=object)
            known = np.array([own is not None for own in labels], dtype=bool)
            truth = multi_hot([own or () for own in labels], classes)
            rows: list[tuple[str, str, int, float, float]] = []

            def add(model: str, scope: str, truth: np.ndarray, scores: np.ndarray) -> None:
                figures = lwlrap_sums(truth, scores).overall, mean_average_precision(truth, scores)
                rows.append((model, scope, len(truth), *figures))

            with work.phase("score"):
                scopes = {"all": known, **{name: known & (usage == name) for name in sorted({*usage} - {""})}}
                for model in FILES if truth.any() else ():
                    of_model = submitted.filter(pc.equal(submitted["model"], model))
                    scores = np.asarray(of_model["probability"]).reshape(truth.shape)
                    for scope, chosen in scopes.items():
                        if truth[chosen].any():
                            add(model, scope, truth[chosen], scores[chosen])
                if rows:
                    curated, _ = predictions_to_judge(work.read, minimum=0.0)
                    add("out_of_fold", "curated", curated.truth, curated.logits)
            table = pa.table(
                [list(column) for column in zip(*rows, strict=True)] or [[]] * 5, schema=tables.TEST_METRICS
            )
            figures = {(row[0], row[1]): row for row in rows}
            final, curated_row = figures.get((FINAL, "all")), figures.get(("out_of_fold", "curated"))
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={
                    "clips_with_labels": int(known.sum()),
                    **{f"lwlrap_{scope}": row[3] for (model, scope), row in figures.items() if model == FINAL},
                    **{f"map_{scope}": row[4] for (model, scope), row in figures.items() if model == FINAL},
                    "lwlrap_out_of_fold": curated_row[3] if curated_row else None,
                    "test_minus_out_of_fold": final[3] - curated_row[3] if final and curated_row else None,
                },
                display={"figures": records(["model", "scope", "clips", "lwlrap", "map"], rows)} if rows else {},
            )
        return work.result(tables.column_schema(tables.TEST_METRICS), tables.column_lineage(tables.TEST_METRICS))

    return test_metrics


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


def _stack_shards(work: Materialization, fnames: Sequence[str]) -> np.ndarray:
    """The test clips' embeddings, (clips, 2048) float32, in the order of test_clips."""
    asset = f"test_{SCHEME}_embeddings"
    stacked = np.empty((len(fnames), EMBEDDING_SIZE), np.float32)
    for shard in FOLD_NAMES:
        table = work.read(asset, shard).table
        rows = slice(int(shard), None, len(FOLD_NAMES))
        if table["fname"].to_pylist() != list(fnames[rows]):
            raise UserError(f"{asset}, shard {shard}, was made for other clips: materialize it again.")
        if table.num_rows:
            stacked[rows] = embedding_matrix(table["embedding"])
    return stacked
