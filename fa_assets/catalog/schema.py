"""What is in the catalog: every table, view and macro, with the comments that explain them inside the database too.

The history tables (`materializations` and the tables keyed by materialization_id) have what the ledger has. The tables of
the schema `assets` hold the values that are on disk (`current`). Views and macros are computed when asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from fa_assets.catalog import current
from fa_assets.catalog.views import VIEWS, comment_on, create_view
from fa_assets.store.check_records import CheckRecord
from fa_assets.store.ledger import LedgerEntry
from fa_assets.store.recipe import Scalar

SCHEMA_VERSION = 8
"""Raised whenever anything in the catalog changes; an older one is then rebuilt from the ledger."""


@dataclass(frozen=True)
class Table:
    """A table, what a row of it is, and its columns (name, DuckDB type, meaning)."""

    name: str
    comment: str
    columns: tuple[tuple[str, str, str], ...]


_OWNER = ("materialization_id", "VARCHAR NOT NULL", "the materialization it belongs to")
_LWLRAP = "label-weighted label-ranking average precision"

TABLES = (
    Table(
        "materializations",
        "One row per materialization: one asset, or one fold of it, made once.",
        (
            ("id", "VARCHAR PRIMARY KEY", "sorts by time; the name of the ledger file begins with it"),
            ("asset", "VARCHAR NOT NULL", "asset name"),
            ("partition", "VARCHAR", "fold number as text, null for an asset without folds"),
            ("run_id", "VARCHAR NOT NULL", "Dagster run that made it"),
            ("started_at", "TIMESTAMPTZ NOT NULL", "start of its computation"),
            ("finished_at", "TIMESTAMPTZ NOT NULL", "when its files were on disk"),
            ("seconds", "DOUBLE NOT NULL", "finished_at - started_at"),
            ("code_version", "VARCHAR NOT NULL", "version of the asset's code, and the settings it uses"),
            ("data_version", "VARCHAR NOT NULL", "equal where inputs, settings and code version are equal"),
            ("metadata", "JSON NOT NULL", "figures of the result (rows, lwlrap), as a JSON object"),
        ),
    ),
    Table(
        "inputs",
        "One row per value that a materialization read.",
        (
            _OWNER,
            ("asset", "VARCHAR NOT NULL", "asset that was read"),
            ("partition", "VARCHAR", "fold that was read, null for an asset without folds"),
            ("data_version", "VARCHAR NOT NULL", "the data version that was read"),
            ("source_id", "VARCHAR", "the materialization whose value was read; null where none is recorded"),
        ),
    ),
    Table(
        "settings",
        "One row per setting of a materialization.",
        (_OWNER, ("name", "VARCHAR NOT NULL", "setting"), ("value", "VARCHAR", "its value as text")),
    ),
    Table(
        "environment",
        "One row per fact about what a materialization ran on: library versions, device, git commit.",
        (
            _OWNER,
            ("name", "VARCHAR NOT NULL", "library or fact"),
            ("value", "VARCHAR", "its value as text"),
        ),
    ),
    Table(
        "timings",
        "One row per phase of a materialization.",
        (_OWNER, ("phase", "VARCHAR NOT NULL", "read, embed, fit, ..."), ("seconds", "DOUBLE", "its time")),
    ),
    Table(
        "files",
        "One row per file that a materialization wrote; later ones may have replaced it.",
        (
            _OWNER,
            ("position", "INTEGER NOT NULL", "0 is the value itself, the others lie beside it"),
            ("path", "VARCHAR NOT NULL", "relative to the storage folder if it lies there, as weights need not"),
            ("size_bytes", "BIGINT NOT NULL", "size in bytes"),
            ("sha256", "VARCHAR NOT NULL", "of its bytes, hex"),
        ),
    ),
    Table(
        "metrics",
        f"One row per class and fold of a metrics materialization; LWLRAP is {_LWLRAP}.",
        (
            _OWNER,
            (
                "scheme",
                "VARCHAR NOT NULL",
                "crop scheme: mc5, center; birdnet/mc5 of another encoder than the main one",
            ),
            ("fold", "INTEGER NOT NULL", "held-out fold"),
            ("class_name", "VARCHAR NOT NULL", "class"),
            ("precision_sum", "DOUBLE NOT NULL", "sum of label-ranking precisions over the positives"),
            ("count", "BIGINT NOT NULL", "positives; any LWLRAP is sum(precision_sum) / sum(count)"),
            ("lwlrap", "DOUBLE", "precision_sum / count, null without positives"),
        ),
    ),
    Table(
        "checks",
        "One row per evaluation of an asset check.",
        (
            ("id", "VARCHAR PRIMARY KEY", "sorts by time"),
            ("asset", "VARCHAR NOT NULL", "the asset that was judged"),
            ("name", "VARCHAR NOT NULL", "the check"),
            ("run_id", "VARCHAR NOT NULL", "Dagster run that evaluated it"),
            ("evaluated_at", "TIMESTAMPTZ NOT NULL", "when"),
            ("materialization_ids", "VARCHAR[] NOT NULL", "what was judged: one, or one for each fold"),
            ("passed", "BOOLEAN NOT NULL", "whether it passed"),
            ("severity", "VARCHAR NOT NULL", "WARN or ERROR, where it did not pass"),
            ("description", "VARCHAR NOT NULL", "what it said"),
            ("offenders", "JSON NOT NULL", "what does not pass, as a JSON list; at most 1,000 of a check"),
        ),
    ),
)


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the history tables and what is computed from them in an empty database."""
    connection.execute("create table schema_version (version INTEGER NOT NULL)")
    connection.execute("insert into schema_version values (?)", [SCHEMA_VERSION])
    comment_on(connection, "table schema_version", "The version of the layout of this catalog, in one row.")
    for table in TABLES:
        columns = ", ".join(f'"{name}" {type}' for name, type, _ in table.columns)
        connection.execute(f"create table {table.name} ({columns})")
        comment_on(connection, f"table {table.name}", table.comment)
        for name, _, meaning in table.columns:
            comment_on(connection, f'column {table.name}."{name}"', meaning)
    for view in VIEWS:
        create_view(connection, view)
    connection.execute(f"create schema {current.SCHEMA}")


