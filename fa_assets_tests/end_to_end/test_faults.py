"""What goes wrong around a run: a full disk, a read-only folder, another run, a clock that steps back.

After each: a clear message, no damaged file, everything earlier as it was, and the next run goes on from there.
"""

import datetime
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fa_assets.graph.recorder import Recorder
from fa_assets.graph.runner import RunOutcome
from fa_assets.settings import Settings
from fa_assets.store.atomic import digest_file
from fa_assets.store.values import ValueStore
from fa_assets_tests.command_line import fa_assets
from fa_assets_tests.end_to_end.commands import embed_for_ever, start
from fa_assets_tests.end_to_end.ui_server import wait_for
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.runs import run


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something over a folder; where that is not allowed, the tests with limited files remain (test_storage_errors)."""
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def digests(root: Path) -> dict[str, str]:
    """Every value, shard and ledger entry that can be seen, by its bytes."""
    found = (path for folder in ("values", "embedding_store", "ledger") for path in (root / folder).glob("**/*"))
    return {str(path.relative_to(root)): digest_file(path).sha256 for path in found if path.is_file()}


def ledger_ids(settings: Settings) -> set[str]:
    return set(Recorder(storage=str(settings.storage_root)).catalog.ledger.ids())


def fold_is_whole(settings: Settings, fold: str) -> bool:
    """The value of a fold's embeddings reads back and belongs to an entry of the ledger."""
    value = ValueStore(settings.storage_root).read("mc5_embeddings", fold)
    return value.header.materialization_id in ledger_ids(settings) and value.table.num_rows > 0


@pytest.mark.promise(
    "On a full disk a shard, a value or a ledger entry fails with a message of the folder, the reason and the free space; what "
    "was there stays, and the run goes on once there is room.",
    "disk",
    "3 kinds of file",
)
@pytest.mark.parametrize("folder", ["embedding_store", "values/mc5_embeddings", "ledger"])
def test_a_disk_that_is_full_for_one_kind_of_file(settings: Settings, folder: str) -> None:
    """A shard, a value, a ledger entry: each on a disk of its own without room for it."""
    full = settings.storage_root / folder
    shutil.rmtree(settings.storage_root / "embedding_store")  # so that there is something to compute and to store
    before = digests(settings.storage_root)
    full.mkdir(exist_ok=True)
    selected = "+mc5_embeddings" if folder == "ledger" else "mc5_embeddings"  # no ledger: what it reads is stale too
    with mounted(full, "-t", "tmpfs", "-o", "size=4k", "none"):
        (full / ".filler").write_bytes(bytes(4096))
        outcome = run(settings, select=selected, folds=["1"], force=True)
        failure = outcome.failures[0]
        assert f"There is no room in the storage folder {settings.storage_root}" in failure
        assert "MB are free" in failure
        assert "Traceback" not in failure
        assert [path for path in full.glob("**/*") if path.is_file()] == [full / ".filler"]
    after = digests(settings.storage_root)
    assert {path: after.get(path) for path in before} == before or folder == "ledger"
    outcome = run(settings, select=selected, folds=["1"], force=folder == "embedding_store")
    assert outcome.failures == ()
    assert fold_is_whole(settings, "1")


