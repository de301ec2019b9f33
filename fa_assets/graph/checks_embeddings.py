"""Checks of one scheme's embeddings, fold by fold."""

from collections.abc import Sequence

import dagster as dg
import numpy as np

from fa_assets.encoders.base import EncoderCard
from fa_assets.graph.by_fold import verdict_by_fold
from fa_assets.graph.partitions import FOLDS
from fa_assets.graph.recorder import Recorder
from fa_assets.store.embedding_store import embedding_matrix

COLLAPSED = 1e-6
"""Part of the largest value within which clips that differ at all must differ: the rounding of float32 is below it."""


def embedding_checks(embeddings: dg.AssetsDefinition, card: EncoderCard) -> list[dg.AssetChecksDefinition]:
    """Checks of one scheme's embeddings, by what the encoder's card says."""
    norms = ", with norms within bounds" if card.norm_bounds else ""
    asset = embeddings.key.to_user_string()

    @dg.asset_check(
        asset=embeddings,
        name=f"{asset}_sound",
        partitions_def=FOLDS,
        blocking=True,
        description=f"Of the fold's clips in their order, {card.dimension} finite numbers each, not all alike{norms}.",
    )
    def sound(context: dg.AssetCheckExecutionContext, recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        folds = recorder.values.read("folds").table
        fnames, fold_of = folds["fname"].to_numpy(), np.asarray(folds["fold"])
        problems: dict[str, list[str]] = {}
        for fold in sorted(context.op_execution_context.partition_keys):
            table = recorder.values.read(asset, fold).table
            problems[fold] = embedding_problems(
                table["fname"].to_pylist(),
                embedding_matrix(table["embedding"]),
                list(fnames[fold_of == int(fold)]),
                card,
            )
        return verdict_by_fold(
            problems,
            good="sound",
            advice="These embeddings cannot be used; materialize folds and then these again, and if it stays so, look at the "
            "weights and the precision.",
        )

    return [sound]


def embedding_problems(
    fnames: Sequence[str], vectors: np.ndarray, expected: Sequence[str], card: EncoderCard
) -> list[str]:
    """What is wrong with one fold's embeddings (n, d), in words; `expected` are the fold's clips in their order."""
    problems = []
    if list(fnames) != list(expected):
        problems.append("the rows are not the fold's clips in their order")
    if vectors.shape[1] != card.dimension:
        problems.append(f"{vectors.shape[1]} columns, {card.dimension} expected")
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        return [*problems, f"NaN or infinite: {_some(fnames, bad)}"]
    if len(vectors) > 1 and np.ptp(vectors, axis=0).max() <= COLLAPSED * np.abs(vectors).max():
        problems.append("every clip has the same embedding")
    if card.norm_bounds is None:
        return problems
    norms = np.linalg.norm(vectors, axis=1)
    low, high = card.norm_bounds
    if ((norms < low) | (norms > high)).any():
        outside = (norms < low) | (norms > high)
        problems.append(
            f"norms of {norms.min():.3g} to {norms.max():.3g}, {low:g} to {high:g} expected: {_some(fnames, outside)}"
        )
    return problems


def _some(fnames: Sequence[str], chosen: np.ndarray) -> str:
    names = [fname for fname, is_chosen in zip(fnames, chosen, strict=True) if is_chosen]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
