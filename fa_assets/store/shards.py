"""One shard of the embedding store: a Parquet file that is written once, whole, and shows itself whether it is sound.

    <size>-<digest>.parquet           rows as they were appended
    merged-<size>-<digest>.parquet    rows of other shards, which it names and replaces (see `compaction`)

Columns: clip_sha256, crop_rate, crop_start, crop_length, embedding. The Parquet footer carries, as metadata, an index: the
keys once more, packed, and a checksum of each row. Nothing is believed before it is checked, in a chain that begins at the
name:

- the name holds the file's size in bytes and a digest of the footer;
- the footer holds the index, the names of the shards that are replaced, and a digest of everything that lies before it;
- the checksum of a row is a digest of the encoder's fingerprint, the key and the bits of the embedding.

So looking up keys reads footers alone, and reading embeddings reads the row groups they are in; whatever a flipped bit
hits is found out before it is used. Digests are the first 128 bits of sha256.

    <uuid>.parquet                    an older layout without any of this: still read, page checksums watch over it

Shards of versions that knew one rate alone have no column crop_rate, nor a rate in index and checksums; their rows are of
`RATE_UNSAID`.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.store.atomic import drafting
from fa_assets.store.crop_keys import KEY_BYTES, RATE_UNSAID, CropKey, pack_keys, with_rate, without_rate
from fa_assets.store.roots import StoragePath, open_columns, read_range

ROW_GROUP_ROWS = 256
"""The least that is read to get one embedding: 2 MB where it has 2048 numbers."""

CHECKSUM_BYTES = 16

_MERGED = "merged-"
_NAME = re.compile(rf"({_MERGED})?(\d+)-([0-9a-f]{{32}})\.parquet")
_OLD_NAME = re.compile(r"[0-9a-f]{32}\.parquet")
_KEY_COLUMNS = ["clip_sha256", "crop_rate", "crop_start", "crop_length"]
_OLD_KEY_COLUMNS = ["clip_sha256", "crop_start", "crop_length"]
_INDEX = b"fa_assets.index"
_FACTS = b"fa_assets.shard"
_END_BYTES = 8
"""The end of a Parquet file: the footer's length (4 bytes), and the magic bytes."""
_TAIL_BYTES = {False: 64 << 10, True: 2 << 20}
"""How much is read in the hope that it holds the footer, of a shard as appended and of a merged one."""


@dataclass(frozen=True)
class ShardIndex:
    """What is in a shard, without its embeddings.

    `keys` is (n, KEY_BYTES) uint8; `checksums` is (n, CHECKSUM_BYTES) uint8, all zeros where the layout has none;
    `replaces` are the names of the shards whose rows are all in this one.
    """

    keys: np.ndarray
    checksums: np.ndarray
    replaces: frozenset[str] = frozenset()

    def part(self, rows: np.ndarray) -> "ShardIndex":
        """Of some rows alone."""
        return ShardIndex(self.keys[rows], self.checksums[rows])


class DamagedShardError(Exception):
    """A shard that does not hold what was written; the message says how that was found out."""


def is_shard(name: str) -> bool:
    """Whether a file name is that of a shard."""
    return bool(_NAME.fullmatch(name)) or is_old(name)


def is_merged(name: str) -> bool:
    """Whether a shard is a merged one."""
    return name.startswith(_MERGED)


def is_old(name: str) -> bool:
    """Whether a shard is of the older layout."""
    return bool(_OLD_NAME.fullmatch(name))


