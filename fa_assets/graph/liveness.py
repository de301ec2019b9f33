"""Which runs live, and what becomes of the others.

A run holds a lock in the instance's folder for as long as its process lives. The kernel lets go of it however that ends; so it
tells the dead from the living in containers and after a restart too, where process numbers and host names mean nothing. A
lock file that nobody holds is a dead run's, or that of a UI whose runs died with it.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from fa_assets.errors import UserError

UI = "ui"
FROM_TAG = "from"
"""The tag of a run that says what started it."""
UNFINISHED = dg.RunsFilter(
    statuses=[
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
)


@contextmanager
def alive(instance: dg.DagsterInstance, name: str) -> Iterator[None]:
    """Hold the lock of a run, or of the UI that the instance's daemon belongs to. An exception leaves its file.

    Raises:
        filelock.Timeout: another process holds it.
    """
    with FileLock(_file(instance, name), timeout=0) as lock:
        yield
        Path(lock.lock_file).unlink(missing_ok=True)


@contextmanager
def ui_of_the_instance() -> Iterator[None]:
    """Within, the UI and daemon of the instance are this process's; runs that they leave behind count as dead afterwards.

    Raises:
        UserError: another process has them open.
    """
    with dg.DagsterInstance.get() as instance:
        bury_the_dead(instance)
        try:
            with alive(instance, UI):
                yield
        except Timeout:
            raise UserError(f"The UI over {instance.root_directory} is open already: close that one first.") from None
        finally:
            bury_the_dead(instance)


def bury_the_dead(instance: dg.DagsterInstance) -> None:
    """Mark runs whose process is gone as failed, and free their places in the pools."""
    for path in _folder(instance).glob("*.lock"):
        with contextlib.suppress(Timeout), FileLock(path, timeout=0):
            for run_id in _of_the_ui(instance) if path.stem == UI else [path.stem]:
                run = instance.get_run_by_id(run_id)
                if run is not None and not run.is_finished:
                    instance.report_run_failed(run, "its process is gone")
                instance.event_log_storage.free_concurrency_slots_for_run(run_id)
            path.unlink()


def _of_the_ui(instance: dg.DagsterInstance) -> list[str]:
    """Unfinished runs without a lock of their own: queued, being started, or started and not yet at their first step."""
    runs = [run.run_id for run in instance.get_runs(UNFINISHED)]
    return [run_id for run_id in runs if not _file(instance, run_id).exists()]


def _folder(instance: dg.DagsterInstance) -> Path:
    folder = Path(instance.root_directory) / "alive"
    folder.mkdir(exist_ok=True)
    return folder


def _file(instance: dg.DagsterInstance, name: str) -> Path:
    return _folder(instance) / f"{name}.lock"
