"""What a run prints: progress bars on a terminal, a line now and then elsewhere; and at the end how it went."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Text

from fa_assets.cli.options import in_options
from fa_assets.printable import printable
from fa_assets.progress import Pace, Watcher

if TYPE_CHECKING:
    from fa_assets.graph.runner import RunOutcome, StepListener

_LINE_EVERY_S = 5.0


class Console(rich.console.Console):
    """A console on which names and messages of others are text and nothing else."""

    def on_broken_pipe(self) -> None:
        """See rich: where nobody reads any more (``| head``), the run goes on unread."""
        self.quiet = True

    def render_str(self, text: str, **options: Any) -> Text:
        """See rich: a string as it is measured and laid out."""
        return super().render_str(printable(text, keep="\n"), **options)

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """See rich: the pieces that are written, of renderables other than strings too."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(printable(piece.text, keep="\n"), piece.style)


def terminal() -> TextIO:
    """Standard error under a number of its own: Dagster redirects the process's streams into the run's log.

    Where it has no number, as when Python code calls the command and takes what it writes, it is not redirected either.
    """
    try:
        return os.fdopen(os.dup(sys.stderr.fileno()), "w")
    except io.UnsupportedOperation:
        return sys.stderr


@contextmanager
def progress(console: Console) -> Iterator[tuple[Watcher, "StepListener"]]:
    """Who is to be told of the progress of long tasks, and of the assets that begin and end."""
    if not console.is_terminal:
        lines = _Lines(console)
        yield lines.watch, lines.step
        return
    bars = _Bars(console)
    with bars.shown:
        yield bars.watch, bars.step


def warn(console: Console, line: str) -> None:
    """Print a warning."""
    console.print(f"Warning: {in_options(line)}", style="yellow", markup=False, soft_wrap=True)


def print_outcome(console: Console, outcome: "RunOutcome") -> None:
    """Print what a run warned of and what failed."""
    if outcome.run_id is None:
        console.print("Everything is current: nothing to compute.")
    said = {line.partition(": ")[2] for line in outcome.failures}
    for line in outcome.warnings:
        if line.partition(": ")[2] not in said:
            warn(console, line)
    for line in outcome.failures:
        console.print(f"Failed: {in_options(line)}", style="red", markup=False, soft_wrap=True)
    if outcome.failures:
        console.print("What was finished is kept; the same command goes on from there.")


class _Lines:
    """Progress as lines of text."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._paces: dict[str, Pace] = {}

    def watch(self, task: str, unit: str, done: int, total: int) -> None:
        line = self._paces.setdefault(task, Pace(task, unit, _LINE_EVERY_S)).say(done, total)
        if line is not None:
            self.console.print(line, soft_wrap=True)

    def step(self, asset: str, seconds: float | None) -> None:
        if seconds is not None:
            self.console.print(f"{asset}: done in {seconds:.1f} s", soft_wrap=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


class _Bars(_Lines):
    """Progress as a bar for each task."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        unit = TextColumn("{task.fields[unit]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), unit, _Rate())
        self.shown = Progress(*columns, TimeRemainingColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def watch(self, task: str, unit: str, done: int, total: int) -> None:
        if task not in self._tasks:
            self._tasks[task] = self.shown.add_task(task, total=total, unit=unit)
        self.shown.update(self._tasks[task], completed=done, total=total)

    def step(self, asset: str, seconds: float | None) -> None:
        if seconds is None:  # a pulse, until it is done or has bars of its own
            self._tasks[asset] = self.shown.add_task(asset, total=None, unit="")
            return
        for name in [name for name in self._tasks if name.partition(",")[0] == asset]:
            self.shown.remove_task(self._tasks.pop(name))
        super().step(asset, seconds)
