"""Logistic regressions of many variants on the same rows: scikit-learn's objective and stopping rule, with the work shared.

Variants of the same features differ in the penalty, the weights of the rows and the tolerance only. So features are
normalised once, and one pair of matrix products per round serves all classes of all variants (see `batched_lbfgs`).

The solves start at 0 and only ever move within the span of the rows, by inner products alone. So where there are fewer rows
than features they run in coordinates of an orthonormal basis of that span: the same path in a fraction of the numbers. Only
scikit-learn's tolerance, which is on the largest component of the gradient, has to be asked in the features' own coordinates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fa_assets.models.batched_lbfgs import LossesAndGradients, Stopping, minimize_batch

_VALUES_AT_ONCE = 1 << 20
"""Numbers in the points of one batch; its memory is thirty times as much, in double precision."""

_IN_DOUBLE = 1 << 21
"""Training values up to which the products are in double precision, as they cost little."""


@dataclass(frozen=True)
class Objective:
    """What a variant asks of its solves.

    Attributes:
        C: inverse strength of the L2 penalty, which leaves the intercept free.
        tolerance: largest component of the gradient at which they stop.
        balanced: positives and negatives of a class have the same total weight.
    """

    C: float
    tolerance: float
    balanced: bool


@dataclass(frozen=True, eq=False)
class Space:
    """The rows to fit on: `rows` (n, r) in coordinates of `basis` (d, r), or as they are where that is None."""

    rows: np.ndarray
    basis: np.ndarray | None


def normalised(X: np.ndarray, unseen: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Training rows and unseen rows, float64, standardised by the training rows, or each of length 1 (l2), or as they are."""
    X, unseen = X.astype(np.float64), unseen.astype(np.float64)
    if norm == "standardise":
        mean, scale = X.mean(axis=0), X.std(axis=0)
        scale[scale < 10 * np.finfo(np.float32).eps * np.maximum(1, np.abs(mean))] = 1.0
        for rows in (X, unseen):
            rows -= mean
            rows /= scale
    elif norm == "l2":
        for rows in (X, unseen):
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return X, unseen


def reduced(X: np.ndarray) -> Space:
    """The space to solve in, for rows float64 (n, d)."""
    n, d = X.shape
    if 2 * n <= d:
        basis, coordinates = np.linalg.qr(X.T)
        return Space(np.ascontiguousarray(coordinates.T), basis)
    return Space(X if X.size <= _IN_DOUBLE else X.astype(np.float32), None)


def solve(space: Space, Y: np.ndarray, objectives: Sequence[Objective], max_iter: int) -> list[np.ndarray]:
    """Fit every class for every objective.

    Args:
        Y: bool (n, k), each column with positives and negatives.
        max_iter: the most iterations per class.

    Returns:
        For each objective float64 (k, d + 1): a class's coefficients in the features' own coordinates, and its intercept.
    """
    k, size = Y.shape[1], space.rows.shape[1] + 1
    of_class = np.tile(np.arange(k), len(objectives))
    of_objective = np.repeat(np.arange(len(objectives)), k)
    points = np.zeros((len(of_class), size))
    step = max(k, _VALUES_AT_ONCE // size)
    order = np.argsort([objectives[one].tolerance for one in of_objective.tolist()], kind="stable")
    for start in range(0, len(order), step):
        some = order[start : start + step]
        tolerance = np.array([objectives[one].tolerance for one in of_objective[some].tolist()])
        evaluate = _losses(space.rows, Y, objectives, of_class[some], of_objective[some])
        stopping = Stopping(tolerance, max_iter, largest=partial(_largest, space, tolerance.max()))
        points[some] = minimize_batch(evaluate, points[some], stopping).points
    if space.basis is not None:
        points = np.hstack([points[:, :-1] @ space.basis.T, points[:, -1:]])
    return [points[of_objective == one] for one in range(len(objectives))]


def _largest(space: Space, tolerance: float, gradients: np.ndarray) -> np.ndarray:
    """The largest component of each gradient in the features' coordinates, or something above the tolerance if that is."""
    if space.basis is None:
        return np.abs(gradients).max(axis=1)
    least = np.linalg.norm(gradients[:, :-1], axis=1) / np.sqrt(len(space.basis))
    largest = np.maximum(least, np.abs(gradients[:, -1]))
    near = np.flatnonzero(largest <= tolerance)
    if near.size:
        own = np.abs(gradients[near, :-1] @ space.basis.T).max(axis=1)
        largest[near] = np.maximum(own, np.abs(gradients[near, -1]))
    return largest


def _losses(
    X: np.ndarray, Y: np.ndarray, objectives: Sequence[Objective], of_class: np.ndarray, of_objective: np.ndarray
) -> LossesAndGradients:
    """scikit-learn's objective: the mean of the weighted losses plus |w|^2 / (2 C n), the intercept left free."""
    n = len(X)
    signs = np.where(Y, -1.0, 1.0).T.astype(X.dtype)
    positives = Y.sum(axis=0)
    balanced = np.where(Y, 0.5 / positives, 0.5 / (n - positives)).T.astype(X.dtype)
    penalties = np.array([1 / (objectives[one].C * n) for one in of_objective.tolist()])
    is_balanced = np.array([objectives[one].balanced for one in of_objective.tolist()])

    def evaluate(which: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sign = signs[of_class[which]]
        share: np.ndarray | float = 1 / n
        if is_balanced[which].any():
            share = np.where(is_balanced[which, None], balanced[of_class[which]], X.dtype.type(1 / n))
        # How far each row is on the wrong side; loss = log(1 + exp(margin)), written so as not to overflow.
        margins = (points[:, :-1].astype(X.dtype) @ X.T + points[:, -1:].astype(X.dtype)) * sign
        decay = np.exp(-np.abs(margins))
        losses = ((np.maximum(margins, 0) + np.log1p(decay)) * share).sum(axis=1, dtype=np.float64)
        slopes = np.where(margins >= 0, 1, decay) / (1 + decay) * sign * share
        penalty = penalties[which]
        gradients = penalty[:, None] * points
        gradients[:, :-1] += slopes @ X
        gradients[:, -1] = slopes.sum(axis=1, dtype=np.float64)
        return losses + 0.5 * penalty * np.square(points[:, :-1]).sum(axis=1), gradients

    return evaluate
