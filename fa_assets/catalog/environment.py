"""What a materialization ran on: versions, machine, and the state of the checkout the code came from.

Libraries are asked for their versions without being imported, so collecting costs milliseconds; it happens once in a
process, because none of it changes while the process lives.
"""

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from fa_assets.encoders.threads import usable_cpus

LIBRARIES = (
    "fa_assets",
    "dagster",
    "torch",
    "librosa",
    "soundfile",
    "soxr",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "iterative-stratification",
    "duckdb",
    "panns-inference",
    "ai-edge-litert",
    "onnxruntime",
    "transformers",
)
"""Distributions whose versions are recorded, under these names; the first is this package."""

_GIT_TIMEOUT_S = 5.0


def collect_environment() -> dict[str, str | int | bool | None]:
    """What this process runs on: python, platform, usable_cpus, git_commit, git_dirty, and a version for each of `LIBRARIES`;
    None for what is not there, and for the device until the caller says it."""
    return {**dict(_constant_part()), "device": None}


def library_versions() -> dict[str, str | int | bool | None]:
    """The versions of Python and of `LIBRARIES`; None for what is not there."""
    return {name: value for name, value in _constant_part() if name in ("python", *LIBRARIES)}


@functools.cache
def _constant_part() -> tuple[tuple[str, str | int | bool | None], ...]:
    commit, dirty = checkout_state(Path(__file__).parents[2])
    return (
        ("python", platform.python_version()),
        ("platform", platform.platform()),
        ("usable_cpus", usable_cpus()),
        *((name, _version(name)) for name in LIBRARIES),
        ("git_commit", commit),
        ("git_dirty", dirty),
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def checkout_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit a folder is at, and whether anything in it differs from that commit or is new and not ignored.

    Both None unless the folder itself is the top of a checkout (one that merely lies inside another project's has
    nothing to say), and where git is missing, too slow or refuses; commit None before the first commit.
    """
    if not (folder / ".git").exists():
        return None, None
    # Neither a git hook's own variables nor a broken .git may lead to another repository, and looking must not write.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_CEILING_DIRECTORIES"] = str(folder.resolve().parent)
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=normal"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    if done.returncode != 0:
        return None, None
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), None)
    return None if commit == "(initial)" else commit, any(not line.startswith("#") for line in lines)
