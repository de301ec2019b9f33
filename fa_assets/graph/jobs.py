"""Jobs: what a person starts as a whole, or a stage at a time."""

import dagster as dg

from fa_assets.encoders.registry import checkpoint_asset
from fa_assets.errors import UserError
from fa_assets.graph.recorder import Recorder

EVERYTHING = "everything"
FROM_TAG = "from"
"""The tag of a run that says what started it."""

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
    tags={FROM_TAG: "UI"},  # unless whoever starts it says otherwise
    description="The whole graph, every fold, from the folder of clips to metrics, the report and the notebook's files.",
)

stage_jobs = [
    dg.define_asset_job(f"{group}_stage", selection=dg.AssetSelection.groups(group), description=description)
    for group, description in _STAGES.items()
]


def checkpoint_intact(encoder: str) -> dg.AssetCheckKey:
    """The check that reads the encoder's weights file."""
    return dg.AssetCheckKey(dg.AssetKey(checkpoint_asset(encoder)), "checkpoint_intact")


VERIFIES_CHECKPOINT = (
    "Reads the weights file again and compares its size and sha1 with what was recorded. When it was damaged or replaced, the "
    "weights are stale, and all that was made from them."
)


@dg.op(
    pool="catalog",
    description="Adds to the catalog what the ledger has and it lacks, and writes catalog-snapshot.duckdb beside it.",
)
def bring_catalog_up_to_date(context: dg.OpExecutionContext, recorder: dg.ResourceParam[Recorder]) -> None:
    """Waits for whoever has the catalog open, up to a minute; the snapshot takes the place of an earlier one.

    Raises:
        dagster.Failure: the catalog was open elsewhere all the time, or cannot be read or written.
    """
    catalog = recorder.catalog
    snapshot = catalog.path.with_name("catalog-snapshot.duckdb")
    try:
        added = catalog.sync(timeout_s=60)
        total = catalog.snapshot(snapshot)
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    context.log.info(f"{added} materializations added; {total} in {snapshot}")
    context.add_output_metadata(
        {"added": added, "materializations": total, "snapshot": dg.MetadataValue.path(snapshot)}
    )


@dg.job(
    description="Brings the catalog up to date after somebody had it open, and writes a copy of it for dashboards, which they "
    "may hold open.",
    executor_def=dg.in_process_executor,
)
def catalog_snapshot() -> None:
    bring_catalog_up_to_date()
