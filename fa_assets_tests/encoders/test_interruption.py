"""A run on a Ray of its own that is stopped or killed: what was stored is kept, and no process of Ray is left."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.command_line import COMMAND, environment
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.runs import run

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc")
AGENTS = {"ray::DashboardA", "ray::RuntimeEnv"}
"""Helpers of Ray's node, as the kernel cuts their names; where the node was killed, or ended while it started them, they may
see it only after a minute."""


@pytest.fixture
def settings(needs_ray: None, finished: FinishedRun, tmp_path: Path) -> Iterator[Settings]:
    """A copy of the finished run without its embeddings; on Ray, crops are embedded one by one."""
    copy = finished.copy(tmp_path).model_copy(update={"batch_size": 1, "engine": "ray", "ray_actors": 1})
    shutil.rmtree(copy.storage_root / "embedding_store")
    with environment_of(copy):
        yield copy


def processes_of(settings: Settings) -> dict[int, str]:
    """What has the storage folder in its environment: the run and all that it started; number and name."""
    mark = f"FA_STORAGE={settings.storage_root}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and mark in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def wait_until_gone(settings: Settings, but: set[str]) -> None:
    deadline = time.monotonic() + 30  # seconds, with room for a busy machine
    while left := {number: name for number, name in processes_of(settings).items() if name not in but}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("doing", "number"), [("starting", signal.SIGTERM), ("embedding", signal.SIGINT), ("embedding", signal.SIGKILL)]
)
def test_a_run_on_ray_that_is_ended_leaves_what_it_stored_and_no_process(
    settings: Settings, doing: str, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [COMMAND, "run", "--select", "mc5_embeddings", "--fold", "0", "--force"],
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    def begun() -> bool:
        if doing == "starting":
            return "gcs_server" in processes_of(settings).values()
        return bool(stored(settings))

    try:
        deadline = time.monotonic() + 180
        while not begun():
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
            time.sleep(0.05)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == (-number if number == signal.SIGKILL else 130), said
        wait_until_gone(settings, but=set() if doing == "embedding" and number != signal.SIGKILL else AGENTS)
    finally:
        for left in processes_of(settings):
            os.kill(left, signal.SIGKILL)
    if number != signal.SIGKILL:
        assert "Interrupted. What was finished is kept; the same command goes on from there." in said
        assert "Traceback" not in said
    kept = stored(settings)
    if number != signal.SIGKILL:
        assert kept or doing == "starting"
        return
    local = settings.model_copy(update={"engine": "local", "batch_size": None})
    with environment_of(local):
        assert run(local, select="mc5_embeddings", folds=["0"], force=True).failures == ()
    assert set() < kept <= stored(settings)


def stored(settings: Settings) -> set[Path]:
    return set((settings.storage_root / "embedding_store").glob("**/*.parquet"))
