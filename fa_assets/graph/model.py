"""The weights of the encoder, verified before anything is computed with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from fa_assets.encoders.base import Checkpoint
from fa_assets.encoders.registry import checkpoint_asset, find_encoder
from fa_assets.encoders.weights import resolve_weights
from fa_assets.graph import tables
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Materialization, Recorder
from fa_assets.settings import Settings
from fa_assets.store.recipe import Recipe, Scalar


def read_weights(work: Materialization, encoder: str) -> Checkpoint:
    """The materialized checkpoint of an encoder, read as an input of `work`."""
    row: Mapping[str, Any] = work.read(checkpoint_asset(encoder)).table.to_pylist()[0]
    return Checkpoint(**{**row, "path": Path(row["path"])})


def model_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The asset `<encoder>_checkpoint`."""
    definition = find_encoder(settings.encoder)
    card = definition.card
    name = checkpoint_asset(card.name)
    recipe = Recipe("1", {"checkpoint": settings.checkpoint_label})
    source = settings.checkpoint_source
    size = f"; {card.weights.size_bytes / 1e6:.0f} MB" if card.weights else ""

    @dg.asset(
        name=name,
        group_name="model",
        code_version=str(recipe),
        kinds={"pytorch"},
        description=f"The weights file of {card.title} ({card.citation}{size}), as one row: path, size in bytes, sha1, origin, "
        "trained or not. Downloaded where the setting FA_CHECKPOINT asks for it, checked for size and hash where those are "
        "known, and by the encoder always. Its data version is the file's sha1.",
    )
    def checkpoint(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        with recorder.materialization(context, recipe) as work:
            with work.phase("resolve"):
                found = resolve_weights(
                    definition,
                    source,
                    recorder.local_root / "checkpoints",
                    progress=progress.track(context.log, name, "bytes"),
                )
            row: dict[str, Scalar] = {**vars(found), "path": str(found.path)}
            if not found.trained:
                context.log.warning("These weights are untrained: embeddings and metrics say nothing about real sound.")
            work.write(
                pa.Table.from_pylist([row], schema=tables.CHECKPOINT),
                data_version=found.sha1[:16],
                facts={
                    **row,
                    "trained_on": ", ".join(card.trained_on),
                    "code_licence": card.code_licence,
                    "weights_licence": card.weights_licence,
                },
            )
        return work.result(tables.column_schema(tables.CHECKPOINT))

    return [checkpoint]
