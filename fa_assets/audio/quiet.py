"""Keeping C libraries off the terminal.

libmpg123 prints what it finds odd in an MP3 to C's `stderr`, LiteRT what it uses, and there is no switch for that. C's `stderr`
is a variable: meanwhile it points to nowhere. Python writes to the terminal by another way, so errors, logs and progress stay.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class _CStderr:
    """C's `stderr`, and how many threads want it quiet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        self._nowhere = library.fopen(b"/dev/null", b"w")
        try:
            self._variable = ctypes.c_void_p.in_dll(library, "stderr")
        except ValueError:  # macOS
            self._variable = ctypes.c_void_p.in_dll(library, "__stderrp")
        self._terminal = self._variable.value

    def change(self, users: int) -> None:
        with self._lock:
            self._users += users
            self._variable.value = self._nowhere if self._users else self._terminal


_STDERR = _CStderr()


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing that a C library prints to `stderr` is seen."""
    _STDERR.change(1)
    try:
        yield
    finally:
        _STDERR.change(-1)
