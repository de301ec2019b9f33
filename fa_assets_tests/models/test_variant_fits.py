"""Many logistic regressions at once: the probabilities of scikit-learn's, at its tolerance and at a tight one."""

import warnings

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fa_assets.models.variant_fits import Objective, normalised, reduced, solve

CLASSES = 5


def made_up(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.eye(CLASSES, dtype=bool)[np.arange(rows) % CLASSES] | (random.random((rows, CLASSES)) < 0.1)
    prototypes = np.random.default_rng(0).normal(size=(CLASSES, columns)) * 0.3
    return np.maximum(truth @ prototypes + random.normal(size=(rows, columns)), 0).astype(np.float32), truth


@pytest.mark.parametrize("norm", ["standardise", "l2", "none"])
@pytest.mark.parametrize(("rows", "columns"), [(60, 400), (250, 40)], ids=["in the span of the rows", "as they are"])
def test_the_probabilities_are_scikit_learns(rows: int, columns: int, norm: str) -> None:
    X, Y = made_up(rows, columns, 1)
    X, unseen = normalised(X, made_up(30, columns, 2)[0], norm)
    space = reduced(X)
    assert space.rows.shape == (rows, min(rows, columns))
    objectives = [
        Objective(C, tol, balanced) for C in (0.05, 2.0, 20.0) for tol in (1e-4, 1e-8) for balanced in (False, True)
    ]
    for one, weights in zip(objectives, solve(space, Y, objectives, 1000), strict=True):
        probabilities = expit(unseen @ weights[:, :-1].T + weights[:, -1])
        for column in range(CLASSES):
            model = LogisticRegression(
                C=one.C, tol=one.tolerance, max_iter=1000, class_weight="balanced" if one.balanced else None
            ).fit(X, Y[:, column])
            assert probabilities[:, column] == pytest.approx(model.predict_proba(unseen)[:, 1], abs=1e-4), one


def test_iterations_are_limited_as_scikit_learns() -> None:
    X, Y = made_up(250, 40, 1)
    X, _ = normalised(X, X, "standardise")
    (weights,) = solve(reduced(X), Y, [Objective(20.0, 1e-8, balanced=False)], 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=20.0, tol=1e-8, max_iter=7).fit(X, Y[:, 0])
    assert model.n_iter_[0] == 7
    assert weights[0, :-1] == pytest.approx(model.coef_[0], abs=1e-8)


def test_a_large_problem_in_single_precision_reaches_the_optimum() -> None:
    X, Y = made_up(2100, 1030, 1)
    X, unseen = normalised(X, made_up(50, 1030, 2)[0], "standardise")
    space = reduced(X)
    assert space.rows.dtype == np.float32
    (weights,) = solve(space, Y[:, :1], [Objective(0.2, 1e-7, balanced=False)], 1000)
    model = LogisticRegression(C=0.2, tol=1e-8, max_iter=1000).fit(X, Y[:, 0])
    found = expit(unseen @ weights[0, :-1] + weights[0, -1])
    assert found == pytest.approx(model.predict_proba(unseen)[:, 1], abs=1e-4)
