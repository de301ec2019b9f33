"""Out-of-fold predictions and label-ranking metrics of one crop scheme."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.catalog.environment import library_versions
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.display import pictures, records
from fa_assets.graph.features import TrainingClips, TrainingSet, recipe_settings, training_set
from fa_assets.graph.partitions import ALL_IN_ONE_RUN, FOLD_NAMES, FOLDS, all_folds_of
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Materialization, Recorder
from fa_assets.metrics.confusion import most_confused
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.metrics.metric_table import rows_of, total_of
from fa_assets.metrics.prediction_table import Predictions, predictions_of
from fa_assets.metrics.reliability import reliability
from fa_assets.models.classifier_file import ClassifierOrigin, StoredClassifier, save_classifier
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.settings import Settings
from fa_assets.store.ledger import MetricRow
from fa_assets.store.recipe import Recipe
from fa_assets.store.values import TableStream

_CLIPS_AT_ONCE, _ROWS_AT_ONCE = 4096, 1 << 20
"""Clips, and rows of the table, that are predicted and written at a time: 0.2 GB of memory."""


def predictions_asset(
    scheme: str, settings: Settings, upstream: list[dg.AssetsDefinition], embeddings: dg.AssetsDefinition
) -> dg.AssetsDefinition:
    """The asset `<scheme>_oof_predictions`; `upstream` are class_vocabulary, curated_clips and folds."""
    recipe = Recipe("4", recipe_settings(settings))
    name = f"{scheme}_oof_predictions"

    @dg.asset(
        name=name,
        group_name="evaluation",
        deps=[*upstream, all_folds_of(embeddings)],
        partitions_def=FOLDS,
        backfill_policy=ALL_IN_ONE_RUN,
        code_version=str(recipe),
        kinds={CLASSIFIERS[settings.classifier].kind, "parquet"},
        description="Out-of-fold logits and probabilities of the fold's clips, one row per clip and class, from standardised "
        f"one-vs-rest logistic regressions ({settings.classifier}, C={settings.regularization_c:g}, at most "
        f"{settings.max_iter} iterations) fitted on {scheme}_embeddings of the other folds. Each fold's model is kept beside "
        "them, in `<storage>/classifiers/`.",
    )
    def oof_predictions(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        with recorder.materialization(context, recipe) as work, ExitStack() as stack:
            clips = TrainingClips.read(work)
            classes = clips.classes
            features = stack.enter_context(
                training_set(work, context.log, f"{scheme}_embeddings", clips, settings, recorder.local_root)
            )
            fingerprint = fingerprint_of(work, f"{scheme}_embeddings")
            for fold in sorted(context.partition_keys):
                held_out = clips.fold_of == int(fold)
                with work.phase("fit"):
                    model = features.fit(
                        int(fold), settings, progress.track(context.log, f"{name}, fold {fold}", "classes")
                    )
                untrained = [name for name, trained in zip(classes, model.trained, strict=True) if not trained]
                unconverged = [
                    name
                    for name, converged, trained in zip(classes, model.converged, model.trained, strict=True)
                    if trained and not converged
                ]
                for message, names in (("no positives or no negatives", untrained), ("not converged", unconverged)):
                    if names:
                        context.log.warning(f"fold {fold}, {message} among the other folds: {', '.join(names)}")
                per_class = list(
                    zip(
                        classes,
                        map(int, model.positives),
                        map(int, model.iterations),
                        map(bool, model.converged),
                        map(bool, model.trained),
                        strict=True,
                    )
                )
                columns = ["class_name", "positives", "iterations", "converged", "trained"]
                version = work.version_from_inputs()
                file = work.root / "classifiers" / f"{scheme}_fold_{fold}.npz"
                origin = ClassifierOrigin(
                    asset=name,
                    partition=fold,
                    data_version=version,
                    scheme=scheme,
                    encoder_fingerprint=fingerprint,
                    settings=recipe.settings,
                    versions=library_versions(),
                )
                save_classifier(file, StoredClassifier(model, classes, origin))
                work.write(
                    TableStream(
                        tables.PREDICTIONS,
                        int(held_out.sum()) * len(classes),
                        _prediction_tables(work, features, int(fold), model, clips),
                    ),
                    partition=fold,
                    data_version=version,
                    facts={
                        "clips": int(held_out.sum()),
                        "training_clips": int((~held_out).sum()),
                        "iterations_median": float(np.median(model.iterations)),
                        "iterations_max": int(model.iterations.max()),
                        "classes_not_converged": len(unconverged),
                        "classes_untrained": len(untrained),
                        "fit": features.way,
                    },
                    display={"classifiers": records(columns, per_class)},
                    details={"classifiers": [dict(zip(columns, row, strict=True)) for row in per_class]},
                    extra_files=[file],
                )
        return work.result(
            tables.column_schema(tables.PREDICTIONS), tables.column_lineage(tables.PREDICTIONS, scheme=scheme)
        )

    return oof_predictions


def metrics_asset(scheme: str, predictions: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `<scheme>_metrics`."""
    recipe = Recipe("1", {"scheme": scheme})

    @dg.asset(
        name=f"{scheme}_metrics",
        group_name="evaluation",
        deps=[all_folds_of(predictions)],
        code_version=str(recipe),
        kinds={"parquet"},
        description=f"LWLRAP (label-weighted label-ranking average precision) of {scheme}_oof_predictions, overall, per fold "
        "and per class: 0 is the worst, 1 perfect. One row per fold and class with a sum of precisions and a count, so that "
        "any aggregate is exact.",
    )
    def metrics(context: dg.AssetExecutionContext, recorder: dg.ResourceParam[Recorder]) -> dg.MaterializeResult:
        from fa_assets.report import metrics as plots

        with recorder.materialization(context, recipe) as work:
            found = read_predictions(work, scheme)
            classes = found.classes
            with work.phase("rank"):
                sums = {
                    fold: lwlrap_sums(found.truth[found.fold == fold], found.logits[found.fold == fold])
                    for fold in range(N_FOLDS)
                }
                pairs = most_confused(found.truth, found.logits, classes)
                trust = reliability(found.truth, found.probabilities)
            total = total_of(sums)
            rows = rows_of(sums, classes)
            table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=tables.METRICS)
            per_class = sorted(
                zip(classes, map(or_none, total.per_class), map(int, total.count), strict=True),
                key=lambda row: math.inf if row[1] is None else row[1],
            )
            with work.phase("draw"):
                drawn = pictures(
                    recorder.pictures,
                    context.log,
                    {
                        "lwlrap_per_class": partial(plots.per_class, classes, total),
                        "confused_classes": partial(plots.confused_pairs, pairs),
                        "reliability": partial(plots.reliability_diagram, trust),
                    },
                )
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={
                    "lwlrap": or_none(total.overall),
                    **{f"lwlrap_fold_{fold}": or_none(one.overall) for fold, one in sums.items()},
                    "positives": int(total.count.sum()),
                    "tied_positives": total.tied,
                    "classes_without_positives": int((total.count == 0).sum()),
                    "expected_calibration_error": trust.expected_calibration_error,
                    "brier": trust.brier,
                },
                display={**drawn, "per_class": records(["class", "lwlrap", "positives"], per_class)},
                metrics=[MetricRow(scheme, *row[:4]) for row in rows],
            )
        return work.result(tables.column_schema(tables.METRICS), tables.column_lineage(tables.METRICS, scheme=scheme))

    return metrics


