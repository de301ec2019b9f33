"""Many L-BFGS-B minimizations side by side, each on the path that scipy alone would take.

A logistic regression per class spends its time in products of one matrix with one vector. Here every class's
minimizer runs until it asks for a loss and a gradient, all questions are answered together by one call (for which
one product with a matrix serves all classes), and the minimizers go on. What each one sees is what it would see alone.

scipy's minimizer calls its objective and cannot be paused, so each has a thread to wait in. Threads and caller strictly
take turns: nothing runs at the same time, and the result does not depend on scheduling.
"""

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

LossesAndGradients = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``(which int (k,), points float64 (k, m)) -> (losses (k,), gradients (k, m))``; row i belongs to problem which[i]."""

_Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


class _AbandonedError(Exception):
    """Unwinds a waiting minimizer when the caller has given up."""


class _PausingMinimizer:
    """One minimization that pauses wherever it needs the objective."""

    def __init__(self, minimize: "Callable[[_Objective], OptimizeResult]") -> None:
        self.result: OptimizeResult | None = None
        self._error: BaseException | None = None
        self._questions: SimpleQueue[np.ndarray | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[float, np.ndarray] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, args=(minimize,), name="l-bfgs-b", daemon=True)

    def begin(self) -> np.ndarray | None:
        """Run up to the first question: the point to evaluate, float64 (m,), or None when finished."""
        self._thread.start()
        return self._next_question()

    def proceed(self, loss: float, gradient: np.ndarray) -> np.ndarray | None:
        """Answer the question and run up to the next one, or to the end (None, and `result` is set)."""
        self._answers.put((loss, gradient))
        return self._next_question()

    def abandon(self) -> None:
        """End the thread, wherever it is; without effect on one that has finished."""
        if self._thread.is_alive():
            self._answers.put(None)
            self._thread.join()

    def _next_question(self) -> np.ndarray | None:
        question = self._questions.get()
        if self._error is not None:
            raise self._error
        return question

    def _run(self, minimize: "Callable[[_Objective], OptimizeResult]") -> None:
        try:
            self.result = minimize(self._ask)
        except _AbandonedError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._questions.put(None)

    def _ask(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        self._questions.put(point)
        answer = self._answers.get()
        if answer is None:
            raise _AbandonedError
        return answer


def minimize_in_lockstep(
    losses_and_gradients: LossesAndGradients, starts: np.ndarray, options: dict[str, float]
) -> "list[OptimizeResult]":
    """Minimize k functions by scipy's L-BFGS-B, all evaluations of one round in one call.

    Args:
        losses_and_gradients: evaluates the functions that are still being minimized, at one point each.
        starts: float64 (k, m), where each begins.
        options: those of `scipy.optimize.minimize(method="L-BFGS-B")`.

    Returns:
        scipy's result for each function, in order.

    Raises:
        Whatever the evaluation or a minimizer raises; no thread is left behind.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    minimizers = [
        _PausingMinimizer(partial(minimize, x0=start, method="L-BFGS-B", jac=True, options=options)) for start in starts
    ]
    # The minimizers' own vectors are far too short to share among BLAS threads, which would wait for each other instead;
    # the evaluation shares its work in blocks.
    with threadpool_limits(1, user_api="blas"):
        try:
            questions = {index: minimizer.begin() for index, minimizer in enumerate(minimizers)}
            while asking := {index: point for index, point in questions.items() if point is not None}:
                losses, gradients = losses_and_gradients(np.array(list(asking)), np.stack(list(asking.values())))
                questions = {
                    index: minimizers[index].proceed(float(loss), gradient)
                    for index, loss, gradient in zip(asking, losses, gradients, strict=True)
                }
        finally:
            for minimizer in minimizers:
                minimizer.abandon()
    return [minimizer.result for minimizer in minimizers if minimizer.result is not None]
