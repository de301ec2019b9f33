"""Processes of their own that run a function of the tests: forked from one that has imported the platform, so that many cost
little."""

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_PRELOADED = [
    "fa_assets.cli.main",
    "fa_assets.encoders.cnn14.encoder",
    "fa_assets.graph.retries",
    "fa_assets.graph.runner",
    "fa_assets.models.classifiers",
    "fa_assets.store.compaction",
    "fa_assets_tests.catalog.made_up",
    "fa_assets_tests.end_to_end.commands",
    "alembic",
    "duckdb",
    "sklearn.linear_model",
    "torch",
]
"""Of all tests, for a test process has one server to fork from, and what it has imported is settled when it starts."""


def prepared() -> ForkServerContext:
    """Where processes, and what they share, are made; their environment is that of the first one's start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def start(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process that runs `work`; it ends with status 1 where that raises."""
    process = prepared().Process(target=work, args=arguments)
    process.start()
    return process


def run_at_once(*calls: tuple[Any, ...]) -> None:
    """Run functions, each given with its arguments, in a process each, all at once; all must end well."""
    processes = [start(*call) for call in calls]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def living_in_session(number: int) -> list[str]:
    """The command lines of the processes of a session, but for zombies; empty where there is no /proc."""
    return _living(3, number)


def living_in_group(number: int) -> list[str]:
    """Those of a group of processes."""
    return _living(2, number)


def _living(field: int, number: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[field]) == number and fields[0] != "Z":
                found.append(stat.with_name("cmdline").read_text())
    return found
