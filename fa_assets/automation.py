"""Jobs: what a person starts as a whole."""

import dagster as dg

EVERYTHING = "everything"

everything = dg.define_asset_job(
    EVERYTHING,
    selection=dg.AssetSelection.all(),
    description="The whole graph, every fold, from the folder of clips to metrics and the notebook's files.",
)
