"""Maintenance of the embedding store: merging small shards into large ones, and verifying all of them.

Merging is safe beside readers, appenders and another compaction, and may be killed at any moment:

- A merged shard appears whole, and names the shards whose rows are all in it. From then on a lookup that sees it skips
  those; one that began before still reads them.
- The replaced shards stay for a grace. They go with the first compaction after it, once every byte of the merged shard has been
  read and found sound. A reader that is later still finds a shard gone and lists the folder again.
- A shard is only removed while its rows are in another shard that stays. Names are given by content, so a batch that
  is appended again at the same time is either the same file or another name.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fa_assets.store.atomic import remove_abandoned
from fa_assets.store.crop_keys import KEY_BYTES
from fa_assets.store.embedding_store import EmbeddingStore
from fa_assets.store.shards import (
    DamagedShardError,
    ShardIndex,
    is_merged,
    is_old,
    read_rows,
    verify_shard,
    write_shard,
)

MERGED_ROWS = 16_384
"""Rows of a full merged shard: 134 MB where an embedding has 2048 numbers."""

GRACE_S = 3600.0
"""How long replaced shards stay for readers that saw them."""

_BLOCK_ROWS = 4096
"""Rows that are held at once: 34 MB of such embeddings."""


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: shards and rows that went into merged ones, how many of those, how many replaced shards it
    removed, and how many are still kept for the grace."""

    merged: int
    rows: int
    into: int
    removed: int
    kept: int


@dataclass(frozen=True)
class Verification:
    """What a verification found: how many shards it read, and the damaged ones it set aside, with the reason."""

    shards: int
    damaged: tuple[tuple[str, str], ...]


def compact(store: EmbeddingStore, *, grace_s: float = GRACE_S, merged_rows: int = MERGED_ROWS) -> Compaction:
    """Merge what is small or of the older layout, and remove replaced shards whose grace is over.

    Args:
        grace_s: how old a merged shard has to be before those it replaces are removed.
        merged_rows: rows of a full shard.
    """
    shards = {shard.name: shard for shard in store.shards()}
    indexes = store.index_of(list(shards.values()))
    replaced = frozenset[str]().union(*(index.replaces for index in indexes.values()))
    small = [
        shards[name]
        for name, index in indexes.items()
        if name not in replaced and (len(index.keys) < merged_rows // 2 or is_old(name))
    ]
    small.sort(key=lambda one: (one.modified, one.name))  # as written: what was embedded together stays together
    merged = rows = into = 0
    for group in _groups([one.name for one in small], indexes, merged_rows):
        inputs, merged_row_count = _merge(store, group, indexes, shards.keys())
        if inputs:
            merged, rows, into = merged + inputs, rows + merged_row_count, into + 1
    removed, kept = _remove_replaced(store, grace_s)
    remove_abandoned(store.folder)
    return Compaction(merged, rows, into, removed, kept)


def verify(store: EmbeddingStore) -> Verification:
    """Read every byte of every shard, and set aside those that are not what was written."""
    damaged: list[tuple[str, str]] = []
    shards = store.shards()
    for shard in shards:
        try:
            verify_shard(store.folder / shard.name, shard.size_bytes)
        except FileNotFoundError:  # merged meanwhile
            continue
        except DamagedShardError as error:
            store.set_aside(shard.name, error)
            damaged.append((shard.name, str(error)))
    return Verification(len(shards), tuple(damaged))


def _groups(names: Sequence[str], indexes: Mapping[str, ShardIndex], merged_rows: int) -> Iterator[list[str]]:
    """Consecutive shards that fill a merged one; one shard alone only when it is of the older layout."""
    group: list[str] = []
    rows = 0
    for name in names:
        group.append(name)
        rows += len(indexes[name].keys)
        if rows >= merged_rows:
            yield group
            group, rows = [], 0
    if len(group) > 1 or any(map(is_old, group)):
        yield group


def _merge(
    store: EmbeddingStore, group: list[str], indexes: Mapping[str, ShardIndex], present: Collection[str]
) -> tuple[int, int]:
    """Write one merged shard; return how many shards and rows went into it, (0, 0) when none was left to read."""
    while group:
        rows_of = _distinct_rows(group, indexes)
        replaces = {*group, *(name for one in group for name in indexes[one].replaces if name in present)}
        try:
            write_shard(store.folder, store.fingerprint, _blocks(store, rows_of, indexes), replaces)
        except _LostError as lost:
            group = [name for name in group if name != lost.name]
        else:
            return len(group), sum(map(len, rows_of.values()))
    return 0, 0


class _LostError(Exception):
    """A shard that was about to be merged is damaged or gone."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _distinct_rows(group: Sequence[str], indexes: Mapping[str, ShardIndex]) -> dict[str, np.ndarray]:
    """The rows of each shard that a merged one takes: of several rows for one key that of the smallest checksum."""
    rows = np.concatenate([np.concatenate([indexes[name].keys, indexes[name].checksums], axis=1) for name in group])
    words = rows.view(">u8")
    order = np.lexsort(words.T[::-1])  # by key, then by checksum
    taken = np.ones(len(rows), bool)
    taken[order[1:]] = (words[order[1:], : KEY_BYTES // 8] != words[order[:-1], : KEY_BYTES // 8]).any(axis=1)
    ends = np.cumsum([len(indexes[name].keys) for name in group])
    return {name: np.flatnonzero(part) for name, part in zip(group, np.split(taken, ends[:-1]), strict=True)}


def _blocks(
    store: EmbeddingStore, rows_of: Mapping[str, np.ndarray], indexes: Mapping[str, ShardIndex]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Keys and embeddings of those rows, many shards at a time."""
    keys: list[np.ndarray] = []
    embeddings: list[np.ndarray] = []
    for name, rows in rows_of.items():
        if not len(rows):
            continue
        part = indexes[name].part(rows)
        try:
            embeddings.append(read_rows(store.folder / name, store.fingerprint, rows, part))
        except FileNotFoundError:
            raise _LostError(name) from None
        except DamagedShardError as error:
            store.set_aside(name, error)
            raise _LostError(name) from error
        keys.append(part.keys)
        if sum(map(len, keys)) >= _BLOCK_ROWS:
            yield np.concatenate(keys), np.concatenate(embeddings)
            keys, embeddings = [], []
    if keys:
        yield np.concatenate(keys), np.concatenate(embeddings)


def _remove_replaced(store: EmbeddingStore, grace_s: float) -> tuple[int, int]:
    """Remove the shards that sound merged ones replace; return how many, and how many stay for the grace."""
    shards = {shard.name: shard for shard in store.shards()}
    removed: set[str] = set()
    kept: set[str] = set()
    for name, index in store.index_of([shard for shard in shards.values() if is_merged(shard.name)]).items():
        replaced = index.replaces & shards.keys()
        if not replaced:
            continue
        if time.time() - shards[name].modified < grace_s:
            kept |= replaced
            continue
        try:
            verify_shard(store.folder / name, shards[name].size_bytes)
        except FileNotFoundError:
            continue
        except DamagedShardError as error:
            store.set_aside(name, error)
            continue
        for old in sorted(replaced):
            (store.folder / old).unlink(missing_ok=True)
        removed |= replaced
    return len(removed), len(kept - removed)
