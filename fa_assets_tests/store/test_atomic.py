"""What a killed process was writing goes at the next start; what a living one is writing stays."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from fa_assets.store.atomic import remove_abandoned, replacing
from fa_assets.store.roots import StoragePath, open_root
from fa_assets_tests.processes import prepared, start


def write_and_wait(temporary: str, location: str, begun: Event, go_on: Event) -> None:
    """Write half of a file, and the rest when it is told to."""
    tempfile.tempdir = temporary
    with replacing(open_root(location) / "folder" / "a.txt") as draft:
        draft.write_text("half")
        begun.set()
        go_on.wait()


@contextmanager
def writing(temporary: Path, root: StoragePath) -> Iterator[tuple[BaseProcess, Event]]:
    """A process that is at it, and what tells it to go on."""
    begun, go_on = prepared().Event(), prepared().Event()
    process = start(write_and_wait, str(temporary), str(root), begun, go_on)
    assert begun.wait(60)
    try:
        yield process, go_on
    finally:
        process.kill()
        process.join()


@pytest.mark.promise(
    "What a killed process was writing goes at the next start, from every folder that is written to; what a living one is "
    "writing stays.",
    "kept",
)
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "remote"])
def test_what_a_dead_process_was_writing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    root = open_root(tmp_path / "storage" if kind == "local" else f"memory://{tmp_path.name}")
    older = tmp_path / "storage" / "values" / f".half.{'0f' * 16}.tmp"
    older.parent.mkdir(parents=True)
    older.touch()  # as versions before left it
    of_others = tmp_path / "storage" / ".notes.tmp"
    of_others.touch()

    def drafts() -> int:
        return len([path for path in tmp_path.rglob(".*.tmp") if path != of_others])

    with writing(temporary, root) as (living, go_on):
        with writing(temporary, root) as (dead, _):
            assert drafts() == 3
            dead.kill()
            dead.join()
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(temporary))
            remove_abandoned(tmp_path / "storage", deep=True)
        assert drafts() == 1
        go_on.set()
        living.join()
        assert living.exitcode == 0
    assert drafts() == 0
    assert of_others.exists()
    assert kind == "remote" or (root / "folder" / "a.txt").read_text() == "half"
