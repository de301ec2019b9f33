"""Out-of-fold predictions and label-ranking metrics of one crop scheme, and the comparison of two."""

import math
from collections.abc import Sequence

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.assets import tables
from fa_assets.assets.display import records
from fa_assets.catalog.ledger import MetricRow
from fa_assets.errors import UserError
from fa_assets.evaluation.comparison import Difference, compare
from fa_assets.evaluation.lwlrap import LwlrapSums, lwlrap_sums
from fa_assets.evaluation.metric_table import rows_of, sums_of, total_of
from fa_assets.partitions import ALL_IN_ONE_RUN, FOLD_NAMES, FOLDS, all_folds_of
from fa_assets.recipe import Recipe
from fa_assets.resources.progress import ProgressReporter
from fa_assets.resources.recorder import Materialization, Recorder
from fa_assets.settings import N_FOLDS, RECORDED_CENTER_LWLRAP, Settings
from fa_assets.storage.embedding_store import embedding_matrix


def predictions_asset(
    scheme: str, settings: Settings, upstream: list[dg.AssetsDefinition], embeddings: dg.AssetsDefinition
) -> dg.AssetsDefinition:
    """The asset `<scheme>_oof_predictions`; `upstream` are class_vocabulary, curated_clips and folds."""
    recipe = Recipe("2", {"C": settings.regularization_c, "max_iter": settings.max_iter})
    name = f"{scheme}_oof_predictions"

    @dg.asset(
        name=name,
        group_name="evaluation",
        deps=[*upstream, all_folds_of(embeddings)],
        partitions_def=FOLDS,
        backfill_policy=ALL_IN_ONE_RUN,
        code_version=str(recipe),
        kinds={"scikitlearn", "parquet"},
        description="Out-of-fold logits and probabilities of the fold's clips for every class, from standardised one-vs-rest "
        f"logistic regressions (C={settings.regularization_c:g}, L-BFGS, at most {settings.max_iter} iterations) fitted on "
        f"{scheme}_embeddings of the other folds.",
    )
    def oof_predictions(
        context: dg.AssetExecutionContext, recorder: Recorder, progress: dg.ResourceParam[ProgressReporter]
    ) -> dg.MaterializeResult:
        from fa_assets.evaluation.labels import multi_hot
        from fa_assets.evaluation.one_vs_rest import fit_one_vs_rest, probabilities_from_logits

        with recorder.materialization(context, recipe) as work:
            classes = work.read("class_vocabulary").table["class_name"].to_pylist()
            clips = work.read("curated_clips").table
            fold_of = np.asarray(work.read("folds").table["fold"])
            fnames = np.array(clips["fname"].to_pylist(), dtype=object)
            truth = multi_hot(clips["labels"].to_pylist(), classes)
            features = stack_by_clip(work, f"{scheme}_embeddings", fnames, fold_of)
            for fold in sorted(context.partition_keys):
                held_out = fold_of == int(fold)
                with work.phase("fit"):
                    model = fit_one_vs_rest(
                        features[~held_out],
                        truth[~held_out],
                        C=settings.regularization_c,
                        max_iter=settings.max_iter,
                        progress=progress.track(context.log, f"{name}, fold {fold}", "classes"),
                    )
                with work.phase("predict"):
                    logits = model.logits(features[held_out])
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
                work.write(
                    _prediction_table(
                        fnames[held_out], classes, truth[held_out], logits, probabilities_from_logits(logits)
                    ),
                    partition=fold,
                    data_version=work.version_from_inputs(),
                    facts={
                        "clips": int(held_out.sum()),
                        "training_clips": int((~held_out).sum()),
                        "iterations_median": float(np.median(model.iterations)),
                        "iterations_max": int(model.iterations.max()),
                        "classes_not_converged": len(unconverged),
                        "classes_untrained": len(untrained),
                    },
                    display={"classifiers": records(columns, per_class)},
                    details={"classifiers": [dict(zip(columns, row, strict=True)) for row in per_class]},
                )
        return work.result(tables.column_schema(tables.PREDICTIONS))

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
        "and per class, stored as one sum of precisions and one count per fold and class, so that any aggregate is exact.",
    )
    def metrics(context: dg.AssetExecutionContext, recorder: Recorder) -> dg.MaterializeResult:
        with recorder.materialization(context, recipe) as work:
            classes: list[str] = []
            sums: dict[int, LwlrapSums] = {}
            for fold in FOLD_NAMES:
                table = work.read(f"{scheme}_oof_predictions", fold).table
                own = list(dict.fromkeys(table["class_name"].to_pylist()))
                if classes and own != classes:
                    raise UserError(
                        f"{scheme}_oof_predictions, fold {fold}, has other classes: materialize all folds again."
                    )
                classes = own
                truth = np.asarray(table["truth"]).reshape(-1, len(classes))
                logits = np.asarray(table["logit"]).reshape(-1, len(classes))
                with work.phase("rank"):
                    sums[int(fold)] = lwlrap_sums(truth, logits)
            total = total_of(sums)
            rows = rows_of(sums, classes)
            table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=tables.METRICS)
            per_class = sorted(
                zip(classes, map(_or_none, total.per_class), map(int, total.count), strict=True),
                key=lambda row: math.inf if row[1] is None else row[1],
            )
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={
                    "lwlrap": _or_none(total.overall),
                    **{f"lwlrap_fold_{fold}": _or_none(one.overall) for fold, one in sums.items()},
                    "positives": int(total.count.sum()),
                    "tied_positives": total.tied,
                    "classes_without_positives": int((total.count == 0).sum()),
                },
                display={"per_class": records(["class", "lwlrap", "positives"], per_class)},
                metrics=[MetricRow(scheme, *row[:4]) for row in rows],
            )
        return work.result(tables.column_schema(tables.METRICS))

    return metrics


