"""The embedding store: what went in comes out bit for bit, by content and encoder, also beside damaged shards; the same
tests on a local folder and on an object store."""

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fa_assets.store.compaction import compact, verify
from fa_assets.store.embedding_store import (
    CropKey,
    EmbeddingStore,
    embedding_matrix,
    embedding_stores,
    list_column,
)
from fa_assets.store.roots import StoragePath
from fa_assets_tests.recorded import flipped


def rows(n: int, seed: int = 0, width: int = 2048) -> tuple[list[CropKey], np.ndarray]:
    keys = [CropKey(f"{seed:02}{i:062}", 32_000, 320 * i, 320_000) for i in range(n)]
    return keys, np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


def append_in_old_layout(store: EmbeddingStore, keys: list[CropKey], embeddings: np.ndarray) -> StoragePath:
    """A shard as the first version of the store wrote it: a random name, and nothing but page checksums."""
    table = pa.table(
        {
            "clip_sha256": [key.clip_sha256 for key in keys],
            "crop_start": pa.array([key.start for key in keys], pa.int64()),
            "crop_length": pa.array([key.length for key in keys], pa.int64()),
            "embedding": list_column(embeddings),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=["clip_sha256"], write_page_checksum=True)
    path = store.folder / f"{uuid.uuid4().hex}.parquet"
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sink.getvalue().to_pybytes())
    return path


@contextmanager
def damaged(path: StoragePath, content: bytes) -> Iterator[None]:
    """The shard with other content, and then as it was, whether or not it was set aside meanwhile."""
    sound = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.with_suffix(".damaged").unlink(missing_ok=True)
        path.write_bytes(sound)


def test_rows_come_back_bit_for_bit_from_any_number_of_shards(root: StoragePath) -> None:
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(7)
    store.append(keys[:3], embeddings[:3])
    store.append(keys[3:], embeddings[3:])
    absent = CropKey("0" * 64, 32_000, 1, 320_000)
    again = EmbeddingStore(root, "f1")
    found = again.load([keys[5], keys[0], absent, keys[5]])
    assert found.keys() == {keys[5], keys[0]}
    np.testing.assert_array_equal(found[keys[5]], embeddings[5])
    np.testing.assert_array_equal(found[keys[0]], embeddings[0])
    assert again.missing([absent, *keys, absent]) == [absent]


def test_what_others_append_is_seen_by_an_object_that_looked_before(root: StoragePath) -> None:
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(4)
    assert store.missing(keys) == keys
    for key, embedding in zip(keys, embeddings, strict=True):
        EmbeddingStore(root, "f1").append([key], embedding[None])
        np.testing.assert_array_equal(store.load(keys)[key], embedding)
    assert store.missing(keys) == []


def test_another_encoder_rate_start_or_length_is_another_row(root: StoragePath) -> None:
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(1)
    store.append(keys, embeddings)
    near = [replace(keys[0], **other) for other in ({"rate": 16_000}, {"start": 1}, {"length": 160_000})]
    assert store.load(near) == {}
    assert store.missing(near) == near
    assert EmbeddingStore(root, "f2").load(keys) == {}
    assert [one.fingerprint for one in embedding_stores(root)] == ["f1"]


def test_the_same_batch_twice_is_one_shard_and_other_numbers_for_a_key_are_given_consistently(
    root: StoragePath,
) -> None:
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(3)
    assert store.append(keys, embeddings) == store.append(keys, embeddings)
    given = []
    for order in ([0, 1], [1, 0]):
        store = EmbeddingStore(root, f"f{order}")
        store = EmbeddingStore(root / str(order[0]), "f1")
        for which in order:
            store.append(keys, embeddings + which)
        given.append(store.load(keys))
    for key in keys:
        np.testing.assert_array_equal(given[0][key], given[1][key])


