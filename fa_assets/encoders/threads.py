"""How many CPUs this process may really use: the affinity mask and the container's quota, not the host's count.

A container limited to two CPUs on a host of 64 sees 64; a pool of that size spends its time being throttled.
"""

import os


def usable_cpus() -> int:
    """CPUs this process may use at once, at least 1, as joblib counts them: the smallest of the affinity mask, the quota of its
    control group (a part of a CPU counts as one), and LOKY_MAX_CPU_COUNT."""
    import joblib

    return int(joblib.cpu_count())


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
