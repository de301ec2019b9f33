"""Out of core the answer is that of the solution in memory, and the memory does not grow with the rows."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fa_assets.errors import BadInputError
from fa_assets.models import out_of_core
from fa_assets.models.one_vs_rest import OneVsRest, fit_one_vs_rest
from fa_assets.models.out_of_core import fit_out_of_core
from fa_assets.store.row_file import row_file
from fa_assets_tests.models.test_one_vs_rest import embeddings_like

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread() -> Iterator[None]:
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, parts and tiles, all of them ragged, also on data of this size."""
    monkeypatch.setattr(out_of_core, "_MOST_BLOCK_ROWS", 130)
    monkeypatch.setattr(out_of_core, "_PART", 50)
    monkeypatch.setattr(out_of_core, "_CLASSES_IN_A_PART", 4)


def fit(folder: Path, X: np.ndarray, Y: np.ndarray, **options: object) -> OneVsRest:
    with row_file(folder, X.shape[1], len(X)) as file:
        file.append(X)
        return fit_out_of_core(file, Y, **options)


@pytest.mark.parametrize(
    ("rows", "columns", "classes", "noise"),
    [
        pytest.param(80, 2048, 12, 1.0, id="few rows, many columns"),
        pytest.param(400, 2048, 6, 0.5, id="winding paths"),
        pytest.param(1203, 1024, 10, 3.0, id="straight paths"),
        pytest.param(907, 64, 11, 1.0, id="few columns"),
        pytest.param(60, 3, 2, 1.0, id="tiny"),
    ],
)
def test_at_a_tight_tolerance_it_is_the_solution_in_memory_and_scikit_learns(
    tmp_path: Path, rows: int, columns: int, classes: int, noise: float
) -> None:
    X, Y = embeddings_like(rows, columns, classes, noise=noise)
    held_out = slice(rows // 3, rows // 3 + rows // 5)
    train = np.ones(rows, bool)
    train[held_out] = False
    found = fit(tmp_path, X, Y, held_out=held_out, tolerance=1e-7).probabilities(X)
    in_memory = fit_one_vs_rest(X[train], Y[train], tolerance=1e-7).probabilities(X)
    np.testing.assert_allclose(found, in_memory, rtol=0, atol=1e-3)

    scaler = StandardScaler().fit(X[train].astype(np.float64))
    scaled = scaler.transform(X.astype(np.float64))
    for column, truth in enumerate(Y.T):
        optimum = LogisticRegression(C=2.0, tol=1e-8, max_iter=1000).fit(scaled[train], truth[train])
        np.testing.assert_allclose(found[:, column], optimum.predict_proba(scaled)[:, 1], rtol=0, atol=1e-3)


def test_at_the_default_tolerance_straight_paths_are_those_in_memory(tmp_path: Path) -> None:
    X, Y = embeddings_like(4200, 1024, 12, noise=2.0)
    in_memory = fit_one_vs_rest(X, Y)
    found = fit(tmp_path, X, Y)
    assert found.iterations.tolist() == in_memory.iterations.tolist()
    np.testing.assert_allclose(found.probabilities(X), in_memory.probabilities(X), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.mean, in_memory.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scale, in_memory.scale, rtol=1e-12)
    assert found.converged.all() and found.trained.all()
    assert found.coef.dtype == found.intercept.dtype == np.float32
    np.testing.assert_array_equal(found.positives, in_memory.positives)


@pytest.mark.parametrize("held_out", [slice(0, 0), slice(0, 40), slice(37, 41), slice(110, 120)])
def test_rows_that_are_held_out_have_no_say(tmp_path: Path, held_out: slice) -> None:
    X, Y = embeddings_like(120, 30, 4)
    found = fit(tmp_path, X, Y, held_out=held_out)
    other, others_truth = X.copy(), Y.copy()
    other[held_out], others_truth[held_out] = 1e4, ~Y[held_out]
    assert_equal(fit(tmp_path, other, others_truth, held_out=held_out), found)
    assert found.positives.tolist() == np.delete(Y, np.r_[held_out], axis=0).sum(axis=0).tolist()


def assert_equal(one: OneVsRest, other: OneVsRest) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def test_the_number_of_threads_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = embeddings_like(310, 120, 9)
    found = []
    for threads in (1, 5):
        monkeypatch.setattr(out_of_core, "usable_cpus", lambda threads=threads: threads)
        found.append(fit(tmp_path, X, Y))
    assert_equal(*found)


def test_classes_that_cannot_be_fitted_are_left_out(tmp_path: Path) -> None:
    X, Y = embeddings_like(200, 30, 4)
    X[:, 7] = 3.0
    with_odd_ones = np.insert(Y, [1, 3], [[False, True]], axis=1)
    found, in_memory = fit(tmp_path, X, with_odd_ones), fit_one_vs_rest(X, with_odd_ones)
    for name in ("trained", "converged", "positives"):
        np.testing.assert_array_equal(getattr(found, name), getattr(in_memory, name))
    assert found.iterations[~found.trained].tolist() == [0, 0] and not found.coef[~found.trained].any()
    assert found.scale[7] == 1.0
    none = fit(tmp_path, X, np.repeat([[True, False]], 200, axis=0))
    assert not none.trained.any()


def test_running_out_of_iterations_is_reported(tmp_path: Path) -> None:
    X, Y = embeddings_like(120, 40, 4)
    found = fit(tmp_path, X, Y, max_iter=3)
    assert not found.converged.any() and found.iterations.tolist() == [3] * 4
    assert np.linalg.norm(fit(tmp_path, X, Y, C=0.01).coef) < 0.5 * np.linalg.norm(fit(tmp_path, X, Y).coef)


def test_many_classes_are_solved_in_groups_and_every_pass_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    X, Y = embeddings_like(300, 40, 7)
    together = fit(tmp_path, X, Y, tolerance=1e-6)
    monkeypatch.setattr(out_of_core, "_GROUP_BYTES", 3 * 8 * 60 * 41)
    seen: list[tuple[int, int]] = []
    caplog.clear()  # of the first fit, where something before this test has switched the log on
    with caplog.at_level(logging.INFO, "fa_assets"):
        grouped = fit(tmp_path, X, Y, tolerance=1e-6, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(grouped.probabilities(X), together.probabilities(X), rtol=0, atol=1e-3)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[0] == (0, 7) and {(3, 7), (6, 7), (7, 7)} <= set(seen)
    passes = [record.getMessage() for record in caplog.records if "pass" in record.getMessage()]
    assert len(passes) == len(seen) - 2
    assert sum("for 3 of 3 classes" in line for line in passes) > 2 and "for 1 of 1 classes" in passes[-1]


def test_what_is_not_a_training_set_is_refused(tmp_path: Path) -> None:
    X, Y = embeddings_like(20, 5, 2)
    for truth, held_out in ((Y[:19], slice(0, 0)), (Y.astype(int), slice(0, 0)), (Y, slice(10, 21))):
        with pytest.raises(ValueError, match="do not go with Y"):
            fit(tmp_path, X, truth, held_out=held_out)
    with pytest.raises(BadInputError, match="no rows"):
        fit(tmp_path, X, Y, held_out=slice(0, 20))


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from sklearn.preprocessing import StandardScaler
from fa_assets.models import out_of_core
from fa_assets.models.one_vs_rest import fit_one_vs_rest
from fa_assets.store.row_file import row_file

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

rows, columns, random = 40_000, 1024, np.random.default_rng(0)
Y = np.zeros((rows, 3), bool)
Y[np.arange(rows), np.arange(rows) % 3] = True
out_of_core._BLOCK_VALUES = 1 << 20
with row_file(Path(sys.argv[1]), columns) as file:
    for start in range(0, rows, 1000):
        values = random.standard_normal((1000, columns), np.float32)
        values[:, :3] += Y[start : start + 1000]
        file.append(values)
    StandardScaler().fit(values)
    start = peak()
    model = out_of_core.fit_out_of_core(file, Y, max_iter=4)
    out_of_core_peak = peak()
    in_memory = fit_one_vs_rest(file.read(slice(0, rows)), Y, max_iter=4)
for found in (model, in_memory):
    assert (found.coef[[0, 1, 2], [0, 1, 2]] > 0.1).all(), found.coef[:, :3]
print(4 * rows * columns, out_of_core_peak - start, peak() - out_of_core_peak)
"""


def test_the_memory_is_a_fraction_of_the_matrix(tmp_path: Path) -> None:
    """In a process of its own; the fit in memory shows that the measure sees what it is to see."""
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    matrix, out_of_core_added, in_memory_added = map(int, done.stdout.split())
    assert out_of_core_added < matrix / 4
    assert in_memory_added > 2.5 * matrix
