"""One Dagster instance in a real Postgres, values in an object store: ten runs at once lose no event and meet no lock."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml

from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets_tests.end_to_end.postgres import postgres_server, require_postgres
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.object_store import ObjectStore
from fa_assets_tests.processes import prepared
from fa_assets_tests.runs import run
from fa_assets_tests.small_dataset import make_small_dataset

N_RUNS = 10
ASSETS = {"curated_clips", "folds"}


@pytest.fixture
def postgres() -> Iterator[str]:
    with postgres_server(require_postgres()) as url:
        yield url


def tell(environment: Mapping[str, str]) -> None:
    """Set variables of this process's environment."""
    os.environ.update(environment)


def run_once(settings: Settings, home: str) -> tuple[str | None, tuple[str, ...]]:
    """One run in this process; its id and what failed."""
    with environment_of(settings, home):
        outcome = run(settings, select="+folds", force=True)
    return outcome.run_id, outcome.failures


@pytest.mark.heavy
def test_ten_runs_at_once_over_one_instance_lose_no_event(postgres: str, s3: ObjectStore, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    configuration = {
        "telemetry": {"enabled": False},
        "storage": {"postgres": {"postgres_url": postgres}},
    }
    (home / "dagster.yaml").write_text(yaml.safe_dump(configuration))
    make_small_dataset(tmp_path / "dataset")
    every = [
        Settings(dataset=tmp_path / "dataset", storage=s3.new_location(), local=tmp_path / f"machine{number}")
        for number in range(N_RUNS)
    ]
    # The server that they are forked from may be older than the object store.
    with prepared().Pool(N_RUNS, tell, (s3.environment,), maxtasksperchild=1) as pool:
        outcomes = pool.starmap(run_once, [(settings, str(home)) for settings in every], chunksize=1)
    assert [failures for _, failures in outcomes] == [()] * N_RUNS
    with environment_of(every[0], str(home)), dg.DagsterInstance.get() as instance:
        assert {run.run_id for run in instance.get_runs()} == {run_id for run_id, _ in outcomes}
        logs = [
            Counter(str(one.dagster_event_type) for one in instance.all_logs(run_id))
            for run_id, _ in outcomes
            if run_id
        ]
        statuses = {run.status for run in instance.get_runs()}
    assert statuses == {dg.DagsterRunStatus.SUCCESS}
    assert len(logs) == N_RUNS
    kinds = dg.DagsterEventType
    for settings, log in zip(every, logs, strict=True):
        entries = list(Ledger(settings.storage_root / "ledger").entries())
        assert {entry.asset for entry in entries} == ASSETS
        assert log[str(kinds.ASSET_MATERIALIZATION)] == len(entries) == len(ASSETS)
        assert log[str(kinds.STEP_START)] == log[str(kinds.STEP_SUCCESS)] >= len(ASSETS)
        assert log[str(kinds.RUN_START)] == log[str(kinds.RUN_SUCCESS)] == 1
    assert logs == [logs[0]] * N_RUNS, "every run logged the same events"
