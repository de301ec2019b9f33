"""Metadata that is only shown: tables and pictures for the UI."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from fa_assets.report.picture import Picture

_TYPES = {bool: "bool", int: "int", float: "float"}


def records(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.TableMetadataValue:
    """A table of at least one row, its numbers to four decimals; None is shown as null and NaN is not allowed."""
    listed = [dict(zip(columns, map(_short, row), strict=True)) for row in rows]
    return dg.MetadataValue.table(
        records=[dg.TableRecord(record) for record in listed],  # type: ignore[arg-type]
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn(name=name, type=next((_TYPES[type(v)] for v in values if type(v) in _TYPES), "string"))
                for name, values in ((name, [record[name] for record in listed]) for name in columns)
            ]
        ),
    )


def _short(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def pictures(
    wanted: bool, log: logging.Logger, painters: "Mapping[str, Callable[[], Picture | None]]"
) -> dict[str, dg.MarkdownMetadataValue]:
    """Pictures as the UI shows them, with a description for those who cannot see them, by the names of their metadata.

    None are drawn where none are `wanted`. A painter that has nothing to draw gives None. One that fails costs its picture
    and a warning, never the run: what was computed is worth more than its picture.
    """
    drawn = {}
    for name, paint in painters.items() if wanted else ():
        try:
            picture = paint()
        except Exception as error:
            log.warning(f"The picture {name} could not be drawn: {type(error).__name__}: {error}")
            continue
        if picture is not None:
            alt = picture.alt.replace("[", "(").replace("]", ")")
            drawn[name] = dg.MetadataValue.md(f"![{alt}]({picture.data_uri})")
    return drawn
