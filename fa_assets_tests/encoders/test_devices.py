"""What a device setting means here, and a GPU for each process where there are several."""

import os
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from fa_assets.encoders.devices import resolve_device, take_gpu
from fa_assets.errors import UserError
from fa_assets.graph.engine import EngineOptions, check_engine
from fa_assets_tests.processes import prepared, start


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("gpus", "device", "expected"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (0, "cpu:0", "cpu:0"),
        (1, "auto", "cuda"),
        (1, "cuda", "cuda"),
        (3, "cuda:2", "cuda:2"),
        (3, "cpu", "cpu"),
    ],
)
def test_a_device_that_is_here(monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, expected: str) -> None:
    with_gpus(monkeypatch, gpus)
    assert resolve_device(device) == expected


@pytest.mark.parametrize(
    ("gpus", "device", "message"),
    [
        (0, "cuda", r"no CUDA device here.*--device cpu"),
        (0, "cuda:1", r"Device cuda:1 was asked for.*no CUDA device here"),
        (2, "cuda:2", r"Device cuda:2 is not available\. Here there is cpu, cuda:0, cuda:1"),
        (
            0,
            "gpu",
            r"Unknown device 'gpu': use auto, cpu, cuda, cuda:N, mps or any other torch device\. Here there is cpu",
        ),
        (0, "meta", r"Device meta is not available\. Here there is cpu"),
        (0, "xpu", r"Device xpu is not available"),
    ],
)
def test_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, message: str) -> None:
    with_gpus(monkeypatch, gpus)
    with pytest.raises(UserError, match=message):
        resolve_device(device)


def test_what_was_asked_for_is_looked_for_before_any_work() -> None:
    check_engine(EngineOptions("cnn14", device="auto"))
    with pytest.raises(UserError, match="Unknown device"):
        check_engine(EngineOptions("cnn14", device="gpu"))


def hold_a_gpu(folder: Path, together: Barrier) -> None:
    number = take_gpu(("gpu-a", "gpu-b"), folder / "locks")
    assert take_gpu(("gpu-a", "gpu-b"), folder / "locks") == number, "the same as long as the process lives"
    (folder / f"took-{number}").open("a").write(".")
    together.wait()


@pytest.mark.slow
def test_processes_take_different_gpus_and_give_them_back_by_ending(tmp_path: Path) -> None:
    for turn in (1, 2):
        together = prepared().Barrier(2)
        processes = [start(hold_a_gpu, tmp_path, together) for _ in range(2)]
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        assert [(tmp_path / f"took-{number}").read_text() for number in (0, 1)] == ["." * turn] * 2


def test_with_several_gpus_auto_takes_a_free_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_gpus(monkeypatch, 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=f"gpu-{number}"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"fa_assets-gpus-{os.getuid()}"
    folder.mkdir()
    with FileLock(folder / "gpu-0.lock"):  # of another process
        assert resolve_device("auto") == resolve_device("auto") == "cuda:1"


def test_when_all_gpus_are_taken_one_is_shared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "locks").mkdir()
    with FileLock(tmp_path / "locks" / "only.lock"):
        assert take_gpu(("only",), tmp_path / "locks") == 0
    assert "All 1 GPUs are taken by other processes: sharing cuda:0" in caplog.text
