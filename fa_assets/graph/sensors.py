"""What watches: the dataset folder and all that was made from it, and runs that fail."""

import json
from typing import Any

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.asset import Graph
from fa_assets.graph.failures import notify, write_failure
from fa_assets.graph.observation import SCAN_LIMIT_S, observe_dataset
from fa_assets.graph.place import Place
from fa_assets.graph.refresh import REFRESH_SENSOR, being_made, refresh_request
from fa_assets.graph.source import versions_of
from fa_assets.graph.staleness import find_stale
from fa_assets.intake.recordings import ScanUnfinishedError
from fa_assets.printable import printable
from fa_assets.store.recipe import short_digest


def refresh_sensor(graph: Graph, place: Place, job: Any, observe_every_s: int, *, running: bool) -> dg.SensorDefinition:
    """The sensor that starts refreshes, runs of `job`; `running`: whether it is on from the start."""
    return dg.SensorDefinition(
        name=place.named(REFRESH_SENSOR),
        evaluation_fn=lambda context: _refresh(context, graph, place),
        job=job,
        minimum_interval_seconds=observe_every_s,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Looks at the dataset folder (names, sizes and times, then the bytes of what changed) and makes all that "
        "is stale in one run of the job everything. What that run left stale is not tried again before something changes; the "
        "nightly schedule tries it. Switch it off to pause refreshes.",
    )


def _refresh(context: dg.SensorEvaluationContext, graph: Graph, place: Place) -> dg.SensorResult | dg.SkipReason:
    try:
        observed = observe_dataset(context.instance, place, limit_s=SCAN_LIMIT_S)
    except ScanUnfinishedError as unfinished:
        return dg.SkipReason(f"{unfinished}; the next tick goes on.")
    except (UserError, OSError) as error:
        return dg.SkipReason(
            f"The dataset cannot be used as it is now; earlier results stay as they are. {_text(error)}"
        )
    versions = versions_of(observed.state)
    stale = find_stale(graph, place, context.instance, versions)
    tick = _Tick(context.cursor, short_digest(*versions.values(), *graph.code_versions))
    if observed.observations:
        context.log.info(observed.news)
    if not stale:
        said, tick = f"{observed.news}: {observed.state.curated.clips_present} clips, nothing is stale", _Tick(None, "")
    elif busy := being_made(context.instance, place, stale):
        said = f"{observed.news}: a run is making {', '.join(sorted(busy))}"
    elif not tick.is_new({f"{one.asset} {one.partition}": one.made_of for one in stale if not one.waits}):
        said = f"{observed.news}: the last refresh left {stale[0].asset} stale ({stale[0].reason}), and nothing changed since"
    else:
        request = refresh_request(graph, place, stale, "sensor")
        return dg.SensorResult([request], asset_events=list(observed.observations), cursor=tick.requested())
    return dg.SensorResult(
        skip_reason=dg.SkipReason(_text(said)), asset_events=list(observed.observations), cursor=tick.cursor
    )


def _text(said: object) -> str:
    return printable(str(said), keep="\n")


class _Tick:
    """What the sensor remembers from one tick to the next.

    The cursor holds what the last request was made for (a digest of the dataset's versions and of code and settings) and, once
    its run has ended, in which state it left what is still stale, as long as none of that changes.
    """

    def __init__(self, cursor: str | None, seen: str) -> None:
        self._seen = seen
        self._memory = json.loads(cursor or "{}")

    def is_new(self, made_of: dict[str, str]) -> bool:
        """Whether anything is stale that the last request has not already tried to make."""
        if self._memory.pop("requested", None) == self._seen:
            self._memory = {"tried": made_of, "seen": self._seen}
        if self._memory.get("seen") != self._seen:
            self._memory = {}  # a clip that was put back as it was counts: its run is needed again
        return not made_of.items() <= self._memory.get("tried", {}).items()

    def requested(self) -> str:
        """The cursor after a request."""
        return json.dumps({"requested": self._seen})

    @property
    def cursor(self) -> str:
        """The cursor after a tick without one."""
        return json.dumps(self._memory)


def failure_sensor(
    graph: Graph, place: Place, observe_every_s: int, command: str, on_failure: str | None
) -> dg.SensorDefinition:
    """The sensor that says what failed, and the command to go on with; `on_failure` is FA_ON_FAILURE."""
    assets = {one.name for one in graph.assets}
    steps = {place.step(asset) for asset in assets}

    @dg.run_failure_sensor(
        name=place.named("say_what_failed"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=min(30, observe_every_s),
        description="Writes what failed and how to go on to failures/ in the local folder, and calls FA_ON_FAILURE.",
    )
    def say_what_failed(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        failed = {event.step_key for event in context.get_step_failure_events()}
        chosen = {place.asset(key) for key in run.asset_selection or ()} & assets
        if place.prefix and not (failed & steps or chosen):
            return  # of another dataset in the same code location
        path = write_failure(context, place, command)
        context.log.error(f"run {run.run_id} failed: see {path}")
        if on_failure:
            notify(on_failure, path)

    return say_what_failed
