"""`fa-assets` in processes of their own, to be sent signals: forked from a process that has imported everything already.

That process costs some seconds, so the tests that start commands are in one group (`one_process`). What a command does beside
its work, or instead of it, is a `prepare` of here, called in its process before it begins.
"""

import contextlib
import dataclasses
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.command_line import environment
from fa_assets_tests.processes import prepared

one_process = pytest.mark.xdist_group("commands")


def nothing() -> None:
    """Only the command."""


def start(settings: Settings, *arguments: str, output: Path, prepare: Callable[[], None] = nothing) -> BaseProcess:
    """Start the command; what it says goes into a file."""
    process = prepared().Process(target=_run, args=(environment(settings), arguments, output, prepare), daemon=True)
    process.start()
    return process


def _run(environment: dict[str, str], arguments: tuple[str, ...], output: Path, prepare: Callable[[], None]) -> None:
    from fa_assets.cli.start import entry

    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
    with output.open("ab") as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)
    sys.argv = ["fa-assets", *arguments]
    prepare()
    entry()


def note_batches(notes: Path, stop_at: int | None = None) -> None:
    """Note every batch as soon as its embeddings are computed, which is before they are stored; after so many, wait."""
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder

    embed = Cnn14Encoder.embed

    def noted(self: Cnn14Encoder, crops: Any, lengths: Any = None) -> Any:
        while stop_at is not None and len(batches(notes)) >= stop_at:
            time.sleep(1)
        vectors = embed(self, crops, lengths)
        with notes.open("a") as file:
            file.write(f"{len(crops)}\n")
        return vectors

    Cnn14Encoder.embed = noted  # type: ignore[method-assign]


def batches(notes: Path) -> list[int]:
    """The sizes of the batches that were noted."""
    return [int(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def embed_for_ever() -> None:
    """From the second batch on, the same one goes through the network again and again."""
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder

    embed = Cnn14Encoder.embed
    done: list[Any] = []

    def again(self: Cnn14Encoder, crops: Any, lengths: Any = None) -> Any:
        while done:
            embed(self, crops, lengths)
        done.append(embed(self, crops, lengths))
        return done[0]

    Cnn14Encoder.embed = again  # type: ignore[method-assign]


def fit_for_ever(begun: Path) -> None:
    """A fit is made again and again; the file says that it has begun."""
    from fa_assets.models.classifiers import CLASSIFIERS

    default = CLASSIFIERS["scikit-learn"]

    def again(*arguments: Any, **options: Any) -> Any:
        while True:
            default.fit(*arguments, **options)
            begun.touch()

    CLASSIFIERS["scikit-learn"] = dataclasses.replace(default, fit=again)


def wait_for_ever(begun: Path) -> None:
    """A server is asked once, and then for an hour not again; the file says that the wait has begun."""
    from fa_assets.encoders import weights
    from fa_assets.graph import retries
    from fa_assets.store.download import Retries

    weights.DEFAULT_RETRIES = Retries(attempts=1)
    retries.WAIT_S = 3600
    logging.getLogger(retries.__name__).addFilter(lambda record: begun.touch() or True)  # type: ignore[func-returns-value]


def lose_interrupts(begun: Path, how_many: int) -> None:
    """Before anything is run, an hour is waited in which so many interrupts are lost, as they are in an import's callbacks.

    They are sent again, and the process is ended, after tenths of the seconds that it otherwise takes.
    """
    from fa_assets.cli import interruption
    from fa_assets.graph import runner

    interruption._AGAIN_AFTER_S, interruption._END_AFTER_S = (0.3, 0.3), 0.3
    prepare = runner.prepare_environment

    def deaf(*arguments: Any) -> None:
        for _ in range(how_many):
            begun.touch()
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(3600)
        prepare(*arguments)

    runner.prepare_environment = deaf
