"""One-vs-rest gives scikit-learn's probabilities and iteration counts, live, and a place to classes it cannot fit."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fa_assets.errors import BadInputError
from fa_assets.models import one_vs_rest
from fa_assets.models.one_vs_rest import OneVsRest, fit_one_vs_rest, probabilities_from_logits

ALWAYS, NEVER = 0, 10**18
"""Training values from which classes are solved together."""


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread() -> Iterator[None]:
    """scikit-learn's many small products crawl on a busy machine when each is shared among threads."""
    with threadpool_limits(1, user_api="blas"):
        yield


def embeddings_like(
    rows: int, columns: int, classes: int, *, noise: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Sparse non-negative float32 features around one prototype per class, and labels, a seventh of them doubled."""
    random = np.random.default_rng(seed)
    truth = np.zeros((rows, classes), dtype=bool)
    truth[np.arange(rows), np.arange(rows) % classes] = True
    doubled = np.flatnonzero(random.random(rows) < 1 / 7)
    truth[doubled, random.integers(0, classes, len(doubled))] = True
    prototypes = random.normal(size=(classes, columns)) * (random.random((classes, columns)) < 0.1)
    features = np.maximum(truth @ prototypes + noise * random.normal(size=(rows, columns)) - 0.5, 0)
    return features.astype(np.float32), truth


def scikit_learn(X: np.ndarray, Y: np.ndarray, max_iter: int = 1000) -> OneVsRestClassifier:
    regression = LogisticRegression(solver="lbfgs", C=2.0, max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return OneVsRestClassifier(make_pipeline(StandardScaler(), regression)).fit(X, Y)


def iterations(reference: OneVsRestClassifier) -> list[int]:
    return [int(pipeline[-1].n_iter_[0]) for pipeline in reference.estimators_]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("rows", "columns", "classes", "noise"),
    [
        pytest.param(80, 2048, 12, 1.0, id="a demo: few rows, many columns"),
        pytest.param(400, 2048, 6, 0.5, id="paths that rounding decides"),
        pytest.param(1200, 1024, 10, 3.0, id="straight paths"),
        pytest.param(500, 64, 12, 1.0, id="few columns"),
        pytest.param(60, 3, 2, 1.0, id="tiny"),
    ],
)
def test_equals_scikit_learn(rows: int, columns: int, classes: int, noise: float, dtype: type) -> None:
    X, Y = embeddings_like(rows, columns, classes, noise=noise)
    X = X.astype(dtype)
    train = np.arange(rows) % 5 != 0
    model, reference = fit_one_vs_rest(X[train], Y[train]), scikit_learn(X[train], Y[train])
    np.testing.assert_allclose(
        model.probabilities(X[~train]), reference.predict_proba(X[~train]), rtol=0, atol=1e-4, strict=False
    )
    assert model.iterations.tolist() == iterations(reference)
    assert model.trained.all()
    assert model.converged.all()
    assert model.coef.dtype == model.intercept.dtype == dtype
    np.testing.assert_array_equal(model.positives, Y[train].sum(axis=0))


def test_large_problems_are_solved_together_and_equal_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = embeddings_like(4200, 1024, 12, noise=2.0)
    reference = scikit_learn(X, Y)
    monkeypatch.setattr(one_vs_rest, "_solve_alone", None)
    model = fit_one_vs_rest(X, Y)
    np.testing.assert_allclose(model.probabilities(X), reference.predict_proba(X), rtol=0, atol=1e-4)
    assert model.iterations.tolist() == iterations(reference)
    assert model.converged.all()


def test_the_common_solve_takes_scikit_learns_paths() -> None:
    """In double precision rounding is too small to matter, so every path can be compared, the winding ones too."""
    X, Y = embeddings_like(150, 300, 7, noise=0.5)
    X = StandardScaler().fit_transform(X.astype(np.float64))
    reference = [LogisticRegression(C=2.0, max_iter=1000).fit(X, y) for y in Y.T]
    found = one_vs_rest._solve_together(X, Y, C=2.0, max_iter=1000)
    assert (found.evaluations > found.iterations + 1).any()
    solutions = [[*model.coef_[0], *model.intercept_] for model in reference]
    np.testing.assert_allclose(found.points, solutions, rtol=0, atol=1e-8)
    assert found.iterations.tolist() == [model.n_iter_[0] for model in reference]


def test_winding_paths_are_left_to_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every class of these data takes a step back somewhere, so the answer is scikit-learn's own, to the bit."""
    X, Y = embeddings_like(320, 2048, 4, noise=0.3)
    alone = fit_one_vs_rest(X, Y)
    monkeypatch.setattr(one_vs_rest, "_TOGETHER_FROM", ALWAYS)
    model = fit_one_vs_rest(X, Y)
    np.testing.assert_array_equal(model.coef, alone.coef)
    np.testing.assert_array_equal(model.coef, [pipeline[-1].coef_[0] for pipeline in scikit_learn(X, Y).estimators_])


@pytest.mark.parametrize("together_from", [ALWAYS, NEVER], ids=["together", "one by one"])
def test_running_out_of_iterations_is_reported_not_warned_of(
    together_from: int, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    X, Y = embeddings_like(120, 40, 4)
    monkeypatch.setattr(one_vs_rest, "_TOGETHER_FROM", together_from)
    model = fit_one_vs_rest(X, Y, max_iter=3)
    assert not model.converged.any()
    assert model.iterations.tolist() == [3] * 4
    assert not recwarn.list
    reference = scikit_learn(X, Y, max_iter=3)
    np.testing.assert_allclose(model.probabilities(X), reference.predict_proba(X), rtol=0, atol=1e-4)
    assert fit_one_vs_rest(X, Y).converged.all()


def test_the_penalty_is_heeded() -> None:
    X, Y = embeddings_like(120, 40, 4)
    assert np.linalg.norm(fit_one_vs_rest(X, Y, C=0.01).coef) < 0.5 * np.linalg.norm(fit_one_vs_rest(X, Y).coef)


def test_the_scaler_is_fitted_once_on_the_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = embeddings_like(120, 40, 4)
    X[:, 7] = 3.0
    expected = StandardScaler().fit(X)
    fits = []
    real_fit = StandardScaler.fit

    def counted_fit(self: StandardScaler, *args: object) -> StandardScaler:
        fits.append(args)
        return real_fit(self, *args)

    monkeypatch.setattr(StandardScaler, "fit", counted_fit)
    model = fit_one_vs_rest(X, Y)
    assert len(fits) == 1
    np.testing.assert_array_equal(model.mean, expected.mean_)
    np.testing.assert_array_equal(model.scale, expected.scale_)
    assert model.scale[7] == 1.0
    assert model.mean.dtype == model.scale.dtype == np.float64


def test_classes_that_cannot_be_fitted_rank_below_all_others() -> None:
    X, Y = embeddings_like(200, 30, 4)
    with_odd_ones = np.insert(Y, [1, 3], [[False, True]], axis=1)
    assert (with_odd_ones[:, 1] == 0).all()
    assert (with_odd_ones[:, 4] == 1).all()
    model = fit_one_vs_rest(X, with_odd_ones)
    assert model.trained.tolist() == [True, False, True, True, False, True]
    assert model.converged.tolist() == model.trained.tolist()
    assert model.iterations[~model.trained].tolist() == [0, 0]
    assert model.positives[~model.trained].tolist() == [0, 200]

    far = X * np.float32(1000)
    for rows in (X, -X, far):
        logits = model.logits(rows)
        assert logits.dtype == np.float64
        assert np.isfinite(logits).all()
        assert (logits[:, ~model.trained].max(axis=1) < logits[:, model.trained].min(axis=1)).all()
        np.testing.assert_array_equal(model.probabilities(rows), probabilities_from_logits(logits))
    np.testing.assert_allclose(
        model.logits(X)[:, model.trained], fit_one_vs_rest(X, Y).logits(X), rtol=0, atol=1e-4, strict=False
    )


def test_no_class_can_be_fitted() -> None:
    X, _ = embeddings_like(10, 5, 2)
    model = fit_one_vs_rest(X, np.repeat([[True, False]], 10, axis=0))
    assert not model.trained.any()
    np.testing.assert_array_equal(model.logits(X), np.full((10, 2), -1.0))


def test_logits_by_hand() -> None:
    model = OneVsRest(
        mean=np.array([1.0, 0.0]),
        scale=np.array([2.0, 1.0]),
        coef=np.array([[1.0, 0.0], [0.5, -2.0]], dtype=np.float32),
        intercept=np.array([0.0, 1.0], dtype=np.float32),
        iterations=np.array([1, 1]),
        converged=np.array([True, True]),
        trained=np.array([True, True]),
        positives=np.array([1, 1]),
    )
    X = np.array([[5.0, 1.0], [-1.0, 0.25]], dtype=np.float32)
    logits = model.logits(X)
    np.testing.assert_array_equal(logits, [[2.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_allclose(model.probabilities(X), 1 / (1 + np.exp(-logits)), rtol=1e-15)


def test_many_classes_are_solved_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = embeddings_like(150, 40, 7)
    X = X.astype(np.float64)
    seen: list[tuple[int, int]] = []
    whole = fit_one_vs_rest(X, Y)
    monkeypatch.setattr(one_vs_rest, "_TOGETHER_FROM", ALWAYS)
    monkeypatch.setattr(one_vs_rest, "_CLASSES_AT_ONCE", 3)
    grouped = fit_one_vs_rest(X, Y, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(grouped.logits(X), whole.logits(X), rtol=0, atol=1e-8)
    assert grouped.iterations.tolist() == whole.iterations.tolist()
    assert seen == [(done, 7) for done in range(8)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named(bad: float) -> None:
    X, Y = embeddings_like(20, 5, 2)
    model = fit_one_vs_rest(X, Y)
    X[3, 1] = X[17, 0] = bad
    for refused in (lambda: fit_one_vs_rest(X, Y), lambda: model.logits(X)):
        with pytest.raises(BadInputError) as caught:
            refused()
        assert caught.value.offenders == ("row 3", "row 17")


def test_no_rows() -> None:
    with pytest.raises(BadInputError, match="no rows"):
        fit_one_vs_rest(np.zeros((0, 3), dtype=np.float32), np.zeros((0, 2), dtype=bool))


@pytest.mark.parametrize(
    ("X", "Y"),
    [
        (np.zeros((4, 3), dtype=np.float16), np.zeros((4, 2), dtype=bool)),
        (np.zeros((4, 3), dtype=np.float32), np.zeros((4, 2), dtype=np.int64)),
        (np.zeros((4, 3), dtype=np.float32), np.zeros((5, 2), dtype=bool)),
        (np.zeros((4, 3), dtype=np.float32), np.zeros(4, dtype=bool)),
    ],
)
def test_what_is_not_a_training_set_is_refused(X: np.ndarray, Y: np.ndarray) -> None:
    with pytest.raises(ValueError, match="X must be float32 or float64"):
        fit_one_vs_rest(X, Y)
