"""The weights of the encoder, verified before anything is computed with them."""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from fa_assets.encoders.base import Checkpoint
from fa_assets.encoders.named import without_secrets
from fa_assets.encoders.registry import checkpoint_asset, find_encoder
from fa_assets.encoders.weights import resolve_weights, weights_files
from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.store.atomic import digest_file
from fa_assets.store.ledger import Ledger
from fa_assets.store.recipe import Scalar
from fa_assets.store.source_files import Limits


def read_weights(stored: Stored) -> Checkpoint:
    """The materialized checkpoint."""
    row: Mapping[str, Any] = stored.table.to_pylist()[0]
    return Checkpoint(**{**row, "path": Path(row["path"])})


def weights_behind(ledger: Ledger, embeddings: Stored) -> Checkpoint:
    """The checkpoint that embeddings were made with, as the ledger has it."""
    header = next(iter(embeddings.headers.values()))
    id = next(one.source_id for one in header.inputs if one.asset.endswith(checkpoint_asset("")))
    row: Mapping[str, Any] = ledger.read(str(id)).metadata
    return Checkpoint(**{**{one.name: row[one.name] for one in fields(Checkpoint)}, "path": Path(row["path"])})


def weights_asset(encoder: str, source: str, limits: Limits, prefix: str = "") -> Asset:
    """`<encoder>_checkpoint`; `source` is a path, a URL, "published" or "demo"."""
    card = find_encoder(encoder).card
    size = f"; {card.weights_size}" if card.weights_size else ""
    return Asset(
        prefix + checkpoint_asset(encoder),
        "model",
        partial(find_weights, encoder=encoder, source=source, limits=limits),
        tables.CHECKPOINT,
        version="2",
        settings={"checkpoint": without_secrets(source)},
        kinds=frozenset({card.framework}),
        description=f"The weights of {card.title} ({card.citation}{size}), as one row: path, size in bytes, sha1, origin, "
        "trained or not. Downloaded where the setting FA_CHECKPOINT asks for it, checked for size and hash where those are "
        "known, and by the encoder always. Its data version is the sha1.",
    )


def find_weights(work: Work, *, encoder: str, source: str, limits: Limits) -> Made:
    """Find, fetch or make the weights; see the description of the asset."""
    definition = find_encoder(encoder)
    card = definition.card
    with work.phase("resolve"):
        kept = work.recorder.local_root / "checkpoints"
        found = resolve_weights(definition, source, kept, limits=limits, progress=work.track("bytes"))
    row: dict[str, Scalar] = {**vars(found), "path": str(found.path)}
    if found.trained:
        work.log.info(card.terms)
    else:
        work.log.warning("These weights are untrained: embeddings and metrics say nothing about real sound.")
    return Made(
        pa.Table.from_pylist([row], schema=tables.CHECKPOINT),
        version=found.sha1[:16],
        facts={
            **row,
            "trained_on": ", ".join(card.trained_on),
            "pooling": card.pooling,
            "code_licence": card.code_licence,
            "weights_licence": card.weights_licence,
        },
        files=[work.stored(file, digest_file(file)) for file in weights_files(found.path)],
    )
