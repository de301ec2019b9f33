"""What watches: the dataset folder, the conditions of the assets, and runs that fail."""

from collections.abc import Iterable, Sequence

import dagster as dg
from dagster._core.definitions.run_request import SensorResult
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from dagster._record import copy

from fa_assets.assets.source import versions_of
from fa_assets.automation.failures import notify, write_failure
from fa_assets.automation.observation import look_at_recordings
from fa_assets.dataset.recordings import ScanUnfinishedError
from fa_assets.errors import UserError
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder
from fa_assets.settings import Settings

SCAN_LIMIT_S = 30.0
"""Seconds that a look at the folder may take within a tick, which Dagster ends after 60; it goes on at the next."""


def refresh_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors, running from the start unless FA_AUTOMATION says otherwise."""
    status = dg.DefaultSensorStatus[settings.automation.upper()]
    return [
        _recordings_sensor(settings, status),
        FoldsInOneRun(
            "refresh_what_is_stale",
            target=dg.AssetSelection.all(),
            use_user_code_server=True,  # the conditions are classes of ours, which the daemon does not have
            emit_backfills=False,
            default_status=status,
            minimum_interval_seconds=min(30, settings.observe_every_s),
            description="Makes again exactly what is stale, upstream first. Switch it off to pause refreshes.",
        ),
        _failure_sensor(settings),
    ]


def _recordings_sensor(settings: Settings, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="recordings_changed",
        minimum_interval_seconds=settings.observe_every_s,
        default_status=status,
        description="Looks at the dataset folder: names, sizes and times, then the bytes of what changed. Reports an "
        "observation of curated_recordings or test_recordings when something did.",
    )
    def recordings_changed(
        context: dg.SensorEvaluationContext, dataset: DatasetFolder, recorder: Recorder
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            look = look_at_recordings(context.instance, dataset, recorder, limit_s=SCAN_LIMIT_S)
        except ScanUnfinishedError as unfinished:
            return dg.SkipReason(f"{unfinished}; the next tick goes on.")
        except (UserError, OSError) as error:
            return dg.SkipReason(f"The dataset cannot be used as it is now; earlier results stay as they are. {error}")
        versions = " ".join(versions_of(look.state).values())
        if not look.observations:
            return dg.SkipReason(f"{look.news}: {look.state.curated.clips_present} clips, {versions}")
        context.log.info(look.news)
        return SensorResult(asset_events=list(look.observations), cursor=versions)

    return recordings_changed


class FoldsInOneRun(dg.AutomationConditionSensorDefinition):
    """Requests one run for consecutive folds of the same assets, so that the weights are loaded once.

    Dagster would request a run for each, or hand them to a backfill, which looks every 30 seconds whether it is its turn.
    """

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        data = super().evaluate_tick(context)
        return copy(data, run_requests=folds_in_one_run(data.run_requests or ()))


def folds_in_one_run(requests: Iterable[dg.RunRequest]) -> list[dg.RunRequest]:
    """The same requests, with one for each range of consecutive folds of the same assets."""
    merged: list[dg.RunRequest] = []
    of_folds: dict[frozenset[object], list[dg.RunRequest]] = {}
    for request in requests:
        if request.partition_key is None or not request.partition_key.isdigit():
            merged.append(request)
        else:
            what = frozenset([*(request.asset_selection or ()), *(request.asset_check_keys or ())])
            of_folds.setdefault(what, []).append(request)
    for same in of_folds.values():
        for group in _consecutive(sorted(same, key=lambda request: int(request.partition_key or 0))):
            first, last = group[0], group[-1]
            if len(group) == 1:
                merged.append(first)
                continue
            tags = {name: text for name, text in first.tags.items() if name != "dagster/partition"}
            merged.append(
                first.with_replaced_attrs(
                    partition_key=None,
                    tags={
                        **tags,
                        ASSET_PARTITION_RANGE_START_TAG: first.partition_key,
                        ASSET_PARTITION_RANGE_END_TAG: last.partition_key,
                    },
                )
            )
    return merged


def _consecutive(requests: Sequence[dg.RunRequest]) -> list[list[dg.RunRequest]]:
    groups: list[list[dg.RunRequest]] = []
    for request in requests:
        if groups and int(request.partition_key or 0) == int(groups[-1][-1].partition_key or 0) + 1:
            groups[-1].append(request)
        else:
            groups.append([request])
    return groups


def _failure_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="say_what_failed",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=min(30, settings.observe_every_s),
        description="Writes what failed and how to go on to failures/ in the storage folder, and calls FA_ON_FAILURE.",
    )
    def say_what_failed(context: dg.RunFailureSensorContext) -> None:
        path = write_failure(context, settings)
        context.log.error(f"run {context.dagster_run.run_id} failed: see {path}")
        if settings.on_failure:
            notify(settings.on_failure, path)

    return say_what_failed
