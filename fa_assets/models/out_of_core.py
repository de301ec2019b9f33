"""One-vs-rest logistic regression on more rows than the memory holds: every evaluation reads them once more from the disk.

Objective, starting point, steps and stopping rule are those of `one_vs_rest`: L-BFGS on all rows, not on samples of them, with
the rows' work in single and the sums over rows in double precision. A block of rows at a time is read, standardised and used
by all classes, and forgotten. In memory are the block, the labels, and what L-BFGS keeps of the classes that are solved side
by side.

What differs: no class is left to scikit-learn, which would need all rows at once. A class whose line search rejected a step is
solved to the same tolerance, but its end is as rounding has it (see `one_vs_rest`); how many they were is logged.
"""

import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import BadInputError
from fa_assets.models.batched_lbfgs import Minima, Stopping, minimize_batch
from fa_assets.models.one_vs_rest import (
    NO_ROWS,
    TOLERANCE,
    OneVsRest,
    assembled,
    losses_and_slopes,
    spans,
)
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.row_file import RowFile

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

logger = logging.getLogger(__name__)

_BLOCK_VALUES = 1 << 24
"""Numbers in a block, which is kept in double precision: 134 MB."""

_MOST_BLOCK_ROWS = 8192

_PART = 512
"""Rows of a block that one thread reads and uses at a time, and columns of the gradients' product."""

_CLASSES_IN_A_PART = 128

_GROUP_BYTES = 1 << 30
"""Memory of the classes that are solved side by side; each further group reads all rows as often again."""

_STATE_VECTORS = 60
"""Vectors as long as a class's coefficients, float64, that a minimization may hold at once: the pairs, and copies of them."""


