"""The weights: CNN14's checkpoint, verified before anything is computed with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Materialization, Recorder
from fa_assets.settings import Settings
from fa_assets.store.recipe import Recipe, Scalar


@dataclass(frozen=True)
class Weights:
    """The checkpoint as it was materialized: the file, its size in bytes, its sha1, where it came from, and whether it
    was trained (the demo weights are not)."""

    path: Path
    size_bytes: int
    sha1: str
    origin: str
    trained: bool

    @classmethod
    def read(cls, work: Materialization) -> "Weights":
        """Read the materialized checkpoint as an input of `work`."""
        row: Mapping[str, object] = work.read("cnn14_checkpoint").table.to_pylist()[0]
        return cls(**{**row, "path": Path(str(row["path"]))})  # type: ignore[arg-type]


def model_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """`cnn14_checkpoint`."""
    recipe = Recipe("1", {"checkpoint": settings.checkpoint_label})
    source = settings.checkpoint_source

    @dg.asset(group_name="model", code_version=str(recipe), kinds={"pytorch"})
    def cnn14_checkpoint(
        context: dg.AssetExecutionContext,
        recorder: dg.ResourceParam[Recorder],
        progress: dg.ResourceParam[ProgressReporter],
    ) -> dg.MaterializeResult:
        """The CNN14 weights file (PANNs, Kong et al. 2020; 327 MB), as one row: path, size in bytes, sha1, origin, trained or
        not. Downloaded where the setting FA_CHECKPOINT asks for it, checked for size and hash where those are known, and for
        CNN14's architecture always. Its data version is the file's sha1."""
        from fa_assets.encoders.cnn14.checkpoint import resolve_checkpoint

        with recorder.materialization(context, recipe) as work:
            with work.phase("resolve"):
                checkpoint = resolve_checkpoint(
                    source,
                    recorder.local_root / "checkpoints",
                    progress=progress.track(context.log, "cnn14_checkpoint", "bytes"),
                )
            row: dict[str, Scalar] = {
                "path": str(checkpoint.path),
                "size_bytes": checkpoint.size_bytes,
                "sha1": checkpoint.sha1,
                "origin": checkpoint.origin,
                "trained": checkpoint.trained,
            }
            if not checkpoint.trained:
                context.log.warning("These weights are untrained: embeddings and metrics say nothing about real sound.")
            work.write(
                pa.Table.from_pylist([row], schema=tables.CHECKPOINT),
                data_version=checkpoint.sha1[:16],
                facts=row,
            )
        return work.result(tables.column_schema(tables.CHECKPOINT))

    return [cnn14_checkpoint]
