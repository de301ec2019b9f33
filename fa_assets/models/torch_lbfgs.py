"""One-vs-rest logistic regression by `torch.optim.LBFGS`: all classes of a group in one problem, from memory or from a file.

The objective is scikit-learn's. The classes do not depend on each other, so the sum of their objectives has its minimum where
each has its own, and one pair of matrix products evaluates them all. They share the length of each step, which costs a few
more steps than each alone would take, and fewer in small groups.

A tolerance of 1e-4 or more is for speed: single precision, and an end as early as scikit-learn's. Below that the fit goes to
the optimum: double precision, and the gradient is judged in terms of the penalty, because a probability that is off by e
leaves a gradient of about e / (C n), which for a large C is far below any fixed tolerance.

A pool of threads takes the rows in parts of a fixed size, with one thread of torch each, and their sums are added in order.
So the answer does not depend on the number of threads.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.encoders.threads import usable_cpus
from fa_assets.models.one_vs_rest import TOLERANCE, OneVsRest, require_training_set
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.row_file import RowFile, require_finite

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_PART_ROWS = 512
"""Rows that one thread takes at a time."""

_PARTS_AT_ONCE = 16
"""Parts whose gradients are held at once: with 500 classes of 2048 features 70 MB in single precision."""

_SCALER_ROWS = 2048

_CLASSES_IN_MEMORY, _CLASSES_FROM_FILE = 40, 500
"""Classes in a group. Fewer would need fewer steps, but every group reads all rows again, most slowly from a file."""

_PAIR_BYTES, _FEWEST_PAIRS, _MOST_PAIRS = 1 << 28, 10, 100
"""Memory for the steps that L-BFGS remembers, and how many they are."""

_LOSS_SCALE = 1e8
"""Of loss and gradient: torch forgets steps whose product with the gradient's change is below 1e-10, which near an optimum
all are."""


def fit(
    X: np.ndarray | RowFile,
    Y: np.ndarray,
    *,
    C: float = 2.0,
    max_iter: int = 1000,
    tolerance: float = TOLERANCE,
    standardise: bool = True,
    balanced: bool = False,
    device: str = "cpu",
    progress: ProgressCallback = no_progress,
) -> OneVsRest:
    """Fit the scaler and one logistic regression per class.

    Args:
        X: float32 or float64 (n, d), or a file of such rows, which is read once for every evaluation.
        Y: bool (n, number of classes).
        C: inverse strength of the L2 penalty, which leaves the intercept free.
        max_iter: the most steps.
        tolerance: largest component of the gradient at which a class is done; below 1e-4 also at most 100 tolerance / (C n).
        standardise: whether features are; otherwise they are taken as they are.
        balanced: positives and negatives of a class have the same total weight.
        device: where the products are computed: a device of torch, or auto for CUDA where there is one.
        progress: told the number of classes finished.

    Raises:
        ValueError: the shapes or dtypes are not as above.
        BadInputError: there are no rows, or X holds values that are not finite (the rows are named).
    """
    require_training_set(X.shape, Y)
    if isinstance(X, np.ndarray):
        require_finite(X)
    (n_rows, width), n_classes = X.shape, Y.shape[1]
    positives = Y.sum(axis=0, dtype=np.int64)
    trained = (positives > 0) & (positives < n_rows)
    weights = np.zeros((n_classes, width + 1))
    iterations, converged = np.zeros(n_classes, np.int64), np.zeros(n_classes, bool)
    precise = tolerance < TOLERANCE
    largest = tolerance * min(1.0, 100 / (C * n_rows)) if precise else tolerance

    progress(done := n_classes - int(trained.sum()), n_classes)
    with _pool() as pool:
        rows = _Rows(X, standardise, np.float64 if precise else np.float32, device, pool)
        to_train = np.flatnonzero(trained)
        for span in _spans(len(to_train), _CLASSES_IN_MEMORY if rows.in_memory else _CLASSES_FROM_FILE):
            group = to_train[span]
            objective = _Objective(rows, Y[:, group], 1 / (C * n_rows), balanced, pool)
            weights[group], iterations[group], gradients = _minimize(objective, max_iter, largest)
            # Steps that gain nothing end a fit as well: rounding hides what a large C still asks of the gradient.
            enough = tolerance if iterations[group[0]] < max_iter else largest
            converged[group] = np.abs(gradients).max(axis=1) <= enough
            progress(done := done + len(group), n_classes)
    return OneVsRest(rows.mean, rows.scale, weights[:, :-1], weights[:, -1], iterations, converged, trained, positives)


class _Rows:
    """The rows as the objective takes them: standardised, in parts, on the device.

    Attributes:
        mean, scale: float64 (d,).
        parts: of at most `_PART_ROWS` rows each.
        in_memory: whether standardised rows are kept; otherwise each part is read from the file whenever it is asked for.
    """

    def __init__(self, X: np.ndarray | RowFile, standardise: bool, dtype: type, device: str, pool: Executor) -> None:
        import torch

        self._X, self._dtype = X, dtype
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        (n_rows, width), self.in_memory = X.shape, isinstance(X, np.ndarray)
        self.mean, self.scale = np.zeros(width), np.ones(width)
        if standardise:
            from sklearn.preprocessing import StandardScaler

            scaler = StandardScaler()
            for block in _spans(n_rows, _SCALER_ROWS):
                scaler.partial_fit(self._raw(block))
            self.mean, self.scale = scaler.mean_, scaler.scale_
        self.parts = _spans(n_rows, _PART_ROWS)
        self._kept = list(pool.map(self._standardised, self.parts)) if self.in_memory else []

    def part(self, number: int) -> "torch.Tensor":
        """The standardised rows (m, d) of a part."""
        return self._kept[number] if self.in_memory else self._standardised(self.parts[number])

    def _raw(self, rows: slice) -> np.ndarray:
        return self._X[rows] if isinstance(self._X, np.ndarray) else self._X.read(rows)

    def _standardised(self, part: slice) -> "torch.Tensor":
        import torch

        rows = (self._raw(part) - self.mean) / self.scale
        return torch.from_numpy(rows.astype(self._dtype, copy=False)).to(self._device)


class _Objective:
    """The sum over classes of the mean logistic loss plus penalty / 2 times the squared norm of the coefficients."""

    def __init__(self, rows: _Rows, Y: np.ndarray, penalty: float, balanced: bool, pool: Executor) -> None:
        """Y is bool (n, k)."""
        self._rows, self._penalty, self._pool = rows, penalty, pool
        self._signs = np.where(Y.T, np.int8(1), np.int8(-1))
        self._share = 1 / len(Y)
        positives = Y.sum(axis=0, dtype=np.int64)[:, None]
        self._shares = (0.5 / positives, 0.5 / (len(Y) - positives)) if balanced else None
        self.shape = (Y.shape[1], rows.mean.size + 1)

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient (k, d + 1) at weights (k, d + 1): coefficients, then the intercept, which has no penalty."""
        loss = 0.5 * self._penalty * float(np.square(weights[:, :-1]).sum())
        gradient = self._penalty * weights
        gradient[:, -1] = 0.0
        numbers = range(len(self._rows.parts))
        share = self._pool.map if len(numbers) > 1 else map  # handing over a single part would only take time
        for some in _spans(len(numbers), _PARTS_AT_ONCE):
            for own_loss, coef, intercept in share(partial(self._of_part, weights), numbers[some]):
                loss += own_loss
                gradient[:, :-1] += coef
                gradient[:, -1] += intercept
        if not self._rows.in_memory:
            logger.info("read all rows for %d classes: largest gradient %.1e", len(weights), np.abs(gradient).max())
        return loss, gradient

    def _of_part(self, weights: np.ndarray, number: int) -> tuple[float, np.ndarray, np.ndarray]:
        """What a part of the rows adds to the loss and to the gradients of coefficients (k, d) and intercepts (k,)."""
        import torch

        X = self._rows.part(number)
        own = torch.from_numpy(weights).to(X)
        signs = torch.from_numpy(self._signs[:, self._rows.parts[number]]).to(X)
        agreement = torch.addmm(own[:, -1:], own[:, :-1], X.T).mul_(signs)
        losses = torch.nn.functional.logsigmoid(agreement).neg_()
        slopes = agreement.neg_().sigmoid_().mul_(signs).neg_()
        if self._shares is not None:
            positive, negative = (torch.from_numpy(one).to(X) for one in self._shares)
            shares = torch.where(signs > 0, positive, negative)
            losses, slopes = losses.mul_(shares), slopes.mul_(shares)
        else:
            losses, slopes = losses.mul_(self._share), slopes.mul_(self._share)
        loss = float(losses.sum(dtype=torch.float64))
        return loss, (slopes @ X).cpu().numpy(), slopes.sum(dim=1).cpu().numpy()


