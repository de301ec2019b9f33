"""The nightly refresh."""

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.jobs import everything, intact_check
from fa_assets.graph.observation import SCAN_LIMIT_S, observe
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.refresh import being_made, refresh_request
from fa_assets.graph.staleness import find_stale
from fa_assets.intake.recordings import ScanUnfinishedError


def nightly_schedule(cron: str, timezone: str, checkpoint: str, *, running: bool) -> dg.ScheduleDefinition:
    """Every night: look at the folder, verify the weights file, and make what is stale, also what failed before.

    Args:
        cron, timezone: when.
        checkpoint: the asset of the weights.
        running: whether it is on from the start.

    Raises:
        UserError: FA_NIGHTLY_CRON is not a cron expression.
    """
    define = dg.schedule(
        name="nightly_refresh",
        cron_schedule=cron,
        execution_timezone=timezone,
        target=everything,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description="Makes whatever is stale, also what failed before, in one run; and reads the weights file again to see "
        "whether it is still the one that was recorded.",
    )

    def nightly_refresh(
        context: dg.ScheduleEvaluationContext,
        dataset: dg.ResourceParam[DatasetFolder],
        recorder: dg.ResourceParam[Recorder],
    ) -> dg.RunRequest | dg.SkipReason:
        return _refresh(context, dataset, recorder, checkpoint)

    try:
        return define(nightly_refresh)
    except dg.DagsterInvalidDefinitionError as error:
        raise UserError(f"FA_NIGHTLY_CRON={cron!r} is not a cron expression, such as '0 3 * * *'.") from error


def _refresh(
    context: dg.ScheduleEvaluationContext,
    dataset: DatasetFolder,
    recorder: Recorder,
    checkpoint: str,
) -> dg.RunRequest | dg.SkipReason:
    repository = context.repository_def
    try:
        versions = observe(context.instance, dataset, recorder, limit_s=SCAN_LIMIT_S)
        stale = find_stale(repository.asset_graph, context.instance, recorder.values, versions)
    except (ScanUnfinishedError, UserError, OSError) as error:
        context.log.error(f"The dataset cannot be used as it is now, nothing is refreshed: {error}")
        stale = []
    if busy := being_made(context.instance, stale):
        context.log.info(f"A run is making {', '.join(sorted(busy))}; nothing is refreshed.")
        stale = []
    checks = [intact_check(checkpoint)] if recorder.values.header(checkpoint) is not None else []
    if not stale and not checks:
        return dg.SkipReason("There is nothing yet to verify, and nothing that can be made.")
    return refresh_request(repository, stale, "schedule", checks)
