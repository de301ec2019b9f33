"""Values as runs leave them, with their ledger entries; and as a disk may give them back."""

from dataclasses import replace

import pyarrow as pa

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
        ledger.append(
            an_entry(
                header.materialization_id,
                asset=header.asset,
                partition=header.partition,
                run_id=header.run_id,
                code_version=header.code_version,
                data_version=header.data_version,
                inputs=header.inputs,
                files=(file,),
                header_sha256=header.sha256,
            )
        )
    return ValueStore(root).path(header.asset, header.partition)


def flipped(content: bytes, bit: int) -> bytes:
    """The same bytes but for one bit."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
