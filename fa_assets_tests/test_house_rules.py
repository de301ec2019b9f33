"""The rules that keep the house a house: imports go one way, and loading the definitions is cheap."""

import ast
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dagster._core.workspace.load import location_origins_from_yaml_paths

import fa_assets
from fa_assets.definitions import defs

PACKAGE = Path(fa_assets.__file__).parent
CHECKOUT = PACKAGE.parent
PLAIN_ROOMS = (
    *(
        "audio",
        "panns",
        "encoders",
        "evaluation",
        "catalog",
        "demo",
        "storage",
        "dataset",
        "corpora",
        "plots",
        "report",
    ),
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


@pytest.mark.slow
def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = f"import sys, fa_assets.definitions; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_dg_loads_the_definitions_without_warnings_of_ours(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(PACKAGE / "dagster.yaml", home)
    dg = Path(sys.executable).with_name("dg")
    environment = {**os.environ, "DAGSTER_HOME": str(home), "FA_STORAGE": str(tmp_path / "storage")}
    done = subprocess.run([dg, "list", "defs"], cwd=CHECKOUT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "mc5_oof_predictions" in done.stdout
    assert "Warning" not in done.stdout + done.stderr


def test_the_workspace_file_names_the_definitions() -> None:
    (origin,) = location_origins_from_yaml_paths([str(CHECKOUT / "workspace.yaml")])
    assert origin.location_name == "fa_assets"
    target = origin.loadable_target_origin
    assert pkgutil.resolve_name(f"{target.module_name}:{target.attribute}") is defs
