"""How many CPUs this process may really use: the affinity mask and the container's quota, not the host's count.

A container limited to two CPUs on a host of 64 sees 64; a pool of that size spends its time being throttled.
"""

import math
import os
from pathlib import Path


def usable_cpus(root: Path = Path("/")) -> int:
    """CPUs this process may use at once, at least 1.

    The smaller of the affinity mask and the CPU quota of the process's control group and the groups above it
    (cgroup v2 ``cpu.max``, v1 ``cpu.cfs_quota_us``; https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu), a part of
    a CPU counting as one. `root` is where ``proc`` and ``sys`` are found.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root))]))


def own_threads() -> int:
    """Threads for what is not torch's: `usable_cpus`, or fewer where OMP_NUM_THREADS says so, as it does in Ray's actors."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cpus(), max(1, int(wanted))) if wanted.isdecimal() else usable_cpus()


def limit_torch_threads() -> int:
    """Lower torch's intra-op threads to `usable_cpus`; never raises what OMP_NUM_THREADS or the caller chose.

    Returns the number of threads now used.
    """
    import torch

    threads = min(torch.get_num_threads(), usable_cpus())
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    return threads


def _quotas(root: Path) -> list[float]:
    """Every quota that applies, in CPUs; groups without one, and systems without control groups, give none."""
    groups = root / "sys/fs/cgroup"
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # v2
            mount = groups
        elif "cpu" in controllers.split(","):  # v1
            mount = groups / "cpu"
        else:
            continue
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            quotas.append(_quota(folder))
            if folder == mount:
                break
    return [quota for quota in quotas if quota is not None]


def _quota(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = _read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip()
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except ValueError:  # "max", or nothing there
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
