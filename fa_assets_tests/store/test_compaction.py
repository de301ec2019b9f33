"""Compaction loses nothing, whatever reads, appends, compacts or dies meanwhile, and changes no number."""

import logging
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest

from fa_assets.store.compaction import Compaction, compact, verify
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets.store.roots import StoragePath
from fa_assets_tests.processes import prepared, run_at_once, start
from fa_assets_tests.recorded import flipped
from fa_assets_tests.store.test_embedding_store import append_in_old_layout, rows

N, BATCH = 60, 4


def append(root: Path, first: int) -> None:
    store = EmbeddingStore(root, "f1")
    for i in range(first, first + 40):
        store.append([CropKey(f"{i:064}", 32_000, 0, 1)], np.full((1, 16), i, np.float32))
        time.sleep(0.005)


def compact_until(root: Path, stop: Event, grace_s: float) -> None:
    store = EmbeddingStore(root, "f1")
    while not stop.is_set():
        compact(store, grace_s=grace_s, merged_rows=16)


def read_until(root: Path, count: int, stop: Event) -> None:
    keys = [CropKey(f"{i:064}", 32_000, 0, 1) for i in range(count)]
    while not stop.is_set():
        assert EmbeddingStore(root, "f1").missing(keys) == []
        found = EmbeddingStore(root, "f1").load(keys)
        assert len(found) == count, f"{len(found)} of {count}"
        assert all((value == int(key.clip_sha256)).all() for key, value in found.items())


def numbered(store: EmbeddingStore, first: int, end: int) -> list[CropKey]:
    """Append rows of which key and numbers say which they are."""
    keys = [CropKey(f"{i:064}", 32_000, 0, 1) for i in range(first, end)]
    for i, key in enumerate(keys, first):
        store.append([key], np.full((1, 16), i, np.float32))
    return keys


def filled(root: StoragePath) -> tuple[EmbeddingStore, list[CropKey], np.ndarray]:
    """A store of `N` rows in shards of `BATCH`, the first of the older layout."""
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(N, width=32)
    for at in range(0, N, BATCH):
        append = append_in_old_layout if at == 0 else EmbeddingStore.append
        append(store, keys[at : at + BATCH], embeddings[at : at + BATCH])
    return store, keys, embeddings


def names(store: EmbeddingStore) -> set[str]:
    return {shard.name for shard in store.shards()}


def assert_whole(store: EmbeddingStore, keys: list[CropKey], embeddings: np.ndarray) -> None:
    found = store.load(keys)
    assert found.keys() == set(keys)
    np.testing.assert_array_equal([found[key] for key in keys], embeddings)


def test_small_shards_become_large_ones_and_the_old_ones_go_after_the_grace(root: StoragePath) -> None:
    store, keys, embeddings = filled(root)
    before = names(store)
    reader = EmbeddingStore(root, "f1")
    assert reader.missing(keys) == []
    assert compact(store, merged_rows=32) == Compaction(merged=15, rows=N, into=2, removed=0, kept=15)
    assert before < names(store)
    assert_whole(EmbeddingStore(root, "f1"), keys, embeddings)
    assert compact(store, merged_rows=32) == Compaction(merged=0, rows=0, into=0, removed=0, kept=15)
    assert compact(store, grace_s=0, merged_rows=32) == Compaction(merged=0, rows=0, into=0, removed=15, kept=0)
    assert not before & names(store)
    # A reader that had listed the old shards lists again.
    assert_whole(reader, keys, embeddings)
    assert verify(store).damaged == ()
    assert verify(store).shards == 2


def test_a_lookup_opens_merged_shards_and_not_those_they_replace(tmp_path: Path) -> None:
    store, keys, embeddings = filled(tmp_path)
    old = names(store)
    compact(store)
    for name in old:
        (store.folder / name).write_bytes(b"never opened")
    assert_whole(EmbeddingStore(tmp_path, "f1"), keys, embeddings)
    assert old < names(store)


