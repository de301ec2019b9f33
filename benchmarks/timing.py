"""How times are taken: reference and ours in turns, in one process, and compared by the median of the turns' ratios."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, TypeVar

Value = TypeVar("Value")

Result = dict[str, float]
"""What a part found: JSON keys and numbers."""


class DisagreementError(Exception):
    """The numbers differ from the reference's, so no speed is reported."""


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
