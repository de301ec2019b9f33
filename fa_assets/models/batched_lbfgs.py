"""L-BFGS for hundreds of functions of one shape at once, each on the path that scipy's L-BFGS-B takes alone.

A logistic regression per class spends its time in products of one matrix with one vector. Here all minimizations go side
by side: one call evaluates all functions (for which one product with a matrix serves all classes), and all directions come
from two passes over the stored steps. The steps are those of J. Nocedal and S. Wright,
"Numerical Optimization", algorithm 7.4, in terms of the inner products of what is stored (W. Chen, Z. Wang, J. Zhou,
"Large-scale L-BFGS using MapReduce", 2014); lengths, line search and stopping rules are those of L-BFGS-B 3.0 without bounds.

Only rounding differs from scipy, which matters where a line search rejects steps (see `one_vs_rest`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fa_assets.models.line_search import CURVATURE, SUFFICIENT_DECREASE, LineSearch

LossesAndGradients = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``(which int (k,), points float64 (k, m)) -> (losses (k,), gradients (k, m))``; row i belongs to problem which[i]."""

_PAIRS = 10
_EPSILON = np.finfo(float).eps
_MOST_TRIALS = 50


@dataclass(frozen=True, eq=False)
class Stopping:
    """When a minimization ends.

    Attributes:
        tolerance: float64 (k,), of the gradient's largest component, for each function.
        iterations: the most there are.
        least_gain: of an iteration, relative to the largest of both losses and 1; the default is scikit-learn's.
        largest: the largest components, float64 (j,), of gradients float64 (j, m); of another basis than the gradients', where
            the points are coordinates in one.
    """

    tolerance: np.ndarray
    iterations: int
    least_gain: float = 64 * _EPSILON
    largest: Callable[[np.ndarray], np.ndarray] = lambda gradients: np.abs(gradients).max(axis=1)


@dataclass(frozen=True, eq=False)
class Minima:
    """What came of k minimizations.

    Attributes:
        points: float64 (k, m), where each ended.
        iterations: int64 (k,), steps taken.
        evaluations: int64 (k,), of loss and gradient, the first included: iterations + 1 where every first step was taken.
        converged: bool (k,), False where the iterations or the line search ended it.
    """

    points: np.ndarray
    iterations: np.ndarray
    evaluations: np.ndarray
    converged: np.ndarray


class _State:
    """All that belongs to the functions that are still being minimized; the first axis of every array counts them."""

    def __init__(self, which: np.ndarray, starts: np.ndarray, losses: np.ndarray, gradients: np.ndarray) -> None:
        k, m = starts.shape
        self.which, self.x, self.loss, self.gradient = which, starts, losses, gradients
        self.pairs = np.zeros((k, 2 * _PAIRS, m))  # steps, then changes of the gradient
        self.products = np.zeros((k, 2 * _PAIRS, 2 * _PAIRS))
        self.stored, self.newest, self.iteration, self.trials = (np.zeros(k, np.int64) for _ in range(4))
        self.direction = -gradients
        self.slope = -np.square(gradients).sum(axis=1)
        self.step = 1 / np.maximum(np.sqrt(-self.slope), 1e-300)
        self.searches = np.full(k, None, dtype=object)
        self.done = np.zeros(k, dtype=bool)

    def keep(self, rows: np.ndarray) -> None:
        """Forget all functions but these."""
        for name, values in vars(self).items():
            setattr(self, name, values[rows])

    def forget_pairs(self, rows: np.ndarray) -> None:
        """Go on downhill, from the point before the search."""
        self.stored[rows] = 0
        self.direction[rows] = -self.gradient[rows]
        self.slope[rows] = -np.square(self.gradient[rows]).sum(axis=1)
        self.step[rows], self.trials[rows], self.searches[rows] = 1.0, 0, None


def minimize_batch(evaluate: LossesAndGradients, starts: np.ndarray, stopping: Stopping) -> Minima:
    """Minimize k functions of m variables.

    Args:
        evaluate: gives loss and gradient of some of the functions, at one point each.
        starts: float64 (k, m), where each begins.

    Raises:
        Whatever the evaluation raises.
    """
    everything = np.arange(len(starts))
    if not len(starts):
        return Minima(starts.copy(), everything, everything, np.zeros(0, dtype=bool))
    losses, gradients = evaluate(everything, starts)
    converged = stopping.largest(gradients) <= stopping.tolerance
    found = Minima(starts.copy(), np.zeros_like(everything), np.ones_like(everything), converged)
    state = _State(everything, starts.copy(), losses, gradients)
    state.done = converged.copy()
    while not state.done.all():
        if state.done.mean() > 0.2:
            state.keep(~state.done)
        running = np.flatnonzero(~state.done)
        points = state.x[running] + state.step[running, None] * state.direction[running]
        losses, gradients = evaluate(state.which[running], points)
        found.evaluations[state.which[running]] += 1
        taken = _search(state, running, losses, np.einsum("km,km->k", gradients, state.direction[running]))
        rows = running[taken]
        if rows.size:
            converged = _move(state, rows, points[taken], losses[taken], gradients[taken], stopping)
            which = state.which[rows]
            found.points[which], found.iterations[which] = state.x[rows], state.iteration[rows]
            found.converged[which] = converged
            onward = rows[~state.done[rows]]
            if onward.size:
                _turn(state, onward)
    return found


