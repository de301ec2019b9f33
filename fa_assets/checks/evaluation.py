"""Checks of one scheme's predictions and metrics."""

import dagster as dg
import numpy as np

from fa_assets.assets.display import records
from fa_assets.partitions import FOLD_NAMES, FOLDS
from fa_assets.resources.recorder import Recorder


def evaluation_checks(
    scheme: str, predictions: dg.AssetsDefinition, metrics: dg.AssetsDefinition
) -> list[dg.AssetChecksDefinition]:
    """Checks of one scheme's predictions and metrics."""

    @dg.asset_check(
        asset=predictions,
        name=f"{scheme}_classifiers_fitted",
        partitions_def=FOLDS,
        description="Every class had positives and negatives to learn from, and every solver converged.",
    )
    def classifiers_fitted(context: dg.AssetCheckExecutionContext, recorder: Recorder) -> dg.AssetCheckResult:
        problems: list[tuple[int, str, str]] = []
        for fold in sorted(context.op_execution_context.partition_keys):
            header = recorder.values.read(f"{scheme}_oof_predictions", fold).header
            for row in header.details["classifiers"]:
                if not row["trained"]:
                    problems.append((int(fold), row["class_name"], "nothing to learn from among the other folds"))
                elif not row["converged"]:
                    problems.append(
                        (int(fold), row["class_name"], f"not converged after {row['iterations']} iterations")
                    )
        return dg.AssetCheckResult(
            passed=not problems,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(problems)} classifiers are not what they should be: add clips of those classes, or raise "
            "FA_MAX_ITER."
            if problems
            else "all fitted",
            metadata={"classifiers": records(["fold", "class", "problem"], problems)} if problems else {},
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
