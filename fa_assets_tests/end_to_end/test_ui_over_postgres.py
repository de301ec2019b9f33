"""The deployment without its containers: code location, webserver and daemon with the compose file's commands and
`deploy/dagster.yaml`, over a real Postgres. Runs that are launched in the UI are queued, keep to the pools and end well."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml

from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets_tests.deploy.files import DEPLOY, load
from fa_assets_tests.end_to_end.postgres import postgres_server, require_postgres
from fa_assets_tests.end_to_end.ui_server import REPOSITORY, Webserver, wait_for
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.ports import free_port

pytestmark = pytest.mark.xdist_group("postgres")

SERVICES = load("docker-compose.yaml")["services"]
HEALTH = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
TICKS = """
query($repository: RepositorySelector!) {
  sensorsOrError(repositorySelector: $repository) {
    ... on Sensors { results { name sensorState { ticks(limit: 5) { status error { message } } } } }
  }
}"""
FIRST_ASSETS = ["curated_clips", "folds", "cnn14_checkpoint", "center_embeddings", "mc5_embeddings"]
IN_GPU_POOL = {"center_embeddings", "mc5_embeddings", "test_embeddings"}


@dataclass(frozen=True)
class Deployment:
    """What is up: the UI, the environment of every process, and the settings of the code location."""

    ui: Webserver
    environment: dict[str, str]
    settings: Settings


def command_of(service: str, changed: Mapping[str, str]) -> list[str]:
    """A service's command as in the compose file, with other words for what only containers have."""
    words = SERVICES[service]["command"]
    assert set(changed) <= set(words)
    return [changed.get(word, word) for word in words]


def status(ui: Webserver, host: str) -> int:
    """Of the answer to a page that is asked for under a host name."""
    try:
        return int(urllib.request.urlopen(urllib.request.Request(f"{ui.url}/runs", headers={"Host": host})).status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def running(environment: dict[str, str], log: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, until the context ends; then all that it started ends too."""
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture(scope="module")
def deployment(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    programs = require_postgres()
    folder = tmp_path_factory.mktemp("deployed")
    settings = finished.settings.model_copy(
        update={"storage": folder / "storage", "local": folder / "local", "automation": "stopped"}
    )
    code, page = str(free_port()), str(free_port())
    shutil.copy(DEPLOY / "dagster.yaml", folder)
    workspace = load("workspace.yaml")
    workspace["load_from"][0]["grpc_server"].update(host="127.0.0.1", port=int(code))
    (folder / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    of_container = {
        "0.0.0.0": "127.0.0.1",
        "3000": page,
        "/opt/dagster/workspace.yaml": str(folder / "workspace.yaml"),
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=4000": f"--port={code}",
    }

    with ExitStack() as stack:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
        environment = {
            **clean,
            **settings.as_environment(),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DAGSTER_HOME": str(folder),
            "FA_UI_HOSTS": "ui.example.org, other.example.org",
            "DAGSTER_POSTGRES_URL": stack.enter_context(postgres_server(programs)),
        }
        subprocess.run(SERVICES["pools"]["command"], env=environment, check=True)

        def start(service: str) -> subprocess.Popen[bytes]:
            words = SERVICES[service]["command"]
            command = command_of(service, {word: of_container[word] for word in words if word in of_container})
            return stack.enter_context(running(environment, folder / f"{service}.log", command))

        def answers(process: subprocess.Popen[bytes], port: str) -> bool:
            assert process.poll() is None, process.args
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", int(port))):
                return True
            return False

        served = start("code-location")
        wait_for("the code is served", lambda: answers(served, code))
        subprocess.run(["dagster", "api", "grpc-health-check", "--port", code], env=environment, check=True)
        start("daemon")
        server, ui = start("webserver"), Webserver(int(page))
        wait_for("the webserver answers", lambda: answers(server, page))
        urllib.request.urlopen(f"{ui.url}/server_info")
        yield Deployment(ui, environment, settings)


def test_runs_of_the_ui_are_queued_keep_to_the_pools_and_end_well(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [deployment.ui.launch("everything"), deployment.ui.launch("everything", FIRST_ASSETS)]
    ended = {"SUCCESS", "FAILURE", "CANCELED"}
    wait_for("both runs end", lambda: {deployment.ui.status(run) for run in runs} <= ended)

    for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL"):
        monkeypatch.setenv(name, deployment.environment[name])
    spans: dict[tuple[str, str], list[float]] = defaultdict(list)
    with dg.DagsterInstance.get() as instance:
        assert {run: instance.get_run_by_id(run).status.value for run in runs} == dict.fromkeys(runs, "SUCCESS")  # type: ignore[union-attr]
        for run in runs:
            assert instance.all_logs(run, of_type=dg.DagsterEventType.RUN_ENQUEUED)
            for entry in instance.all_logs(
                run, of_type={dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
            ):
                if entry.step_key in IN_GPU_POOL:
                    spans[run, str(entry.step_key)].append(entry.timestamp)
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
    assert {step for run, step in spans if run == runs[0]} == IN_GPU_POOL
    assert len(spans) == len(IN_GPU_POOL) + 2
    in_order = sorted(tuple(span) for span in spans.values())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(in_order)), "one at a time"
    made = Ledger(deployment.settings.storage_root / "ledger").entries()
    assert {"comparison", "report", "mc5_metrics"} <= {entry.asset for entry in made if entry.run_id == runs[0]}


def test_the_webserver_answers_under_the_names_of_the_setting_alone(deployment: Deployment) -> None:
    answers = {
        name: status(deployment.ui, name) for name in ("ui.example.org", "other.example.org", "evil.example.org")
    }
    assert answers == {"ui.example.org": 200, "other.example.org": 200, "evil.example.org": 403}


def test_the_daemon_is_healthy_and_its_sensors_tick(deployment: Deployment) -> None:
    def healthy() -> bool:
        statuses = deployment.ui.ask(HEALTH)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(one["healthy"] for one in statuses if one["required"]) and len(statuses) > 4

    def ticks() -> dict[str, list[str]]:
        sensors = deployment.ui.ask(TICKS, repository=REPOSITORY)["sensorsOrError"]["results"]
        assert [tick["error"] for one in sensors for tick in one["sensorState"]["ticks"] if tick["error"]] == []
        return {one["name"]: [tick["status"] for tick in one["sensorState"]["ticks"]] for one in sensors}

    wait_for("every daemon is healthy", healthy)
    wait_for("a sensor has ticked", lambda: "SKIPPED" in ticks()["say_what_failed"])
    check = SERVICES["daemon"]["healthcheck"]["test"][1:]
    said = subprocess.run(check, env=deployment.environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
