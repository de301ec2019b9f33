"""What long work says of itself."""

import io
import os
from contextlib import suppress

import pytest

from fa_assets import progress
from fa_assets.cli.console import Console, print_outcome
from fa_assets.graph.runner import RunOutcome
from fa_assets.progress import Pace


def test_rate_and_time_left_are_of_what_was_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    pace = Pace("mc5_embeddings", "clips", every_s=10)
    assert pace.say(20, 100) is None
    now = 105.0
    assert pace.say(30, 100) is None
    now = 110.0
    assert pace.say(40, 100) == "mc5_embeddings: 40 of 100 clips, 2.0 clips/s, 30 s left"
    now = 111.0
    assert pace.say(100, 100) == "mc5_embeddings: 100 of 100 clips, 7.3 clips/s"


def test_what_nobody_reads_any_more_ends_no_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), os.fdopen(writer, "w") as file:  # which closing would write what is left
        console = Console(file=file)
        for _ in range(2):
            console.print("folds: done in 1.0 s")


def test_what_a_check_warned_of_and_an_asset_failed_for_is_said_once() -> None:
    file = io.StringIO()
    warnings = ("comparison, check submission_gate: none is made: 0.1", "folds, check x: y")
    print_outcome(Console(file=file), RunOutcome("1", (), ("submission: none is made: 0.1",), warnings))
    assert file.getvalue().splitlines()[:2] == ["Warning: folds, check x: y", "Failed: submission: none is made: 0.1"]
