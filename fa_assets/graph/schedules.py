"""The nightly refresh."""

from typing import Any

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.asset import Graph
from fa_assets.graph.jobs import intact_checks
from fa_assets.graph.observation import SCAN_LIMIT_S, report_observations
from fa_assets.graph.place import Place
from fa_assets.graph.refresh import being_made, refresh_request
from fa_assets.graph.source import versions_of
from fa_assets.graph.staleness import find_stale
from fa_assets.intake.recordings import ScanUnfinishedError


def nightly_schedule(
    graph: Graph, place: Place, job: Any, cron: str, timezone: str, *, running: bool
) -> dg.ScheduleDefinition:
    """Every night a run of `job`: look at the folder, verify the weights file, and make what is stale, also what failed
    before; `running`: whether it is on from the start.

    Raises:
        UserError: FA_NIGHTLY_CRON is not a cron expression.
    """
    try:
        return dg.ScheduleDefinition(
            name=place.named("nightly_refresh"),
            cron_schedule=cron,
            execution_timezone=timezone,
            execution_fn=lambda context: _refresh(context, graph, place),
            target=job,
            default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
            description="Makes whatever is stale, also what failed before, in one run; and reads the weights file again to "
            "see whether it is still the one that was recorded.",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise UserError(f"FA_NIGHTLY_CRON={cron!r} is not a cron expression, such as '0 3 * * *'.") from error


def _refresh(context: dg.ScheduleEvaluationContext, graph: Graph, place: Place) -> dg.RunRequest | dg.SkipReason:
    try:
        state = report_observations(context.instance, place, limit_s=SCAN_LIMIT_S)
        stale = find_stale(graph, place, context.instance, versions_of(state))
    except (ScanUnfinishedError, UserError, OSError) as error:
        context.log.error(f"The dataset cannot be used as it is now, nothing is refreshed: {error}")
        stale = []
    if busy := being_made(context.instance, place, stale):
        context.log.info(f"A run is making {', '.join(sorted(busy))}; nothing is refreshed.")
        stale = []
    values = place.recorder.values
    checks = [check for asset, check in intact_checks(graph, place).items() if values.header(asset) is not None]
    if not stale and not checks:
        return dg.SkipReason("There is nothing yet to verify, and nothing that can be made.")
    return refresh_request(graph, place, stale, "schedule", checks)
