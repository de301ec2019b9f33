"""Which runs count as dead, whatever state they are in; and what a step that waits for a pool says."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock

from fa_assets.graph import pools
from fa_assets.graph.liveness import UI, UNFINISHED, alive, bury_the_dead
from fa_assets.graph.pools import living_executor
from fa_assets.graph.runner import _ORIGIN

STATUSES = UNFINISHED.statuses


@dg.op(pool="gpu")
def wait() -> None:
    """A step that needs a place."""


@dg.job(executor_def=living_executor)
def waits() -> None:
    wait()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\nconcurrency: {pools: {granularity: op, default_limit: 1}}"
    )
    with dg.DagsterInstance.from_config(str(tmp_path)) as one:
        yield one


def a_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    return instance.create_run_for_job(waits, status=status, remote_job_origin=_ORIGIN).run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.promise(
    "A run whose process is gone is found in a container and after a restart too, by a lock that the kernel lets go of; those "
    "that wait or were about to start are buried as well, and the pools are free.",
    "kept",
    "all 5 unfinished statuses, of commands and of the UI",
)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("of", ["a command", "the UI"])
def test_the_dead_are_buried_and_the_living_are_not(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, of: str
) -> None:
    dead, living, elsewhere = (a_run(instance, status) for _ in range(3))
    instance.event_log_storage.initialize_concurrency_limit_to_default("gpu")
    assert instance.event_log_storage.claim_concurrency_slot("gpu", dead, "wait").is_claimed
    with suppress(SystemExit), alive(instance, dead if of == "a command" else UI):
        bury_the_dead(instance)
        assert status_of(instance, dead) is status
        raise SystemExit  # as if the process ended here
    with alive(instance, living):
        if of == "the UI":
            elsewhere = living
        bury_the_dead(instance)
        assert status_of(instance, dead) is dg.DagsterRunStatus.FAILURE
        assert {status_of(instance, one) for one in (living, elsewhere)} == {status}
    assert instance.event_log_storage.get_concurrency_info("gpu").claimed_slots == []
    assert [*Path(instance.root_directory, "alive").iterdir()] == [], "nothing is left of those that ended"


def test_a_run_that_ended_well_before_it_was_killed_is_left_as_it_is(instance: dg.DagsterInstance) -> None:
    ended = a_run(instance, dg.DagsterRunStatus.SUCCESS)
    with suppress(SystemExit), alive(instance, ended):
        raise SystemExit
    bury_the_dead(instance)
    assert status_of(instance, ended) is dg.DagsterRunStatus.SUCCESS


@pytest.mark.promise(
    "A step that waits for a pool says for which run, and since when; it goes on once that run is dead, and ends at a signal.",
    "stopped",
)
@pytest.mark.parametrize("then", ["the other dies", "a signal comes"])
def test_waiting_for_a_pool(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    other = a_run(instance, dg.DagsterRunStatus.STARTED)
    instance.event_log_storage.initialize_concurrency_limit_to_default("gpu")
    instance.event_log_storage.claim_concurrency_slot("gpu", other, "embeddings")
    asked = 0

    signal_came = pools.check_captured_interrupt

    def ask_again() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3 and then == "a signal comes":
            signal.raise_signal(signal.SIGTERM)
        elif asked == 3:
            life.close()
        return signal_came()

    monkeypatch.setattr(pools, "check_captured_interrupt", ask_again)
    monkeypatch.setattr(pools, "_ASK_EVERY_S", 0.0)
    monkeypatch.setattr(pools, "_SAY_EVERY_S", 0.0)
    with ExitStack() as life:
        lock = Path(instance.root_directory, "alive", f"{other}.lock")
        life.enter_context(FileLock(lock))
        result = dg.execute_job(dg.reconstructable(waits), instance, raise_on_error=False)
    said = [entry.user_message for entry in instance.all_logs(result.run_id) if "has waited" in entry.user_message]
    assert f"wait has waited 0 s for the pool gpu: run {other[:8]} is making embeddings" in said[0]
    assert result.success is (then == "the other dies")
    assert asked >= 3
    assert status_of(instance, result.run_id).value == ("SUCCESS" if result.success else "FAILURE")
    queue = instance.event_log_storage.get_concurrency_info("gpu")
    assert result.run_id not in queue.active_run_ids | queue.pending_run_ids | queue.assigned_run_ids
