"""The CPU count is the smallest of the limits that apply, on trees of control groups as the kernel lays them out."""

import os

import pytest

from fa_assets.encoders.threads import limit_torch_threads, own_threads, usable_cpus

V2, V1 = "0::/jobs/a", "4:cpu,cpuacct:/jobs/a\n1:memory:/x"


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        pytest.param(V2, {}, 8, id="no-quota"),
        pytest.param(V2, {"cpu.max": "max 100000"}, 8, id="max"),
        pytest.param(V2, {"jobs/a/cpu.max": "150000 100000"}, 2, id="one-and-a-half"),
        pytest.param(V2, {"jobs/a/cpu.max": "20000 100000"}, 1, id="a-fifth"),
        pytest.param(V2, {"jobs/a/cpu.max": "max 100000", "jobs/cpu.max": "300000 100000"}, 3, id="group-above"),
        pytest.param("0::/", {"cpu.max": "400000 100000"}, 4, id="own-namespace"),
        pytest.param(V2, {"cpu.max": "1600000 100000"}, 8, id="more-than-affinity"),
        pytest.param(V2, {"cpu.max": "garbage"}, 8, id="unreadable"),
        pytest.param(
            V1, {"cpu/jobs/a/cpu.cfs_quota_us": "200000", "cpu/jobs/a/cpu.cfs_period_us": "100000"}, 2, id="v1"
        ),
        pytest.param(
            V1, {"cpu/jobs/a/cpu.cfs_quota_us": "-1", "cpu/jobs/a/cpu.cfs_period_us": "100000"}, 8, id="v1-none"
        ),
    ],
)
def test_usable_cpus(tmp_path, monkeypatch, groups, files, cpus):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert usable_cpus(tmp_path) == cpus


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
