"""The benchmark runs, checks the numbers first, and writes the keys that others read. No time is asserted."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import __main__ as benchmark
from benchmarks import embed, evaluation, fits_from_file, gpu, stages, timing
from benchmarks.processes import write_clips
from fa_assets.encoders.cnn14.architecture import CROP_SAMPLES
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets_tests.encoders.cnn14.narrow_reference import narrow_reference
from fa_assets_tests.finished_run import FinishedRun


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--small", *arguments])
    return benchmark.main()


@pytest.mark.slow
def test_writes_the_keys_that_others_read(
    tmp_path: Path, demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = narrow_reference(demo_checkpoint)
    tagger = SimpleNamespace(inference=lambda crops: (None, reference(crops)))
    monkeypatch.setattr(embed, "reference_tagger", lambda path, device: tagger)
    write_clips(tmp_path / "train_curated", 2, [0.5])
    out = tmp_path / "out.json"
    arguments = ["--dataset", str(tmp_path), "--checkpoint", str(demo_checkpoint), "--json", str(out)]
    assert run(monkeypatch, *arguments, "--only", "embed,oof") == 0
    assert run(monkeypatch, *arguments, "--only", "lwlrap") == 0  # adds to what is there
    found = json.loads(out.read_text())
    assert {
        "embed.ratio_fp32",
        "embed.ratio_bf16",
        "embed.max_rel_err_fp32",
        "embed.min_cosine_bf16",
        "embed.trunk_share_of_matmul_fp32",
        "embed.trunk_share_of_matmul_bf16",
        "oof.scikit-learn.ratio",
        "oof.scikit-learn.max_abs_diff",
        "oof.torch.ratio",
        "lwlrap.ratio",
    } <= set(found)
    assert 0 < found["embed.max_rel_err_fp32"] <= 1e-5 and 0.9998 <= found["embed.min_cosine_bf16"] < 1


@pytest.mark.slow
def test_the_start_is_measured_in_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.json"
    assert run(monkeypatch, "--only", "startup", "--json", str(out)) == 0
    assert json.loads(out.read_text())["startup.seconds_beyond_dagster"] > 0


def test_no_speed_is_reported_where_the_numbers_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "lwlrap_by_rows", lambda truth, scores: 0.5)
    out = tmp_path / "out.json"
    assert run(monkeypatch, "--only", "lwlrap", "--json", str(out)) == 1
    assert not out.exists()


@pytest.mark.slow
def test_nothing_is_measured_while_others_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([(100.0, 10.0), (110.0, 19.0), (110.0, 19.0), (120.0, 27.0), (120.0, 27.0), (121.0, 27.0)])
    monkeypatch.setattr(timing, "busy_seconds", lambda: next(seconds))
    assert timing.require_quiet(lambda: "10 s, 9 of them ours") == "10 s, 9 of them ours"
    with pytest.raises(timing.BusyError, match=r"1\.2 times"):
        timing.require_quiet(lambda: None)
    with pytest.raises(timing.BusyError, match=r"1\.2 times"):
        timing.require_quiet(lambda: None, 4.0)


@pytest.mark.slow
def test_what_the_gpu_would_be_measured_with_computes_the_same(
    demo_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU, without a compiler; where there are no streams that variant says why it failed, and the others go on."""
    monkeypatch.setattr(gpu.torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(gpu, "best", lambda work: timing.timed(work)[1])
    network = Cnn14Encoder(demo_checkpoint, device="cpu")._network
    found, names = gpu.measure_variants(network, torch.rand(2, CROP_SAMPLES)), gpu.variants(network)
    assert "two_streams.failed" in found or torch.cuda.is_available()
    differences = {found[f"{name}.largest_difference"] for name in names if f"{name}.failed" not in found}
    assert differences == {0.0} and all(
        found[f"{name}.crops_per_second"] > 0 for name in names if name != "two_streams"
    )


@pytest.mark.skipif(timing.busy_seconds() is None, reason="no /proc")
def test_the_own_seconds_are_those_of_the_processes_of_this_session() -> None:
    before = timing.busy_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
    after = timing.busy_seconds()
    assert before and after
    machine, own = (then - earlier for then, earlier in zip(after, before, strict=True))
    assert machine + 0.1 > own > 0.1, "ticks are of 0.01 s"


@pytest.mark.slow
def test_memory_is_measured_in_its_own_process(tmp_path: Path, demo_checkpoint: Path) -> None:
    from benchmarks.processes import peak_mb

    assert 300 < peak_mb(demo_checkpoint, [0.3], 2) < 20_000


def test_the_loop_over_rows_is_the_metric() -> None:
    truth = np.array([[True, False, True], [False, False, True]])
    scores = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert evaluation.lwlrap_by_rows(truth, scores) == pytest.approx((1 + 2 / 3 + 1) / 3)


@pytest.mark.slow
def test_lwlrap_of_labelled_clips_by_precision(tmp_path: Path, demo_checkpoint: Path) -> None:
    from benchmarks.embed import lwlraps
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder

    write_clips(tmp_path / "train_curated", 10, [0.1, 0.6])
    rows = [f"{number:05}.wav,{'long' if number % 2 else 'short'}" for number in range(10)]
    (tmp_path / "train_curated.csv").write_text("\n".join(["fname,labels", *rows]))
    found = lwlraps(tmp_path, {"fp32": Cnn14Encoder(demo_checkpoint, device="cpu")})
    assert found == {"embed.lwlrap_fp32": 1.0, "embed.lwlrap_fp32_converged": 1.0}  # length alone tells them apart


@pytest.mark.parametrize("way", [fits_from_file.FROM_FILE, fits_from_file.IN_MEMORY])
def test_fits_from_a_file_and_in_memory_are_measured(way: str) -> None:
    found = fits_from_file.measure(1200, 3, way)
    assert found["cpu"] > found["cpu_per_step"] > 0 and found["added_mb"] >= 0


@pytest.mark.slow
def test_the_stages_of_a_run(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path).model_copy(update={"regularization_c": 1.0})
    found = stages.measure(settings)
    assert {"all", "outside the network", "fits", "asset mc5_oof_predictions"} <= set(found["wall"])
    assert "network" not in found["wall"], "the embeddings were current"
