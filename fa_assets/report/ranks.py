"""Where the tables of `label_ranks` lie: beside the report of a run, `<storage>/reports/RUN.parquet`, and of every scheme in
`<storage>/label_ranks/SCHEME_metrics/RUN.parquet`."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.store.atomic import FileDigest, write_file
from fa_assets.store.roots import StoragePath


def beside_report(root: StoragePath, run_id: str) -> StoragePath:
    """Of the main scheme of a run that made a report."""
    return root / "reports" / f"{run_id}.parquet"


def beside_metrics(root: StoragePath, asset: str, run_id: str) -> StoragePath:
    """Of the scheme whose metrics a run made."""
    return root / "label_ranks" / asset / f"{run_id}.parquet"


def read_ranks(file: StoragePath) -> pa.Table | None:
    """The table; None where there is none, or it is gone."""
    try:
        return pq.read_table(io.BytesIO(file.read_bytes()))
    except FileNotFoundError:
        return None


def write_ranks(file: StoragePath, ranks: pa.Table) -> FileDigest:
    """Store it."""
    return write_file(file, lambda temporary: pq.write_table(ranks, temporary))
