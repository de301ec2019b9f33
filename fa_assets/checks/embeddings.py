"""Checks of one scheme's embeddings, fold by fold."""

import dagster as dg
import numpy as np

from fa_assets.assets.display import records
from fa_assets.partitions import FOLDS
from fa_assets.resources.recorder import Recorder
from fa_assets.storage.embedding_store import embedding_matrix

EMBEDDING_SIZE = 2048


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
