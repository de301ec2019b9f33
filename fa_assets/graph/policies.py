"""Metrics say when they are old."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg


def with_freshness(assets: Sequence[dg.AssetsDefinition], max_age_days: float) -> list[dg.AssetsDefinition]:
    """The assets, the metrics among them with their freshness policy: overdue after so many days, a warning after half."""
    fail = timedelta(days=max_age_days)
    policy = dg.FreshnessPolicy.time_window(fail_window=fail, warn_window=fail / 2)

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        return dg.apply_freshness_policy(spec, policy) if spec.key.to_user_string().endswith("_metrics") else spec

    return [one.map_asset_specs(apply) if one.is_materializable else one for one in assets]