def check_rows(records: Iterable[CheckRecord]) -> list[dict[str, Any]]:
    """The rows of `checks` that records add."""
    return [
        {**vars(one), "materialization_ids": list(one.materialization_ids), "offenders": json.dumps(one.offenders)}
        for one in records
    ]


def history_rows(entries: Sequence[LedgerEntry]) -> dict[str, list[dict[str, Any]]]:
    """The rows that entries add, by table; tables without rows are left out."""
    rows: dict[str, list[dict[str, Any]]] = {}

    def add(table: str, **row: Any) -> None:
        rows.setdefault(table, []).append(row)

    for entry in entries:
        columns = {name for name, _, _ in TABLES[0].columns} - {"seconds", "metadata"}
        add(
            "materializations",
            **{name: getattr(entry, name) for name in columns},
            seconds=(entry.finished_at - entry.started_at).total_seconds(),
            metadata=json.dumps(entry.metadata),
        )
        for one in entry.inputs:
            add("inputs", materialization_id=entry.id, **vars(one))
        for table, facts in (("settings", entry.settings), ("environment", entry.environment)):
            for name, value in facts.items():
                add(table, materialization_id=entry.id, name=name, value=_text(value))
        for phase, seconds in entry.timings.items():
            add("timings", materialization_id=entry.id, phase=phase, seconds=seconds)
        for position, file in enumerate(entry.files):
            add("files", materialization_id=entry.id, position=position, **vars(file))
        for metric in entry.metrics:
            lwlrap = metric.precision_sum / metric.count if metric.count else None
            add("metrics", materialization_id=entry.id, **vars(metric), lwlrap=lwlrap)
    return rows


def _text(value: Scalar) -> str | None:
    """A setting as text: a string as it is, anything else as in JSON, None as null."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def as_markdown() -> str:
    """Every table, view and macro with its columns, for people."""
    parts = []
    for table in TABLES:
        columns = tuple((name, f"{type.partition(' ')[0]}: {meaning}") for name, type, meaning in table.columns)
        parts += [f"### Table `{table.name}`", table.comment, _markdown(columns)]
    parts += [f"### Tables of the schema `{current.SCHEMA}`", current.ABOUT]
    parts.append(_markdown(tuple((shown.name, shown.about) for shown in current.SHOWN), "view"))
    for view in (current.embeddings_view(None), *VIEWS):
        parts += [f"### {view.title}", view.comment, _markdown(view.columns)]
    return "\n\n".join(parts) + "\n"


def _markdown(rows: tuple[tuple[str, str], ...], header: str = "column") -> str:
    return "\n".join([f"| {header} | what |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in rows)])


def read_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the layout of a database, None when it is empty."""
    known = connection.execute("select 1 from duckdb_tables() where table_name = 'schema_version'").fetchone()
    row = connection.execute("select version from schema_version").fetchone() if known else None
    return None if row is None else int(row[0])
