"""The default classifier is the notebook's pipeline to the last bit, with iterations and convergence."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.evaluation import embeddings_like
from fa_assets.models import scikit_learn
from fa_assets.models.scikit_learn import fit
from fa_assets_tests.models.made_up import awkward


def notebook(X: np.ndarray, Y: np.ndarray, max_iter: int = 1000) -> OneVsRestClassifier:
    regression = LogisticRegression(solver="lbfgs", C=2.0, max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OneVsRestClassifier(make_pipeline(StandardScaler(), regression), n_jobs=-1).fit(X, Y)


@pytest.mark.slow  # the notebook's worker processes
@pytest.mark.parametrize(
    ("rows", "columns", "classes", "noise"),
    [
        pytest.param(80, 2048, 12, 1.0, id="a demo"),
        pytest.param(500, 2048, 6, 0.5, id="rounding decides where the solver ends"),
        pytest.param(1200, 1024, 10, 3.0, id="many rows"),
        pytest.param(61, 3, 2, 1.0, id="tiny"),
    ],
)
def test_the_probabilities_are_the_notebooks_to_the_last_bit(
    rows: int, columns: int, classes: int, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y = embeddings_like(rows, columns, classes, noise=noise)
    train = np.arange(rows) % 5 != 0
    reference = notebook(X[train], Y[train])
    wanted = reference.predict_proba(X[~train])
    assert wanted.dtype == np.float32
    for threads in (1, 3):
        monkeypatch.setattr(scikit_learn, "usable_cpus", lambda threads=threads: threads)
        model = fit(X[train], Y[train])
        np.testing.assert_array_equal(model.probabilities(X[~train]), wanted.astype(np.float64))
        assert model.iterations.tolist() == [int(pipeline[-1].n_iter_[0]) for pipeline in reference.estimators_]
        assert model.converged.all() and model.trained.all()
        np.testing.assert_array_equal(model.positives, Y[train].sum(axis=0))


@pytest.mark.slow
def test_awkward_features_too() -> None:
    X, Y = awkward(200, 40, 4, seed=0)
    wanted = notebook(X, Y).predict_proba(X)
    np.testing.assert_array_equal(fit(X, Y).probabilities(X), wanted.astype(np.float64))


def test_each_class_tells_whether_it_converged(recwarn: pytest.WarningsRecorder) -> None:
    X, Y = embeddings_like(200, 40, 8)
    iterations = np.sort(fit(X, Y).iterations)
    limit = int(iterations[4])
    model = fit(X, Y, max_iter=limit - 1)
    assert 0 < model.converged.sum() < 8 or iterations[0] == limit
    np.testing.assert_array_equal(model.converged, model.iterations < limit - 1)
    assert not recwarn.list


def test_progress_is_told_by_class() -> None:
    X, Y = embeddings_like(60, 10, 3)
    seen: list[tuple[int, int]] = []
    fit(X, np.insert(Y, 1, False, axis=1), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_after_a_failure_no_other_class_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = embeddings_like(100, 10, 10)
    monkeypatch.setattr(scikit_learn, "usable_cpus", lambda: 1)
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(X, Y, progress=progress)
    assert seen[-1] == 2