def read_predictions(work: Materialization, scheme: str) -> Predictions:
    """Every fold's out-of-fold predictions of a scheme, read as inputs."""
    asset = f"{scheme}_oof_predictions"
    return predictions_of({int(fold): work.read(asset, fold).table for fold in FOLD_NAMES}, asset)


def fingerprint_of(work: Materialization, asset: str, partitions: Sequence[str] = FOLD_NAMES) -> str:
    """The fingerprint of the encoder that made all partitions of an embeddings asset, which are read as inputs.

    Raises:
        UserError: they were made by different encoders.
    """
    found = {work.header(asset, one).details.get("encoder_fingerprint") for one in partitions}
    if len(found) != 1 or None in found:
        raise UserError(
            f"{asset} was made by different encoders, or by an older fa_assets: materialize all of it again."
        )
    return str(found.pop())


def _prediction_tables(
    work: Materialization, features: TrainingSet, fold: int, model: OneVsRest, clips: TrainingClips
) -> Iterator[pa.Table]:
    """The predictions of a fold's clips, in tables of about a million rows."""
    names = np.array(clips.classes, dtype=object)
    blocks = features.of_fold(fold, max(1, min(_CLIPS_AT_ONCE, _ROWS_AT_ONCE // len(names))))
    for rows, embeddings in blocks:
        with work.phase("predict"):
            logits, probabilities = model.predict(embeddings)
        yield pa.table(
            [
                pa.array(np.repeat(clips.fnames[rows], len(names)), pa.string()),
                pa.array(np.tile(names, len(rows)), pa.string()),
                pa.array(clips.truth[rows].reshape(-1)),
                logits.reshape(-1),
                probabilities.reshape(-1),
            ],
            schema=tables.PREDICTIONS,
        )


def or_none(value: float) -> float | None:
    """None for nan, which neither JSON nor the UI has."""
    return None if math.isnan(value) else float(value)