def _search(state: _State, rows: np.ndarray, losses: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Which of the trial points are taken, bool; the others get another step, or end."""
    before, slope, step = state.loss[rows], state.slope[rows], state.step[rows]
    state.trials[rows] += 1
    taken = (losses <= before + SUFFICIENT_DECREASE * step * slope) & (np.abs(slopes) <= CURVATURE * -slope)
    for place in np.flatnonzero(~taken):
        row = rows[place]
        if state.searches[row] is None:
            state.searches[row] = LineSearch(float(before[place]), float(slope[place]), float(step[place]))
        another = state.searches[row].after(float(step[place]), float(losses[place]), float(slopes[place]))
        if another is None:
            taken[place] = True
        elif state.trials[row] < _MOST_TRIALS:
            state.step[row] = another
        elif state.stored[row]:
            state.forget_pairs(np.array([row]))
        else:
            state.done[row] = True
    return taken


def _move(
    state: _State, rows: np.ndarray, points: np.ndarray, losses: np.ndarray, gradients: np.ndarray, stopping: Stopping
) -> np.ndarray:
    """Go to the points, remember the way, and see who is done; which of them have converged, bool."""
    steps, changes = points - state.x[rows], gradients - state.gradient[rows]
    curvature = np.einsum("km,km->k", steps, changes)
    gain = state.loss[rows] - losses
    scale = np.maximum(np.maximum(np.abs(state.loss[rows]), np.abs(losses)), 1.0)
    useful = curvature > _EPSILON * -state.slope[rows] * state.step[rows]
    state.x[rows], state.loss[rows], state.gradient[rows] = points, losses, gradients
    state.iteration[rows] += 1
    state.trials[rows], state.searches[rows] = 0, None
    at_the_end = (stopping.largest(gradients) <= stopping.tolerance[state.which[rows]]) | (
        gain <= stopping.least_gain * scale
    )
    out_of_iterations = state.iteration[rows] >= stopping.iterations
    state.done[rows] = at_the_end | out_of_iterations
    kept = rows[useful]
    slot = np.where(state.stored[kept] == 0, 0, (state.newest[kept] + 1) % _PAIRS)
    state.newest[kept] = slot
    state.stored[kept] = np.minimum(state.stored[kept] + 1, _PAIRS)
    state.pairs[kept, slot], state.pairs[kept, _PAIRS + slot] = steps[useful], changes[useful]
    return at_the_end & ~out_of_iterations  # in this order, as scipy asks


def _turn(state: _State, rows: np.ndarray) -> None:
    """The next direction of each: minus the gradient times the inverse Hessian that the stored pairs tell of."""
    all_of_them = len(rows) == len(state.which)
    pairs = state.pairs if all_of_them else state.pairs[rows]
    gradient = state.gradient[rows]
    newest, stored, each = state.newest[rows], state.stored[rows], np.arange(len(rows))
    size = 2 * _PAIRS
    new = np.stack([pairs[each, newest], pairs[each, _PAIRS + newest], gradient], axis=2)
    dots = pairs @ new  # (k, 20, 3): with the newest step, the newest change, the gradient
    products = np.empty((len(rows), size + 1, size + 1))
    products[:, :size, :size] = state.products[rows]
    for column, place in ((0, newest), (1, _PAIRS + newest)):
        products[each, place, :size] = products[each, :size, place] = dots[:, :, column]
    products[:, size, :size] = products[:, :size, size] = dots[:, :, 2]
    products[:, size, size] = 0.0  # never asked for
    state.products[rows] = products[:, :size, :size]

    share = np.zeros((len(rows), size + 1))  # of each stored vector, and of the gradient, in the direction
    share[:, size] = -1.0
    slots = (newest[:, None] - np.arange(_PAIRS)) % _PAIRS
    deepest = int(stored.max(initial=0))
    alphas = np.zeros((len(rows), deepest))
    for depth in range(deepest):
        s = slots[:, depth]
        there = depth < stored
        curvature = np.where(there, products[each, s, _PAIRS + s], 1.0)
        alphas[:, depth] = np.where(there, np.einsum("kl,kl->k", share, products[each, s]) / curvature, 0.0)
        share[each, _PAIRS + s] -= alphas[:, depth]
    y = _PAIRS + newest
    scale = np.where(stored > 0, products[each, newest, y] / np.where(stored > 0, products[each, y, y], 1.0), 1.0)
    share *= scale[:, None]
    for depth in reversed(range(deepest)):
        s = slots[:, depth]
        there = depth < stored
        curvature = np.where(there, products[each, s, _PAIRS + s], 1.0)
        beta = np.einsum("kl,kl->k", share, products[each, _PAIRS + s]) / curvature
        share[each, s] += np.where(there, alphas[:, depth] - beta, 0.0)
    direction = (share[:, None, :size] @ pairs)[:, 0] + share[:, size:] * gradient
    slope = np.einsum("km,km->k", direction, gradient)
    state.direction[rows], state.slope[rows], state.step[rows] = direction, slope, 1.0
    uphill = rows[slope >= 0]
    if uphill.size:
        state.forget_pairs(uphill)
