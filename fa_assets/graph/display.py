"""Metadata that is only shown: tables and pictures for the UI."""

import hashlib
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from fa_assets.printable import printable, printable_inside
from fa_assets.store.atomic import replacing
from fa_assets.store.roots import StoragePath
from fa_assets.web.addresses import PICTURES, picture_address

if TYPE_CHECKING:
    from fa_assets.report.picture import Picture

_TYPES = {bool: "bool", int: "int", float: "float"}


def shown(metadata: Mapping[str, object]) -> dict[str, Any]:
    """Metadata as the UI gets it, for people: without what is None, printable where it is text of others, numbers to four
    significant digits, shares in percent and sizes in megabytes, which their names say, minutes beside long `seconds`."""
    found = dict(_shown(name, value) for name, value in metadata.items() if value is not None)
    seconds = metadata.get("seconds")
    return found | ({"minutes": _short(seconds / 60)} if isinstance(seconds, float) and seconds >= 100 else {})


def _shown(name: str, value: object) -> tuple[str, object]:
    if isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue):  # as the result of a check has its numbers
        value = value.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if re.search(r"(^|_)share(_|$)", name):
            name, value = name.replace("share", "percent"), 100 * value
        elif re.search(r"(^|_)bytes$", name):
            name, value = name.removeprefix("size_").replace("bytes", "size_mb"), value / 1e6
        return name, _short(value)
    return name, _text(value)


def _text(value: object) -> object:
    if isinstance(value, dg.TableMetadataValue):
        rows = [dg.TableRecord(printable_inside(dict(one.data))) for one in value.records]
        return dg.MetadataValue.table(records=rows, schema=value.schema)
    if isinstance(value, dg.PathMetadataValue):
        return dg.MetadataValue.path(printable(value.path or ""))
    if isinstance(value, dg.TextMetadataValue):
        return dg.MetadataValue.text(printable(value.text or "", keep="\n"))
    return printable_inside(value)


def failure(error: Exception) -> dg.Failure:
    """What Dagster shows of an error that a user can fix, in its words alone."""
    return dg.Failure(description=printable(str(error), keep="\n"), allow_retries=False)


class EscapingFilter(logging.Filter):
    """Makes what is logged printable."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(record.getMessage(), keep="\n\t"), ()
        return True


def records(
    columns: Sequence[str], rows: Iterable[Sequence[object] | Mapping[str, object]]
) -> dg.TableMetadataValue | None:
    """A table, its numbers to four decimals; None without rows. In it, None is shown as null, and NaN is not allowed.

    Args:
        rows: the values of the columns, or more by their names.
    """
    cells = ([row[name] for name in columns] if isinstance(row, Mapping) else row for row in rows)
    listed = [dict(zip(columns, map(_in_a_table, row), strict=True)) for row in cells]
    if not listed:
        return None
    return dg.MetadataValue.table(
        records=[dg.TableRecord(record) for record in listed],  # type: ignore[arg-type]
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn(name=name, type=next((_TYPES[type(v)] for v in values if type(v) in _TYPES), "string"))
                for name, values in ((name, [record[name] for record in listed]) for name in columns)
            ]
        ),
    )


def _in_a_table(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def _short(value: object) -> object:
    """A number to four significant digits; whole from a thousand on."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))


def pictures(
    log: logging.Logger, painters: "Mapping[str, Callable[[], Picture | None]]", root: StoragePath | None
) -> dict[str, dg.MarkdownMetadataValue]:
    """Pictures as the UI shows them, with a description for those who cannot see them, by the names of their metadata.

    A painter that has nothing to draw gives None. One that fails costs its picture and a warning, never the run: what was
    computed is worth more than its picture.

    Args:
        root: the storage folder that keeps the files, which Dagster shows at once. None: pictures are in the metadata
            themselves, since another project's webserver shows them, which has no such pages.
    """
    drawn = {}
    for name, paint in painters.items():
        try:
            picture = paint()
            source = picture and (_kept(picture, root) if root is not None else picture.data_uri)
        except Exception as error:
            log.warning(f"The picture {name} could not be drawn: {type(error).__name__}: {error}")
            continue
        if picture is not None:
            alt = picture.alt.replace("[", "(").replace("]", ")")
            shown = f"[![{alt}]({source})]({source})" if str(source).startswith("/") else f"![{alt}]({source})"
            drawn[name] = dg.MetadataValue.md(shown)
    return drawn


def _kept(picture: "Picture", root: StoragePath) -> str:
    """The address of a picture, now a file of the storage."""
    name = f"{hashlib.sha256(picture.svg.encode()).hexdigest()}.svg"
    with replacing(root / PICTURES / name) as temporary:
        temporary.write_text(picture.svg, encoding="utf-8")
    return picture_address(name)


def or_none(value: float) -> float | None:
    """None for nan, which neither JSON nor the UI has."""
    return None if math.isnan(value) else float(value)
