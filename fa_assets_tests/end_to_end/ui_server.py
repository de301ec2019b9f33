"""`fa-assets ui` as a process of its own, and what its pages ask the webserver."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fa_assets.settings import Settings
from fa_assets_tests.ports import free_port

PATIENCE_S = 180.0
"""How long anything may take on a busy machine before a test gives up."""

MATERIALIZATIONS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode { latestMaterializationByPartition(partitions: ["0", "1", "2", "3", "4"]) { runId partition } }
  }
}"""
RUN_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


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

    def status(self, run_id: str) -> str:
        return str(self.ask(RUN_STATUS, id=run_id)["runOrError"]["status"])


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        time.sleep(0.5)


@contextmanager
def serving(settings: Settings, log: Path) -> Iterator[Webserver]:
    """`fa-assets ui`, as `make ui` starts it: webserver and daemon, over the instance in the storage folder."""
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
    with log.open("w") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("fa-assets"), "ui", "--port", str(port)],
            env={**clean, **settings.as_environment()},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Webserver(port)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            server.ask("{ version }")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    try:
        wait_for("the webserver answers", answers)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # Dagster's own processes may be slow to end; what is tested is done
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
