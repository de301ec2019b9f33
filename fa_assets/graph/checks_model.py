"""Checks of the weights."""

import hashlib
from pathlib import Path

import dagster as dg

from fa_assets.graph.recorder import Recorder


def model_checks(checkpoint: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the weights."""
    asset = checkpoint.key.to_user_string()

    @dg.asset_check(
        asset=checkpoint, description="The weights were trained; those of the demo are seeded random numbers."
    )
    def weights_trained(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        row = recorder.values.read(asset).table.to_pylist()[0]
        return dg.AssetCheckResult(
            passed=row["trained"],
            severity=dg.AssetCheckSeverity.WARN,
            description="trained weights"
            if row["trained"]
            else "Untrained weights: the figures show that the pipeline works and say nothing about real sound. Set "
            "FA_CHECKPOINT=published (or a path) for the real ones.",
            metadata={"origin": row["origin"], "sha1": row["sha1"]},
        )

    @dg.asset_check(
        asset=checkpoint,
        blocking=True,
        description="The weights file on disk has the size and sha1 that were recorded; it is read anew, also every night.",
    )
    def checkpoint_intact(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        row = recorder.values.read(asset).table.to_pylist()[0]
        problem = _difference(Path(row["path"]), row["size_bytes"], row["sha1"])
        return dg.AssetCheckResult(
            passed=problem is None,
            description="as recorded"
            if problem is None
            else f"{row['path']} {problem}. Materialize {asset} again: published and demo weights are fetched or made "
            "anew, a file of yours is taken as it is now; what was made from the old one is then stale.",
            metadata={"path": dg.MetadataValue.path(row["path"]), "sha1": row["sha1"], "size_bytes": row["size_bytes"]},
        )

    return [weights_trained, checkpoint_intact]


def _difference(path: Path, size_bytes: int, sha1: str) -> str | None:
    """How a file differs from what was recorded, in words."""
    if not path.is_file():
        return "is gone"
    if path.stat().st_size != size_bytes:
        return f"has {path.stat().st_size:,} bytes, {size_bytes:,} were recorded"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha1").hexdigest()
    return None if found == sha1 else f"has sha1 {found}, {sha1} was recorded"