def _minimize(objective: _Objective, max_iter: int, largest: float) -> tuple[np.ndarray, int, np.ndarray]:
    """Go from 0 to where no component of the gradient is above `largest`, or as far as there is something to gain.

    Returns:
        The weights (k, d + 1), the steps taken, and the gradient (k, d + 1).
    """
    import torch

    start = np.zeros(objective.shape)
    latest = (start, *objective(start))
    # torch's first step has the length 1 in the 1-norm; in these units that is minus the gradient.
    unit = max(float(np.abs(latest[2]).sum()), 1e-300)
    point = torch.zeros(objective.shape, dtype=torch.float64, requires_grad=True)

    def evaluate() -> float:
        nonlocal latest
        weights = point.detach().numpy() * unit
        if not np.array_equal(weights, latest[0]):
            latest = (weights, *objective(weights))
        point.grad = torch.from_numpy(latest[2] * (unit * _LOSS_SCALE))
        return latest[1] * _LOSS_SCALE

    optimizer = torch.optim.LBFGS(
        [point],
        max_iter=max_iter,
        max_eval=2 * max_iter + 25,
        tolerance_grad=largest * unit * _LOSS_SCALE,
        tolerance_change=1e-12,
        history_size=min(_MOST_PAIRS, max(_FEWEST_PAIRS, _PAIR_BYTES // (16 * point.numel()))),
        line_search_fn="strong_wolfe",
    )
    optimizer.step(evaluate)
    evaluate()
    weights, _, gradient = latest
    return weights, int(optimizer.state[point]["n_iter"]), gradient


@contextmanager
def _pool() -> Iterator[Executor]:
    """A thread for each CPU, each with one thread of torch and BLAS."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(usable_cpus()) as pool, threadpool_limits(1, user_api="blas"):
            yield pool
    finally:
        torch.set_num_threads(before)


def _spans(n: int, size: int) -> list[slice]:
    """0 to n in slices of `size`, the last one shorter."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]
