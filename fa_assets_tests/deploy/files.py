"""The files of `deploy/`, and the programs that judge them."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import fa_assets

CHECKOUT = Path(fa_assets.__file__).parents[1]
DEPLOY = CHECKOUT / "deploy"
CPU_AND_CUDA = ("cpu", "cuda")


def load(name: str) -> Any:
    """A YAML file of `deploy/`."""
    return yaml.safe_load((DEPLOY / name).read_text())


def _missing(what: str) -> None:
    """Skip the test, or fail it where the tools have to be there."""
    why = f"{what} is not installed: make install-cluster"
    (pytest.fail if os.environ.get("FA_REQUIRE_CLUSTER") else pytest.skip)(why)


def need_module(name: str) -> None:
    """Go on only where this module can be imported."""
    if importlib.util.find_spec(name) is None:
        _missing(name)


def program(name: str) -> str:
    """A program that is installed beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        _missing(name)
    assert found is not None
    return found


def verdict(*command: str | Path) -> tuple[int, str]:
    """What a linter returns and says."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout
