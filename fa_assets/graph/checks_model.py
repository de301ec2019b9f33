"""Checks of the weights."""

from pathlib import Path

import dagster as dg

from fa_assets.encoders.weights import weights_sha1, weights_size
from fa_assets.graph.asset import Asset, Check
from fa_assets.store.values import Value


def model_checks(checkpoint: Asset) -> list[Check]:
    """Checks of the weights."""
    return [
        Check(checkpoint, weights_trained),
        Check(checkpoint, checkpoint_intact, blocking=True),
    ]


def weights_trained(checkpoint: Value) -> dg.AssetCheckResult:
    """The weights were trained; those of the demo set are random."""
    row = checkpoint.table.to_pylist()[0]
    return dg.AssetCheckResult(
        passed=row["trained"],
        severity=dg.AssetCheckSeverity.WARN,
        description="trained weights"
        if row["trained"]
        else "Untrained weights: the figures show that the pipeline works and say nothing about real sound. Set "
        "FA_CHECKPOINT=published (or a path) for the real ones.",
        metadata={"origin": row["origin"], "sha1": row["sha1"]},
    )


def checkpoint_intact(checkpoint: Value) -> dg.AssetCheckResult:
    """The weights on disk have the size and sha1 that were recorded; they are read again, also every night."""
    row = checkpoint.table.to_pylist()[0]
    problem = _difference(Path(row["path"]), row["size_bytes"], row["sha1"])
    return dg.AssetCheckResult(
        passed=problem is None,
        description="as recorded"
        if problem is None
        else f"{row['path']} {problem}. Materialize {checkpoint.header.asset} again: published and demo weights are fetched or "
        "made again, a file of yours is taken as it is now; what was made from the old one is then stale.",
        metadata={"path": dg.MetadataValue.path(row["path"]), "sha1": row["sha1"], "size_bytes": row["size_bytes"]},
    )


def _difference(path: Path, size_bytes: int, sha1: str) -> str | None:
    """How weights differ from what was recorded, in words."""
    if not path.exists():
        return "is gone"
    if (size := weights_size(path)) != size_bytes:
        return f"has {size:,} bytes, {size_bytes:,} were recorded"
    found = weights_sha1(path)
    return None if found == sha1 else f"has sha1 {found}, {sha1} was recorded"
