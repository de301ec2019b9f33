"""Checks of the intake: clips and folds."""

import dagster as dg
import numpy as np

from fa_assets.assets.display import records
from fa_assets.resources.recorder import Recorder


def clip_checks(curated_clips: dg.AssetsDefinition, folds: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the intake."""

    @dg.asset_check(asset=curated_clips, description="No clip was left out as unreadable.")
    def every_clip_used(recorder: Recorder) -> dg.AssetCheckResult:
        left_out = recorder.values.read("curated_clips").header.details["left_out"]
        return dg.AssetCheckResult(
            passed=not left_out,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(left_out)} clips left out: mend them, or live without them."
            if left_out
            else "every clip is in",
            metadata={"left_out": records(["fname", "reason"], left_out)} if left_out else {},
        )

    @dg.asset_check(asset=folds, description="Every class has a positive in at least two folds, so each can be learnt.")
    def classes_in_folds(recorder: Recorder) -> dg.AssetCheckResult:
        from fa_assets.evaluation.folds import fold_balance
        from fa_assets.evaluation.labels import multi_hot

        classes = recorder.values.read("class_vocabulary").table["class_name"].to_pylist()
        clips = recorder.values.read("curated_clips").table
        fold_of = np.asarray(recorder.values.read("folds").table["fold"])
        balance = fold_balance(multi_hot(clips["labels"].to_pylist(), classes), fold_of)
        thin = [
            (name, int(balance[:, column].sum()), int((balance[:, column] > 0).sum()))
            for column, name in enumerate(classes)
            if (balance[:, column] > 0).sum() < 2
        ]
        return dg.AssetCheckResult(
            passed=not thin,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(thin)} classes have their positives in fewer than two folds and are never learnt and judged "
            "at once: add clips of them."
            if thin
            else "every class can be learnt",
            metadata={"classes": records(["class", "positives", "folds"], thin)} if thin else {},
        )

    return [every_clip_used, classes_in_folds]
