"""The weights: CNN14's checkpoint, verified before anything is computed with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from fa_assets.graph import tables
from fa_assets.graph.asset import Asset
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.store.recipe import Scalar


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
    def of(cls, stored: Stored) -> "Weights":
        """The materialized checkpoint."""
        row: Mapping[str, object] = stored.table.to_pylist()[0]
        return cls(**{**row, "path": Path(str(row["path"]))})  # type: ignore[arg-type]


def checkpoint_asset(source: str, label: str) -> Asset:
    """`cnn14_checkpoint`.

    Args:
        source: a path, a URL, "published" or "demo".
        label: the same without credentials.
    """
    return Asset(
        "cnn14_checkpoint",
        "model",
        partial(cnn14_checkpoint, source=source),
        tables.CHECKPOINT,
        version="1",
        settings={"checkpoint": label},
        kinds=frozenset({"pytorch"}),
    )


def cnn14_checkpoint(work: Work, *, source: str) -> Made:
    """The CNN14 weights file (PANNs, Kong et al. 2020; 327 MB), as one row: path, size in bytes, sha1, origin, trained or
    not. Downloaded where the setting FA_CHECKPOINT asks for it, checked for size and hash where those are known, and for
    CNN14's architecture always. Its data version is the file's sha1."""
    from fa_assets.encoders.cnn14.checkpoint import resolve_checkpoint

    with work.phase("resolve"):
        checkpoint = resolve_checkpoint(source, work.recorder.local_root / "checkpoints", progress=work.track("bytes"))
    row: dict[str, Scalar] = {
        "path": str(checkpoint.path),
        "size_bytes": checkpoint.size_bytes,
        "sha1": checkpoint.sha1,
        "origin": checkpoint.origin,
        "trained": checkpoint.trained,
    }
    if not checkpoint.trained:
        work.log.warning("These weights are untrained: embeddings and metrics say nothing about real sound.")
    return Made(pa.Table.from_pylist([row], schema=tables.CHECKPOINT), version=checkpoint.sha1[:16], facts=row)