def comparison_asset(mc5_metrics: dg.AssetsDefinition, center_metrics: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `comparison`."""
    recipe = Recipe("1", {"recorded_center_lwlrap": RECORDED_CENTER_LWLRAP})

    @dg.asset(group_name="evaluation", deps=[mc5_metrics, center_metrics], code_version=str(recipe), kinds={"parquet"})
    def comparison(context: dg.AssetExecutionContext, recorder: Recorder) -> dg.MaterializeResult:
        """MC5 against the single centre crop of the same clips, folds and weights, overall, per fold and per class; and
        against the 0.8001 recorded for the centre crop on FSDKaggle2019's 4970 curated clips with the published weights,
        which means something for that data and those weights alone."""
        with recorder.materialization(context, recipe) as work:
            classes, mc5 = sums_of(work.read("mc5_metrics").table)
            baseline_classes, center = sums_of(work.read("center_metrics").table)
            if classes != baseline_classes:
                raise UserError("mc5_metrics and center_metrics are of other classes: materialize both again.")
            result = compare(mc5, center, RECORDED_CENTER_LWLRAP)
            per_fold = zip(map(str, result.folds), *_columns(result.per_fold), strict=True)
            per_class = sorted(zip(classes, *_columns(result.per_class), strict=True), key=lambda row: row[3] or 0.0)
            rows = [
                ("overall", "", result.ours, result.baseline, result.difference),
                *(("fold", *row) for row in per_fold),
                *(("class", *row) for row in per_class),
            ]
            work.write(
                pa.table([list(column) for column in zip(*rows, strict=True)], schema=tables.COMPARISON),
                data_version=work.version_from_inputs(),
                facts={
                    "lwlrap_mc5": result.ours,
                    "lwlrap_center": result.baseline,
                    "difference": result.difference,
                    "folds_better": int((result.per_fold.difference > 0).sum()),
                    "classes_better": int((result.per_class.difference > 0).sum()),
                    "classes_worse": int((result.per_class.difference < 0).sum()),
                    "recorded_center_lwlrap": result.recorded,
                    "difference_to_recorded": result.difference_to_recorded,
                },
                display={"mc5_against_center": records(["scope", "name", "mc5", "center", "difference"], rows)},
            )
        return work.result(tables.column_schema(tables.COMPARISON))

    return comparison


def stack_by_clip(work: Materialization, asset: str, fnames: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """A fold-partitioned embeddings asset as one (clips, 2048) float32 array, in the order of the clips.

    Raises:
        UserError: a fold's embeddings are of other clips than the folds say now.
    """
    stacked: np.ndarray | None = None
    for fold in range(N_FOLDS):
        table = work.read(asset, str(fold)).table
        rows = np.flatnonzero(fold_of == fold)
        if table["fname"].to_pylist() != list(fnames[rows]):
            raise UserError(f"{asset}, fold {fold}, was made for other clips or folds: materialize it again.")
        vectors = embedding_matrix(table["embedding"])
        if stacked is None:
            stacked = np.empty((len(fnames), vectors.shape[1]), np.float32)
        stacked[rows] = vectors
    assert stacked is not None
    return stacked


def _prediction_table(
    fnames: Sequence[str], classes: Sequence[str], truth: np.ndarray, logits: np.ndarray, probabilities: np.ndarray
) -> pa.Table:
    repeated = pa.array(np.repeat(np.asarray(fnames, dtype=object), len(classes)), pa.string())
    names = pa.array(np.tile(np.asarray(classes, dtype=object), len(fnames)), pa.string())
    return pa.table(
        [repeated, names, pa.array(truth.reshape(-1)), logits.reshape(-1), probabilities.reshape(-1)],
        schema=tables.PREDICTIONS,
    )


def _columns(difference: Difference) -> tuple[list[float | None], ...]:
    """Ours, the baseline and their difference, with None where there are no positives."""
    return tuple(
        [_or_none(value) for value in values]
        for values in (difference.ours, difference.baseline, difference.difference)
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
