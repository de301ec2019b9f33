"""How long work reports its progress: a plain callable, so that no room needs to know who is watching."""

import time
from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Called as ``progress(done, total)`` with a number of clips, bytes or classes; the caller knows the unit."""


Watcher = Callable[[str, str, int, int], None]
"""Called as ``watcher(task, unit, done, total)``, by several tasks."""


def watch_nothing(task: str, unit: str, done: int, total: int) -> None:
    """The watcher of a run that has no terminal."""


def no_progress(done: int, total: int) -> None:
    """Watch nothing."""


class Pace:
    """How fast a task goes, in words; `every_s` is how often it is worth saying."""

    def __init__(self, task: str, unit: str, every_s: float) -> None:
        self._task = task
        self._unit = unit
        self._every_s = every_s
        self._started = self._said = time.monotonic()
        self._first_done: int | None = None

    def say(self, done: int, total: int) -> str | None:
        """A line with done, total, rate and time left, when it is time for one or the task is done; else None."""
        now = time.monotonic()
        if self._first_done is None:
            self._first_done = done  # what was there already says nothing about the rate
        if done < total and now - self._said < self._every_s:
            return None
        self._said = now
        rate = (done - self._first_done) / max(now - self._started, 1e-9)
        line = f"{self._task}: {done} of {total} {self._unit}"
        if done > self._first_done:
            line += f", {rate:.1f} {self._unit}/s"
            if done < total:
                line += f", {(total - done) / rate:.0f} s left"
        return line
