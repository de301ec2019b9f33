"""What is in the catalog: every table, view and macro, with the comments that explain them inside the database too.

The history tables (`materializations` and the tables keyed by materialization_id) only grow. The current tables (`clips`,
`folds`, `predictions`) hold the content of value files that are on disk. Views and macros are computed when asked.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

SCHEMA_VERSION = 2
"""Raised whenever anything below changes; an older catalog is then made anew from the ledger."""

EMBEDDING_SIZE = 2048
"""Columns of CNN14's embedding."""


@dataclass(frozen=True)
class Column:
    """A column: name, DuckDB type (empty for a view's), and what it means."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A table, and what a row of it is."""

    name: str
    comment: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class View:
    """A view: its select statement, what a row of it is, and its columns (name, meaning)."""

    name: str
    comment: str
    columns: tuple[tuple[str, str], ...]
    select: str


@dataclass(frozen=True)
class Macro:
    """A table macro: its parameters, what it answers, and its select statement."""

    name: str
    parameters: tuple[str, ...]
    comment: str
    select: str


_OWNER = Column("materialization_id", "VARCHAR NOT NULL", "the materialization it belongs to")
_SOURCE = Column("materialization_id", "VARCHAR NOT NULL", "the materialization whose value file holds the row")
_LWLRAP = "label-weighted label-ranking average precision"

TABLES = (
    Table(
        "materializations",
        "One row per materialization: one asset, or one fold of it, made once.",
        (
            Column("id", "VARCHAR PRIMARY KEY", "sorts by time; the name of the ledger file begins with it"),
            Column("asset", "VARCHAR NOT NULL", "asset name"),
            Column("partition", "VARCHAR", "fold number as text, null for an asset without folds"),
            Column("run_id", "VARCHAR NOT NULL", "Dagster run that made it"),
            Column("started_at", "TIMESTAMPTZ NOT NULL", "start of its computation"),
            Column("finished_at", "TIMESTAMPTZ NOT NULL", "when its files were on disk"),
            Column("seconds", "DOUBLE NOT NULL", "finished_at - started_at"),
            Column("code_version", "VARCHAR NOT NULL", "version of the asset's code, and the settings it uses"),
            Column("data_version", "VARCHAR NOT NULL", "equal where inputs, settings and code version are equal"),
            Column("metadata", "JSON NOT NULL", "figures of the result (rows, lwlrap), as a JSON object"),
        ),
    ),
    Table(
        "inputs",
        "One row per value that a materialization read.",
        (
            _OWNER,
            Column("asset", "VARCHAR NOT NULL", "asset that was read"),
            Column("partition", "VARCHAR", "fold that was read, null for an asset without folds"),
            Column("data_version", "VARCHAR NOT NULL", "the data version that was read"),
            Column("source_id", "VARCHAR", "the materialization whose value was read; null where none is recorded"),
        ),
    ),
    Table(
        "settings",
        "One row per setting of a materialization.",
        (_OWNER, Column("name", "VARCHAR NOT NULL", "setting"), Column("value", "VARCHAR", "its value as text")),
    ),
    Table(
        "environment",
        "One row per fact about what a materialization ran on: library versions, device, git commit.",
        (
            _OWNER,
            Column("name", "VARCHAR NOT NULL", "library or fact"),
            Column("value", "VARCHAR", "its value as text"),
        ),
    ),
    Table(
        "timings",
        "One row per phase of a materialization.",
        (_OWNER, Column("phase", "VARCHAR NOT NULL", "read, embed, fit, ..."), Column("seconds", "DOUBLE", "its time")),
    ),
    Table(
        "files",
        "One row per file that a materialization wrote; later ones may have replaced it.",
        (
            _OWNER,
            Column("position", "INTEGER NOT NULL", "0 is the value itself, the others lie beside it"),
            Column("path", "VARCHAR NOT NULL", "relative to the storage folder"),
            Column("size_bytes", "BIGINT NOT NULL", "size in bytes"),
            Column("sha256", "VARCHAR NOT NULL", "of its bytes, hex"),
        ),
    ),
    Table(
        "metrics",
        f"One row per class and fold of a metrics materialization; LWLRAP is {_LWLRAP}.",
        (
            _OWNER,
            Column("scheme", "VARCHAR NOT NULL", "crop scheme: mc5, center"),
            Column("fold", "INTEGER NOT NULL", "held-out fold"),
            Column("class_name", "VARCHAR NOT NULL", "class"),
            Column("precision_sum", "DOUBLE NOT NULL", "sum of label-ranking precisions over the positives"),
            Column("count", "BIGINT NOT NULL", "positives; any LWLRAP is sum(precision_sum) / sum(count)"),
            Column("lwlrap", "DOUBLE", "precision_sum / count, null without positives"),
        ),
    ),
    Table(
        "clips",
        "One row per clip of curated_clips as it is now.",
        (
            Column("fname", "VARCHAR", "file name in the folder of clips"),
            Column("labels", "VARCHAR[]", "the clip's classes"),
            Column("sample_rate", "INTEGER", "of the file, Hz"),
            Column("channels", "INTEGER", "of the file"),
            Column("frames", "BIGINT", "samples per channel"),
            Column("seconds", "DOUBLE", "frames / sample_rate"),
            Column("sha256", "VARCHAR", "of the file's bytes, hex"),
            _SOURCE,
        ),
    ),
    Table(
        "folds",
        "One row per clip of folds as it is now.",
        (
            Column("fname", "VARCHAR", "clip"),
            Column("fold", "INTEGER", "the fold it is held out in"),
            _SOURCE,
        ),
    ),
    Table(
        "predictions",
        "One row per clip and class of the out-of-fold predictions as they are now.",
        (
            Column("scheme", "VARCHAR", "crop scheme: mc5, center"),
            Column("fold", "INTEGER", "the clip's fold; the model was fitted on the others"),
            Column("fname", "VARCHAR", "clip"),
            Column("class_name", "VARCHAR", "class"),
            Column("truth", "BOOLEAN", "whether the clip has the label"),
            Column("logit", "DOUBLE", "of the model fitted on the other folds"),
            Column("probability", "DOUBLE", "1 / (1 + exp(-logit))"),
            _SOURCE,
        ),
    ),
)

