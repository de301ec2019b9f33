"""`fa-assets ui` as a process of its own, and what its pages ask the webserver."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fa_assets.settings import Settings
from fa_assets_tests.end_to_end.past_runs import add_past_runs
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.ports import free_port
from fa_assets_tests.processes import living_in_session

TIMEOUT_S = 180.0
"""How long anything may take on a busy machine before a test gives up."""

MATERIALIZATIONS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode { latestMaterializationByPartition(partitions: ["0", "1", "2", "3", "4"]) { runId partition } }
  }
}"""
RUN_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
NEWEST = "{ runsOrError(limit: 1) { ... on Runs { results { id } } } }"
NEWEST_OF = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode { assetMaterializations(limit: 1) { runId } } }
}"""
GOING = """{
  runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) { ... on Runs { results { id } } }
}"""
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}"""
QUICK_DAEMON = """import sys
if "dagster._daemon" in sys.orig_argv:
    from dagster._daemon import controller
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1
"""
"""As `sitecustomize` of a Python: its daemon looks for backfills every second, not every 30, for which there is no setting."""
ALL_FOLDS = {"dagster/asset_partition_range_start": "0", "dagster/asset_partition_range_end": "4"}
BACKFILLS = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }"
REPOSITORY = {"repositoryLocationName": "fa_assets", "repositoryName": "__repository__"}
START_SENSOR = """
mutation($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on Sensor { sensorState { status } } }
}"""
SENSORS = """
query($repository: RepositorySelector!) {
  sensorsOrError(repositorySelector: $repository) { ... on Sensors { results { name sensorState { status } } } }
}"""
RESET_SENSOR = """
mutation($sensor: SensorSelector!) {
  resetSensor(sensorSelector: $sensor) { __typename ... on Sensor { sensorState { status } } }
}"""


class Webserver:
    """Asks the webserver what its pages ask."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
        assert "errors" not in answer, answer
        return answer["data"]

    def runs_of(self, asset: str) -> dict[str, str]:
        """The run that last materialized each fold."""
        node = self.ask(MATERIALIZATIONS, path=[asset])["assetNodeOrError"]
        return {one["partition"]: one["runId"] for one in node["latestMaterializationByPartition"] if one}

    def newest_run(self) -> str:
        return str(self.ask(NEWEST)["runsOrError"]["results"][0]["id"])

    def newest_run_of(self, asset: str) -> str:
        """The run that last materialized an asset."""
        return str(self.ask(NEWEST_OF, path=[asset])["assetNodeOrError"]["assetMaterializations"][0]["runId"])

    def status(self, run_id: str) -> str:
        return str(self.ask(RUN_STATUS, id=run_id)["runOrError"]["status"])

    def launch(self, job: str, assets: Sequence[str] | None = None) -> str:
        """Launch a job, or these assets of it, for all folds in one run, which the daemon starts; the run's id."""
        selector: dict[str, Any] = {**REPOSITORY, "jobName": job}
        if assets is not None:
            selector["assetSelection"] = [{"path": [asset]} for asset in assets]
        tags = [{"key": key, "value": value} for key, value in ALL_FOLDS.items()]
        params = {"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}}
        answer = self.ask(LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def runs_going(self) -> set[str]:
        """The runs that have not ended."""
        return {str(run["id"]) for run in self.ask(GOING)["runsOrError"]["results"]}

    def backfills(self) -> set[str]:
        """All that were ever launched."""
        return {str(one["id"]) for one in self.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]}

    def sensors(self) -> dict[str, str]:
        """RUNNING or STOPPED, by name."""
        sensors = self.ask(SENSORS, repository=REPOSITORY)["sensorsOrError"]["results"]
        return {one["name"]: one["sensorState"]["status"] for one in sensors}

    @contextmanager
    def running(self, *sensors: str) -> Iterator[None]:
        """Sensors that are off by default are on; afterwards they are off again, and what they started has ended."""
        selectors = [{**REPOSITORY, "sensorName": name} for name in sensors]
        try:
            for selector in selectors:
                answer = self.ask(START_SENSOR, sensor=selector)["startSensor"]
                assert answer == {"__typename": "Sensor", "sensorState": {"status": "RUNNING"}}
            yield
        finally:
            for selector in selectors:
                answer = self.ask(RESET_SENSOR, sensor=selector)["resetSensor"]
                assert answer == {"__typename": "Sensor", "sensorState": {"status": "STOPPED"}}
            wait_for("no run is going", lambda: not self.runs_going())


def wait_for(what: str, condition: Callable[[], bool], *, every_s: float = 0.3) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT_S:.0f} s for: {what}"
        time.sleep(every_s)


@contextmanager
def serving(variables: Mapping[str, str], log: Path, folder: Path | None = None) -> Iterator[Webserver]:
    """`fa-assets ui` as a script starts it in the background, in a folder, with no settings but these variables.

    At the end it is sent SIGTERM, and must end, with all that it started.
    """
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
    with log.open("w") as output:
        process = subprocess.Popen(
            ["env", "--ignore-signal=INT", Path(sys.executable).with_name("fa-assets"), "ui", "--port", str(port)],
            env={**clean, **variables},
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Webserver(port)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            server.ask("{ version }")
        except OSError:
            return False
        return True

    try:
        wait_for("the webserver answers", answers)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wait_for("nobody is left", lambda: not living_in_session(process.pid))


@dataclass(frozen=True)
class Site:
    """A UI that is being served: its webserver, and what it serves."""

    server: Webserver
    settings: Settings


@contextmanager
def served_site(finished: FinishedRun, folder: Path, past_runs: int) -> Iterator[Site]:
    """The UI over a copy of a finished run with some past runs, its automation switched off and, once on, quick.

    Crops go through the network one by one, so that a run can be caught at it. What is run here draws no pictures.
    """
    settings = finished.copy(folder).model_copy(
        update={
            "automation": "stopped",
            "observe_every_s": 1,
            "batch_size": 1,
            "max_lwlrap_drop": 1.0,
        }
    )
    assert finished.outcome.run_id is not None
    home = settings.local_root / "dagster_home"
    add_past_runs(home, finished.outcome.run_id, past_runs)
    instance = home / "dagster.yaml"
    queue = {"run_queue": {"dequeue_interval_seconds": 1}}
    instance.write_text(instance.read_text() + yaml.safe_dump(queue))
    log, quick = folder / "ui.log", folder / "quick"
    quick.mkdir()
    (quick / "sitecustomize.py").write_text(QUICK_DAEMON)
    variables = {"PYTHONPATH": str(quick), "FRESHNESS_DAEMON_INTERVAL_SECONDS": "2"}
    with serving(settings.as_environment() | variables, log) as webserver:
        yield Site(webserver, settings)
    said = log.read_text()
    shutil.rmtree(folder)  # a run is some 2 MB
    assert "Warning" not in said
