"""Drives the sensors the way the daemon does, in this process: tick, run what was requested, tick again."""

from dataclasses import dataclass, field

import dagster as dg

from fa_assets.automation.observation import look_at_recordings
from fa_assets.automation.sensors import FoldsInOneRun
from fa_assets.definitions import build_definitions
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder
from fa_assets.settings import Settings

Requested = set[tuple[str, str | None]]
"""Assets and folds; the fold is None for an asset without folds."""


@dataclass
class Daemon:
    """The sensor of conditions with its cursor, over an instance."""

    settings: Settings
    instance: dg.DagsterInstance
    cursor: str | None = None
    runs: list[dg.ExecuteInProcessResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.definitions = build_definitions(self.settings)

    def observe(self) -> str:
        """What the sensor of the folder does; returns what is new, in words."""
        look = look_at_recordings(
            self.instance,
            DatasetFolder(folder=str(self.settings.dataset)),
            Recorder.of(self.settings),
        )
        for observation in look.observations:
            self.instance.report_runless_asset_event(observation)
        return look.news

    def tick(self) -> list[dg.RunRequest]:
        """What the sensor of conditions requests."""
        repository = self.definitions.get_repository_def()
        sensor = repository.get_sensor_def("refresh_what_is_stale")
        assert isinstance(sensor, FoldsInOneRun)
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=repository) as context:
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return list(data.run_requests or ())

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run a request in this process."""
        result = self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=request.asset_selection,
            tags=request.tags,
            partition_key=request.partition_key,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        self.runs.append(result)
        return result

    def until_quiet(self, most: int = 12) -> list[Requested]:
        """Tick and run until nothing is requested; what each tick requested, in order."""
        waves: list[Requested] = []
        for _ in range(most):
            requests = self.tick()
            if not requests:
                return waves
            waves.append({part for request in requests for part in parts_of(request)})
            for request in requests:
                self.run(request)
        raise AssertionError(f"it does not come to rest: {waves}")


def parts_of(request: dg.RunRequest) -> Requested:
    """What a request asks for."""
    if request.partition_key is not None:
        folds: list[str | None] = [request.partition_key]
    elif "dagster/asset_partition_range_start" in request.tags:
        first, last = (int(request.tags[f"dagster/asset_partition_range_{end}"]) for end in ("start", "end"))
        folds = [str(fold) for fold in range(first, last + 1)]
    else:
        folds = [None]
    return {(key.to_user_string(), fold) for key in request.asset_selection or () for fold in folds}
