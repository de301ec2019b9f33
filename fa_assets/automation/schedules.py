"""The nightly refresh."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._utils.schedules import is_valid_cron_string

from fa_assets.assets.source import versions_of
from fa_assets.automation.jobs import CHECKPOINT_INTACT, everything
from fa_assets.automation.observation import look_at_recordings
from fa_assets.dataset.recordings import ScanUnfinishedError
from fa_assets.errors import UserError
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder
from fa_assets.settings import Settings
from fa_assets.staleness import Stale, find_stale, range_tags

_SCAN_LIMIT_S = 30.0


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
        context: dg.ScheduleEvaluationContext, dataset: DatasetFolder, recorder: Recorder
    ) -> dg.RunRequest | dg.SkipReason:
        graph = context.repository_def.asset_graph
        try:
            look = look_at_recordings(context.instance, dataset, recorder, limit_s=_SCAN_LIMIT_S)
            for observation in look.observations:
                context.instance.report_runless_asset_event(observation)
            stale = find_stale(graph, context.instance, recorder.values, versions_of(look.state))
        except (ScanUnfinishedError, UserError, OSError) as error:
            context.log.error(f"The dataset cannot be used as it is now, nothing is refreshed: {error}")
            stale = []
        busy = _in_unfinished_runs(context.instance) & {one.asset for one in stale}
        if busy:
            context.log.info(f"A run is at it, nothing is refreshed: {', '.join(sorted(busy))}")
            stale = []
        request = nightly_request(graph, stale, verify=recorder.values.header("cnn14_checkpoint") is not None)
        if request is None:
            return dg.SkipReason("There is nothing yet to verify, and nothing that can be made.")
        return request

    return nightly_refresh


def nightly_request(graph: BaseAssetGraph, stale: Sequence[Stale], *, verify: bool) -> dg.RunRequest | None:
    """One run of what is stale with its checks, and of the check that reads the weights file again."""
    assets = [dg.AssetKey(name) for name in dict.fromkeys(one.asset for one in stale)]
    checks = {*graph.get_check_keys_for_assets(set(assets)), *([CHECKPOINT_INTACT] if verify else [])}
    if not checks:
        return None
    return dg.RunRequest(asset_selection=assets, asset_check_keys=sorted(checks), tags=range_tags(stale))


def _in_unfinished_runs(instance: dg.DagsterInstance) -> set[str]:
    """The assets that a run is making or waits to make."""
    runs = instance.get_runs(
        dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
            ]
        )
    )
    return {key.to_user_string() for run in runs for key in run.asset_selection or ()}