VIEWS = (
    View(
        "runs",
        "One row per Dagster run.",
        (
            ("run_id", "Dagster run"),
            ("started_at", "start of its first materialization"),
            ("finished_at", "end of its last materialization"),
            ("materializations", "how many it made"),
        ),
        """
        select run_id, min(started_at) as started_at, max(finished_at) as finished_at, count(*) as materializations
        from materializations group by run_id
        """,
    ),
    View(
        "lwlrap",
        "LWLRAP of every metrics materialization: overall, per fold and per class.",
        (
            ("materialization_id", "the materialization it belongs to"),
            ("scheme", "crop scheme: mc5, center"),
            ("scope", "overall, fold or class"),
            ("fold", "where scope is fold"),
            ("class_name", "where scope is class"),
            ("lwlrap", "sum of precisions / positives, null without positives"),
            ("count", "positives"),
        ),
        """
        select materialization_id, scheme,
            case when grouping(fold) = 0 then 'fold' when grouping(class_name) = 0 then 'class' else 'overall' end as scope,
            fold, class_name,
            fsum(precision_sum) / nullif(sum("count"), 0) as lwlrap, sum("count")::BIGINT as "count"
        from metrics
        group by grouping sets (
            (materialization_id, scheme), (materialization_id, scheme, fold), (materialization_id, scheme, class_name)
        )
        """,
    ),
    View(
        "lineage",
        "One row per input of a materialization, with the materialization that had made it.",
        (
            ("materialization_id", "the reader"),
            ("asset", "asset that was read"),
            ("partition", "fold that was read, null for an asset without folds"),
            ("data_version", "the data version that was read"),
            ("source_id", "the materialization that made it; null for what comes from outside (the folder of clips)"),
        ),
        # What is recorded, if the ledger has it. Else (entries of ledger version 1 do not say) the newest maker of that
        # version before the reader; where clocks disagree and there is none, the oldest after it.
        """
        with recorded as (
            select i.*, m.id from inputs i left join materializations m on m.id = i.source_id
        ), inferred as (
            select i.materialization_id, i.asset, i.partition, i.data_version,
                coalesce(max(m.id) filter (where m.id < i.materialization_id), min(m.id)) as source_id
            from recorded i
            left join materializations m
                on m.asset = i.asset and m.partition is not distinct from i.partition and m.data_version = i.data_version
            where i.id is null
            group by i.materialization_id, i.asset, i.partition, i.data_version
        )
        select materialization_id, asset, partition, data_version, source_id from recorded where id is not null
        union all
        select materialization_id, asset, partition, data_version, source_id from inferred
        """,
    ),
)

