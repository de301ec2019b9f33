"""The embedding store: one row per distinct crop, keyed by content, so that no crop is embedded twice.

    <root>/embedding_store/<encoder fingerprint>/<uuid>.parquet      clip_sha256, crop_start, crop_length, embedding

A row's key is what its values depend on: the bytes of the clip (sha256), the encoder (the folder's name: weights, front
end, precision) and the crop's start and length in samples at 32 kHz. Shards are written once, whole, under names that
cannot collide, and never changed: several processes may append at once without a lock, and a killed process loses at
most the batch it was computing. Pages carry checksums; a shard that does not read back is renamed to
``*.damaged``, reported, and its crops are computed again.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.storage.atomic import replacing

log = logging.getLogger(__name__)

_KEY_COLUMNS = ["clip_sha256", "crop_start", "crop_length"]


@dataclass(frozen=True)
class CropKey:
    """Which crop: sha256 of the clip's bytes, start and length in samples at 32 kHz."""

    clip_sha256: str
    start: int
    length: int


class EmbeddingStore:
    """The rows of one encoder."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        self.folder = root / "embedding_store" / fingerprint

    def append(self, keys: Sequence[CropKey], embeddings: np.ndarray) -> Path:
        """Store one shard: `embeddings` is (len(keys), d) float32. Returns the shard's path."""
        if len(keys) != len(embeddings):
            raise ValueError(f"{len(keys)} keys for {len(embeddings)} embeddings")
        table = pa.table(
            {
                "clip_sha256": [key.clip_sha256 for key in keys],
                "crop_start": pa.array([key.start for key in keys], pa.int64()),
                "crop_length": pa.array([key.length for key in keys], pa.int64()),
                "embedding": embedding_column(embeddings),
            }
        )
        path = self.folder / f"{uuid.uuid4().hex}.parquet"
        with replacing(path) as temporary:
            # Floats of a network do not compress; dictionary and compression would only cost time.
            pq.write_table(
                table, temporary, compression="none", use_dictionary=["clip_sha256"], write_page_checksum=True
            )
        return path

    def load(self, keys: Iterable[CropKey]) -> dict[CropKey, np.ndarray]:
        """The stored embeddings, (d,) float32 each, of those of the keys that are here."""
        wanted = set(keys)
        found: dict[CropKey, np.ndarray] = {}
        if not wanted:
            return found
        for shard in self._shards():
            try:
                found.update(self._load_shard(shard, wanted - found.keys()))
            except FileNotFoundError:
                continue
            except (pa.ArrowException, OSError) as error:
                aside = shard.with_suffix(".damaged")
                shard.rename(aside)
                log.warning("damaged shard set aside as %s (%s); its crops will be computed again", aside, error)
        return found

    def _shards(self) -> Iterator[Path]:
        yield from sorted(path for path in self.folder.glob("*.parquet") if not path.name.startswith("."))

    @staticmethod
    def _load_shard(shard: Path, wanted: set[CropKey]) -> dict[CropKey, np.ndarray]:
        with shard.open("rb") as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            columns = [parquet.read(columns=[name]).column(0).to_pylist() for name in _KEY_COLUMNS]
            rows = {row: key for row, key in enumerate(map(CropKey, *columns)) if key in wanted}
            if not rows:
                return {}
            embeddings = embedding_matrix(parquet.read(columns=["embedding"]).column(0))
        return {key: embeddings[row] for row, key in rows.items()}


def embedding_column(embeddings: np.ndarray) -> pa.Array:
    """An (n, d) float32 array as an Arrow list<float> column."""
    rows, width = embeddings.shape
    offsets = pa.array(np.arange(0, rows * width + 1, width, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(embeddings, np.float32).reshape(-1)))


def embedding_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """An Arrow list<float> column, all lists of one length, as an (n, d) float32 array."""
    values = column.combine_chunks()
    if len(values) == 0:
        return np.empty((0, 0), np.float32)
    return np.asarray(values.flatten()).reshape(len(values), -1)
