"""How times are taken: reference and ours in turns, in one process, and compared by the median of the turns' ratios."""

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

Value = TypeVar("Value")

MOST_LOAD = 1.2
"""The CPU time that the machine may spend while something is measured, in that of what is measured."""

Result = dict[str, float]
"""What a part found: JSON keys and numbers."""


class DisagreementError(Exception):
    """The numbers differ from the reference's, so no speed is reported."""


class BusyError(Exception):
    """Other processes took the machine's time, so no speed is reported."""


def timed(work: Callable[..., Value], *arguments: Any) -> tuple[Value, float]:
    """What `work` returns, and the seconds it took."""
    started = time.perf_counter()
    value = work(*arguments)
    return value, time.perf_counter() - started


def best(work: Callable[[], object], times: int = 3) -> float:
    """The shortest of several times, after one that is not counted: for rates, where everything else is disturbance."""
    work()
    return min(timed(work)[1] for _ in range(times))


def middle(values: list[float]) -> float:
    return float(median(values))


def require(agrees: bool, what: str) -> None:
    if not agrees:
        raise DisagreementError(what)


def largest_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Of the largest wanted value."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def smallest_cosine(found: np.ndarray, wanted: np.ndarray) -> float:
    """Over the rows."""
    products = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    return float(products.min())


def busy_seconds() -> tuple[float, float] | None:
    """CPU seconds so far: of the whole machine, what its host took included, and of this session's processes; None where
    there is no /proc."""
    if not Path("/proc/stat").is_file():
        return None
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    own = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended; its parent has its seconds
            fields = stat.read_text().rpartition(")")[2].split()
            own += sum(map(int, fields[11:15])) if int(fields[3]) == os.getsid(0) else 0
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq + steal) / ticks, own / ticks


def require_quiet(work: Callable[[], Value], least_seconds: float = 0.0) -> Value:
    """What `work` returns.

    Args:
        least_seconds: CPU seconds that it is taken to need, for work that only waits.

    Raises:
        BusyError: with what other sessions needed it was more than `MOST_LOAD` times what this one needed.
    """
    before = busy_seconds()
    value = work()
    after = busy_seconds()
    if before and after:
        machine, own = (then - earlier for then, earlier in zip(after, before, strict=True))
        load = 1 + (machine - own) / max(own, least_seconds)
        if load > MOST_LOAD:
            raise BusyError(
                f"the machine did {load:.1f} times the benchmark's own work meanwhile (at most {MOST_LOAD})"
            )
    return value


def machine() -> dict[str, float | str]:
    """What was measured on, by the keys of the results."""
    import torch

    from fa_assets.encoders.devices import processor_name
    from fa_assets.encoders.threads import usable_cpus

    return {
        "machine.processor": processor_name(),
        "machine.cpus": float(usable_cpus()),
        "machine.load": os.getloadavg()[0],
        "machine.python": platform.python_version(),
        "machine.torch": torch.__version__,
    }


def chosen_parts(parser: argparse.ArgumentParser, text: str, known: Sequence[str]) -> list[str]:
    """The parts that `--only` names; the parser ends the program where one is not known."""
    parts = text.split(",")
    if unknown := set(parts) - set(known):
        parser.error(f"unknown parts {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return parts
