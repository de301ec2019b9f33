"""Variants of the classifier, judged on the same folds from embeddings that are there; the default stays as it is."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import MC5
from fa_assets.audio.decode import resampled_length
from fa_assets.encoders.base import EncoderCard
from fa_assets.encoders.registry import find_encoder
from fa_assets.errors import UserError
from fa_assets.graph import clip_tables, contender_tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.display import records
from fa_assets.graph.evaluation import GROUP
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.metrics.bootstrap import RESAMPLES, SEED
from fa_assets.metrics.labels import multi_hot
from fa_assets.models.experiments import Variant, parse_variants, run_experiments
from fa_assets.models.nested import CHOSEN, Outcome
from fa_assets.report.encoders import against_baseline
from fa_assets.store.crop_keys import content_digest
from fa_assets.store.embedding_store import CropKey, EmbeddingStore


def experiments_asset(variants: str | None, scheme: str, encoder: str, folds: Asset, embeddings: Asset) -> Asset:
    """`experiments`; `variants` is FA_EXPERIMENTS.

    Raises:
        UserError: the variants cannot be understood, or the scheme is not MC5.
    """
    parsed = parse_variants(variants or "")
    if parsed and scheme != MC5.name:
        raise UserError(f"FA_EXPERIMENTS pools the crops of {MC5.name}: set FA_SCHEME={MC5.name}, or leave it out.")
    return Asset(
        "experiments",
        GROUP,
        partial(try_variants, variants=parsed, encoder=encoder),
        contender_tables.EXPERIMENTS,
        version="6",
        reads={"folds": folds, "embeddings": embeddings},
        settings={"variants": " ".join(one.name for one in parsed), "resamples": RESAMPLES, "seed": SEED},
    )


def try_variants(work: Work, folds: Stored, embeddings: Stored, *, variants: Sequence[Variant], encoder: str) -> Made:
    """Out-of-fold LWLRAP of the classifiers that FA_EXPERIMENTS names, one row each, beside the baseline, with a paired
    bootstrap of the difference and the interval that holds for all variants at once; and of the nested choice among them, in
    which no fold has a say in the variant it is judged by. The best row is the maximum of a search and so too high; the nested
    row is not. In the table below and in the report, the intervals are those for all variants at once, that of the nested
    choice its own. No rows without variants. All of them are fitted by torch, the baseline with the notebook's settings too."""
    outcomes: Sequence[Outcome] = ()
    if variants:
        table = folds.table
        with work.phase("load"):
            store = EmbeddingStore(work.root, embeddings.encoder_fingerprint)
            crops = _crops(store, table, find_encoder(encoder).card)
        with work.phase("experiment"):
            outcomes = run_experiments(
                variants,
                crops,
                multi_hot(table["labels"].to_pylist(), folds.header.details["classes"]),
                np.asarray(table["fold"]),
                units=clip_tables.units(table),
                progress=work.track("fits"),
            )
        if warning := outcomes[0].against_baseline.warning:
            work.log.warning(warning)
    settings = [*(vars(one) for one in (Variant(), *variants)), {}] if variants else []
    rows = [{"variant": one.name, **own, **row_of(one)} for own, one in zip(settings, outcomes, strict=True)]
    return Made(
        pa.Table.from_pylist(rows, schema=contender_tables.EXPERIMENTS),
        facts={
            "variants": len(variants),
            "units": outcomes[0].against_baseline.units if outcomes else None,
            **{f"lwlrap {'nested' if one.name == CHOSEN else one.name}": one.lwlrap for one in outcomes},
        },
        display={"variants_against_baseline": contenders_table("variant", rows)}
        if rows
        else {"nothing_to_do": dg.MetadataValue.text("No variants were asked for: see FA_EXPERIMENTS.")},
    )


def row_of(outcome: Outcome) -> dict[str, Any]:
    """What the table says of a contender's figures."""
    is_choice = outcome.name == CHOSEN
    return {
        "lwlrap": outcome.lwlrap,
        **{
            name: getattr(outcome.against_baseline, name)
            for name in ("difference", "low", "high", "units", "share_won")
        },
        **dict(zip(("low_of_all", "high_of_all"), outcome.simultaneous or (None, None), strict=True)),
        "lwlrap_per_fold": list(outcome.per_fold),
        "selected": None if is_choice else bool(outcome.selected_in),
        "selected_in": list(outcome.selected_in),
        "chosen": list(outcome.chosen),
    }


def contenders_table(name: str, rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue | None:
    """The rows of contenders, whose names are in the column `name`, as the UI shows them: of the report's table what fits a
    window of 1440 pixels."""
    shown = [
        (contender, lwlrap, f"{difference:+z.4f} ({low:+z.4f} to {high:+z.4f})")
        for contender, lwlrap, difference, low, high, *_ in against_baseline(name, rows).rows
    ]
    return records([name, "lwlrap", "difference (95%)"], shown)


def _crops(store: EmbeddingStore, clips: pa.Table, card: EncoderCard) -> dict[float, np.ndarray]:
    """The embedding of each clip's crop at each of the scheme's places, float32 (clips, d), by the fraction of the slack.

    Raises:
        UserError: the store has lost some.
    """
    rate, length = card.sample_rate, card.crop_samples
    keys: dict[float, list[CropKey]] = {fraction: [] for fraction in MC5.fractions}
    columns = (clips[name].to_pylist() for name in ("sha256", "frames", "sample_rate"))
    for sha256, frames, own_rate, decoder in zip(*columns, clip_tables.decoders(clips), strict=True):
        starts = MC5.starts(resampled_length(frames, own_rate, rate), length)
        for own, start in zip(keys.values(), starts, strict=True):
            own.append(CropKey(content_digest(sha256, decoder), rate, start, length))
    found = store.load(dict.fromkeys(key for own in keys.values() for key in own))
    missing = sum(key not in found for own in keys.values() for key in own)
    if missing:
        raise UserError(f"{missing} crops are not in the embedding store: materialize {MC5.name}_embeddings again.")
    return {fraction: np.stack([found[key] for key in own]) for fraction, own in keys.items()}
