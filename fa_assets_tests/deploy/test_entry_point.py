"""The image's entry point, with a real Ray head that wants a token: the command runs on a node of the cluster."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fa_assets_tests.deploy.files import DEPLOY, load, need_module
from fa_assets_tests.ports import free_port

pytestmark = pytest.mark.slow

ENTRY_POINT = DEPLOY / "entry_point.sh"
LOOK = (
    "import ray; ray.init(address='auto', logging_level='ERROR', log_to_driver=False); "
    "print('CPUs', sorted(node['Resources'].get('CPU', 0) for node in ray.nodes() if node['Alive']))"
)


def end(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started: politely, and after 10 s at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        for _ in range(100):
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """The entry point with a command, as a container has it: all that it started ends with it."""
    process = subprocess.Popen(
        # As in a container, whatever signals the tests' own process has come to ignore.
        ["env", "--default-signal", "sh", ENTRY_POINT, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        # Ray's node holds the pipe open after the command has ended.
        assert process.stdout is not None
        line = process.stdout.readline()
        return subprocess.CompletedProcess(command, process.wait(60), line)
    finally:
        end(process)


def test_without_a_head_it_only_runs_the_command() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_HEAD"}
    done = run(environment, "sh", "-c", "echo $0 $1; exit 3", "one", "two words")
    assert (done.stdout, done.returncode) == ("one two words\n", 3)


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    """A head that computes nothing, as in the compose file; gives the environment of its nodes."""
    need_module("ray")
    # Sockets want a short path.
    folder = Path(tempfile.mkdtemp(prefix="fa-"))
    address = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(folder),
        "RAY_HEAD": address,
        "RAY_HEAD_TIMEOUT_S": "60",
    }
    environment.pop("RAY_ADDRESS", None)
    words = [word for word in load("docker-compose.yaml")["services"]["ray-head"]["command"] if "--port" not in word]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*words, f"--port={address.split(':')[1]}"],
            env=environment,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        for _ in range(30):
            check = subprocess.run(["ray", "health-check", "--address", address], env=environment, capture_output=True)
            if check.returncode == 0:
                break
            assert process.poll() is None, (folder / "log").read_text()
        assert check.returncode == 0, check.stderr
        yield environment
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def test_the_command_runs_on_a_node_that_offers_nothing(head: dict[str, str]) -> None:
    done = run(head, sys.executable, "-c", LOOK)
    assert done.stdout == "CPUs [0, 0]\n"
    assert done.returncode == 0


def test_a_node_without_the_token_is_not_let_in(head: dict[str, str]) -> None:
    stranger = {**head, "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_HEAD_TIMEOUT_S": "5"}
    done = run(stranger, "echo", "let in")
    assert done.stdout == ""
    assert done.returncode == 1
