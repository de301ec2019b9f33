"""Progress of long assets: into the Dagster log always, and to any other watcher (the command line's bars)."""

from collections.abc import Callable

import dagster as dg

from fa_assets.progress import Pace, ProgressCallback

LOG_EVERY_S = 10.0

Watcher = Callable[[str, str, int, int], None]
"""Called as ``watcher(task, unit, done, total)``."""


def watch_nothing(task: str, unit: str, done: int, total: int) -> None:
    """The watcher of a run that has no terminal."""


class ProgressReporter:
    """Hands out progress callbacks for named tasks; `watcher` is told of every step."""

    def __init__(self, watcher: Watcher = watch_nothing) -> None:
        self._watcher = watcher

    def track(self, log: dg.DagsterLogManager, task: str, unit: str) -> ProgressCallback:
        """A callback for one task, e.g. ``track(context.log, "mc5_embeddings, fold 0", "clips")``.

        It logs done, total, rate and time left every `LOG_EVERY_S` seconds, and once at the end.
        """
        pace = Pace(task, unit, LOG_EVERY_S)

        def report(done: int, total: int) -> None:
            self._watcher(task, unit, done, total)
            line = pace.say(done, total)
            if line is not None:
                log.info(line)

        return report
