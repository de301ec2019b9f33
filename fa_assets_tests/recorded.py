"""Values as runs leave them, with their ledger entries; and as a disk may give them back."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from fa_assets.report.ranks import beside_metrics, read_ranks, write_ranks
from fa_assets.store.ledger import Ledger, new_entry_id
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import TableStream, ValueHeader, ValueStore
from fa_assets_tests.catalog.made_up import an_entry


def put(root: StoragePath, table: pa.Table | TableStream, header: ValueHeader) -> StoragePath:
    """Store a value and its ledger entry, under an id of its own where the header has none or one that is taken; the value's
    path."""
    ledger = Ledger(root / "ledger")
    id = header.materialization_id
    if id is None or ledger.path(id, header.asset, header.partition).exists():
        header = replace(header, materialization_id=new_entry_id())
    with ValueStore(root).writing(table, header) as file:
        ledger.append(an_entry(**header.in_the_ledger, files=(file,)))
    return ValueStore(root).path(header.asset, header.partition)


def flipped(content: bytes, bit: int) -> bytes:
    """The same bytes but for one bit."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def ranks_of(root: StoragePath, metrics: str = "mc5_metrics") -> pa.Table:
    """How the newest metrics' labels were ranked."""
    found = read_ranks(beside_metrics(root, metrics, next(Ledger(root / "ledger").newest_of(metrics)).run_id))
    assert found is not None
    return found


def with_precision(ranks: pa.Table, change: float) -> pa.Table:
    """The same, but that all labels were ranked better, or worse, by so much."""
    moved = np.clip(ranks["precision"].to_numpy() + change, 0, 1)
    return ranks.set_column(ranks.schema.get_field_index("precision"), "precision", pa.array(moved))


def put_before(root: StoragePath, run_id: str, lwlrap: float, ranks: pa.Table, metrics: str = "mc5_metrics") -> None:
    """An earlier run that made metrics: their ledger entry and their table of ranks."""
    ledger = Ledger(root / "ledger")
    now = next(ledger.newest_of(metrics))
    id = f"20200101T00000000000{run_id[-1]}Z-0"
    ledger.append(replace(now, id=id, run_id=run_id, data_version=run_id, metadata={**now.metadata, "lwlrap": lwlrap}))
    write_ranks(beside_metrics(root, metrics, run_id), ranks)
