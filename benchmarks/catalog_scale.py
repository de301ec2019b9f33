"""What the catalog costs when the ledger is long: `python benchmarks/catalog_scale.py [ENTRIES]`.

Writes a ledger of that many entries (default 10,000), shaped as runs of the whole graph with 80 classes make them, into a
temporary folder, and prints how long the first sync, a sync of one new entry, the answers of `fa-assets lineage` and
`fa-assets diff`, and a snapshot take.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from fa_assets.catalog import tracing
from fa_assets.catalog.database import Catalog
from fa_assets.catalog.environment import collect_environment
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry, MetricRow, StoredFile, new_entry_id

FOLDS = tuple("01234")
GRAPH: dict[str, tuple[str, ...]] = {
    "curated_clips": (),
    "folds": ("curated_clips",),
    "cnn14_checkpoint": (),
    "mc5_embeddings": ("folds", "cnn14_checkpoint"),
    "mc5_oof_predictions": ("folds", "mc5_embeddings"),
    "mc5_metrics": ("mc5_oof_predictions",),
}
"""Each asset and what it reads, upstream first."""
METRICS = tuple(MetricRow("mc5", int(fold), f"class_{k:02}", 0.5 * k, k) for fold in FOLDS for k in range(80))


def entries_of_a_run(run_id: str) -> Iterator[LedgerEntry]:
    """One run of the whole graph."""
    made: dict[str, list[InputVersion]] = {}
    environment = {**collect_environment(), "device": "cpu"}
    for asset, sources in GRAPH.items():
        read = tuple(one for source in sources for one in made[source])
        for fold in FOLDS if asset == "mc5_embeddings" else (None,):
            id, now = new_entry_id(), datetime.now(UTC)
            made.setdefault(asset, []).append(InputVersion(asset, fold, run_id, id))
            yield LedgerEntry(
                id=id, asset=asset, partition=fold, run_id=run_id, started_at=now, finished_at=now, code_version="1",
                data_version=run_id, inputs=read, settings={"seed": 42, "C": 2.0}, environment=environment,
                timings={"read": 0.1, "work": 1.0, "write": 0.1}, metadata={"rows": 1},
                files=(StoredFile(f"values/{asset}/{asset}.parquet", 1, "ab" * 32),),
                metrics=METRICS if asset == "mc5_metrics" else (),
            )  # fmt: skip


@contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{what:<40} {time.perf_counter() - started:8.2f} s", flush=True)


def main(count: int) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        ledger = Ledger(root / "ledger")
        catalog = Catalog.of(root, root)
        written = 0
        with timed(f"write {count:,} ledger entries"):
            while written < count:
                for entry in entries_of_a_run(f"run-{written:07}"):
                    ledger.append(entry)
                    written += 1
        with timed("sync of all of them (or rebuild)"):
            catalog.sync()
        for _ in range(3):
            ledger.append(next(entries_of_a_run("one-more")))
            with timed("sync of one new entry"):
                catalog.sync()
        with timed("snapshot"):
            catalog.snapshot(root / "copy.duckdb")
        with catalog.connect() as connection:
            with timed("lineage of mc5_metrics"):
                tracing.lineage(connection, "mc5_metrics")
            with timed("downstream of cnn14_checkpoint"):
                tracing.lineage(connection, "cnn14_checkpoint", downstream=True)
            with timed("diff of two runs"):
                tracing.differences(connection, "run-0000000", "previous")
        print(f"catalog {catalog.path.stat().st_size / 2**20:.0f} MiB, {written:,} entries")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
