"""The graph, one module per stage: load, call one plain function, store the value with its metadata.

The only room that imports Dagster, beside `fa_assets.definitions`.
"""

import warnings

# What this graph builds on that Dagster still marks as beta or preview; each is tried with the locked version.
for _message in (
    "Function `multi_observable_source_asset`",
    "Parameter `backfill_policy`",
    "Specifying a partitions_def on an AssetCheckSpec",
):
    warnings.filterwarnings("ignore", message=_message)
