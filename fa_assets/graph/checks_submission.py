"""The gate before a submission."""

import dagster as dg

from fa_assets.graph.recorder import Recorder
from fa_assets.metrics.gate import WAY_OUT, judge, predictions_to_judge
from fa_assets.settings import Settings


def submission_checks(
    mc5_metrics: dg.AssetsDefinition, center_metrics: dg.AssetsDefinition, settings: Settings
) -> list[dg.AssetChecksDefinition]:
    """Checks of whether a submission may be made."""

    @dg.asset_check(
        asset=mc5_metrics,
        additional_deps=[center_metrics],
        blocking=True,
        description="LWLRAP is not below FA_MIN_LWLRAP; without that setting, not for sure below the centre crop's on the same "
        "clips by more than 0.01. A submission is only made when it has passed.",
    )
    def submission_gate(recorder: dg.ResourceParam[Recorder]) -> dg.AssetCheckResult:
        verdict = judge(*predictions_to_judge(recorder.values.read, settings.min_lwlrap), settings.min_lwlrap)
        return dg.AssetCheckResult(
            passed=verdict.passed,
            description=f"{verdict.reason}."
            if verdict.passed
            else f"No submission is made: {verdict.reason}. {WAY_OUT}",
        )

    return [submission_gate]
