"""The rules that keep the house a house: imports go one way, and loading the definitions is cheap."""

import ast
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import fa_assets
from fa_assets_tests.ports import free_port

PACKAGE = Path(fa_assets.__file__).parent
CHECKOUT = PACKAGE.parent
PLAIN_ROOMS = (
    *("audio", "panns", "engines", "evaluation", "catalog", "demo", "storage", "dataset", "corpora", "plots", "report"),
)
ABOVE = ("assets", "resources", "checks", "automation", "definitions", "partitions", "runner", "staleness", "cli")
HEAVY = ("torch", "librosa", "sklearn", "panns_inference", "scipy", "matplotlib", "ray")


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("room", PLAIN_ROOMS)
def test_plain_rooms_look_neither_at_dagster_nor_up(room: str) -> None:
    files = sorted((PACKAGE / room).glob("**/*.py"))
    assert files
    forbidden = ("dagster", *(f"fa_assets.{name}" for name in ABOVE))
    offenders = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in files
        for name in imported_modules(path)
        if name.split(".")[0] == "dagster" or name.startswith(forbidden)
    ]
    assert offenders == []


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = f"import sys, fa_assets.definitions; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def dagster_environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(PACKAGE / "dagster.yaml", home)
    return {**os.environ, "DAGSTER_HOME": str(home), "FA_STORAGE": str(tmp_path / "storage")}


@pytest.mark.parametrize("command", [["check", "defs"], ["list", "defs"]])
def test_dg_loads_the_definitions_without_warnings_of_ours(
    command: list[str], dagster_environment: dict[str, str]
) -> None:
    dg = Path(sys.executable).with_name("dg")
    done = subprocess.run([dg, *command], cwd=CHECKOUT, capture_output=True, text=True, env=dagster_environment)
    assert done.returncode == 0, done.stderr
    assert "mc5_oof_predictions" in done.stdout or command[0] == "check"
    assert "Warning" not in done.stdout + done.stderr


def test_the_webserver_serves_the_workspace_without_warnings(
    dagster_environment: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    log = tmp_path / "log"
    webserver = Path(sys.executable).with_name("dagster-webserver")
    with log.open("w") as output:
        server = subprocess.Popen(
            [webserver, "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
            cwd=CHECKOUT,
            stdout=output,
            stderr=output,
            env=dagster_environment,
        )
    try:
        deadline = time.monotonic() + 60
        query = b'{"query": "{ assetNodes { assetKey { path } } }"}'
        answer = b""
        while not answer and time.monotonic() < deadline:
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/graphql", query, {"Content-Type": "application/json"}
                )
                answer = urllib.request.urlopen(request, timeout=30).read()
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.3)
        assert b"notebook_artifacts" in answer, log.read_text()
    finally:
        server.terminate()
        server.wait(20)
    assert "Warning" not in log.read_text()
