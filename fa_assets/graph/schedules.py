"""The nightly refresh."""

import dagster as dg
from dagster._utils.schedules import is_valid_cron_string

from fa_assets.errors import UserError
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.jobs import checkpoint_intact, everything
from fa_assets.graph.observation import SCAN_LIMIT_S, observe
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.refresh import being_made, refresh_request
from fa_assets.graph.staleness import find_stale
from fa_assets.intake.recordings import ScanUnfinishedError
from fa_assets.settings import Settings


def nightly_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Every night: look at the folder, verify the weights file, and make what is stale, also what failed before.

    Raises:
        UserError: FA_NIGHTLY_CRON is no cron expression.
    """
    if not is_valid_cron_string(settings.nightly_cron):
        raise UserError(f"FA_NIGHTLY_CRON={settings.nightly_cron!r} is no cron expression, such as '0 3 * * *'.")

    @dg.schedule(
        name="nightly_refresh",
        cron_schedule=settings.nightly_cron,
        execution_timezone=settings.timezone,
        target=everything,
        default_status=dg.DefaultScheduleStatus[settings.automation.upper()],
        description="Makes whatever is stale, also what failed before, in one run; and reads the weights file again to see "
        "whether it is still the one that was recorded.",
    )
    def nightly_refresh(
        context: dg.ScheduleEvaluationContext,
        dataset: dg.ResourceParam[DatasetFolder],
        recorder: dg.ResourceParam[Recorder],
    ) -> dg.RunRequest | dg.SkipReason:
        graph = context.repository_def.asset_graph
        try:
            versions = observe(context.instance, dataset, recorder, limit_s=SCAN_LIMIT_S)
            stale = find_stale(graph, context.instance, recorder.values, versions)
        except (ScanUnfinishedError, UserError, OSError) as error:
            context.log.error(f"The dataset cannot be used as it is now, nothing is refreshed: {error}")
            stale = []
        if busy := being_made(context.instance, stale):
            context.log.info(f"A run is making {', '.join(sorted(busy))}; nothing is refreshed.")
            stale = []
        intact = checkpoint_intact(settings.encoder)
        checks = [intact] if recorder.values.header(intact.asset_key.to_user_string()) is not None else []
        if not stale and not checks:
            return dg.SkipReason("There is nothing yet to verify, and nothing that can be made.")
        return refresh_request(graph, stale, "schedule", checks)

    return nightly_refresh
