"""The CPU count is what this process may use, and threads are only lowered to it."""

import os

import pytest

from fa_assets.encoders.threads import limit_torch_threads, own_threads, usable_cpus


def test_no_more_than_the_affinity_mask(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert usable_cpus() == 1


def test_here():
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)


def test_threads_are_only_lowered():
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(usable_cpus() + 3)
        assert limit_torch_threads() == torch.get_num_threads() == usable_cpus()
        torch.set_num_threads(1)
        assert limit_torch_threads() == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("omp", "expected"), [("", 4), ("1", 1), ("0", 1), ("9", 4), ("4,2", 4)])
def test_own_threads_are_fewer_where_the_environment_says_so(monkeypatch, omp, expected):
    monkeypatch.setattr("fa_assets.encoders.threads.usable_cpus", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert own_threads() == expected
