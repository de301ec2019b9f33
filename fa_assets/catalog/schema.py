"""What is in the catalog: every table, view and macro, with the comments that explain them inside the database too.

The history tables (`materializations` and the tables keyed by materialization_id) only grow. The current tables (`clips`,
`folds`, `predictions`, `experiments`) hold the content of value files that are on disk. Views and macros are computed when
asked.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

log = logging.getLogger(__name__)

SCHEMA_VERSION = 3
"""Raised whenever anything below changes; an older catalog is then made anew from the ledger."""


@dataclass(frozen=True)
class Column:
    """A column: name, DuckDB type, and what it means."""

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
    """A table macro: its parameters, what it answers, its columns (name, meaning), and its select statement."""

    name: str
    parameters: tuple[str, ...]
    comment: str
    columns: tuple[tuple[str, str], ...]
    select: str

    @property
    def whole_comment(self) -> str:
        """The comment with the columns, which a macro has no place for in the database."""
        return f"{self.comment} Columns: " + "; ".join(f"{name}: {meaning}" for name, meaning in self.columns) + "."


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
    Table(
        "experiments",
        "One row per variant of the classifier that FA_EXPERIMENTS names, the baseline first, and last the nested choice "
        "among them (settings null): for each fold the variant that is best on the other folds. The best variant's LWLRAP is "
        "the maximum of a search and flatters; the nested choice's does not.",
        (
            Column("variant", "VARCHAR", "what differs from the baseline; baseline; chosen in each fold"),
            Column("C", "DOUBLE", "inverse strength of the L2 penalty"),
            Column("tol", "DOUBLE", "tolerance at which the solver stops"),
            Column("weights", "VARCHAR", "of positives and negatives: none, balanced"),
            Column("norm", "VARCHAR", "of the features: standardise, l2, none"),
            Column("pool", "VARCHAR", "over a clip's crops: mean, max, mean+max"),
            Column("crops", "INTEGER", "crops of a clip that are used"),
            Column("lwlrap", "DOUBLE", "out of fold"),
            Column("lwlrap_per_fold", "DOUBLE[]", "of folds 0 to 4"),
            Column("difference", "DOUBLE", "to the baseline's LWLRAP"),
            Column("low", "DOUBLE", "lower end of its 95% interval, from a paired bootstrap over the clips"),
            Column("high", "DOUBLE", "upper end"),
            Column("share_won", "DOUBLE", "share of the resamples in which it beats the baseline"),
            Column("selected", "BOOLEAN", "whether the nested choice took it in some fold"),
            Column("selected_in", "INTEGER[]", "the folds in which it did"),
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
            ("assets", "the assets it made, sorted"),
            ("git_commit", "commit of the code it ran, null outside a checkout"),
            ("git_dirty", "whether the checkout had other changes"),
        ),
        """
        select run_id, min(started_at) as started_at, max(finished_at) as finished_at, count(*) as materializations,
            list_sort(list(distinct asset)) as assets,
            max(commits.value) as git_commit, bool_or(dirt.value = 'true') as git_dirty
        from materializations
        left join environment commits on commits.materialization_id = id and commits.name = 'git_commit'
        left join environment dirt on dirt.materialization_id = id and dirt.name = 'git_dirty'
        group by run_id
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

_REACHED = (
    ("depth", "steps away, 1 is the nearest"),
    ("materialization_id", "the materialization; null for what comes from outside (the folder of clips)"),
    ("asset", "its asset"),
    ("partition", "its fold, null for an asset without folds"),
    ("data_version", "its data version"),
)

