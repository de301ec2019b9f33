"""The benchmark of a long ledger runs, and a sync's cost is in what is new (see docs/catalog.md for its figures)."""

import subprocess
import sys
from pathlib import Path

import pytest

import fa_assets

BENCHMARK = Path(fa_assets.__file__).parents[1] / "benchmarks" / "catalog_scale.py"


@pytest.mark.slow
def test_the_benchmark_runs() -> None:
    done = subprocess.run([sys.executable, BENCHMARK, "30"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sync of one new entry") == 3