MACROS = (
    Macro(
        "lineage_of",
        ("target",),
        "Everything the materialization `target` was made from: depth (1 is what it read itself), materialization_id "
        "(null for what comes from outside), asset, partition, data_version.",
        """
        with recursive upstream as (
            select 1 as depth, source_id as materialization_id, asset, partition, data_version
            from lineage where materialization_id = target
            union
            select u.depth + 1, l.source_id, l.asset, l.partition, l.data_version
            from upstream u join lineage l on l.materialization_id = u.materialization_id
        )
        select min(depth) as depth, materialization_id, asset, partition, data_version
        from upstream group by materialization_id, asset, partition, data_version
        order by depth, asset, partition
        """,
    ),
    Macro(
        "run_diff",
        ("run_a", "run_b"),
        "What differs between two runs: kind (setting, environment, input, code, lwlrap), name, and the values a and b, "
        "null where the run has none.",
        """
        with facts as (
            select m.run_id, 'setting' as kind, m.asset || '.' || s.name as name, s.value
            from settings s join materializations m on m.id = s.materialization_id
            union all
            select m.run_id, 'environment', e.name, e.value
            from environment e join materializations m on m.id = e.materialization_id
            union all
            select m.run_id, 'input', i.asset || coalesce('[' || i.partition || ']', ''), i.data_version
            from inputs i join materializations m on m.id = i.materialization_id
            union all
            select m.run_id, 'code', m.asset, m.code_version from materializations m
            union all
            select m.run_id, 'lwlrap', l.scheme, l.lwlrap::VARCHAR
            from lwlrap l join materializations m on m.id = l.materialization_id where l.scope = 'overall'
        ), by_run as (
            select kind, name,
                string_agg(distinct value, ', ' order by value) filter (where run_id = run_a) as a,
                string_agg(distinct value, ', ' order by value) filter (where run_id = run_b) as b
            from facts group by kind, name
        )
        select kind, name, a, b from by_run where a is distinct from b order by kind, name
        """,
    ),
)


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make everything but `embeddings` in an empty database."""
    connection.execute("create table schema_version (version INTEGER NOT NULL)")
    connection.execute("insert into schema_version values (?)", [SCHEMA_VERSION])
    _comment(connection, "table", "schema_version", "The version of the layout of this catalog, in one row.")
    for table in TABLES:
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        connection.execute(f"create table {table.name} ({columns})")
        _comment(connection, "table", table.name, table.comment, [(one.name, one.comment) for one in table.columns])
    for view in VIEWS:
        _create_view(connection, view)
    for macro in MACROS:
        parameters = ", ".join(macro.parameters)
        connection.execute(f"create macro {macro.name}({parameters}) as table {macro.select}")
        _comment(connection, "macro table", macro.name, macro.comment)


def create_embeddings_view(connection: duckdb.DuckDBPyConnection, storage_root: Path) -> None:
    """Make or renew the view over the embedding files, which has no rows while there are none.

    DuckDB refuses a view over a pattern that matches nothing, so it has to be renewed once files are there.
    """
    pattern = "*_embeddings/fold=*/*.parquet"
    values = storage_root.absolute() / "values"
    if any(values.glob(pattern)):
        files = _quoted(f"{glob.escape(values.as_posix())}/{pattern}")
        select = f"""
            select regexp_extract(filename, '([^/]+)_embeddings/fold=[^/]+/[^/]+$', 1) as scheme, fold, fname,
                embedding::FLOAT[{EMBEDDING_SIZE}] as embedding
            from read_parquet({files}, filename = true, hive_partitioning = true, hive_types = {{'fold': INTEGER}})
            """
    else:
        select = f"""
            select ''::VARCHAR as scheme, 0::INTEGER as fold, ''::VARCHAR as fname,
                null::FLOAT[{EMBEDDING_SIZE}] as embedding
            where false
            """
    _create_view(
        connection,
        View(
            "embeddings",
            "One row per clip and crop scheme, read from the embedding files as they are now.",
            (
                ("scheme", "crop scheme: mc5, center"),
                ("fold", "the clip's fold"),
                ("fname", "clip"),
                ("embedding", "CNN14's embedding, mean over the crops"),
            ),
            select,
        ),
    )


def read_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the layout of a database, None when it is empty."""
    known = connection.execute("select 1 from duckdb_tables() where table_name = 'schema_version'").fetchone()
    row = connection.execute("select version from schema_version").fetchone() if known else None
    return None if row is None else int(row[0])


def _create_view(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    connection.execute(f"create or replace view {view.name} as {view.select}")
    _comment(connection, "view", view.name, view.comment, view.columns)


def _comment(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    name: str,
    comment: str,
    columns: Sequence[tuple[str, str]] = (),
) -> None:
    connection.execute(f"comment on {kind} {name} is {_quoted(comment)}")
    for column, meaning in columns:
        connection.execute(f'comment on column {name}."{column}" is {_quoted(meaning)}')


def _quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