def test_a_damaged_merged_shard_removes_nothing_and_the_old_ones_serve(
    root: StoragePath, caplog: pytest.LogCaptureFixture
) -> None:
    store, keys, embeddings = filled(root)
    old = names(store)
    compact(store)
    (merged,) = names(store) - old
    content = (store.folder / merged).read_bytes()
    (store.folder / merged).write_bytes(flipped(content, 8 * content.find(embeddings[7].tobytes())))
    with caplog.at_level(logging.WARNING):
        assert compact(store, grace_s=0).removed == 0
    assert merged.removesuffix(".parquet") in caplog.text
    assert old <= names(store)
    assert_whole(EmbeddingStore(root, "f1"), keys, embeddings)


def test_a_shard_that_is_damaged_before_it_is_merged_is_set_aside_and_the_rest_is_merged(tmp_path: Path) -> None:
    store, keys, embeddings = filled(tmp_path)
    bad = store.append(*(part[:BATCH] for part in rows(BATCH, seed=5, width=32)))
    content = bad.read_bytes()
    bad.write_bytes(flipped(content, 8 * content.find(rows(BATCH, seed=5, width=32)[1].tobytes())))
    assert compact(store, grace_s=0) == Compaction(merged=15, rows=N, into=1, removed=15, kept=0)
    assert bad.with_suffix(".damaged").exists()
    assert len(names(store)) == 1
    assert_whole(EmbeddingStore(tmp_path, "f1"), keys, embeddings)


def test_merging_changes_neither_numbers_nor_the_choice_between_two_rows_of_one_key(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(20, width=32)
    for shift in (0, 1, 2):
        store.append(keys, embeddings + np.float32(shift))
    before = store.load(keys)
    assert len({float(before[key][0] - embeddings[row][0]) for row, key in enumerate(keys)}) > 1
    assert compact(store, grace_s=0).rows == 20
    after = EmbeddingStore(tmp_path, "f1").load(keys)
    for key in keys:
        np.testing.assert_array_equal(after[key], before[key])


def test_merging_what_was_merged_before(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys: list[CropKey] = []
    for round_ in range(4):
        keys += numbered(store, 10 * round_, 10 * round_ + 10)
        compact(store, grace_s=3600 if round_ % 2 else 0)
        assert EmbeddingStore(tmp_path, "f1").missing(keys) == []
    compact(store, grace_s=0)
    assert len(names(store)) == 1
    assert {int(value[0]) for value in store.load(keys).values()} == set(range(40))


@pytest.mark.slow
def test_readers_appenders_and_compactions_at_once(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys = numbered(store, 0, 50)
    stop = prepared().Event()
    # A grace as long as a listing takes: without it one listing can miss both a new merged shard and what that replaced.
    others = [start(compact_until, tmp_path, stop, 0.5) for _ in range(2)]
    others += [start(read_until, tmp_path, 50, stop)]
    try:
        run_at_once(*((append, tmp_path, first) for first in (100, 200)))
    finally:
        stop.set()
        for process in others:
            process.join()
    assert [process.exitcode for process in others] == [0] * 3
    keys += [CropKey(f"{i:064}", 32_000, 0, 1) for first in (100, 200) for i in range(first, first + 40)]
    found = EmbeddingStore(tmp_path, "f1").load(keys)
    assert found.keys() == set(keys)
    assert all((value == int(key.clip_sha256)).all() for key, value in found.items())
    assert not list(store.folder.glob("*.damaged"))


@pytest.mark.slow
def test_a_compaction_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    store = EmbeddingStore(tmp_path, "f1")
    keys: list[CropKey] = []
    never = prepared().Event()
    for round_ in range(6):
        keys += numbered(store, 30 * round_, 30 * round_ + 30)
        process = start(compact_until, tmp_path, never, 0)
        # It needs a moment to start; then it is somewhere in its loop over a store that changes with every round.
        while not any(store.folder.glob(".*.tmp")) and len(names(store)) >= 30 and process.is_alive():
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.03)))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        found = EmbeddingStore(tmp_path, "f1").load(keys)
        assert found.keys() == set(keys)
        assert all((value == int(key.clip_sha256)).all() for key, value in found.items())
    assert not list(store.folder.glob("*.damaged"))
