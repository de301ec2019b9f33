"""One rule for all assets: each is made again when it is stale, and metrics say when they are old."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from fa_assets.automation.conditions import refresh_when_stale
from fa_assets.settings import Settings
from fa_assets.storage.values import ValueStore


def with_policies(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets with their automation condition and, for metrics, their freshness policy."""
    condition = refresh_when_stale(ValueStore(settings.storage_root))
    fail = timedelta(days=settings.metrics_max_age_days)
    freshness = dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail / 2)

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        spec = spec.replace_attributes(automation_condition=condition)
        if spec.key.to_user_string().endswith("_metrics"):
            spec = dg.apply_freshness_policy(spec, freshness)
        return spec

    return [one.map_asset_specs(apply) if one.is_materializable else one for one in assets]