def write_shard(
    folder: StoragePath,
    fingerprint: str,
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    replaces: Iterable[str] = (),
) -> StoragePath:
    """Write a shard under the name that its content gives it, and return its path.

    Args:
        folder: where it goes.
        fingerprint: of the encoder.
        blocks: packed keys with (n, d) float32 embeddings; at least one block.
        replaces: the shards whose rows are all in it; with any it is a merged one.
    """
    replaced = sorted(replaces)
    keys: list[np.ndarray] = []
    checksums: list[np.ndarray] = []
    with drafting(folder) as draft:
        writer: pq.ParquetWriter | None = None
        try:
            for block, embeddings in blocks:
                keys.append(block)
                checksums.append(row_checksums(fingerprint, block, embeddings))
                table = _table(block, embeddings)
                if writer is None:
                    # Floats of a network do not compress; dictionary and compression would only cost time.
                    writer = pq.ParquetWriter(
                        draft.path,
                        table.schema,
                        compression="none",
                        use_dictionary=["clip_sha256"],
                        write_statistics=False,
                        write_page_checksum=True,
                    )
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
            if writer is None:
                raise ValueError("a shard without rows")
            index = np.concatenate([np.concatenate(keys), np.concatenate(checksums)], axis=1)
            content = hashlib.sha256()
            for piece in _pieces(draft.path, draft.path.stat().st_size):
                content.update(piece)
            facts = {"replaces": replaced, "content": _short(content)}
            writer.add_key_value_metadata(
                {_INDEX: base64.b64encode(index.tobytes()), _FACTS: json.dumps(facts).encode()}
            )
        finally:
            if writer is not None:
                writer.close()
        size = draft.path.stat().st_size
        footer = _read_footer(draft.path, size, merged=bool(replaced))
        draft.name = f"{_MERGED if replaced else ''}{size}-{_short(hashlib.sha256(footer))}.parquet"
    return folder / draft.name


def read_index(path: StoragePath, size_bytes: int) -> ShardIndex:
    """The keys of a shard; of a file of the present layout nothing but the footer is read.

    Args:
        size_bytes: the file's size, as a listing says.

    Raises:
        DamagedShardError: it is not what was written.
        FileNotFoundError: it is gone.
    """
    with _damage():
        if is_old(path.name):
            with open_columns(path) as file:
                table = _parquet(file, None).read(_OLD_KEY_COLUMNS, use_threads=False)
            columns = (column.to_pylist() for column in table.columns)
            keys = pack_keys([CropKey(sha256, RATE_UNSAID, *place) for sha256, *place in zip(*columns, strict=True)])
            return ShardIndex(keys, np.zeros((len(keys), CHECKSUM_BYTES), np.uint8))
        metadata = _metadata(path, size_bytes)
        facts = metadata.metadata
        width = CHECKSUM_BYTES + (KEY_BYTES if _has_rate(metadata) else KEY_BYTES - 8)
        index = np.frombuffer(base64.b64decode(facts[_INDEX]), np.uint8).reshape(-1, width)
        if not _has_rate(metadata):
            index = with_rate(index)
        return ShardIndex(
            np.ascontiguousarray(index[:, :KEY_BYTES]),
            np.ascontiguousarray(index[:, KEY_BYTES:]),
            frozenset(json.loads(facts[_FACTS])["replaces"]),
        )


def read_rows(path: StoragePath, fingerprint: str, rows: np.ndarray, index: ShardIndex) -> np.ndarray:
    """The embeddings of some rows of a shard, (len(rows), d) float32.

    Args:
        fingerprint: of the encoder.
        rows: row numbers, ascending.
        index: of these rows.

    Raises:
        DamagedShardError: they are not what was written.
        FileNotFoundError: it is gone.
    """
    with _damage():
        parts: list[np.ndarray] = []
        with open_columns(path) as file:
            metadata = None if is_old(path.name) else _metadata(path, file.size())
            parquet = _parquet(file, metadata)
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
            starts = np.concatenate([[0], np.cumsum(sizes)])
            group_of = np.searchsorted(starts, rows, side="right") - 1
            for group in np.unique(group_of):
                column = parquet.read_row_group(int(group), columns=["embedding"], use_threads=False).column(0)
                if len(column) != sizes[group] or column.null_count:
                    raise DamagedShardError("rows are missing")
                parts.append(embedding_matrix(column)[rows[group_of == group] - starts[group]])
        embeddings = np.concatenate(parts)
        if metadata is not None:
            keys = index.keys if _has_rate(metadata) else without_rate(index.keys)
            if not np.array_equal(row_checksums(fingerprint, keys, embeddings), index.checksums):
                raise DamagedShardError("an embedding's checksum does not fit")
        return embeddings


def verify_shard(path: StoragePath, size_bytes: int) -> None:
    """Read every byte of a shard, and see whether it is what was written.

    Raises:
        DamagedShardError: it is not.
        FileNotFoundError: it is gone.
    """
    with _damage():
        if is_old(path.name):
            with open_columns(path) as file:
                _parquet(file, None).read(use_threads=False)
            return
        metadata = _metadata(path, size_bytes)
        content = hashlib.sha256()
        for piece in _pieces(path, size_bytes - _END_BYTES - metadata.serialized_size):
            content.update(piece)
        if _short(content) != json.loads(metadata.metadata[_FACTS])["content"]:
            raise DamagedShardError("its checksum does not fit")


