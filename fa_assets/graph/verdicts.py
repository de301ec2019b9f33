"""What a check said: its offenders named in its description, so that a terminal shows them, and the whole kept in storage."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from fa_assets.graph.display import records
from fa_assets.store.check_records import CheckRecord, CheckRecords
from fa_assets.store.ledger import new_entry_id
from fa_assets.store.roots import StoragePath
from fa_assets.store.values import Value

_LISTED = 1_000
_NAMED = 10
_RELATIONS = {"same_as": "same as ", "like": "like "}
"""Columns of offenders whose name says how the second of two clips belongs to the first."""


def offenders(
    name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, bad: str, good: str, fails: bool = False
) -> dg.AssetCheckResult:
    """A verdict that passes without rows, and else warns, or fails; it has the first `_LISTED` of them as the table `name`."""
    listed = {name: records(columns, rows[:_LISTED]), "found": dg.MetadataValue.int(len(rows))} if rows else {}
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR if fails else dg.AssetCheckSeverity.WARN,
        description=bad if rows else good,
        metadata=listed,
    )


def with_offenders(result: dg.AssetCheckResult, check: str) -> dg.AssetCheckResult:
    """The result with its first offenders named in the description, and where the others are."""
    found = _offenders(result)
    names = [_name(one) for one in found[:_NAMED] if not _is_said(one, str(result.description))]
    if result.passed or not names:
        return result
    more = f" and {len(found) - _NAMED} more: fa-assets sql \"from check_offenders where name = '{check}'\""
    return dg.AssetCheckResult(
        passed=result.passed,
        severity=result.severity,
        description=f"{result.description} These are: {', '.join(names)}{more if len(found) > _NAMED else '.'}",
        metadata=result.metadata,
    )


def keep(
    result: dg.AssetCheckResult, check: dg.AssetCheckKey, run_id: str, judged: Sequence[Value], root: StoragePath
) -> None:
    """Append the result to the records below the storage root.

    Raises:
        OSError: it cannot be written.
    """
    CheckRecords(root / "checks").append(
        CheckRecord(
            id=new_entry_id(),
            asset=check.asset_key.path[-1],
            name=check.name,
            run_id=run_id,
            evaluated_at=datetime.now(UTC),
            materialization_ids=tuple(str(one.header.materialization_id) for one in judged),
            passed=bool(result.passed),
            severity=result.severity.value,
            description=result.description or "",
            offenders=_offenders(result),
        )
    )


def _offenders(result: dg.AssetCheckResult) -> list[dict[str, str | int | float | bool | None]]:
    tables = [one for one in result.metadata.values() if isinstance(one, dg.TableMetadataValue)]
    return [dict(record.data) for table in tables for record in table.records]


def _texts(offender: dict[str, str | int | float | bool | None]) -> dict[str, str]:
    return {column: value for column, value in offender.items() if isinstance(value, str)}


def _is_said(offender: dict[str, str | int | float | bool | None], description: str) -> bool:
    text = next(iter(_texts(offender).values()), None)
    return text is not None and any(one in description for one in (_quoted(text), f'"{text}"', f"“{text}”"))


def _quoted(text: str) -> str:
    return text if text[:1] in "'\"" else repr(text)


def _name(offender: dict[str, str | int | float | bool | None]) -> str:
    first, *others = _texts(offender).items()
    said = ", ".join(f"{_RELATIONS.get(column, '')}{text}" for column, text in others)
    name = _quoted(first[1])
    return f"{name} ({said})" if said else name