@pytest.mark.promise(
    "A disk that is full for everything, Dagster's own tables too, is named; the run goes on once there is room.",
    "disk",
    "64 MB disk, full at the start and half-way",
)
def test_a_disk_that_is_full_for_everything(finished: FinishedRun, tmp_path: Path) -> None:
    """Storage, catalog and Dagster's own tables on one disk that fills up."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=64m", "none"):
        settings = finished.copy(disk)
        before = digests(settings.storage_root)
        filler = disk / "filler"
        with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        assert_no_room(settings, tmp_path / "at once")
        os.truncate(filler, filler.stat().st_size - 300_000)  # enough to begin, not to end
        assert_no_room(settings, tmp_path / "on the way")
        assert list(disk.glob("**/.*.tmp")) == []
        after = digests(settings.storage_root)
        assert {path for path in before if path.startswith("ledger") and after.get(path) != before[path]} == set()
        for path in (settings.storage_root / "values").glob("*/**/*.parquet"):
            pq.read_table(pa.BufferReader(path.read_bytes()))

        filler.unlink()
        said = fa_assets("run", settings=settings)
        assert said.exit_code == 0, said.stderr
        assert fold_is_whole(settings, "0")


def assert_no_room(settings: Settings, output: Path) -> None:
    """A run of everything says that there is none, and nothing that means nothing to a user."""
    process = start(settings, "run", "--force", output=output)
    process.join()
    assert process.exitcode == 1
    said = output.read_text()
    assert f"There is no room in the storage folder {settings.storage_root}" in said
    assert "Traceback" not in said


@contextmanager
def read_only(folder: Path) -> Iterator[str]:
    """Nothing can be written below a folder; gives the reason that the system has for it."""
    if os.geteuid() == 0:  # permissions do not bind root, a read-only disk does
        with mounted(folder, "--bind", str(folder)):
            subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
            yield "Read-only file system"
    else:
        folder.chmod(0o555)
        yield "Permission denied"
        folder.chmod(0o755)


@pytest.mark.promise("A storage folder that is read-only, or another user's, is named before any work.", "disk")
def test_a_read_only_storage_folder_is_named_before_any_work(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path)
    with read_only(settings.storage_root) as reason:
        said = fa_assets("run", "--force", settings=settings)
    assert said.exit_code == 1, said.stderr
    assert f"The storage folder {settings.storage_root} cannot be written to ({reason}" in said.stderr
    assert "set --storage to" in said.stderr
    assert "Traceback" not in said.stderr
    assert "done in" not in said.stderr


@pytest.mark.promise(
    "Two runs of the same asset and fold both end well: the value is whole and one of the two, the ledger has both.",
    "others",
    "2 processes",
)
def test_two_runs_of_the_same_asset_and_fold_at_once(settings: Settings, tmp_path: Path) -> None:
    before, ids = digests(settings.storage_root), ledger_ids(settings)
    shutil.rmtree(settings.storage_root / "embedding_store")
    command = ("run", "--select", "mc5_embeddings,mc5_oof_predictions", "--fold", "2", "--force")
    runs = [start(settings, *command, output=tmp_path / "said") for _ in range(2)]
    for one in runs:
        one.join()
        assert one.exitcode == 0, (tmp_path / "said").read_text()
    ledger = Recorder(storage=str(settings.storage_root)).catalog.ledger
    new = [ledger.read(id) for id in sorted(ledger_ids(settings) - ids)]
    parts = (("mc5_embeddings", "2"), ("mc5_oof_predictions", None))
    assert Counter((entry.asset, entry.partition) for entry in new) == dict.fromkeys(parts, 2)
    assert len({entry.run_id for entry in new}) == 2
    values = ValueStore(settings.storage_root)
    for asset, fold in parts:
        made = {entry.files[0].sha256 for entry in new if entry.asset == asset}
        assert digest_file(values.path(asset, fold)).sha256 in made
        assert values.read(asset, fold).header.materialization_id in {one.id for one in new}
    remade = {str(values.path(*part).relative_to(settings.storage_root)) for part in parts}
    untouched = {path for path in before if path.startswith("values/")} - remade
    after = digests(settings.storage_root)
    assert {path for path in untouched if after[path] != before[path]} == set()


@pytest.mark.promise(
    "Runs with different settings at once do not mix: each value is made from those of one run's settings, or the "
    "run says so.",
    "others",
    "3 values of C: 0 mixed",
)
@pytest.mark.heavy
def test_runs_with_different_settings_at_once_do_not_mix(settings: Settings, tmp_path: Path) -> None:
    ids, said = ledger_ids(settings), tmp_path / "said"
    runs = [
        start(settings.model_copy(update={"regularization_c": C}), "run", "--select", "+comparison", output=said)
        for C in (0.5, 1.0, 4.0)
    ]
    for one in runs:
        one.join()
    codes = [one.exitcode for one in runs]
    assert set(codes) <= {0, 1}
    assert len(re.findall("made it meanwhile|was made again while", said.read_text())) >= codes.count(1)
    ledger = Recorder(storage=str(settings.storage_root)).catalog.ledger
    made = {one.id: one for one in ledger.entries()}

    def settings_behind(id: str | None) -> set[object]:
        entry = made.get(str(id))
        own = {entry.settings["C"]} if entry and "C" in entry.settings else set()
        return own.union(*(settings_behind(one.source_id) for one in entry.inputs)) if entry else set()

    for id in made.keys() - ids:
        assert len(settings_behind(id)) <= 1, made[id]


@pytest.mark.promise(
    "After the wall clock stepped back, the newest materialization is still the newest, and nothing ends before it "
    "began.",
    "others",
    "by a day",
)
def test_after_the_clock_stepped_back_the_newest_is_still_the_newest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Yesterday(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.now(tz) - datetime.timedelta(days=1)

    catalog = Recorder(storage=str(settings.storage_root)).catalog
    before = catalog.ledger.ids()
    for module in ("fa_assets.store.ledger", "fa_assets.graph.work"):
        monkeypatch.setattr(f"{module}.datetime", Yesterday)
    outcome = run(settings, select="folds,mc5_metrics", force=True)
    assert outcome.failures == ()
    new = [catalog.ledger.read(id) for id in catalog.ledger.ids()[len(before) :]]
    assert [entry.run_id for entry in new] == [outcome.run_id] * 2
    assert all(entry.finished_at >= entry.started_at for entry in new)
    assert all(entry.finished_at < datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=23) for entry in new)
    (newest,) = catalog.query(
        "select run_id from materializations where asset = 'mc5_metrics' order by id desc limit 1"
    )["run_id"]
    assert newest == outcome.run_id
    assert ValueStore(settings.storage_root).read("folds").header.materialization_id == new[0].id
    assert run(settings) == RunOutcome(None, (), (), ())


@pytest.mark.promise(
    "A run whose process is gone is found in a container and after a restart too, by a lock that the kernel lets go "
    "of; those that wait or were about to start are buried as well, and the pools are free.",
    "kept",
)
def test_a_run_that_was_killed_is_not_called_running_for_ever(settings: Settings, tmp_path: Path) -> None:
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    shutil.rmtree(settings.storage_root / "embedding_store")
    with dg.DagsterInstance.get() as instance:
        process = start(settings, "run", "--force", output=tmp_path / "said", prepare=embed_for_ever)
        wait_for("it runs", lambda: bool(instance.get_runs(started)) or not process.is_alive(), every_s=0.05)
        process.kill()
        process.join()
        (running,) = instance.get_runs(started)
        assert fa_assets("status", settings=settings).exit_code == 0
        assert instance.get_run_by_id(running.run_id).status is dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
