"""A Dagster instance that cannot be used: a sentence with the way out, within seconds, and the storage is not blamed."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from fa_assets.errors import UserError
from fa_assets.graph import instance
from fa_assets.graph.instance import dagster_home, require_instance
from fa_assets.store.storage_errors import as_memory_error, as_storage_error
from fa_assets_tests.finished_run import FinishedRun, environment_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance with its tables."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        home = dagster_home(folder)
        patch.setenv("DAGSTER_HOME", str(home))
        require_instance(home)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "home"
    shutil.copytree(made, copy)
    monkeypatch.setenv("DAGSTER_HOME", str(copy))
    monkeypatch.setattr(instance, "TABLES_LIMIT_S", 0.1)
    monkeypatch.setattr(instance, "LOCK_LIMIT_S", 0.1)
    return copy


def locked(table: Path) -> Iterator[None]:
    with closing(sqlite3.connect(table)) as connection:
        connection.execute("pragma locking_mode=exclusive")
        connection.execute("begin exclusive")
        yield


def with_text(text: str) -> Callable[[Path], None]:
    return lambda home: (home / "dagster.yaml").write_text(text)  # type: ignore[func-returns-value]


def as_folder(home: Path) -> None:
    (home / "dagster.yaml").unlink()
    (home / "dagster.yaml").mkdir()


@pytest.mark.promise(
    "A Dagster instance that is damaged, locked, or has a dagster.yaml that cannot be used is named with the way out, within "
    "seconds.",
    "disk",
    "waits 10 s for a lock at most",
)
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        *(
            (
                lambda home, name=name: (home / name).write_bytes(b"garbage" * 1000),
                "are damaged .*move that folder away",
            )
            for name in instance._TABLES
        ),
        (lambda home: os.truncate(home / "history/runs.db", 5000), "are damaged"),
        *((lambda home, name=name: locked(home / name), "are locked by another process") for name in instance._TABLES),
        (with_text("telemetry: [\n"), "dagster.yaml, or move it away"),
        (with_text("telemtry:\n  enabled: false\n"), "dagster.yaml, or move it away"),
        (with_text("- a\n"), "dagster.yaml, or move it away"),
        *(
            (with_text(f"{part}:\n  module: nowhere\n  class: Nothing\n"), "dagster.yaml, or move it away")
            for part in ("run_launcher", "run_coordinator", "compute_logs")
        ),
        (lambda home: (home / "dagster.yaml").write_bytes(b"\xff\xfe\0"), "dagster.yaml, or move it away"),
        (as_folder, "dagster.yaml, or move it away"),
    ],
)
def test_an_instance_that_cannot_be_used(home: Path, spoil: Callable[[Path], object], said: str) -> None:
    holding = spoil(home)
    if isinstance(holding, Iterator):
        next(holding)
    with pytest.raises(UserError, match=f"{home}.*{said}"):
        require_instance(home)
    if isinstance(holding, Iterator):
        next(holding, None)


def test_an_instance_that_another_process_makes_and_does_not_end(home: Path) -> None:
    with (
        FileLock(home / ".initialise.lock"),
        pytest.raises(UserError, match=r"opening the Dagster instance .*\.initialise\.lock"),
    ):
        require_instance(home)
    require_instance(home)


def test_a_home_that_cannot_be_written_is_not_blamed_on_the_storage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match="DAGSTER_HOME=.*file/home cannot be used .*folder that can be written"
    ) as caught:
        require_instance(tmp_path / "file" / "home")
    assert "storage" not in str(caught.value)
    for text in (
        "attempt to write a readonly database",
        "database or disk is full",
        "database disk image is malformed",
    ):
        explained = as_storage_error(sqlite3.OperationalError(text), tmp_path / "storage", tmp_path / "home")
        assert str(tmp_path / "home") in str(explained) and "storage" not in str(explained)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3 GiB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        SystemError("<function f> returned NULL without setting an exception"),
        ImportError("libtorch.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_is_said(error: Exception) -> None:
    assert "There is not enough memory" in str(as_memory_error(error))
    assert as_memory_error(ValueError("memory")) is None


@pytest.mark.promise(
    "What a killed process was writing goes at the next start, from every folder that is written to; what a living one is "
    "writing stays.",
    "kept",
    "storage, Dagster's home, the dataset folder",
)
def test_what_the_dead_left_goes_at_the_next_start(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    folders = (settings.dataset, tmp_path / "home", settings.local_root, settings.local_root / "values" / "mc5_metrics")
    drafts = [folder / f".{name}.{'0f' * 16}.tmp" for folder in folders for name in ("half", "")]
    for draft in drafts:
        draft.mkdir(parents=True)
        (draft / "file").write_bytes(b"half")
    with environment_of(settings, str(tmp_path / "home")):
        assert [draft for draft in drafts if draft.exists()] == []
