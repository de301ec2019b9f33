"""The embedding store: one row per distinct crop, keyed by content, so that no crop is embedded twice.

    <root>/embedding_store/<encoder fingerprint>/<shard>.parquet      see `shards` for what is in one

A row's key is what its values depend on: the bytes of the clip (sha256), the encoder (the folder's name: weights, front
end, precision, version of the inference code) and the crop (rate in Hz, start and length in samples at that rate). Shards are
written once, whole, under names that their content gives them, and never changed: any number of processes append at once
without a lock, and a killed process loses at most the batch it was computing.

Looking up keys reads no embeddings, and no shard twice in the life of a store object. A shard that is not what was
written is renamed to ``*.damaged`` and reported, and its crops are computed again. A shard that is gone when it is about to be
read was merged into another (`compaction`): the folder is listed again. Where a key has several rows (two processes computed
it at once), the one of the smallest checksum is given, whatever the shards they lie in.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fa_assets.store.crop_keys import KEY_BYTES, CropKey, pack_keys
from fa_assets.store.roots import StoragePath, StoredObject, listing, read_each, subfolders
from fa_assets.store.shards import (
    CHECKSUM_BYTES,
    DamagedShardError,
    ShardIndex,
    embedding_matrix,
    is_merged,
    is_shard,
    list_column,
    read_index,
    read_rows,
    write_shard,
)

__all__ = ["CropKey", "EmbeddingStore", "embedding_matrix", "embedding_stores", "list_column"]

log = logging.getLogger(__name__)

_FOLDER = "embedding_store"
_MANY_SHARDS = 5000
_ATTEMPTS = 10


class EmbeddingStore:
    """The rows of one encoder; an object is used by one thread."""

    def __init__(self, root: StoragePath, fingerprint: str) -> None:
        self.root = root
        self.fingerprint = fingerprint
        self.folder = root / _FOLDER / fingerprint
        self._index = _Index({})
        self._ignored: set[str] = set()

    def append(self, keys: Sequence[CropKey], embeddings: np.ndarray) -> StoragePath:
        """Store one shard: `embeddings` is (len(keys), d) float32. Returns the shard's path."""
        path = write_shard(self.folder, self.fingerprint, [(pack_keys(keys), np.asarray(embeddings, np.float32))])
        self._ignored.discard(path.name)
        return path

    def missing(self, keys: Iterable[CropKey]) -> list[CropKey]:
        """Those of the keys that are not here, each once, in their order."""
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return []
        self._update_index()
        _, found = self._index.locate(wanted)
        here = np.zeros(len(wanted), bool)
        here[found] = True
        return [wanted[row] for row in np.flatnonzero(~here)]

    def load(self, keys: Iterable[CropKey]) -> dict[CropKey, np.ndarray]:
        """The stored embeddings, (d,) float32 each, of those of the keys that are here."""
        wanted = list(dict.fromkeys(keys))
        loaded: dict[CropKey, np.ndarray] = {}
        for _ in range(_ATTEMPTS):
            self._update_index()
            more, changed = self._load([key for key in wanted if key not in loaded])
            loaded |= more
            if not changed:
                break
        return loaded

    def shards(self) -> list[StoredObject]:
        """The shards that are there, replaced ones among them, by name."""
        return [one for one in listing(self.folder) if is_shard(one.name) and one.name not in self._ignored]

    def index_of(self, shards: Sequence[StoredObject]) -> dict[str, ShardIndex]:
        """The indexes of those of the shards that are sound and there; the others are set aside."""

        def read(shard: StoredObject) -> ShardIndex | None:
            try:
                return read_index(self.folder / shard.name, shard.size_bytes)
            except FileNotFoundError:
                return None
            except DamagedShardError as error:
                self.set_aside(shard.name, error)
                return None

        indexes = list(read_each(self.folder, read, shards))
        return {shard.name: index for shard, index in zip(shards, indexes, strict=True) if index is not None}

    def set_aside(self, name: str, reason: DamagedShardError) -> None:
        """Rename a damaged shard, so that nothing reads it again; where that is not possible, leave it out."""
        aside = (self.folder / name).with_suffix(".damaged")
        try:
            (self.folder / name).rename(aside)  # type: ignore[arg-type]
        except FileNotFoundError:  # another process was faster
            return
        except OSError as error:
            self._ignored.add(name)
            log.warning("damaged shard %s is left out, it cannot be renamed (%s): %s", name, error, reason)
            return
        log.warning("damaged shard set aside as %s (%s); its crops will be computed again", aside, reason)

    def _update_index(self) -> None:
        """Bring the index up to date with the folder; again, where shards were removed between being listed and being read."""
        for _ in range(_ATTEMPTS):
            listed = {shard.name: shard for shard in self.shards()}
            merged = [shard for shard in listed.values() if is_merged(shard.name)]
            known = {name: index for name, index in self._index.shards.items() if name in listed}
            known |= self.index_of([shard for shard in merged if shard.name not in known])
            replaced = frozenset[str]().union(*(known[one.name].replaces for one in merged if one.name in known))
            live = [name for name in listed if name not in replaced]
            if len(live) > _MANY_SHARDS and len(live) > len(self._index.shards) * 2:
                log.info("%s has %d shards: `fa-assets store compact` makes looking up faster", self.folder, len(live))
            known |= self.index_of([listed[name] for name in live if name not in known])
            names = [name for name in live if name in known]
            if names != list(self._index.shards):
                self._index = _Index({name: known[name] for name in names})
            if names == live:
                return

    def _load(self, wanted: list[CropKey]) -> tuple[dict[CropKey, np.ndarray], bool]:
        """What is found of the keys, and whether shards turned out to be gone or damaged on the way."""
        rows, found = self._index.locate(wanted)
        loaded: dict[CropKey, np.ndarray] = {}
        changed = False
        for name, positions, own in self._index.by_shard(rows):
            try:
                embeddings = read_rows(self.folder / name, self.fingerprint, own, self._index.shards[name].part(own))
            except FileNotFoundError:
                changed = True
            except DamagedShardError as error:
                self.set_aside(name, error)
                changed = True
            else:
                loaded.update(
                    (wanted[key], embedding) for key, embedding in zip(found[positions], embeddings, strict=True)
                )
        return loaded, changed


