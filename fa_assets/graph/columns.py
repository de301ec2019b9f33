"""The columns of a stored table as Dagster shows them: what each means, and what it is made of."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa


def column_schema(schema: pa.Schema) -> dg.TableSchema:
    """An Arrow schema as Dagster shows it."""
    return dg.TableSchema([dg.TableColumn(one.name, str(one.type), _said(one, b"doc") or None) for one in schema])


def column_lineage(schema: pa.Schema, reads: Mapping[str, dg.AssetKey]) -> dg.TableColumnLineage:
    """Which columns of other assets each column is made of; `reads` gives the assets by parameter."""
    return dg.TableColumnLineage(
        {
            one.name: [
                dg.TableColumnDep(asset_key=reads[parameter], column_name=column)
                for parameter, _, column in (made_of.partition(".") for made_of in _said(one, b"from").split())
            ]
            for one in schema
            if _said(one, b"from")
        }
    )


def _said(field: pa.Field, what: bytes) -> str:
    return (field.metadata or {}).get(what, b"").decode()
