"""The known figures of FSDKaggle2019, when that is what was computed."""

import dagster as dg

from fa_assets.graph.display import records
from fa_assets.graph.recorder import Recorder


def reproduction_checks(
    mc5_metrics: dg.AssetsDefinition, checkpoint: dg.AssetsDefinition
) -> list[dg.AssetChecksDefinition]:
    """Checks that the recorded figures are reproduced."""
    weights = checkpoint.key.to_user_string()

    @dg.asset_check(
        asset=mc5_metrics,
        description="On FSDKaggle2019's 4970 curated clips with the published weights: LWLRAP per fold and overall is within "
        "0.003 of what was recorded. On anything else there is nothing to compare, and it passes.",
    )
    def fsdkaggle2019_reproduced(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        from fa_assets.metrics.metric_table import sums_of
        from fa_assets.metrics.reproduction import TOLERANCE, compare_with_recorded, is_recorded_case

        clips = recorder.values.read("curated_clips").table
        sha1 = recorder.values.read(weights).table["sha1"][0].as_py()
        if not is_recorded_case(clips["fname"].to_pylist(), clips["labels"].to_pylist(), sha1):
            return dg.AssetCheckResult(
                passed=True,
                description="not FSDKaggle2019's curated clips with the published weights: nothing to compare with",
                metadata={"compared": False},
            )
        figures = compare_with_recorded(sums_of(recorder.values.read("mc5_metrics").table)[1])
        passed = all(figure.within for figure in figures)
        shown = ", ".join(
            f"{'' if figure.name == 'overall' else 'fold '}{figure.name} {figure.lwlrap:.4f} ({figure.difference:+.4f})"
            for figure in figures
        )
        return dg.AssetCheckResult(
            passed=passed,
            description=f"{'within' if passed else 'not within'} {TOLERANCE} of what was recorded: {shown}"
            + (
                ""
                if passed
                else ". They hold for the default settings (C, iterations, folds); look at what is set otherwise."
            ),
            metadata={
                "compared": True,
                "figures": records(
                    ["scope", "lwlrap", "recorded", "difference"],
                    [(figure.name, figure.lwlrap, figure.recorded, figure.difference) for figure in figures],
                ),
            },
        )

    return [fsdkaggle2019_reproduced]
