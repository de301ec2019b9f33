"""What every classifier keeps: finite logits, a place for classes that cannot be fitted, and what it refuses."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from benchmarks.evaluation import embeddings_like
from fa_assets.errors import BadInputError
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.models.one_vs_rest import OneVsRest

each_classifier = pytest.mark.parametrize("name", CLASSIFIERS)


@each_classifier
def test_scaler_penalty_and_convergence(name: str) -> None:
    X, Y = embeddings_like(120, 40, 4)
    X[:, 7] = 3.0
    fit = CLASSIFIERS[name].fit
    model, expected = fit(X, Y), StandardScaler().fit(X)
    np.testing.assert_array_equal(model.mean, expected.mean_)
    np.testing.assert_array_equal(model.scale, expected.scale_)
    assert model.scale[7] == 1.0
    assert np.linalg.norm(fit(X, Y, C=0.01).coef) < 0.5 * np.linalg.norm(model.coef)
    assert model.converged.all() and (model.iterations > 0).all()


@each_classifier
def test_classes_that_cannot_be_fitted_rank_below_all_others(name: str) -> None:
    X, Y = embeddings_like(200, 30, 4)
    with_odd_ones = np.insert(Y, [1, 3], [[False, True]], axis=1)
    model = CLASSIFIERS[name].fit(X, with_odd_ones)
    assert model.trained.tolist() == model.converged.tolist() == [True, False, True, True, False, True]
    assert model.iterations[~model.trained].tolist() == [0, 0]
    assert model.positives[~model.trained].tolist() == [0, 200]
    for rows in (X, -X, X * np.float32(1e36)):
        logits, probabilities = model.predict(rows)
        assert logits.dtype == probabilities.dtype == np.float64
        assert np.isfinite(logits).all() and ((probabilities >= 0) & (probabilities <= 1)).all()
        assert (logits[:, ~model.trained].max(axis=1) <= logits[:, model.trained].min(axis=1)).all()
        order = np.argsort(logits, axis=1)
        assert (np.diff(np.take_along_axis(probabilities, order, axis=1)) >= 0).all()
    assert (model.logits(X)[:, 1] <= -1).all()
    with_the_trained_alone = CLASSIFIERS[name].fit(X, Y).logits(X)
    np.testing.assert_allclose(model.logits(X)[:, model.trained], with_the_trained_alone, rtol=0, atol=1e-3)


@each_classifier
def test_no_class_can_be_fitted(name: str) -> None:
    X, _ = embeddings_like(10, 5, 2)
    model = CLASSIFIERS[name].fit(X, np.repeat([[True, False]], 10, axis=0))
    assert not model.trained.any()
    np.testing.assert_array_equal(model.logits(X), np.full((10, 2), -1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_by_hand(dtype: type) -> None:
    model = OneVsRest(
        mean=np.array([1.0, 0.0]),
        scale=np.array([2.0, 1.0]),
        coef=np.array([[1.0, 0.0], [0.5, -2.0]], dtype=dtype),
        intercept=np.array([0.0, 1.0], dtype=dtype),
        iterations=np.array([1, 1]),
        converged=np.array([True, True]),
        trained=np.array([True, True]),
        positives=np.array([1, 1]),
    )
    logits, probabilities = model.predict(np.array([[5.0, 1.0], [-1.0, 0.25]], dtype=np.float32))
    np.testing.assert_array_equal(logits, [[2.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-6)


@each_classifier
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named(name: str, bad: float) -> None:
    X, Y = embeddings_like(20, 5, 2)
    model = CLASSIFIERS[name].fit(X, Y)
    X[3, 1] = X[17, 0] = bad
    for refused in (lambda: CLASSIFIERS[name].fit(X, Y), lambda: model.logits(X)):
        with pytest.raises(BadInputError) as caught:
            refused()
        assert caught.value.offenders == ("row 3", "row 17")


@each_classifier
def test_what_is_not_a_training_set_is_refused(name: str) -> None:
    fit, X = CLASSIFIERS[name].fit, np.zeros((4, 3), dtype=np.float32)
    for Y in (np.zeros((4, 2), int), np.zeros((5, 2), bool), np.zeros(4, bool)):
        with pytest.raises(ValueError, match="Y bool"):
            fit(X, Y)
    with pytest.raises(BadInputError, match="no rows"):
        fit(X[:0], np.zeros((0, 2), bool))
