"""Metadata that is only shown: tables for the UI."""

from collections.abc import Iterable, Sequence

import dagster as dg

_TYPES = {bool: "bool", int: "int", float: "float"}


def records(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.TableMetadataValue:
    """A table of at least one row; None is shown as null and NaN is not allowed."""
    listed = [dict(zip(columns, row, strict=True)) for row in rows]
    return dg.MetadataValue.table(
        records=[dg.TableRecord(record) for record in listed],  # type: ignore[arg-type]
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn(name=name, type=next((_TYPES[type(v)] for v in values if type(v) in _TYPES), "string"))
                for name, values in ((name, [record[name] for record in listed]) for name in columns)
            ]
        ),
    )
