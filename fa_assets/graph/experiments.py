"""Variants of the classifier, judged on the same folds from embeddings that are there; the default stays as it is."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import CROP_SAMPLES, SCHEMES
from fa_assets.audio.decode import resampled_length
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.display import records
from fa_assets.graph.evaluation import fingerprint_of
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Recorder
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.experiments import (
    CHOSEN,
    RESAMPLES,
    SEED,
    Outcome,
    parse_variants,
    run_experiments,
)
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets.store.recipe import Recipe


def experiments_asset(settings: Settings, upstream: list[dg.AssetsDefinition | dg.AssetDep]) -> dg.AssetsDefinition:
    """The asset `experiments`; `upstream` is everything it reads."""
    variants = parse_variants(settings.experiments or "")
    names = " ".join(variant.name for variant in variants)
    recipe = Recipe("3", {"variants": names, "resamples": RESAMPLES, "seed": SEED})

    @dg.asset(group_name="evaluation", deps=upstream, code_version=str(recipe), kinds={"parquet"})
    def experiments(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        """Out-of-fold LWLRAP of the classifiers that FA_EXPERIMENTS names, one row each, beside the baseline, with a paired
        bootstrap of the difference; and of the nested choice among them, in which no fold has a say in the variant it is
        judged by. The best row is the maximum of a search and flatters; the nested row does not. No rows without variants.
        All of them are fitted by torch, the baseline with the notebook's settings too."""
        with recorder.materialization(context, recipe) as work:
            classes = work.read("class_vocabulary").table["class_name"].to_pylist()
            clips = work.read("curated_clips").table
            fold_of = np.asarray(work.read("folds").table["fold"])
            fingerprint = fingerprint_of(work, "mc5_embeddings")
            outcomes = []
            if variants:
                with work.phase("load"):
                    store = EmbeddingStore(work.root, fingerprint)
                    crops = _crops(store, clips)
                with work.phase("experiment"):
                    outcomes = run_experiments(
                        variants,
                        crops,
                        multi_hot(clips["labels"].to_pylist(), classes),
                        fold_of,
                        progress=progress.track(context.log, "experiments", "fits"),
                    )
            rows = [_row(one) for one in outcomes]
            table = pa.Table.from_pylist(rows, schema=tables.EXPERIMENTS)
            shown = ["variant", "lwlrap", "difference", "low", "high", "share_won"]
            work.write(
                table,
                data_version=work.version_from_inputs(),
                facts={
                    "variants": len(variants),
                    **{f"lwlrap {'nested' if one.name == CHOSEN else one.name}": one.lwlrap for one in outcomes},
                },
                display={
                    "variants_against_baseline": records(
                        [*shown, "chosen"], [(*(row[name] for name in shown), ", ".join(row["chosen"])) for row in rows]
                    )
                }
                if rows
                else {},
            )
        return work.result(tables.column_schema(tables.EXPERIMENTS), tables.column_lineage(tables.EXPERIMENTS))

    return experiments


def _row(outcome: Outcome) -> dict[str, Any]:
    """A row of the table."""
    return {
        "variant": outcome.name,
        **(vars(outcome.variant) if outcome.variant else {}),
        "lwlrap": outcome.lwlrap,
        **{name: getattr(outcome.against_baseline, name) for name in ("difference", "low", "high", "share_won")},
        "lwlrap_per_fold": list(outcome.per_fold),
        "selected": bool(outcome.selected_in) if outcome.variant else None,
        "selected_in": list(outcome.selected_in),
        "chosen": list(outcome.chosen),
    }


def _crops(store: EmbeddingStore, clips: pa.Table) -> dict[float, np.ndarray]:
    """The embedding of each clip's crop at each of mc5's places, float32 (clips, d), by the fraction of the slack.

    Raises:
        UserError: the store has lost some.
    """
    columns = (clips[name].to_pylist() for name in ("sha256", "frames", "sample_rate"))
    slack = [
        (sha256, max(resampled_length(frames, rate) - CROP_SAMPLES, 0))
        for sha256, frames, rate in zip(*columns, strict=True)
    ]
    keys = {
        fraction: [CropKey(sha256, int(fraction * own), CROP_SAMPLES) for sha256, own in slack]
        for fraction in SCHEMES["mc5"].fractions
    }
    found = store.load(dict.fromkeys(key for own in keys.values() for key in own))
    lost = sum(key not in found for own in keys.values() for key in own)
    if lost:
        raise UserError(f"{lost} crops are not in the embedding store: materialize mc5_embeddings again, all folds.")
    return {fraction: np.stack([found[key] for key in own]) for fraction, own in keys.items()}
