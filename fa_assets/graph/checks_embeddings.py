"""Checks of one scheme's embeddings, fold by fold."""

from collections.abc import Mapping, Sequence
from functools import partial

import dagster as dg
import numpy as np

from fa_assets.encoders.base import EncoderCard
from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.verdicts import offenders
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.values import Value

COLLAPSED = 1e-6
"""Part of the largest value within which clips that differ at all must differ: the rounding of float32 is below it."""


def embedding_checks(embeddings: Asset, folds: Asset, card: EncoderCard) -> list[Check]:
    """Checks of one scheme's embeddings."""
    return [
        Check(
            embeddings,
            partial(sound, card=card),
            f"Of the fold's clips in their order, {card.dimension} finite numbers each, not all alike"
            + (", with norms within bounds." if card.norm_bounds else "."),
            name=f"{embeddings.name.rpartition('/')[2]}_sound",
            blocking=True,
            reads={"folds": folds},
        )
    ]


def sound(embeddings: Mapping[str, Value], folds: Value, *, card: EncoderCard) -> dg.AssetCheckResult:
    """Fails where embeddings cannot be used; a run of several folds has one verdict, for all of them."""
    fnames, fold_of = np.array(folds.table["fname"].to_pylist(), dtype=object), np.asarray(folds.table["fold"])
    rows = [
        (int(fold), problem)
        for fold, own in sorted(embeddings.items())
        for problem in embedding_problems(
            own.table["fname"].to_pylist(),
            embedding_matrix(own.table["embedding"]),
            list(fnames[fold_of == int(fold)]),
            card,
        )
    ]
    found = "; ".join(f"fold {fold}: {problem}" for fold, problem in rows)
    return offenders(
        "problems",
        ["fold", "problem"],
        rows,
        bad="These embeddings cannot be used; materialize folds and then these again, and if it stays so, look at the weights "
        f"and the precision. {found}",
        good="sound",
        fails=True,
    )


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
