"""Drives the sensor the way the daemon does, in this process: tick, run what was requested, tick again."""

from dataclasses import dataclass

import dagster as dg

from fa_assets.definitions import build_definitions
from fa_assets.graph.jobs import EVERYTHING
from fa_assets.settings import Settings

Requested = set[tuple[str, str | None]]
"""Assets and folds; the fold is None for an asset without folds."""


def tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, sensor: str, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    """What a sensor says."""
    repository = definitions.get_repository_def()
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=repository)
    return repository.get_sensor_def(sensor)(context)


@dataclass
class Daemon:
    """The refresh sensor with its cursor, over an instance."""

    settings: Settings
    instance: dg.DagsterInstance
    cursor: str | None = None
    said: str = ""

    def __post_init__(self) -> None:
        self.definitions = build_definitions(self.settings)

    def tick(self) -> dg.RunRequest | None:
        """What the sensor requests, if anything; else `said` is why not. What it observed is reported."""
        result = tick(self.definitions, self.instance, "refresh_what_is_stale", self.cursor)
        if isinstance(result, dg.SkipReason):
            self.said = result.skip_message or ""
            return None
        assert isinstance(result, dg.SensorResult)
        for event in result.asset_events:
            assert isinstance(event, dg.AssetObservation)
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor
        self.said = result.skip_reason.skip_message or "" if result.skip_reason else ""
        requests = list(result.run_requests or ())
        assert len(requests) <= 1, "one refresh is one run"
        return requests[0] if requests else None

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run a request in this process."""
        return self.definitions.resolve_job_def(EVERYTHING).execute_in_process(
            instance=self.instance,
            asset_selection=request.asset_selection,
            tags=request.tags,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def refresh(self) -> Requested:
        """A tick and the run it requests; what that was."""
        request = self.tick()
        assert request is not None, self.said
        assert self.run(request).success
        return parts_of(request)


def parts_of(request: dg.RunRequest) -> Requested:
    """What a request asks for; folds are those of the assets that have any."""
    tags, names = request.tags, {key.to_user_string() for key in request.asset_selection or ()}
    first, last = (tags.get(f"dagster/asset_partition_range_{end}", "0") for end in ("start", "end"))
    folds = [str(fold) for fold in range(int(first), int(last) + 1)]
    folded = {name for name in names if name in ("mc5_embeddings", "center_embeddings")}
    return {(name, fold) for name in folded for fold in folds} | {(name, None) for name in names - folded}
