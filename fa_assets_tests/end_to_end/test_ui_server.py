"""The served UI: it listens on this machine alone, and a run that is terminated there stops."""

import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from fa_assets.catalog.ledger import LedgerEntry
from fa_assets.runner import run
from fa_assets.settings import Settings
from fa_assets_tests.end_to_end.ui_server import Webserver, wait_for
from fa_assets_tests.finished_run import FinishedRun, environment_of

LAUNCH = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on PythonError { message } }
}"""
STARTED_RUNS = "{ runsOrError(filter: {statuses: [STARTED]}) { ... on Runs { results { id } } } }"
TERMINATE = """
mutation($id: String!) {
  terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}"""


@pytest.fixture(scope="module")
def settings(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the finished run; crops go through the network one by one, so that a run can be caught at it."""
    return finished.copy(tmp_path_factory.mktemp("ui")).model_copy(update={"batch_size": 1})


@pytest.mark.promise("The UI listens on 127.0.0.1 alone.", "input")
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is not there")
def test_it_listens_on_this_machine_alone(webserver: Webserver) -> None:
    port = f"{urlsplit(webserver.url).port:04X}"
    listening = {
        fields[1]
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port}") and fields[3] == "0A"
    }
    assert listening == {f"0100007F:{port}"}  # 127.0.0.1, low byte first


@pytest.mark.promise(
    "A run terminated in the UI (real webserver and daemon) is CANCELED within seconds, its places in the pools "
    "are free, the next run reuses its crops.",
    "stopped",
)
def test_a_run_cancelled_in_the_ui_stops_and_the_next_one_goes_on(webserver: Webserver, settings: Settings) -> None:
    storage = settings.storage_root
    before = {path: path.read_bytes() for path in (storage / "values" / "center_embeddings").glob("**/*.parquet")}
    entries = set((storage / "ledger").iterdir())
    shutil.rmtree(storage / "embedding_store")
    params = {"assetSelection": [{"path": ["mc5_embeddings"]}], "partitionNames": list("01234")}
    launched = webserver.ask(LAUNCH, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    wait_for("a crop is stored", lambda: any((storage / "embedding_store").glob("**/*.parquet")))
    (started,) = webserver.ask(STARTED_RUNS)["runsOrError"]["results"]

    asked = time.monotonic()
    answer = webserver.ask(TERMINATE, id=started["id"])["terminateRun"]
    assert answer["__typename"] == "TerminateRunSuccess", answer
    wait_for("the run is cancelled", lambda: webserver.status(started["id"]) == "CANCELED")
    assert time.monotonic() - asked < 60  # seconds, with room for a busy machine
    assert [path for path in storage.glob("**/.*.tmp") if "dagster_home" not in path.parts] == []
    assert {path: path.read_bytes() for path in before} == before

    with environment_of(settings), dg.DagsterInstance.get() as instance:
        assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
        outcome = run(settings, select="mc5_embeddings", force=True)
    assert outcome.failures == ()
    new = [LedgerEntry.from_json(path.read_bytes()) for path in set((storage / "ledger").iterdir()) - entries]
    made = [entry for entry in new if entry.run_id == outcome.run_id]
    assert {entry.partition for entry in made} == set("01234")
    assert sum(int(entry.metadata["crops_reused"]) for entry in made) > 0  # type: ignore[arg-type]
