"""What watches: the dataset folder and all that was made from it, and runs that fail."""

import json

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.failures import Advice, notify, write_failure
from fa_assets.graph.jobs import everything
from fa_assets.graph.observation import SCAN_LIMIT_S, look_at_recordings
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.refresh import being_made, refresh_request
from fa_assets.graph.source import versions_of
from fa_assets.graph.staleness import find_stale
from fa_assets.intake.recordings import ScanUnfinishedError
from fa_assets.store.recipe import short_digest


def refresh_sensor(observe_every_s: int, *, running: bool) -> dg.SensorDefinition:
    """The sensor that starts refreshes.

    Args:
        observe_every_s: seconds between two looks at the dataset folder.
        running: whether it is on from the start.
    """

    @dg.sensor(
        name="refresh_what_is_stale",
        target=everything,
        minimum_interval_seconds=observe_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Looks at the dataset folder (names, sizes and times, then the bytes of what changed) and makes all that "
        "is stale in one run of the job everything. What that run left stale is not tried again before something changes; the "
        "nightly schedule tries it. Switch it off to pause refreshes.",
    )
    def refresh_what_is_stale(
        context: dg.SensorEvaluationContext,
        dataset: dg.ResourceParam[DatasetFolder],
        recorder: dg.ResourceParam[Recorder],
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            look = look_at_recordings(context.instance, dataset, recorder, limit_s=SCAN_LIMIT_S)
        except ScanUnfinishedError as unfinished:
            return dg.SkipReason(f"{unfinished}; the next tick goes on.")
        except (UserError, OSError) as error:
            return dg.SkipReason(f"The dataset cannot be used as it is now; earlier results stay as they are. {error}")
        repository = context.repository_def
        assert repository is not None, "a sensor of a code location has its repository"
        graph = repository.asset_graph
        versions = versions_of(look.state)
        stale = find_stale(graph, context.instance, recorder.values, versions)
        code = [str(graph.get(key).code_version) for key in sorted(graph.materializable_asset_keys)]
        tick = _Tick(context.cursor, short_digest(*versions.values(), *code))
        if look.observations:
            context.log.info(look.news)
        if not stale:
            said, tick = f"{look.news}: {look.state.curated.clips_present} clips, nothing is stale", _Tick(None, "")
        elif busy := being_made(context.instance, stale):
            said = f"{look.news}: a run is making {', '.join(sorted(busy))}"
        elif not tick.is_new({f"{one.asset} {one.partition}": one.situation for one in stale if not one.waits}):
            said = f"{look.news}: the last refresh left {stale[0].asset} stale ({stale[0].reason}), and nothing changed since"
        else:
            request = refresh_request(repository, stale, "sensor")
            return dg.SensorResult([request], asset_events=list(look.observations), cursor=tick.requested())
        return dg.SensorResult(
            skip_reason=dg.SkipReason(said), asset_events=list(look.observations), cursor=tick.cursor
        )

    return refresh_what_is_stale


class _Tick:
    """What the sensor remembers from one tick to the next.

    The cursor holds what the last request was made for (a digest of the dataset's versions and of code and settings) and, once
    its run has ended, in which situation it left what is still stale.
    """

    def __init__(self, cursor: str | None, seen: str) -> None:
        self._seen = seen
        self._memory = json.loads(cursor or "{}")

    def is_new(self, situations: dict[str, str]) -> bool:
        """Whether anything is stale that the last request has not already tried to make."""
        if self._memory.pop("requested", None) == self._seen:
            self._memory["tried"] = situations
        return not situations.items() <= self._memory.get("tried", {}).items()

    def requested(self) -> str:
        """The cursor after a request."""
        return json.dumps({"requested": self._seen})

    @property
    def cursor(self) -> str:
        """The cursor after a tick without one."""
        return json.dumps(self._memory)


def failure_sensor(observe_every_s: int, advice: Advice, on_failure: str | None) -> dg.SensorDefinition:
    """The sensor that says what failed.

    Args:
        observe_every_s: seconds between two looks.
        advice: how to go on.
        on_failure: FA_ON_FAILURE.
    """

    @dg.run_failure_sensor(
        name="say_what_failed",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=min(30, observe_every_s),
        description="Writes what failed and how to go on to failures/ in the storage folder, and calls FA_ON_FAILURE.",
    )
    def say_what_failed(context: dg.RunFailureSensorContext) -> None:
        path = write_failure(context, advice)
        context.log.error(f"run {context.dagster_run.run_id} failed: see {path}")
        if on_failure:
            notify(on_failure, path)

    return say_what_failed
