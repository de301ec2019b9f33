"""A matrix that lies on the disk for as long as somebody works with it, because it is too large for the memory.

The file has no name: nothing else finds it, and its space is free again when it is closed or its process ends, however that
ends. It is read into memory of one's own, not mapped, so that what a process holds is what it has asked for.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from fa_assets.errors import BadInputError
from fa_assets.store.storage_errors import StorageError


@contextmanager
def row_file(folder: Path, width: int, expected_rows: int = 0) -> Iterator["RowFile"]:
    """A file for rows of `width` numbers, gone afterwards.

    Args:
        folder: on the disk that takes it; made where it is missing.
        expected_rows: as many as will be appended; room for them is asked for before any is written.

    Raises:
        StorageError: there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = 4 * width * expected_rows, shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"The embeddings need {needed / 1e9:,.1f} GB for a while in {folder}, where {free / 1e9:,.1f} GB are free: "
            "make room, set FA_LOCAL to a folder on another disk, or raise FA_FIT_IN_MEMORY_GB if the memory is there."
        )
    with TemporaryFile(dir=folder, buffering=0) as file:
        yield RowFile(file.fileno(), width)


class RowFile:
    """Float32 rows of one width, appended once and read in any order, by several threads at once.

    Attributes:
        width: numbers in a row.
        rows: how many are there.
    """

    def __init__(self, descriptor: int, width: int) -> None:
        self.width = width
        self.rows = 0
        self._descriptor = descriptor
        self._row_bytes = 4 * width
        self._left_out = slice(0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width, as of an array."""
        return self.rows, self.width

    def without(self, left_out: slice) -> "RowFile":
        """The same file as if the rows from `left_out.start` to `left_out.stop` were not there, to be read only."""
        if not 0 <= left_out.start <= left_out.stop <= self.rows:
            raise IndexError(f"rows {left_out.start} to {left_out.stop} of {self.rows}")
        rest = RowFile(self._descriptor, self.width)
        rest.rows, rest._left_out = self.rows - (left_out.stop - left_out.start), left_out
        return rest

    def append(self, values: np.ndarray) -> None:
        """Write rows, float32 (n, width), after those that are there.

        Raises:
            BadInputError: some are not finite (they are named by their numbers in the file).
        """
        if values.dtype != np.float32 or values.ndim != 2 or values.shape[1] != self.width:
            raise ValueError(f"rows must be float32 (n, {self.width}), not {values.dtype} {values.shape}")
        require_finite(values, self.rows)
        write_at(self._descriptor, values, self.rows * self._row_bytes)
        self.rows += len(values)

    def read(self, rows: slice) -> np.ndarray:
        """The rows from `rows.start` to `rows.stop`, float32 (n, width), in memory of their own."""
        if not 0 <= rows.start <= rows.stop <= self.rows:
            raise IndexError(f"rows {rows.start} to {rows.stop} of {self.rows}")
        values = np.empty((rows.stop - rows.start, self.width), np.float32)
        before = max(0, min(rows.stop, self._left_out.start) - rows.start)
        skipped = self._left_out.stop - self._left_out.start
        read_at(self._descriptor, values[:before], rows.start * self._row_bytes)
        read_at(self._descriptor, values[before:], (rows.start + before + skipped) * self._row_bytes)
        return values


def require_finite(X: np.ndarray, first: int = 0) -> None:
    """Raise BadInputError, which names the rows, counted from `first`, where X (n, d) holds values that are not finite."""
    if (bad := np.flatnonzero(~np.isfinite(X).all(axis=1))).size:
        raise BadInputError(
            f"embeddings are not finite in {bad.size} of {len(X)} rows; compute these rows' embeddings again",
            [f"row {first + row}" for row in bad],
        )


def write_at(descriptor: int, values: np.ndarray, place: int) -> None:
    """Write an array to a file, from a byte on."""
    left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    while left:
        written = os.pwrite(descriptor, left, place)
        left, place = left[written:], place + written


def read_at(descriptor: int, values: np.ndarray, place: int) -> None:
    """Fill a contiguous array from a file, from a byte on."""
    left = values.reshape(-1).view(np.uint8).data
    while left:
        got = os.preadv(descriptor, [left], place)
        if not got:
            raise OSError(f"the scratch file ends at byte {place}")
        left, place = left[got:], place + got