def embedding_stores(root: StoragePath) -> list[EmbeddingStore]:
    """The stores of all encoders below a root."""
    return [EmbeddingStore(root, name) for name in subfolders(root / _FOLDER)]


class _Index:
    """The keys of all live shards, one after another, 72 bytes a row; `shards` are views of their own rows."""

    def __init__(self, shards: Mapping[str, ShardIndex]) -> None:
        self._starts = np.cumsum([0, *(len(part.keys) for part in shards.values())])
        keys, checksums = (
            np.concatenate([np.empty((0, width), np.uint8), *(getattr(part, name) for part in shards.values())])
            for name, width in (("keys", KEY_BYTES), ("checksums", CHECKSUM_BYTES))
        )
        self._keys, self._checksums = keys, checksums
        self.shards = {
            name: ShardIndex(keys[start:end], checksums[start:end], part.replaces)
            for (name, part), (start, end) in zip(shards.items(), pairwise(self._starts), strict=True)
        }

    def locate(self, wanted: list[CropKey]) -> tuple[np.ndarray, np.ndarray]:
        """The rows that hold wanted keys, and which of the keys each holds: ascending rows, one for each key."""
        if not len(self._keys) or not wanted:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        # Arrow's hash table is made of the keys that are wanted; those of the store only pass by it.
        matches = pc.index_in(_arrow(self._keys), value_set=_arrow(pack_keys(wanted)))
        rows = np.flatnonzero(np.asarray(matches.is_valid()))
        found = np.asarray(matches.drop_null(), np.int64)
        # Of several rows for one key, the one of the smallest checksum.
        halves = np.ascontiguousarray(self._checksums[rows]).view(">u8")
        order = np.lexsort((halves[:, 1], halves[:, 0], found))
        first = np.ones(len(order), bool)
        first[1:] = found[order][1:] != found[order][:-1]
        chosen = np.sort(order[first])
        return rows[chosen], found[chosen]

    def by_shard(self, rows: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """For each shard that has some of the ascending rows, its name, the positions of its rows in `rows`, and their
        numbers in the shard."""
        names, numbers = list(self.shards), np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(numbers):
            positions = np.flatnonzero(numbers == number)
            yield names[number], positions, rows[positions] - self._starts[number]


def _arrow(rows: np.ndarray) -> pa.FixedSizeBinaryArray:
    """(n, b) uint8 as an Arrow array of n values of b bytes."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))]
    )
