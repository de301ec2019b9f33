"""The embedding store: what went in comes out bit for bit, by content and encoder, also beside damaged shards."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fa_assets.storage.embedding_store import CropKey, EmbeddingStore, embedding_column, embedding_matrix


def rows(n: int, seed: int = 0) -> tuple[list[CropKey], np.ndarray]:
    keys = [CropKey(f"{seed:02}{i:062}", 320 * i, 320_000) for i in range(n)]
    return keys, np.random.default_rng(seed).standard_normal((n, 2048)).astype(np.float32)


def test_rows_come_back_bit_for_bit_from_any_number_of_shards(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(7)
    store.append(keys[:3], embeddings[:3])
    store.append(keys[3:], embeddings[3:])
    found = EmbeddingStore(tmp_path, "f1").load([keys[5], keys[0], CropKey("0" * 64, 1, 320_000)])
    assert found.keys() == {keys[5], keys[0]}
    np.testing.assert_array_equal(found[keys[5]], embeddings[5])
    np.testing.assert_array_equal(found[keys[0]], embeddings[0])


def test_another_encoder_start_or_length_is_another_row(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(1)
    store.append(keys, embeddings)
    near = [CropKey(keys[0].clip_sha256, 1, 320_000), CropKey(keys[0].clip_sha256, 0, 160_000)]
    assert store.load(near) == {}
    assert EmbeddingStore(tmp_path, "f2").load(keys) == {}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_shard_is_set_aside_by_name_and_the_others_serve(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(6)
    bad = store.append(keys[:3], embeddings[:3])
    store.append(keys[3:], embeddings[3:])
    content = bytearray(bad.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0x40
    bad.write_bytes(content if damage == "flipped" else content[: len(content) // 2] if damage == "truncated" else b"")
    with caplog.at_level(logging.WARNING):
        found = store.load(keys)
    assert found.keys() == set(keys[3:])
    assert bad.stem in caplog.text
    assert not bad.exists()
    assert bad.with_suffix(".damaged").exists()


def test_half_written_files_are_not_read(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path, "f1")
    keys, embeddings = rows(1)
    store.append(keys, embeddings)
    (store.folder / ".half.parquet.123.tmp").write_bytes(b"PAR1")
    assert store.load(keys).keys() == set(keys)


def test_columns_of_lists_and_matrices_are_the_same_numbers() -> None:
    embeddings = rows(4)[1]
    np.testing.assert_array_equal(embedding_matrix(pa.chunked_array([embedding_column(embeddings)])), embeddings)
