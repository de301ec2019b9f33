"""Checks of the weights."""

import dagster as dg

from fa_assets.resources.recorder import Recorder


def model_checks(cnn14_checkpoint: dg.AssetsDefinition) -> list[dg.AssetChecksDefinition]:
    """Checks of the weights."""

    @dg.asset_check(
        asset=cnn14_checkpoint, description="The weights were trained; those of the demo are seeded random numbers."
    )
    def weights_trained(recorder: Recorder) -> dg.AssetCheckResult:
        row = recorder.values.read("cnn14_checkpoint").table.to_pylist()[0]
        return dg.AssetCheckResult(
            passed=row["trained"],
            severity=dg.AssetCheckSeverity.WARN,
            description="trained weights"
            if row["trained"]
            else "Untrained weights: the figures show that the pipeline works and say nothing about real sound. Set "
            "FA_CHECKPOINT=published (or a path) for the real ones.",
            metadata={"origin": row["origin"], "sha1": row["sha1"]},
        )

    return [weights_trained]
