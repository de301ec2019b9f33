"""Storage that is full or cannot be written to: a message with a way out, and every file whole or not there.

Disks are filled for real: a child process gets a limit on the size of the files it writes, which fails a write in the
middle as a full disk does.
"""

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from botocore.exceptions import NoCredentialsError

from fa_assets.catalog.database import Catalog
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets.store.ledger import Ledger
from fa_assets.store.roots import listing, open_root
from fa_assets.store.storage_errors import (
    StorageError,
    as_remote_error,
    as_storage_error,
    require_reachable,
    require_writable,
)
from fa_assets_tests.catalog.made_up import an_entry
from fa_assets_tests.object_store import ObjectStore
from fa_assets_tests.processes import prepared, run_at_once
from fa_assets_tests.recorded import put
from fa_assets_tests.store.test_values import TABLE, header

LIMIT = 100_000


def big_shard(root: Path) -> str:
    keys = [CropKey(f"{n:064}", 32_000, 0, 320_000) for n in range(100)]
    EmbeddingStore(root, "weights").append(keys, np.random.default_rng(0).normal(size=(100, 2048)).astype("f4"))
    return "done"


def big_value(root: Path) -> str:
    put(root, pa.table({"x": np.random.default_rng(0).normal(size=100_000)}), header())
    return "done"


def big_entry(root: Path) -> str:
    Ledger(root / "ledger").append(an_entry(metadata={"much": "x" * 200_000}))
    return "done"


def sync_of_a_run(root: Path) -> str:
    return str(Catalog.of(root, root).try_sync("run", "folds"))


def entries_before_and_after_a_sync(root: Path) -> str:
    catalog, count = Catalog.of(root, root), "select count(*) n from materializations"
    return f"{catalog.query(count)['n'][0]} {catalog.sync()} {catalog.query(count)['n'][0]}"


def work_under_limit(work: Callable[[Path], str], root: Path, limit: int, answer: Connection) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        said = work(root)
    except Exception as error:
        said = f"{type(error).__name__}\n{as_storage_error(error, root)}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    answer.send(said)


def under_limit(root: Path, work: Callable[[Path], str], limit: int = LIMIT) -> str:
    """What `work` gives, or raises, in a process that may write no file larger than `limit` bytes."""
    ours, theirs = prepared().Pipe()
    run_at_once((work_under_limit, work, root, limit, theirs))
    return str(ours.recv())


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("**/*")) if path.is_file()}


@pytest.mark.promise(
    "On a full disk a shard, a value or a ledger entry fails with a message of the folder, the reason and the free space; what "
    "was there stays, and the run goes on once there is room.",
    "disk",
)
@pytest.mark.slow
@pytest.mark.parametrize("write", [big_shard, big_value, big_entry], ids=["shard", "value", "ledger entry"])
def test_a_write_that_finds_no_room_leaves_everything_as_it_was(tmp_path: Path, write: Callable[[Path], str]) -> None:
    vector = np.ones((1, 2048), np.float32)
    EmbeddingStore(tmp_path, "weights").append([CropKey("ab" * 32, 32_000, 0, 320_000)], vector)
    put(tmp_path, TABLE, header())
    Ledger(tmp_path / "ledger").append(an_entry())
    before = files(tmp_path)
    said = under_limit(tmp_path, write)
    assert said.startswith("OSError\nThere is no room in the storage folder")
    assert "MB are free" in said
    assert "goes on from there" in said
    assert files(tmp_path) == before
    (found,) = EmbeddingStore(tmp_path, "weights").load([CropKey("ab" * 32, 32_000, 0, 320_000)]).values()
    np.testing.assert_array_equal(found, vector[0])

    assert under_limit(tmp_path, write, limit=resource.RLIM_INFINITY) == "done"
    assert len(files(tmp_path)) == len(before) + 1


@pytest.mark.slow
@pytest.mark.promise(
    "A catalog that finds no room is behind, never damaged, and catches up.", "disk", "no room after 1 and 10,000 bytes"
)
def test_a_catalog_that_finds_no_room_is_behind_and_catches_up(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(an_entry())
    assert under_limit(tmp_path, sync_of_a_run, limit=10_000) == "False"
    assert under_limit(tmp_path, sync_of_a_run, limit=resource.RLIM_INFINITY) == "True"
    ledger.append(an_entry())
    assert under_limit(tmp_path, sync_of_a_run, limit=1) == "False"
    assert entries_before_and_after_a_sync(tmp_path) == "1 1 2"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/storage/values/x"), "no room .*No space left.*/values/x"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no room .*quota"),
        (sqlite3.OperationalError("database or disk is full"), "no room"),
        (OSError(errno.EROFS, "Read-only file system", "/storage/x"), "cannot be written to .*Read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/storage/x"), "cannot be written to"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "cannot be written to"),
    ],
)
def test_errors_that_mean_the_storage_folder_say_so(error: Exception, message: str) -> None:
    try:
        raise RuntimeError("an event could not be stored") from error
    except RuntimeError as outer:
        found = as_storage_error(outer, Path("/storage"))
    assert isinstance(found, StorageError)
    with pytest.raises(StorageError, match=message):
        raise found


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied", "/dataset/train_curated/a.wav"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/storage/x"),
        sqlite3.OperationalError("no such table: runs"),
        ValueError("disk"),
    ],
)
def test_errors_that_mean_something_else_are_left_alone(error: Exception) -> None:
    assert as_storage_error(error, Path("/storage")) is None


def test_a_folder_is_made_and_tried_without_a_trace(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_an_object_store_is_tried_without_a_trace_and_a_missing_bucket_is_named(s3: ObjectStore) -> None:
    root = open_root(s3.new_location())
    require_reachable(root)
    assert listing(root) == []
    with pytest.raises(StorageError, match="no-such-bucket"):
        require_reachable(open_root("s3://no-such-bucket/prefix"))


def test_an_address_that_takes_no_files_is_refused() -> None:
    with pytest.raises(StorageError, match="^https://example.org/a cannot be written to: give a folder"):
        require_reachable(open_root("https://example.org/a"))


@pytest.mark.slow
@pytest.mark.promise(
    "A storage folder that is read-only, or another user's, is named before any work.", "disk", "2 reasons"
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_of_another_user_is_named(tmp_path: Path) -> None:
    """A child without root's rights, since permissions do not bind root."""
    code = """
import os, sys
from pathlib import Path
from fa_assets.store.storage_errors import StorageError, require_writable
os.setuid(65534)
try:
    require_writable(Path(sys.argv[1]))
except StorageError as error:
    print(error)
"""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert f"The storage folder {tmp_path} cannot be written to (Permission denied" in done.stdout, done.stderr


def test_an_error_of_the_object_stores_library_or_raised_within_it_is_the_object_stores() -> None:
    root = open_root("memory://bucket")
    with pytest.raises(FileNotFoundError) as missing:
        (root / "a").read_bytes()
    for error in (missing.value, NoCredentialsError()):
        assert "The object store memory://bucket" in str(as_remote_error(error, root))
    assert as_remote_error(FileNotFoundError("of a folder"), root) is None
