"""torch's fit reaches the optimum that scikit-learn approaches, from memory and from a file, however many threads there are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.evaluation import embeddings_like
from fa_assets.models import torch_lbfgs
from fa_assets.models.one_vs_rest import OneVsRest
from fa_assets.models.torch_lbfgs import fit
from fa_assets.store.row_file import row_file
from fa_assets_tests.models.made_up import awkward


def fit_from_file(folder: Path, X: np.ndarray, Y: np.ndarray, **options: object) -> OneVsRest:
    with row_file(folder, X.shape[1], len(X)) as file:
        file.append(X)
        return fit(file, Y, **options)


def optimum(X: np.ndarray, Y: np.ndarray, unseen: np.ndarray, C: float, **options: object) -> np.ndarray:
    """scikit-learn's probabilities in double precision at a tolerance of 1e-10 (1e-8 leaves 1.1e-3 for C=1e3)."""
    scaler = StandardScaler().fit(X.astype(np.float64))
    scaled, unseen = (scaler.transform(rows.astype(np.float64)) for rows in (X, unseen))
    with threadpool_limits(1, user_api="blas"):
        models = [LogisticRegression(C=C, tol=1e-10, max_iter=10_000, **options).fit(scaled, y) for y in Y.T]
        return np.stack([model.predict_proba(unseen)[:, 1] for model in models], axis=1)


@pytest.mark.parametrize(
    ("rows", "columns", "classes", "C"),
    [
        (80, 1024, 5, 2.0),
        (400, 64, 6, 2.0),
        (60, 8, 2, 1e3),
        (120, 400, 3, 1e-3),
        (120, 400, 4, 1e3),
    ],
)
def test_at_a_tolerance_of_1e_6_it_is_scikit_learns_optimum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, columns: int, classes: int, C: float
) -> None:
    X, Y = awkward(rows + 50, columns, classes, seed=columns)
    X, unseen, Y = X[:rows], X[rows:], Y[:rows]
    wanted = optimum(X, Y, unseen, C)
    monkeypatch.setattr(torch_lbfgs, "_PART_ROWS", 50)
    found = []
    for threads in (1, 8):
        monkeypatch.setattr(torch_lbfgs, "usable_cpus", lambda threads=threads: threads)
        found.append(fit(X, Y, C=C, tolerance=1e-6, max_iter=3000))
    found.append(fit_from_file(tmp_path, X, Y, C=C, tolerance=1e-6, max_iter=3000))
    for model in found:
        np.testing.assert_allclose(model.probabilities(unseen), wanted, rtol=0, atol=1e-3)
        assert model.converged.all()
        # Where arrays lie in memory may change the last bits of a product, and a thousand steps pass that on.
        alike = found[0].probabilities(unseen)
        np.testing.assert_allclose(model.probabilities(unseen), alike, rtol=0, atol=1e-5)


def test_at_the_default_tolerance_the_gradient_is_scikit_learns() -> None:
    """Both end early, in different places; each where no component of the gradient is above 1e-4."""
    X, Y = embeddings_like(900, 200, 50)
    model = fit(X, Y)
    scaled = (X - model.mean) / model.scale
    slopes = (model.probabilities(X) - Y) / len(X)
    gradient = slopes.T @ scaled + model.coef / (2.0 * len(X))
    assert 1e-6 < np.abs(gradient).max() <= 1.01e-4
    assert np.abs(slopes.sum(axis=0)).max() <= 1.01e-4
    assert model.converged.all() and len(set(model.iterations.tolist())) == 2  # of two groups


@pytest.mark.parametrize(("standardise", "balanced"), [(True, True), (False, False)])
def test_variants_of_the_objective(standardise: bool, balanced: bool) -> None:
    X, Y = embeddings_like(250, 20, 3)
    own = fit(X, Y, C=0.5, tolerance=1e-7, standardise=standardise, balanced=balanced).probabilities(X)
    rows = StandardScaler().fit_transform(X.astype(np.float64)) if standardise else X.astype(np.float64)
    for column, y in enumerate(Y.T):
        model = LogisticRegression(C=0.5, tol=1e-8, class_weight="balanced" if balanced else None).fit(rows, y)
        np.testing.assert_allclose(own[:, column], model.predict_proba(rows)[:, 1], rtol=0, atol=1e-5)


def test_rows_of_a_file_can_be_left_out_and_are_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    X, Y = embeddings_like(310, 30, 7)
    out = slice(100, 163)
    monkeypatch.setattr(torch_lbfgs, "_PART_ROWS", 40)
    monkeypatch.setattr(torch_lbfgs, "_PARTS_AT_ONCE", 3)
    monkeypatch.setattr(torch_lbfgs, "_CLASSES_FROM_FILE", 3)
    monkeypatch.setattr(torch_lbfgs, "_SCALER_ROWS", 90)
    seen: list[tuple[int, int]] = []
    with row_file(tmp_path, 30, 310) as file, caplog.at_level("INFO", "fa_assets"):
        file.append(X)
        found = fit(
            file.without(out),
            np.delete(Y, out, axis=0),
            tolerance=1e-6,
            progress=lambda done, total: seen.append((done, total)),
        )
    wanted = fit(np.delete(X, out, axis=0), np.delete(Y, out, axis=0), tolerance=1e-6)
    np.testing.assert_allclose(found.probabilities(X), wanted.probabilities(X), rtol=0, atol=1e-4)
    assert seen == [(done, 7) for done in (0, 3, 6, 7)]
    assert sum("read all rows for 3 classes" in line for line in caplog.messages) > 4


def test_running_out_of_steps_is_told() -> None:
    X, Y = embeddings_like(120, 40, 4)
    model = fit(X, Y, max_iter=3)
    assert not model.converged.any() and model.iterations.tolist() == [3] * 4


MEMORY = """
import sys
from pathlib import Path
import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from fa_assets.models import torch_lbfgs
from fa_assets.models.torch_lbfgs import fit
from fa_assets.store.row_file import row_file

torch_lbfgs._PART_ROWS = torch_lbfgs._SCALER_ROWS = 128  # what is held at a time

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

rows, columns, random = 20_000, 1024, np.random.default_rng(0)
Y = np.zeros((rows, 3), bool)
Y[np.arange(rows), np.arange(rows) % 3] = True
with row_file(Path(sys.argv[1]), columns) as file:
    for start in range(0, rows, 1000):
        values = random.standard_normal((1000, columns), np.float32)
        values[:, :3] += Y[start : start + 1000]
        file.append(values)
    fit(values, Y[:1000], max_iter=2)
    start = peak()
    fit(file, Y, max_iter=2)
    from_file = peak()
    fit(file.read(slice(0, rows)), Y, max_iter=2)
print(4 * rows * columns, from_file - start, peak() - from_file)
"""


@pytest.mark.heavy
def test_from_a_file_the_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """In a process of its own; the fit in memory shows that the measure sees what it is to see."""
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    matrix, from_file, in_memory = map(int, done.stdout.split())
    assert from_file < matrix / 2
    assert in_memory > matrix
