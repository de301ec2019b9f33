"""Jobs: what a person starts as a whole, or a stage at a time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.asset import Graph
from fa_assets.graph.display import failure
from fa_assets.graph.liveness import FROM_TAG
from fa_assets.graph.place import Place
from fa_assets.graph.pools import living_executor
from fa_assets.printable import printable
from fa_assets.web.addresses import COMPARE, REVIEW

if TYPE_CHECKING:
    from fa_assets.catalog.database import Catalog

EVERYTHING = "everything"

_EVERYTHING = "The whole graph, every fold, from the folder of clips to metrics, the report and the notebook's files."
_PAGES = (
    f"\n\nIn `fa-assets ui`: [doubted labels to listen to]({REVIEW}) · [reports](/reports) · "
    f"[the two newest runs side by side]({COMPARE})\n\n"
    "*Materialize all* asks which folds; [here all are chosen](/locations/fa_assets/jobs/everything?default_range=%5B0...4%5D)."
)
_VERIFY_CHECKPOINT = (
    "Reads the weights file again and compares its size and sha1 with what was recorded. When it was damaged or replaced, the "
    "weights are stale, and all that was made from them."
)
_STAGES = {
    "clips": "Classes, clips and folds: the intake, which finds everything that can be wrong with the input.",
    "model": "The weights: fetched where needed, and verified.",
    "embeddings": "The embeddings of every fold; what is in the embedding store is not computed again.",
    "evaluation": "Out-of-fold predictions, metrics and the comparison.",
    "submission": "The test stage: test clips, final classifier, submission and its figures.",
    "export": "The files of the original notebook, and the report.",
}


def asset_jobs(graph: Graph, place: Place, settings: Mapping[str, str]) -> dict[str, Any]:
    """The jobs over the graph, by the name that they have without a prefix; `settings` are shown with `everything`."""

    def job(name: str, selection: dg.AssetSelection, description: str, **options: Any) -> Any:
        return dg.define_asset_job(
            place.named(name), selection, description=description, executor_def=living_executor, **options
        )

    def assets(*groups: str) -> dg.AssetSelection:
        return dg.AssetSelection.assets(*(place.key(one.name) for one in graph.assets if one.group in groups))

    shown = {name: printable(value) for name, value in settings.items() if value}
    intact = dg.AssetSelection.checks(*intact_checks(graph, place).values())
    return {
        # Its tag holds unless the one who starts it says otherwise.
        EVERYTHING: job(
            EVERYTHING,
            assets(*_STAGES),
            _EVERYTHING if place.prefix else _EVERYTHING + _PAGES,
            metadata=shown,
            tags={FROM_TAG: "UI"},
        ),
        **{f"{group}_stage": job(f"{group}_stage", assets(group), text) for group, text in _STAGES.items()},
        "verify_checkpoint": job("verify_checkpoint", intact, _VERIFY_CHECKPOINT),
    }


def intact_checks(graph: Graph, place: Place) -> dict[str, dg.AssetCheckKey]:
    """The checks that read the weights files again, by the asset of the weights."""
    return {one.asset.name: one.key(place) for one in graph.checks if one.title == "checkpoint_intact"}


def catalog_snapshot_job(place: Place) -> dg.JobDefinition:
    """The job that brings the catalog up to date and copies it."""

    @dg.op(
        name=place.named("bring_catalog_up_to_date"),
        pool="catalog",
        description="Adds to the catalog what the ledger has and it lacks, and writes catalog-snapshot.duckdb beside it.",
    )
    def bring_catalog_up_to_date(context: dg.OpExecutionContext) -> None:
        _snapshot(context, place.recorder.catalog)

    @dg.job(
        name=place.named("catalog_snapshot"),
        description="Brings the catalog up to date after somebody had it open, and writes a copy of it for dashboards, which "
        "they may hold open.",
        executor_def=living_executor,
    )
    def catalog_snapshot() -> None:
        bring_catalog_up_to_date()

    return catalog_snapshot


def _snapshot(context: dg.OpExecutionContext, catalog: "Catalog") -> None:
    """Waits for those who have the catalog open, up to a minute; the snapshot takes the place of an earlier one.

    Raises:
        dagster.Failure: the catalog was open elsewhere all the time, or cannot be read or written.
    """
    snapshot = catalog.path.with_name("catalog-snapshot.duckdb")
    try:
        added = catalog.sync(timeout_s=60)
        total = catalog.snapshot(snapshot)
    except UserError as error:
        raise failure(error) from error
    context.log.info(f"{added} materializations added; {total} in {snapshot}")
    context.add_output_metadata(
        {"added": added, "materializations": total, "snapshot": dg.MetadataValue.path(snapshot)}
    )
