"""Minimizations side by side take the steps that scipy takes alone, and count as scipy counts."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fa_assets.models.batched_lbfgs import Stopping, minimize_batch

STEEPNESS = np.array([0.0, 1.0, 10.0, 300.0, 0.0])
STARTS = np.array([[3.0, -1.0], [-1.2, 1.0], [0.5, 0.5], [-1.2, 1.0], [1.0, 0.0]])
TOLERANCE, LEAST_GAIN = 1e-8, 1e-15


def rosenbrock(steepness: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1 - x)^2 + steepness (y - x^2)^2 for points (..., 2), and its gradient."""
    x, y = points[..., 0], points[..., 1]
    bend = y - x * x
    gradient = np.stack([-2 * (1 - x) - 4 * steepness * x * bend, 2 * steepness * bend], axis=-1)
    return (1 - x) ** 2 + steepness * bend * bend, gradient


def stopping(iterations: int) -> Stopping:
    return Stopping(np.full(len(STARTS), TOLERANCE), iterations, LEAST_GAIN)


@pytest.mark.parametrize("iterations", [60, 5])
def test_same_path_as_alone(iterations: int) -> None:
    rounds = []

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rounds.append(which.tolist())
        return rosenbrock(STEEPNESS[which], points)

    found = minimize_batch(evaluate, STARTS, stopping(iterations))
    options = {"maxiter": iterations, "maxls": 50, "gtol": TOLERANCE, "ftol": LEAST_GAIN}
    alone = [
        minimize(lambda point, a=a: rosenbrock(a, point), start, method="L-BFGS-B", jac=True, options=options)
        for a, start in zip(STEEPNESS, STARTS, strict=True)
    ]
    np.testing.assert_allclose(found.points, [scipys.x for scipys in alone], rtol=0, atol=1e-8)
    assert found.iterations.tolist() == [scipys.nit for scipys in alone]
    assert found.evaluations.tolist() == [scipys.nfev for scipys in alone]
    assert found.converged.tolist() == [scipys.status == 0 for scipys in alone]
    assert found.converged.tolist() == ([True] * 5 if iterations == 60 else [True, False, False, False, True])
    assert found.evaluations[3] > found.iterations[3] + 1, "a path with rejected steps"
    assert found.iterations[4] == 0, "one that starts where it ends"
    for index in range(len(STARTS)):
        assert sum(index in which for which in rounds) == found.evaluations[index]
    assert len(rounds) == found.evaluations.max()


def test_nothing_to_minimize() -> None:
    found = minimize_batch(
        lambda which, points: rosenbrock(STEEPNESS[which], points), STARTS[:0], Stopping(np.empty(0), 9)
    )
    assert found.points.shape == (0, 2)
    assert not len(found.converged)


def test_a_failing_evaluation_is_heard_of() -> None:
    calls = []

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(len(which))
        if len(calls) == 3:
            raise MemoryError("no room")
        return rosenbrock(STEEPNESS[which], points)

    with pytest.raises(MemoryError, match="no room"):
        minimize_batch(evaluate, STARTS, stopping(60))
    assert calls == [5, 4, 4]