@pytest.mark.promise("A damaged shard is set aside by name and computed again; the others serve.", "kept")
@pytest.mark.parametrize("layout", ["new", "old"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_shard_is_set_aside_by_name_and_the_others_serve(
    root: StoragePath, damage: str, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(6)
    bad = (append_in_old_layout if layout == "old" else EmbeddingStore.append)(store, keys[:3], embeddings[:3])
    store.append(keys[3:], embeddings[3:])
    content = bad.read_bytes()
    half = len(content) // 2
    bad.write_bytes({"truncated": content[:half], "flipped": flipped(content, 8 * half + 6), "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        found = store.load(keys)
    assert found.keys() == set(keys[3:])
    assert bad.stem in caplog.text
    assert not bad.exists()
    assert bad.with_suffix(".damaged").exists()
    assert store.missing(keys) == keys[:3]
    store.append(keys[:3], embeddings[:3])
    assert store.missing(keys) == []


@pytest.mark.promise(
    "No flipped bit in a shard gives a number.", "kept", "a bit of every third byte, 2 layouts: 0 wrong"
)
@pytest.mark.parametrize("layout", ["new", "old"])
def test_no_flipped_bit_ever_gives_a_wrong_number(tmp_path: Path, layout: str) -> None:
    keys, embeddings = rows(3, width=8)
    store = EmbeddingStore(tmp_path, "f1")
    path = (append_in_old_layout if layout == "old" else EmbeddingStore.append)(store, keys, embeddings)
    content = path.read_bytes()
    rng = np.random.default_rng(7)
    for at in range(0, len(content), 3):
        with damaged(path, flipped(content, 8 * at + int(rng.integers(8)))):
            for key, embedding in EmbeddingStore(tmp_path, "f1").load(keys).items():
                np.testing.assert_array_equal(embedding, embeddings[keys.index(key)], err_msg=f"byte {at}")
    assert EmbeddingStore(tmp_path, "f1").load(keys).keys() == set(keys)


def test_verify_finds_every_flipped_bit_and_every_truncation(tmp_path: Path) -> None:
    keys, embeddings = rows(3, width=8)
    store = EmbeddingStore(tmp_path, "f1")
    path = store.append(keys, embeddings)
    assert verify(store).damaged == ()
    content = path.read_bytes()
    rng = np.random.default_rng(7)
    versions = [flipped(content, 8 * at + int(rng.integers(8))) for at in range(0, len(content), 3)]
    versions += [content[:length] for length in (0, 4, 11, len(content) - 1)] + [content + b"\0"]
    for version in versions:
        with damaged(path, version):
            found = verify(EmbeddingStore(tmp_path, "f1"))
            assert [name for name, _ in found.damaged] == [path.name]
            assert path.with_suffix(".damaged").exists()


def test_a_shard_of_another_encoder_is_not_believed(tmp_path: Path) -> None:
    keys, embeddings = rows(2)
    path = EmbeddingStore(tmp_path, "f1").append(keys, embeddings)
    other = EmbeddingStore(tmp_path, "f2")
    other.folder.mkdir(parents=True)
    (other.folder / path.name).write_bytes(path.read_bytes())
    assert other.load(keys) == {}


def test_looking_up_keys_reads_no_embeddings(root: StoragePath) -> None:
    store = EmbeddingStore(root, "f1")
    keys, embeddings = rows(300)
    path = store.append(keys, embeddings)
    content = path.read_bytes()
    start = content.find(embeddings[0].tobytes())
    assert start > 0
    zeros = bytes(embeddings[:256].nbytes)
    with damaged(path, content[:start] + zeros + content[start + len(zeros) :]):
        damaged_store = EmbeddingStore(root, "f1")
        assert damaged_store.missing(keys) == []
        # The row groups that are not asked for are not read either.
        np.testing.assert_array_equal(damaged_store.load(keys[-1:])[keys[-1]], embeddings[-1])
        assert damaged_store.load(keys) == {}


@pytest.mark.promise(
    "What an older version stored, embeddings and ledger, is read and used, and stays as it is.",
    "kept",
    "2 layouts of embeddings",
)
def test_rows_of_the_older_layout_are_used_again(root: StoragePath) -> None:
    keys, embeddings = rows(5)
    store = EmbeddingStore(root, "f1")
    append_in_old_layout(store, keys[:3], embeddings[:3])
    store.append(keys[3:], embeddings[3:])
    assert store.missing(keys) == []
    found = store.load(keys)
    np.testing.assert_array_equal([found[key] for key in keys], embeddings)


@pytest.mark.promise(
    "What an older version stored, embeddings and ledger, is read and used, and stays as it is.", "kept"
)
def test_rows_without_a_rate_are_those_of_32_khz(tmp_path: Path) -> None:
    """By a shard that the version before wrote; merged, its rows say their rate."""
    store = EmbeddingStore(tmp_path, "0123456789abcdef")
    shutil.copytree(Path(__file__).with_name("shards_without_rate"), store.folder)
    keys = [CropKey(f"{i:064x}", 32_000, 16_000 * i, 320_000) for i in range(3)]
    embeddings = np.arange(24, dtype=np.float32).reshape(3, 8) / 7
    elsewhere = [replace(key, rate=16_000) for key in keys]
    assert verify(store).damaged == ()
    assert store.missing([*keys, *elsewhere]) == elsewhere
    np.testing.assert_array_equal([store.load(keys)[key] for key in keys], embeddings)
    store.append(elsewhere, -embeddings)
    assert compact(store, grace_s=0).into == 1
    assert (compact(store, grace_s=0).merged, len(store.shards())) == (0, 1)
    found = EmbeddingStore(tmp_path, store.fingerprint).load([*keys, *elsewhere])
    np.testing.assert_array_equal([found[key] for key in [*keys, *elsewhere]], [*embeddings, *-embeddings])


def test_half_written_and_foreign_files_are_not_read(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(1)
    store.append(keys, embeddings)
    for name in (".half.parquet.123.tmp", "notes.txt", "other.parquet"):
        (store.folder / name).write_bytes(b"PAR1")
    assert store.load(keys).keys() == set(keys)
    assert (store.folder / "other.parquet").exists()


def test_a_damaged_shard_that_cannot_be_renamed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(4)
    bad = store.append(keys[:2], embeddings[:2])
    store.append(keys[2:], embeddings[2:])
    bad.write_bytes(bad.read_bytes()[:-1])

    def read_only(self: Path, target: Path) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", read_only)
    assert store.load(keys).keys() == set(keys[2:])
    assert caplog.text.count("cannot be renamed") == 1
    assert store.append(keys[:2], embeddings[:2]) == bad
    assert store.missing(keys) == []


def test_an_embedding_without_a_key_is_refused(tmp_path: Path) -> None:
    keys, embeddings = rows(2)
    with pytest.raises(ValueError):
        EmbeddingStore(tmp_path, "f1").append(keys[:1], embeddings)
    assert EmbeddingStore(tmp_path, "f1").shards() == []


def test_keys_are_sha256_in_hex(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hex"):
        EmbeddingStore(tmp_path, "f1").append([CropKey("abc", 32_000, 0, 1)], np.zeros((1, 3), np.float32))


def test_columns_of_lists_and_matrices_are_the_same_numbers() -> None:
    embeddings = rows(4)[1]
    np.testing.assert_array_equal(embedding_matrix(pa.chunked_array([list_column(embeddings)])), embeddings)
    assert embedding_matrix(pa.chunked_array([list_column(embeddings[:0])])).shape == (0, 0)
