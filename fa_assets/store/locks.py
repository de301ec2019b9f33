"""Locks between processes that say for what they wait, and do not wait for ever."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fa_assets.errors import UserError

log = logging.getLogger(__name__)

_AT_ONCE_S = 1.0


@contextmanager
def locked(path: Path, doing: str, limit_s: float) -> Iterator[None]:
    """Hold the lock in the file `path`; `doing` is what its holder does, in words.

    Raises:
        UserError: another process held it for `limit_s` seconds.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=min(_AT_ONCE_S, limit_s))
    except Timeout:
        log.warning("Another process is %s (it holds %s); waiting for it.", doing, path)
        try:
            lock.acquire(timeout=limit_s)
        except Timeout:
            raise UserError(
                f"Another process has been {doing} for {limit_s:.0f} s and holds {path}: wait until it is done, or end it."
            ) from None
    try:
        yield
    finally:
        lock.release()
