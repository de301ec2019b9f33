"""Asset checks: what a person would want to be told before believing a number.

Blocking where going on would waste hours or mislead, a warning otherwise; every failure says what to do.
"""

import dagster as dg
import numpy as np

from fa_assets.assets.display import records
from fa_assets.partitions import FOLD_NAMES, FOLDS
from fa_assets.resources.recorder import Recorder
from fa_assets.storage.embedding_store import embedding_matrix

EMBEDDING_SIZE = 2048


def model_checks(cnn14_checkpoint: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the weights."""

    @dg.asset_check(
        asset=cnn14_checkpoint, description="The weights were trained; those of the demo are seeded random numbers."
    )
    def weights_trained(recorder: Recorder) -> dg.AssetCheckResult:
        row = recorder.values.read("cnn14_checkpoint").table.to_pylist()[0]
        return dg.AssetCheckResult(
            passed=row["trained"],
            severity=dg.AssetCheckSeverity.WARN,
            description="trained weights"
            if row["trained"]
            else "Untrained weights: the figures show that the pipeline works and say nothing about real sound. Set "
            "FA_CHECKPOINT=published (or a path) for the real ones.",
            metadata={"origin": row["origin"], "sha1": row["sha1"]},
        )

    return [weights_trained]


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


def embedding_checks(embeddings: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of one scheme's embeddings."""
    asset = embeddings.key.to_user_string()

    @dg.asset_check(
        asset=embeddings,
        name=f"{asset}_sound",
        partitions_def=FOLDS,
        blocking=True,
        description="Of the fold's clips in their order, 2048 finite numbers each, and not all alike.",
    )
    def sound(context: dg.AssetCheckExecutionContext, recorder: Recorder) -> dg.AssetCheckResult:
        folds = recorder.values.read("folds").table
        fnames, fold_of = folds["fname"].to_numpy(), np.asarray(folds["fold"])
        problems: list[tuple[int, str]] = []
        for fold in sorted(context.op_execution_context.partition_keys):
            table = recorder.values.read(asset, fold).table
            vectors = embedding_matrix(table["embedding"])
            if list(table["fname"].to_numpy()) != list(fnames[fold_of == int(fold)]):
                problems.append((int(fold), "the rows are not the fold's clips in their order"))
            if vectors.shape[1] != EMBEDDING_SIZE:
                problems.append((int(fold), f"{vectors.shape[1]} columns, {EMBEDDING_SIZE} expected"))
            if not np.isfinite(vectors).all():
                bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
                problems.append((int(fold), f"NaN or infinite: {', '.join(table['fname'].to_numpy()[bad[:20]])}"))
            elif len(vectors) > 1 and not vectors.std(axis=0).any():
                problems.append((int(fold), "every clip has the same embedding"))
        return dg.AssetCheckResult(
            passed=not problems,
            description="These embeddings cannot be used; materialize folds and then these again, and if it stays so, look "
            "at the weights and the precision: " + "; ".join(f"fold {fold}: {what}" for fold, what in problems)
            if problems
            else "sound",
            metadata={"problems": records(["fold", "problem"], problems)} if problems else {},
        )

    return [sound]


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
