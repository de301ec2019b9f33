"""Where the table of `label_ranks` of a run lies: beside its report, `<storage>/reports/RUN.parquet`."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.store.roots import StoragePath


def ranks_file(root: StoragePath, run_id: str) -> StoragePath:
    """Of a run."""
    return root / "reports" / f"{run_id}.parquet"


def read_ranks(root: StoragePath, run_id: str) -> pa.Table | None:
    """The table of a run; None where its report had none, or is gone."""
    try:
        return pq.read_table(io.BytesIO(ranks_file(root, run_id).read_bytes()))
    except FileNotFoundError:
        return None
