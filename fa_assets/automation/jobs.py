"""Jobs: what a person starts as a whole, or a stage at a time."""

import dagster as dg

EVERYTHING = "everything"
CHECKPOINT_INTACT = dg.AssetCheckKey(dg.AssetKey("cnn14_checkpoint"), "checkpoint_intact")

_STAGES = {
    "clips": "Classes, clips and folds: the intake, which finds everything that can be wrong with the input.",
    "model": "The weights: fetched where needed, and verified.",
    "embeddings": "The embeddings of every fold; what is in the embedding store is not computed again.",
    "evaluation": "Out-of-fold predictions, metrics and the comparison.",
    "submission": "The test stage: test clips, final classifier, submission and its figures.",
    "export": "The files of the original notebook, and the report.",
}

everything = dg.define_asset_job(
    EVERYTHING,
    selection=dg.AssetSelection.all(),
    description="The whole graph, every fold, from the folder of clips to metrics, the report and the notebook's files.",
)

stage_jobs = [
    dg.define_asset_job(f"{group}_stage", selection=dg.AssetSelection.groups(group), description=description)
    for group, description in _STAGES.items()
]

verify_checkpoint = dg.define_asset_job(
    "verify_checkpoint",
    selection=dg.AssetSelection.checks(CHECKPOINT_INTACT),
    description="Reads the weights file again and compares its size and sha1 with what was recorded. When it was damaged or "
    "replaced, the weights are stale, and all that was made from them.",
)
