"""Waiting for a place in a pool: it is said for whom and how long, it can be interrupted, and costs no CPU."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

# Private: while a step waits for a pool, Dagster's loop over the steps of a process asks again and again, without a pause, and
# does not look whether a signal came, which it only notes. A loop that does both would end this.
from dagster._utils.interrupts import check_captured_interrupt

from fa_assets.graph.liveness import FROM_TAG, alive, bury_the_dead

_ASK_EVERY_S = 0.5
_SAY_EVERY_S = 60.0


@contextmanager
def waiting_for_pools(instance: dg.DagsterInstance, say: Callable[[str], None]) -> Iterator[None]:
    """Within, steps that this process runs on the instance wait for their pools as said above.

    Raises:
        KeyboardInterrupt: a signal came meanwhile.
    """
    storage = instance.event_log_storage
    claim = storage.claim_concurrency_slot
    since: dict[str, float] = {}
    said: dict[str, float] = {}

    def claim_or_wait(pool: str, run_id: str, step: str, priority: int | None = None) -> Any:
        status = claim(pool, run_id, step, priority)
        if status.is_claimed:
            return status
        now = time.monotonic()
        began = since.setdefault(step, now)
        if now - said.get(step, -_SAY_EVERY_S) >= _SAY_EVERY_S:
            said[step] = now
            bury_the_dead(instance)
            say(f"{step} has waited {_minutes(now - began)} for the pool {pool}: {_holders(instance, pool)}")
        time.sleep(_ASK_EVERY_S)
        if check_captured_interrupt():
            raise KeyboardInterrupt
        return status.with_sleep_interval(0.0)

    storage.claim_concurrency_slot = claim_or_wait  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        storage.claim_concurrency_slot = claim  # type: ignore[method-assign]


def _holders(instance: dg.DagsterInstance, pool: str) -> str:
    """Who has the places of a pool, in words."""
    said = []
    for slot in instance.event_log_storage.get_concurrency_info(pool).claimed_slots:
        record = instance.get_run_record_by_id(slot.run_id)
        if record is not None:
            origin = record.dagster_run.tags.get(FROM_TAG, "UI")
            since = _minutes(time.time() - (record.start_time or time.time()))
            said.append(f"run {slot.run_id[:8]} is making {slot.step_key}, started {since} ago from {origin}")
    return "; ".join(said) or "its places were just given back"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class _LivingExecutor(dg.Executor):
    """Dagster's executor of one process, which holds the run's lock meanwhile."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """See `dg.Executor`."""
        instance = plan_context.instance
        with alive(instance, plan_context.run_id), waiting_for_pools(instance, plan_context.log.warning):
            yield from self._inner.execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema)  # type: ignore[call-overload, untyped-decorator]
def living_executor(context: Any) -> dg.Executor:
    """All steps in the run's process, so that the weights are loaded once for both crop schemes."""
    return _LivingExecutor(dg.in_process_executor.executor_creation_fn(context))  # type: ignore[misc]