def row_checksums(fingerprint: str, keys: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """The checksum of each row, (n, CHECKSUM_BYTES) uint8; `keys` are packed, `embeddings` (n, d) float32."""
    encoder = hashlib.sha256(fingerprint.encode())
    checksums = np.empty((len(keys), CHECKSUM_BYTES), np.uint8)
    for row, (key, embedding) in enumerate(zip(keys, np.ascontiguousarray(embeddings, "<f4"), strict=True)):
        digest = encoder.copy()
        digest.update(key)
        digest.update(embedding)
        checksums[row] = np.frombuffer(digest.digest(), np.uint8, CHECKSUM_BYTES)
    return checksums


def list_column(values: np.ndarray) -> pa.ListArray:
    """An (n, width) array as a column of lists."""
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1)))


def embedding_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """An Arrow list<float> column, all lists of one length, as an (n, d) float32 array."""
    values = column.combine_chunks()
    if len(values) == 0:
        return np.empty((0, 0), np.float32)
    return np.asarray(values.flatten()).reshape(len(values), -1)


def _table(keys: np.ndarray, embeddings: np.ndarray) -> pa.Table:
    sha256 = np.ascontiguousarray(keys[:, :32]).tobytes().hex()
    numbers = np.ascontiguousarray(keys[:, 32:]).view("<i8")
    return pa.table(
        {
            "clip_sha256": [sha256[at : at + 64] for at in range(0, len(sha256), 64)],
            **{name: numbers[:, column] for column, name in enumerate(_KEY_COLUMNS[1:])},
            "embedding": list_column(embeddings),
        }
    )


def _parquet(file: pa.NativeFile, metadata: pq.FileMetaData | None) -> pq.ParquetFile:
    parquet = pq.ParquetFile(file, metadata=metadata, page_checksum_verification=True)
    columns = {field.name: field.type for field in parquet.schema_arrow}
    embedding = columns.pop("embedding")
    keys = {name: pa.string() if name == "clip_sha256" else pa.int64() for name in _KEY_COLUMNS}
    if {"crop_rate": pa.int64(), **columns} != keys or not (
        pa.types.is_list(embedding) and embedding.value_type == pa.float32()
    ):
        raise DamagedShardError("its columns are not a shard's")
    return parquet


def _metadata(path: StoragePath, size_bytes: int) -> pq.FileMetaData:
    """The footer of a shard of the present layout, once it is known to be what was written."""
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise DamagedShardError("its name is not a shard's")
    if size_bytes != int(named[2]):
        raise DamagedShardError(f"{size_bytes} bytes, {named[2]} expected")
    footer = _read_footer(path, size_bytes, merged=named[1] is not None)
    if _short(hashlib.sha256(footer)) != named[3]:
        raise DamagedShardError("the checksum of its index does not fit")
    return pq.read_metadata(pa.BufferReader(footer))


def _has_rate(metadata: pq.FileMetaData) -> bool:
    return "crop_rate" in metadata.schema.names


def _read_footer(path: StoragePath, size_bytes: int, merged: bool) -> bytes:
    """The end of a Parquet file from where its footer begins."""
    tail = read_range(path, max(0, size_bytes - _TAIL_BYTES[merged]), size_bytes)
    length = int.from_bytes(tail[-_END_BYTES:-4], "little") + _END_BYTES
    if length > size_bytes:
        raise DamagedShardError("the length of its index is wrong")
    return tail[-length:] if length <= len(tail) else read_range(path, size_bytes - length, size_bytes)


def _pieces(path: StoragePath, end: int) -> Iterator[bytes]:
    """The bytes of a file up to `end`, 16 MB at a time."""
    for start in range(0, end, 16 << 20):
        yield read_range(path, start, min(start + (16 << 20), end))


def _short(digest: Any) -> str:
    return str(digest.hexdigest()[:32])


@contextmanager
def _damage() -> Iterator[None]:
    """What Arrow raises over bytes that are not as they were written becomes a `DamagedShardError`.

    Arrow's own OSErrors have no errno; one that has is about the disk or the network, and says nothing of the file.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None or isinstance(error, FileNotFoundError):
            raise
        raise DamagedShardError(str(error)) from error
    except (pa.ArrowException, ValueError, KeyError, IndexError, OverflowError) as error:
        raise DamagedShardError(f"{type(error).__name__}: {error}") from error
