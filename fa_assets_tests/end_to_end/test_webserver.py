"""The UI's own requests, against the real webserver and daemon: one fold, then all folds, materialized from there."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.finished_run import FinishedRun

PATIENCE_S = 180.0

LAUNCH_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
BACKFILL_STATUS = (
    "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
)
MATERIALIZATIONS = """
query($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode { latestMaterializationByPartition(partitions: ["0", "1", "2", "3", "4"]) { runId partition } }
  }
}"""


class Webserver:
    """Asks the webserver what its pages ask."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
        assert "errors" not in answer, answer
        return answer["data"]

    def runs_of(self, asset: str) -> dict[str, str]:
        """The run that last materialized each fold."""
        node = self.ask(MATERIALIZATIONS, path=[asset])["assetNodeOrError"]
        return {one["partition"]: one["runId"] for one in node["latestMaterializationByPartition"] if one}

    def materialize(self, assets: list[str], folds: list[str]) -> None:
        """What the Materialize button does, up to its success."""
        launched = self.ask(
            LAUNCH_BACKFILL,
            params={"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": folds},
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        deadline = time.monotonic() + PATIENCE_S
        status = None
        while time.monotonic() < deadline:
            status = self.ask(BACKFILL_STATUS, id=launched["backfillId"])["partitionBackfillOrError"]["status"]
            if status.startswith("COMPLETED") or status in ("FAILED", "CANCELED"):
                break
            time.sleep(1)
        assert status in ("COMPLETED", "COMPLETED_SUCCESS")


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Settings:
    return finished.copy(tmp_path)


@pytest.fixture
def webserver(settings: Settings, tmp_path: Path) -> Iterator[Webserver]:
    """`fa-assets ui`, as `make ui` starts it, over a copy of the finished run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "ui.log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
    with log.open("w") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("fa-assets"), "ui", "--port", str(port)],
            env={**clean, **settings.as_environment()},
            stdout=output,
            stderr=output,
        )
    server = Webserver(port)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                server.ask("{ version }")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
        yield server
        assert "Warning" not in log.read_text()
    finally:
        process.terminate()
        process.wait(60)


def test_what_the_command_made_is_there_and_one_fold_and_all_folds_can_be_made_again(
    webserver: Webserver, finished: FinishedRun
) -> None:
    before = webserver.runs_of("mc5_embeddings")
    assert before == dict.fromkeys("01234", finished.outcome.run_id)

    webserver.materialize(["mc5_embeddings"], ["2"])
    one = webserver.runs_of("mc5_embeddings")
    assert {fold for fold in one if one[fold] != before[fold]} == {"2"}

    webserver.materialize(["center_embeddings", "center_oof_predictions"], list("01234"))
    for asset in ("center_embeddings", "center_oof_predictions"):
        runs = set(webserver.runs_of(asset).values())
        assert len(runs) == 1, "one run for all folds, so that the weights are loaded once"
        assert finished.outcome.run_id not in runs
