"""The line search goes where scipy's goes."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize._dcsrch import DCSRCH  # scipy has no public form of it

from fa_assets.models.line_search import CURVATURE, SUFFICIENT_DECREASE, LineSearch

Function = Callable[[float], float]
FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "flat far away": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "steep late": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "logistic": (
        lambda a: float(np.logaddexp(0, 5 * (a - 3))) - 2 * a + 0.1 * a * a,
        lambda a: 2.5 * (1 + np.tanh(2.5 * (a - 3))) - 2 + 0.2 * a,
    ),
    "waves": (lambda a: np.cos(a) - 0.2 * a, lambda a: -np.sin(a) - 0.2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_steps_are_scipys(name: str) -> None:
    value, slope = FUNCTIONS[name]
    longest = 0
    for first in np.geomspace(1e-3, 1e3, 61):
        theirs, ours = [], []
        reference = DCSRCH(None, None, SUFFICIENT_DECREASE, CURVATURE, 0.1, 0, 1e10)
        step, _, _, task = reference._iterate(float(first), value(0.0), slope(0.0), b"START")
        while task[:2] == b"FG":
            theirs.append(step)
            step, _, _, task = reference._iterate(step, value(step), slope(step), task)
        search = LineSearch(value(0.0), slope(0.0), float(first))
        trial: float | None = float(first)
        while trial is not None and len(ours) <= len(theirs):
            ours.append(trial)
            trial = search.after(trial, value(trial), slope(trial))
        assert ours == pytest.approx(theirs, rel=1e-9)
        longest = max(longest, len(ours))
    assert longest > 2