MACROS = (
    Macro(
        "upstream_of",
        ("target",),
        "Everything the materialization `target` was made from.",
        _REACHED,
        """
        with recursive edges as materialized (from lineage), upstream as (
            select 1 as depth, source_id as materialization_id, asset, partition, data_version
            from edges where materialization_id = target
            union
            select u.depth + 1, e.source_id, e.asset, e.partition, e.data_version
            from upstream u join edges e on e.materialization_id = u.materialization_id
        )
        select min(depth) as depth, materialization_id, asset, partition, data_version
        from upstream group by materialization_id, asset, partition, data_version
        order by depth, asset, partition
        """,
    ),
    Macro(
        "downstream_of",
        ("target",),
        "Everything that was made from the materialization `target`, or from another one of the same data version.",
        _REACHED,
        """
        with recursive edges as materialized (from lineage), downstream as (
            select 1 as depth, e.materialization_id
            from edges e
            join materializations t on t.asset = e.asset and t.partition is not distinct from e.partition
                and t.data_version = e.data_version
            where t.id = target
            union
            select d.depth + 1, e.materialization_id
            from downstream d join edges e on e.source_id = d.materialization_id
        )
        select min(d.depth) as depth, m.id as materialization_id, m.asset, m.partition, m.data_version
        from downstream d join materializations m on m.id = d.materialization_id
        group by m.id, m.asset, m.partition, m.data_version
        order by depth, m.asset, m.partition, m.id
        """,
    ),
    Macro(
        "run_diff",
        ("run_a", "run_b"),
        "What differs between two runs, each with all that it was made from; only assets that both have are compared.",
        (
            (
                "kind",
                "setting; code (version); input (from outside); environment; data (versions made or read); lwlrap (overall "
                "and by fold); asset (that only one of them has)",
            ),
            ("name", "what differs: asset.setting, asset[fold], library, scheme"),
            ("a", "its value in run_a, several separated by commas; null where it has none"),
            ("b", "its value in run_b"),
        ),
        # A run that made only what was stale is compared with all it stands on, not with what it happened to compute.
        """
        with recursive edges as materialized (from lineage), stands_on as (
            select run_id as run, id from materializations where run_id in (run_a, run_b)
            union
            select s.run, e.source_id from stands_on s join edges e on e.materialization_id = s.id
            where e.source_id is not null
        ), made as (
            select s.run, m.id, m.asset, m.asset || coalesce('[' || m.partition || ']', '') as part,
                m.code_version, m.data_version
            from stands_on s join materializations m using (id)
        ), facts as (
            select run, asset, 'setting' as kind, asset || '.' || s.name as name, s.value
            from made join settings s on s.materialization_id = id
            union all
            select run, asset, 'code', asset, split_part(code_version, ' ', 1) from made
            union all
            select run, null, 'input', e.asset || coalesce('[' || e.partition || ']', ''), e.data_version
            from made join edges e on e.materialization_id = id where e.source_id is null
            union all
            select run, null, 'environment', e.name, e.value from made join environment e on e.materialization_id = id
            union all
            select run, asset, 'data', part, data_version from made
            union all
            select run, asset, 'lwlrap', scheme || coalesce(' fold ' || fold, ''), lwlrap::VARCHAR
            from made join lwlrap l on l.materialization_id = id where l.scope in ('overall', 'fold')
            union all
            select run, null, 'asset', asset, 'made' from made
        ), by_run as (
            select kind, name, any_value(asset) as asset,
                string_agg(distinct value, ', ' order by value) filter (where run = run_a) as a,
                string_agg(distinct value, ', ' order by value) filter (where run = run_b) as b
            from facts group by kind, name
        )
        select kind, name, a, b from by_run
        where a is distinct from b
            and (asset is null or asset in (select asset from made group by asset having count(distinct run) = 2))
        order by list_position(['setting', 'code', 'input', 'environment', 'data', 'lwlrap', 'asset'], kind), name
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
        _comment(connection, "macro table", macro.name, macro.whole_comment)


def create_embeddings_view(connection: duckdb.DuckDBPyConnection, storage_root: Path) -> None:
    """Make or renew the view over the embedding files, which has no rows while there are none or they cannot be read.

    DuckDB refuses a view over a pattern that matches nothing, so it has to be renewed once files are there.
    """
    pattern = "*_embeddings/fold=*/*.parquet"
    values = storage_root.absolute() / "values"
    select = _select_embeddings(
        "''::VARCHAR", "null::FLOAT[1]", "(select 0::INTEGER as fold, ''::VARCHAR as fname)", "false"
    )
    if any(values.glob(pattern)):
        files = _quoted(f"{glob.escape(values.as_posix())}/{pattern}")
        try:
            # Beside the transaction of `connection`, which a refused statement would end.
            with connection.cursor() as beside:
                width = _embedding_width(beside, files)
                from_files = _select_embeddings(
                    "regexp_extract(filename, '([^/]+)_embeddings/fold=[^/]+/[^/]+$', 1)",
                    f"try_cast(embedding as FLOAT[{width}])",
                    f"read_parquet({files}, filename = true, hive_partitioning = true, hive_types = {{'fold': INTEGER}})",
                    f"len(embedding) = {width}",
                )
                beside.execute(f"describe {from_files}")
            select = from_files
        except duckdb.Error as error:
            log.warning("the catalog's embeddings are empty, the files in %s cannot be read: %s", values, error)
    _create_view(connection, _embeddings_view(select))


def _select_embeddings(scheme: str, embedding: str, source: str, where: str) -> str:
    return f"select {scheme} as scheme, fold, fname, {embedding} as embedding from {source} where {where}"


def _embedding_width(connection: duckdb.DuckDBPyConnection, files: str) -> int:
    """The numbers of an embedding, read from the files' footers; where encoders are mixed, of most of the clips."""
    found = connection.execute(
        f"""
        select width from (
            select sum(num_values) // sum(row_group_num_rows) as width, sum(row_group_num_rows) as clips
            from parquet_metadata({files}) where path_in_schema like 'embedding%' and row_group_num_rows > 0 group by file_name
        ) group by width order by sum(clips) desc, width limit 1
        """
    ).fetchone()
    return int(found[0]) if found else 1


def _embeddings_view(select: str) -> View:
    return View(
        "embeddings",
        "One row per clip and crop scheme, read from the embedding files as they are now.",
        (
            ("scheme", "crop scheme: mc5, center"),
            ("fold", "the clip's fold"),
            ("fname", "clip"),
            ("embedding", "the encoder's embedding, mean over the crops: an array of its dimension"),
        ),
        select,
    )


def as_markdown() -> str:
    """Every table, view and macro with its columns, for people."""
    parts = []
    for table in TABLES:
        columns = [(column.name, f"{column.type.partition(' ')[0]}: {column.comment}") for column in table.columns]
        parts += [f"### Table `{table.name}`", table.comment, _markdown_columns(columns)]
    for view in (*VIEWS, _embeddings_view("")):
        parts += [f"### View `{view.name}`", view.comment, _markdown_columns(view.columns)]
    for macro in MACROS:
        call = f"{macro.name}({', '.join(macro.parameters)})"
        parts += [f"### Macro `{call}`", macro.comment, _markdown_columns(macro.columns)]
    return "\n\n".join(parts) + "\n"


def _markdown_columns(columns: Sequence[tuple[str, str]]) -> str:
    return "\n".join(["| column | what |", "|---|---|", *(f"| `{name}` | {meaning} |" for name, meaning in columns)])


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
