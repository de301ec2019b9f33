"""How LWLRAP grows with the number of clips; on demand (FA_LEARNING_CURVE)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from fa_assets.graph import contender_tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.evaluation import GROUP
from fa_assets.graph.features import FitOptions, TrainingClips, stack_by_clip
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.models.learning_curve import DRAWS, SEED, learning_curve, parse_sizes


def learning_curve_assets(
    sizes: str | None, scheme: str, fit: FitOptions, folds: Asset, embeddings: Asset
) -> dict[str, Asset]:
    """`learning_curve`, by its name; none without `sizes`, which is FA_LEARNING_CURVE.

    Raises:
        UserError: the sizes cannot be understood.
    """
    if not sizes:
        return {}
    parsed = parse_sizes(sizes)
    asset = Asset(
        "learning_curve",
        GROUP,
        partial(measure_curve, sizes=parsed, fit=fit),
        contender_tables.LEARNING_CURVE,
        version="3",
        reads={"folds": folds, "embeddings": embeddings},
        settings={"scheme": scheme, "sizes": ",".join(map(str, parsed)), "draws": DRAWS, "seed": SEED, **fit.settings},
        kinds=frozenset({fit.kind, "parquet"}),
    )
    return {asset.name: asset}


def measure_curve(work: Work, folds: Stored, embeddings: Stored, *, sizes: Sequence[int], fit: FitOptions) -> Made:
    """Out-of-fold LWLRAP of classifiers that were fitted on a few clips of each class, one row for each size that
    FA_LEARNING_CURVE names and one for all clips: the mean, the lowest and the highest of five draws. Where it still rises
    at the end, more clips would help. A size that no class has more clips than, among four folds, is left out: it would be the
    row of all clips again."""
    from fa_assets.report import learning_curve as plots

    clips = TrainingClips.of(folds)
    features = stack_by_clip(embeddings, clips)
    with work.phase("fit"):
        points = learning_curve(sizes, features, clips.truth, clips.fold_of, fit.fit, progress=work.track("fits"))
    known = {one.clips_per_class for one in points}
    beyond = ", ".join(str(size) for size in sizes if size not in known)
    if beyond:
        work.log.warning(
            f"left out of the learning curve, since no class has more clips in four folds: {beyond} a class"
        )
    rows: list[dict[str, Any]] = [
        {
            "clips_per_class": one.clips_per_class,
            "clips": one.clips,
            "lwlrap": float(np.mean(one.lwlraps)),
            "lowest": min(one.lwlraps),
            "highest": max(one.lwlraps),
            "draws": list(one.lwlraps),
        }
        for one in points
    ]
    table = pa.Table.from_pylist(rows, schema=contender_tables.LEARNING_CURVE)
    return Made(
        table,
        facts={"left_out": beyond or None}
        | {f"lwlrap_{row['clips_per_class'] or 'all'}": row["lwlrap"] for row in rows},
        display={
            "by_clips_per_class": records(contender_tables.LEARNING_CURVE.names[:-1], rows),
            **work.draw({"curve": partial(plots.learning_curve, table)}),
        },
    )
