"""Variants of the classifier, judged on the same folds from embeddings that are there; the default stays as it is."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import CROP_SAMPLES, SCHEMES
from fa_assets.audio.decode import resampled_length
from fa_assets.errors import UserError
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.evaluation import GROUP
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.experiments import CHOSEN, RESAMPLES, SEED, Outcome, Variant, parse_variants, run_experiments
from fa_assets.store.embedding_store import CropKey, EmbeddingStore

SCHEME = "mc5"
"""The crop scheme whose crops the variants pool."""


def experiments_asset(variants: str | None, scheme: str, folds: Asset, embeddings: Asset) -> Asset:
    """`experiments`.

    Args:
        variants: FA_EXPERIMENTS.
        scheme: of the embeddings.

    Raises:
        UserError: the variants cannot be understood, or the scheme is not `SCHEME`.
    """
    parsed = parse_variants(variants or "")
    if parsed and scheme != SCHEME:
        raise UserError(f"FA_EXPERIMENTS pools the crops of {SCHEME}: set FA_SCHEME={SCHEME}, or leave it out.")
    return Asset(
        "experiments",
        GROUP,
        partial(try_variants, variants=parsed),
        tables.EXPERIMENTS,
        version="3",
        reads={"folds": folds, "embeddings": embeddings},
        settings={"variants": " ".join(one.name for one in parsed), "resamples": RESAMPLES, "seed": SEED},
    )


def try_variants(work: Work, folds: Stored, embeddings: Stored, *, variants: Sequence[Variant]) -> Made:
    """Out-of-fold LWLRAP of the classifiers that FA_EXPERIMENTS names, one row each, beside the baseline, with a paired
    bootstrap of the difference; and of the nested choice among them, in which no fold has a say in the variant it is
    judged by. The best row is the maximum of a search and flatters; the nested row does not. No rows without variants."""
    outcomes: Sequence[Outcome] = ()
    if variants:
        table = folds.table
        with work.phase("load"):
            crops = _crops(EmbeddingStore(work.root, str(embeddings.detail("encoder_fingerprint"))), table)
        with work.phase("experiment"):
            outcomes = run_experiments(
                variants,
                crops,
                multi_hot(table["labels"].to_pylist(), folds.header.details["classes"]),
                np.asarray(table["fold"]),
                progress=work.track("fits"),
            )
    rows = [_row(one) for one in outcomes]
    shown = ["variant", "lwlrap", "difference", "low", "high", "share_won"]
    shown_rows = [(*(row[name] for name in shown), ", ".join(row["chosen"])) for row in rows]
    return Made(
        pa.Table.from_pylist(rows, schema=tables.EXPERIMENTS),
        facts={
            "variants": len(variants),
            **{f"lwlrap {'nested' if one.name == CHOSEN else one.name}": one.lwlrap for one in outcomes},
        },
        display={"variants_against_baseline": records([*shown, "chosen"], shown_rows)} if rows else {},
    )


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
    """The embedding of each clip's crop at each of the scheme's places, float32 (clips, d), by the fraction of the slack.

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
        for fraction in SCHEMES[SCHEME].fractions
    }
    found = store.load(dict.fromkeys(key for own in keys.values() for key in own))
    missing = sum(key not in found for own in keys.values() for key in own)
    if missing:
        raise UserError(f"{missing} crops are not in the embedding store: materialize {SCHEME}_embeddings again.")
    return {fraction: np.stack([found[key] for key in own]) for fraction, own in keys.items()}
