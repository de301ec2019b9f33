"""Minimizers in lockstep take the very steps that scipy takes alone, and leave no thread behind."""

import threading

import numpy as np
import pytest
from scipy.optimize import minimize

from fa_assets.evaluation.lockstep import minimize_in_lockstep

STEEPNESS = np.array([0.0, 1.0, 10.0, 300.0])
STARTS = np.array([[3.0, -1.0], [-1.2, 1.0], [0.5, 0.5], [-1.2, 1.0]])
OPTIONS = {"maxiter": 60, "maxls": 50, "gtol": 1e-8, "ftol": 1e-15}


def rosenbrock(steepness: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1 - x)^2 + steepness (y - x^2)^2 for points (..., 2), and its gradient."""
    x, y = points[..., 0], points[..., 1]
    bend = y - x * x
    gradient = np.stack([-2 * (1 - x) - 4 * steepness * x * bend, 2 * steepness * bend], axis=-1)
    return (1 - x) ** 2 + steepness * bend * bend, gradient


def left_behind() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "l-bfgs-b"]


@pytest.mark.parametrize("maxiter", [60, 5])
def test_same_path_as_alone(maxiter: int) -> None:
    options = {**OPTIONS, "maxiter": maxiter}
    rounds = []

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rounds.append(which.tolist())
        return rosenbrock(STEEPNESS[which], points)

    results = minimize_in_lockstep(evaluate, STARTS, options)
    alone = [
        minimize(lambda point, a=a: rosenbrock(a, point), start, method="L-BFGS-B", jac=True, options=options)
        for a, start in zip(STEEPNESS, STARTS, strict=True)
    ]
    for ours, scipys in zip(results, alone, strict=True):
        np.testing.assert_array_equal(ours.x, scipys.x)
        assert (ours.nit, ours.nfev, ours.status) == (scipys.nit, scipys.nfev, scipys.status)
    assert len({scipys.nfev for scipys in alone}) > 1
    for index, scipys in enumerate(alone):
        assert sum(index in which for which in rounds) == scipys.nfev
    assert len(rounds) == max(scipys.nfev for scipys in alone)
    assert not left_behind()


def test_nothing_to_minimize() -> None:
    assert minimize_in_lockstep(lambda which, points: rosenbrock(STEEPNESS[which], points), STARTS[:0], OPTIONS) == []


def test_a_failing_evaluation_ends_every_thread() -> None:
    calls = []

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(left_behind()))
        if len(calls) == 3:
            raise MemoryError("no room")
        return rosenbrock(STEEPNESS[which], points)

    with pytest.raises(MemoryError, match="no room"):
        minimize_in_lockstep(evaluate, STARTS, OPTIONS)
    assert calls == [4, 4, 4]
    assert not left_behind()


def test_a_failing_minimizer_is_heard_of() -> None:
    with pytest.raises(ValueError, match="maxls must be positive"):
        minimize_in_lockstep(
            lambda which, points: rosenbrock(STEEPNESS[which], points), STARTS, {**OPTIONS, "maxls": 0}
        )
    assert not left_behind()
