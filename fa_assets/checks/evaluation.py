"""Checks of one scheme's predictions and metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import numpy as np

from fa_assets.assets.display import records
from fa_assets.checks.by_fold import verdict_by_fold
from fa_assets.partitions import FOLD_NAMES, FOLDS
from fa_assets.resources.recorder import Recorder


def evaluation_checks(
    scheme: str, predictions: dg.AssetsDefinition, metrics: dg.AssetsDefinition
) -> list[dg.AssetChecksDefinition]:
    """Checks of one scheme's predictions and metrics."""
    asset = predictions.key.to_user_string()

    @dg.asset_check(
        asset=predictions,
        name=f"{scheme}_classifiers_fitted",
        partitions_def=FOLDS,
        description="Every class had positives and negatives to learn from, and every solver converged.",
    )
    def classifiers_fitted(context: dg.AssetCheckExecutionContext, recorder: Recorder) -> dg.AssetCheckResult:
        problems: dict[str, list[str]] = {}
        for fold in sorted(context.op_execution_context.partition_keys):
            header = recorder.values.read(asset, fold).header
            problems[fold] = classifier_problems(header.details["classifiers"])
        return verdict_by_fold(
            problems,
            good="all fitted",
            advice="Classifiers that are not what they should be: add clips of those classes, or raise FA_MAX_ITER.",
            severity=dg.AssetCheckSeverity.WARN,
        )

    @dg.asset_check(
        asset=metrics,
        name=f"{scheme}_predictions_complete",
        blocking=True,
        description="Every clip was predicted exactly once, with finite scores for every class.",
    )
    def predictions_complete(recorder: Recorder) -> dg.AssetCheckResult:
        expected = recorder.values.read("folds").table["fname"].to_pylist()
        n_classes = recorder.values.read("class_vocabulary").table.num_rows
        seen: dict[str, int] = {}
        not_finite = 0
        for fold in FOLD_NAMES:
            table = recorder.values.read(f"{scheme}_oof_predictions", fold).table
            for fname in table["fname"].to_pylist():
                seen[fname] = seen.get(fname, 0) + 1
            not_finite += int((~np.isfinite(np.asarray(table["logit"]))).sum())
        wrong = [fname for fname in sorted(seen.keys() | set(expected)) if seen.get(fname, 0) != n_classes]
        passed = not wrong and not not_finite and len(set(expected)) == len(expected)
        return dg.AssetCheckResult(
            passed=passed,
            description="complete"
            if passed
            else f"{len(wrong)} clips are not predicted exactly once, {not_finite} scores are not finite: materialize "
            f"{scheme}_oof_predictions again, all folds.",
            metadata={"clips": records(["fname"], [[fname] for fname in wrong])} if wrong else {},
        )

    @dg.asset_check(
        asset=metrics,
        name=f"{scheme}_above_chance",
        description="LWLRAP is above that of random scores on these labels.",
    )
    def above_chance(recorder: Recorder) -> dg.AssetCheckResult:
        from fa_assets.evaluation.labels import multi_hot
        from fa_assets.evaluation.lwlrap import chance_lwlrap

        frame = recorder.values.read(f"{scheme}_metrics").table.to_pandas()
        lwlrap = float(frame["precision_sum"].sum() / frame["count"].sum())
        classes = recorder.values.read("class_vocabulary").table["class_name"].to_pylist()
        clips = recorder.values.read("curated_clips").table
        chance = chance_lwlrap(multi_hot(clips["labels"].to_pylist(), classes))
        return dg.AssetCheckResult(
            passed=lwlrap > chance,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"LWLRAP {lwlrap:.4f}, random scores give {chance:.4f}."
            + ("" if lwlrap > chance else " Nothing was learnt: look at the labels and the weights."),
            metadata={"lwlrap": lwlrap, "chance": chance},
        )

    return [classifiers_fitted, predictions_complete, above_chance]


def classifier_problems(classifiers: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with one fold's classifiers, in words; `classifiers` as in the header of the predictions."""
    return [
        f"{row['class_name']} had nothing to learn from among the other folds"
        if not row["trained"]
        else f"{row['class_name']} did not converge in {row['iterations']} iterations"
        for row in classifiers
        if not (row["trained"] and row["converged"])
    ]
