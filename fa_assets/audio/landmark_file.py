"""The landmarks of a set of clips as one Parquet file, by the sha256 of each clip's bytes: what they depend on."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.audio.landmarks import Landmarks
from fa_assets.store.atomic import FileDigest, write_file
from fa_assets.store.roots import StoragePath

_SCHEMA = pa.schema(
    [("sha256", pa.string()), ("hashes", pa.large_list(pa.uint32())), ("frames", pa.large_list(pa.uint16()))]
)


def save_landmarks(path: StoragePath, sha256: Sequence[str], clips: Sequence[Landmarks]) -> FileDigest:
    """Write the landmarks of clips."""
    table = pa.table([sha256, [one.hashes for one in clips], [one.frames for one in clips]], schema=_SCHEMA)
    return write_file(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def load_landmarks(path: StoragePath, sha256: Sequence[str]) -> list[Landmarks] | None:
    """The landmarks of clips, in their order; None where the file is missing (of older versions) or lacks one of them."""
    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except FileNotFoundError:
        return None
    rows = {one: row for row, one in enumerate(table["sha256"].to_pylist())}
    if not rows.keys() >= {*sha256}:
        return None
    hashes, frames = table["hashes"], table["frames"]
    return [Landmarks(*(of[rows[one]].values.to_numpy() for of in (hashes, frames))) for one in sha256]
