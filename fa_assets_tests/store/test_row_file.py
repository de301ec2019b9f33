"""A matrix in a file without a name: what was written is read, and no file or space is left behind."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from fa_assets.errors import BadInputError
from fa_assets.store.row_file import row_file
from fa_assets.store.storage_errors import StorageError
from fa_assets_tests.processes import start


def open_files(folder: Path) -> list[str]:
    """What this process has open in a folder, nameless files among them."""
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith(str(folder))]


def test_rows_come_back_in_any_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(23, 5)).astype(np.float32)
    with row_file(tmp_path, 5) as file:
        for rows in (slice(0, 7), slice(7, 7), slice(7, 20), slice(20, 23)):
            file.append(values[rows])
        assert file.rows == 23
        for rows in (slice(20, 23), slice(0, 23), slice(6, 8), slice(4, 4)):
            np.testing.assert_array_equal(file.read(rows), values[rows])
        with pytest.raises(IndexError):
            file.read(slice(20, 24))


def test_columns_of_a_larger_matrix_can_be_appended(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    with row_file(tmp_path, 2) as file:
        file.append(values[:, 1:3])
        np.testing.assert_array_equal(file.read(slice(0, 3)), values[:, 1:3])


def test_nothing_is_left_after_success_or_an_exception(tmp_path: Path) -> None:
    with row_file(tmp_path / "a" / "new", 3) as file:
        file.append(np.zeros((4, 3), np.float32))
        assert open_files(tmp_path)
        assert list((tmp_path / "a" / "new").iterdir()) == []
    assert open_files(tmp_path) == []
    with pytest.raises(RuntimeError), row_file(tmp_path, 3):
        assert open_files(tmp_path)
        raise RuntimeError
    assert open_files(tmp_path) == []


def kill_itself_while_it_has_one(folder: Path) -> None:
    with row_file(folder, 3) as file:
        file.append(np.zeros((4, 3), np.float32))
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    process = start(kill_itself_while_it_has_one, tmp_path)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named(tmp_path: Path, bad: float) -> None:
    with row_file(tmp_path, 3) as file:
        file.append(np.zeros((4, 3), np.float32))
        values = np.zeros((9, 3), np.float32)
        values[2, 1] = values[8, 0] = bad
        with pytest.raises(BadInputError) as caught:
            file.append(values)
        assert caught.value.offenders == ("row 6", "row 12")
        assert file.rows == 4


def test_without_room_nothing_is_written(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with (
        pytest.raises(StorageError, match=r"GB are free: make room, set FA_LOCAL"),
        row_file(tmp_path, 1000, expected_rows=free // 1000),
    ):
        pass
    assert open_files(tmp_path) == []


@pytest.mark.parametrize(
    "values", [np.zeros((2, 3)), np.zeros((2, 4), np.float32), np.zeros(3, np.float32)], ids=["dtype", "width", "shape"]
)
def test_what_is_no_row_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    with row_file(tmp_path, 3) as file, pytest.raises(ValueError, match=r"rows must be float32 \(n, 3\)"):
        file.append(values)


def test_rows_that_are_left_out_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    values = np.arange(40, dtype=np.float32).reshape(10, 4)
    with row_file(tmp_path, 4) as file:
        file.append(values)
        for left_out in (slice(0, 0), slice(0, 3), slice(4, 7), slice(8, 10)):
            rest, wanted = file.without(left_out), np.delete(values, left_out, axis=0)
            assert rest.shape == wanted.shape
            for start in range(len(wanted) + 1):
                for stop in range(start, len(wanted) + 1):
                    np.testing.assert_array_equal(rest.read(slice(start, stop)), wanted[start:stop])
        with pytest.raises(IndexError):
            file.without(slice(5, 11))