def fit_out_of_core(
    X: RowFile,
    Y: np.ndarray,
    *,
    held_out: slice = slice(0, 0),
    C: float = 2.0,
    max_iter: int = 1000,
    tolerance: float = TOLERANCE,
    progress: ProgressCallback = no_progress,
) -> OneVsRest:
    """Fit the scaler and one logistic regression per class.

    Args:
        X: the rows, all of them finite, as the file sees to.
        Y: bool (rows, number of classes).
        held_out: rows that are left out, from `start` to `stop`.
        C: inverse strength of the L2 penalty, which leaves the intercept free.
        max_iter: the most iterations per class.
        tolerance: largest component of the gradient at which a class is done.
        progress: told the number of classes finished, after every pass over the rows.

    Raises:
        ValueError: the shapes or dtypes are not as above.
        BadInputError: there are no rows.
    """
    if Y.ndim != 2 or len(Y) != X.rows or Y.dtype != bool or not 0 <= held_out.start <= held_out.stop <= X.rows:
        raise ValueError(f"{X.rows} rows without {held_out} do not go with Y, {Y.dtype} {Y.shape}")
    block_rows = max(_PART, min(_MOST_BLOCK_ROWS, _BLOCK_VALUES // X.width))
    blocks = [*spans(0, held_out.start, block_rows), *spans(held_out.stop, X.rows, block_rows)]
    if not blocks:
        raise BadInputError(NO_ROWS)
    from threadpoolctl import threadpool_limits  # a requirement of scikit-learn

    n_rows, n_classes = X.rows - (held_out.stop - held_out.start), Y.shape[1]
    positives = sum((Y[rows].sum(axis=0, dtype=np.int64) for rows in blocks), np.zeros(n_classes, np.int64))
    trained = (positives > 0) & (positives < n_rows)
    weights = np.zeros((n_classes, X.width + 1), np.float32)
    iterations = np.zeros(n_classes, np.int64)
    converged = np.zeros(n_classes, bool)

    progress(n_classes - int(trained.sum()), n_classes)
    to_train = np.flatnonzero(trained)
    at_once = max(1, _GROUP_BYTES // (8 * _STATE_VECTORS * (X.width + 1)))
    winding = 0
    # The work is shared in parts among threads, each with products of its own; sums do not depend on how many there are.
    with ThreadPoolExecutor(usable_cpus()) as pool, threadpool_limits(1, user_api="blas"):
        scaler = _fit_scaler(X, blocks)
        for start in range(0, len(to_train), at_once):
            group = to_train[start : start + at_once]
            objective = _Objective(X, Y, scaler, blocks, group, 1.0 / (C * n_rows), pool)
            before = n_classes - len(to_train) + start
            stopping = Stopping(np.full(len(group), tolerance), max_iter)
            found = _minimize(objective, stopping, partial(_report, progress, before, n_classes))
            weights[group], iterations[group], converged[group] = found.points, found.iterations, found.converged
            winding += int((found.evaluations != found.iterations + 1).sum())
    progress(n_classes, n_classes)
    logger.info("fitted %d of %d classes out of core, %d on winding paths", len(to_train), n_classes, winding)
    return assembled(scaler, weights, iterations, converged, trained, positives)


class _Objective:
    """The objective of some classes: the mean logistic loss plus penalty / 2 times the squared norm of the coefficients.

    A point is a class's coefficients followed by its intercept.
    """

    def __init__(
        self,
        X: RowFile,
        Y: np.ndarray,
        scaler: "StandardScaler",
        blocks: list[slice],
        classes: np.ndarray,
        penalty: float,
        pool: Executor,
    ) -> None:
        self.classes = classes
        self.width = X.width
        self._X, self._Y, self._scaler, self._blocks, self._penalty, self._pool = X, Y, scaler, blocks, penalty, pool
        self._n_rows = sum(rows.stop - rows.start for rows in blocks)
        most = max(rows.stop - rows.start for rows in blocks)
        self._rows = np.empty((most, X.width))
        self._slopes = np.empty((len(classes), most))

    def __call__(self, which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Losses (k,) and gradients (k, d + 1) of `which` of the classes, in one pass over the rows."""
        coef, intercept = points[:, :-1].T.astype(np.float32), points[:, -1].astype(np.float32)
        losses = np.zeros(len(which))
        gradients = self._penalty * points
        gradients[:, -1] = 0.0
        tiles = [
            (classes, columns)
            for classes in spans(0, len(which), _CLASSES_IN_A_PART)
            for columns in spans(0, self._X.width, _PART)
        ]
        for block in self._blocks:
            parts = spans(block.start, block.stop, _PART)
            take = partial(self._take, block.start, self.classes[which], coef, intercept)
            losses += sum(self._pool.map(take, parts))
            add = partial(self._add_gradients, block.stop - block.start, gradients)
            list(self._pool.map(add, tiles))
            gradients[:, -1] += self._slopes[: len(which), : block.stop - block.start].sum(axis=1)
        losses /= self._n_rows
        return losses + 0.5 * self._penalty * np.square(points[:, :-1]).sum(axis=1), gradients

    def _take(
        self, start: int, classes: np.ndarray, coef: np.ndarray, intercept: np.ndarray, rows: slice
    ) -> np.ndarray:
        """Read and standardise a part of the block that begins at `start`; the sum of each class's losses there, (k,)."""
        X = self._scaler.transform(self._X.read(rows))
        signs = np.where(self._Y[rows][:, classes], np.float32(-1), np.float32(1))
        losses, slopes = losses_and_slopes(X, signs, coef, intercept, self._n_rows)
        here = slice(rows.start - start, rows.stop - start)
        self._rows[here] = X
        self._slopes[: len(classes), here] = slopes.T
        return losses

    def _add_gradients(self, n_rows: int, gradients: np.ndarray, tile: tuple[slice, slice]) -> None:
        classes, columns = tile
        gradients[classes, columns] += self._slopes[classes, :n_rows] @ self._rows[:n_rows, columns]


def _minimize(objective: _Objective, stopping: Stopping, progress: Callable[[int], None]) -> Minima:
    """Solve the classes of an objective side by side; every pass over the rows is logged, and told as classes finished."""
    k = len(objective.classes)
    passes = itertools.count(1)

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        started = time.perf_counter()
        found = objective(which, points)
        seconds = time.perf_counter() - started
        logger.info("pass %d over the rows, %.1f s, for %d of %d classes", next(passes), seconds, len(which), k)
        progress(k - len(which))
        return found

    return minimize_batch(evaluate, np.zeros((k, objective.width + 1)), stopping)


def _report(progress: ProgressCallback, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _fit_scaler(X: RowFile, blocks: list[slice]) -> "StandardScaler":
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(copy=False)
    for block in blocks:
        for rows in spans(block.start, block.stop, _PART):
            scaler.partial_fit(X.read(rows))
    return scaler
