"""The rules that keep the house a house: imports go one way, and loading the definitions is cheap."""

import ast
import os
import pkgutil
import re
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
HEAVY = ("torch", "librosa", "sklearn", "panns_inference", "scipy", "matplotlib", "ray")


@pytest.mark.slow
def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = f"import sys, fa_assets.definitions; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_dg_loads_the_definitions_without_warnings_of_ours(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(PACKAGE / "graph" / "dagster.yaml", home)
    dg = Path(sys.executable).with_name("dg")
    environment = {**os.environ, "DAGSTER_HOME": str(home), "FA_STORAGE": str(tmp_path / "storage")}
    done = subprocess.run([dg, "list", "defs"], cwd=CHECKOUT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "mc5_oof_predictions" in done.stdout
    assert "Warning" not in done.stdout + done.stderr


def test_two_modules_alone_import_a_private_part_of_dagster() -> None:
    private = re.compile(r"^\s*(?:from|import) (dagster\w*\._\S+|dagster_shared\S*)", re.MULTILINE)
    found = {(path.name, module) for path in PACKAGE.rglob("*.py") for module in private.findall(path.read_text())}
    assert found == {("runner.py", "dagster._core.remote_origin"), ("pools.py", "dagster._utils.interrupts")}


def test_the_workspace_file_names_the_definitions() -> None:
    (origin,) = location_origins_from_yaml_paths([str(PACKAGE.parent / "workspace.yaml")])
    assert origin.location_name == "fa_assets"
    target = origin.loadable_target_origin
    assert pkgutil.resolve_name(f"{target.module_name}:{target.attribute}") is defs


def test_modules_have_at_most_350_lines_and_functions_60() -> None:
    sizes = {}
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        sizes[path.name] = text.count("\n") - 290
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                sizes[f"{path.name} {node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    assert {name: size for name, size in sizes.items() if size > 60} == {}
