"""The benchmark of the embedding stage on Ray runs and checks its numbers first; report and simulation follow from its JSON."""

import json
import shutil
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks import costs, scale
from benchmarks.costs import Results
from benchmarks.cpu_time import run_and_watch
from benchmarks.made_clips import demo_clips
from benchmarks.scale_report import TABLES, draw, filled
from benchmarks.scale_run import Outcome, Run
from benchmarks.timing import DisagreementError
from fa_assets.panns.embed_clips import Clip

HERE = Path(benchmarks.__file__).parent


@pytest.fixture
def found() -> Results:
    """The results that the documents were made from."""
    return json.loads((HERE / "scale.json").read_text())


@pytest.mark.slow
def test_the_small_benchmark_of_the_overhead_runs(
    needs_ray: None, tmp_path: Path, demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    monkeypatch.setattr(scale, "make_demo_checkpoint", lambda path: shutil.copy(demo_checkpoint, path))
    monkeypatch.setattr(scale, "demo_clips", lambda folder, count: demo_clips(folder, 12))
    monkeypatch.setattr("sys.argv", ["scale", "--small", "--only", "overhead", "--json", str(out)])
    assert scale.main() == 0
    found = json.loads(out.read_text())
    assert found["overhead.short.clips"] == 6.0
    for engine in ("local", "ray"):
        whole, start = (found[f"overhead.short.{engine}{run}_seconds"] for run in ("", "_start"))
        assert start > 0 and whole > 0
        assert found[f"overhead.short.{engine}_cpu_seconds"] > 0.5
    ratio = found["overhead.short.ray_seconds"] / found["overhead.short.local_seconds"]
    assert found["overhead.short.ratio_seconds"] == pytest.approx(ratio)


def test_ratios_are_medians_and_none_is_given_where_embeddings_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([1.0, 11.0, 3.0, 14.0, 1.0, 21.0, 3.0, 25.0, 1.0, 11.0, 3.0, 14.0])
    off = 0.0

    def pretended(what: Run) -> Outcome:
        took = next(seconds)
        vectors = np.ones((len(what.clips), 3), np.float32) + np.float32(off if what.workers else 0)
        return Outcome(took, 2 * took, took, vectors)

    monkeypatch.setattr(scale, "run", pretended)
    clips, options = [Clip(str(i), tmp_path, str(i), 32_000, 64_000) for i in range(4)], Namespace(turns=3)
    found = scale.overhead("overhead.short", clips, options, tmp_path, tmp_path, cpus=1)
    assert found["overhead.short.seconds_of_sound"] == 8.0
    assert found["overhead.short.ratio_without_start_seconds"] == pytest.approx(1.1)
    assert found["overhead.short.ratio_seconds"] == pytest.approx(14 / 11)
    assert found["overhead.short.ray_start_cpu_seconds"] == 6.0
    off, seconds = 1e-5, iter([1.0] * 12)
    with pytest.raises(DisagreementError, match="differ by 1"):
        scale.overhead("overhead.short", clips, options, tmp_path, tmp_path, cpus=1)


def test_what_ray_uses_while_it_waits_is_the_cpu_time_that_sleeping_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretended(what: Run) -> Outcome:
        assert (what.workers, len(what.clips), what.checkpoint, what.nodes) == (2, 8, None, True)
        slept = 4 * what.asleep
        return Outcome(20 + slept, 30 + 0.25 * slept, 3.0, np.empty(0))

    monkeypatch.setattr(costs, "run", pretended)
    clip = Clip("0", tmp_path, "0", 32_000, 64_000)
    assert costs.rays_idle(tmp_path, clip, workers=2, seconds=15.0) == pytest.approx(0.25)


def test_what_ray_uses_while_it_waits_is_taken_from_each_cpu_of_the_simulated_runs(found: Results) -> None:
    alone = scale.predictions(found | {"costs.ray_idle_1": 0.0, "costs.ray_idle_2": 0.0})
    beside = scale.predictions(found | {"costs.ray_idle_1": 0.2, "costs.ray_idle_2": 0.2})
    for kind in ("strong", "weak"):
        key = f"simulation.predicted.{kind}"
        assert beside[f"{key}.1.seconds"] == pytest.approx(alone[f"{key}.1.seconds"] / 0.8)
        assert beside[f"{key}.2.seconds"] == pytest.approx(alone[f"{key}.2.seconds"] / 0.9)
    unknown = {name: value for name, value in found.items() if not name.startswith("costs.ray_idle")}
    assert scale.predictions(unknown) == {}


def test_the_results_that_are_kept_give_the_simulation_and_the_tables_that_are_kept(
    found: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {name: replace(cluster, clips=64_000) for name, cluster in scale.WHAT_IF.items()}
    monkeypatch.setattr(scale, "WHAT_IF", small)
    monkeypatch.setattr(scale, "GPUS", (1, 64))
    again = scale.simulation(found)
    for rate in scale.RATES:
        key = f"simulation.{rate:g}.64.gpu_hours"
        assert again[key] == pytest.approx(found[key], rel=1e-6)
    predicted = [key for key in again if key.startswith("simulation.predicted.")]
    assert bool(predicted) == ("scaling.clips" in found)
    assert all(again[key] == pytest.approx(found[key], rel=1e-6) for key in predicted)

    document = HERE.parent / "docs" / "scale.md"
    assert filled(document.read_text(), found) == document.read_text(), "run python -m benchmarks.scale_report"
    assert all(f"<!-- {name}: " in document.read_text() for name in TABLES)
    draw(found, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()


@pytest.mark.slow
def test_the_cpu_time_of_a_tree_has_that_of_processes_nobody_waited_for() -> None:
    busy = "import time\nwhile time.process_time() < 1: pass"
    # The output ends when the process does, which then has a parent that does not wait for it.
    unwaited = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {busy!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.read()\n"
        "print('end', flush=True)"
    )
    said, seconds = run_and_watch([sys.executable, "-c", unwaited], {})
    assert said == "end\n"
    assert 0.6 < seconds < 3
