"""The values of the assets as they are now: a table for each asset, and views with shorter names.

- Nothing here knows what an asset holds: its table has the columns, types and descriptions of its value files.
- A row comes from a file whose bytes were, when its asset was last synced, those of the entry named in its
  materialization_id: the newest such entry of the asset, or of each partition of it. A value without one has no rows.
- Embeddings stay in their files, and the view `embeddings` reads them there.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from fa_assets.catalog.views import View, comment_on, create_view, quoted
from fa_assets.store.roots import StoragePath, read_whole

log = logging.getLogger(__name__)

SCHEMA = "assets"
ABOUT = (
    f"`{SCHEMA}.NAME` holds the value of the asset NAME as it is now: the columns of its value file, which the asset's page in "
    "the UI explains, and `materialization_id`, the materialization whose file holds the row. What is not stored has no table. "
    f"`show all tables` lists them, `describe {SCHEMA}.label_audit` their columns. The most used have a view:"
)

EMBEDDINGS = "embeddings"

_ROWS_AT_ONCE = 1 << 19
"""Of a value, that are copied at a time."""
_MATERIALIZATION = ("materialization_id", "the materialization whose value file holds the row")
_SCHEME = ("scheme", "crop scheme: mc5, center; birdnet/mc5 of another encoder than the main one")


@dataclass(frozen=True)
class Shown:
    """A view of the values of the assets whose names match; what the pattern's group matches is the column `scheme`.

    A row for each class: the lists in the columns `lists` become rows.
    """

    name: str
    pattern: str
    about: str
    lists: tuple[str, ...] = ()

    def selected(self, lists: Collection[str]) -> str:
        """What is selected of a table, of whose columns these hold lists."""
        unnested = [one for one in self.lists if one in lists]
        rows = [f'unnest("{one}") as "{one}"' for one in unnested]
        return ", ".join([f"* exclude ({', '.join(unnested)})" if unnested else "*", *rows])


SHOWN = (
    Shown("clips", "curated_clips", "One row per clip of curated_clips as it is now."),
    Shown("folds", "folds", "One row per clip of folds as it is now."),
    Shown(
        "predictions",
        "(.+)_oof_predictions",
        "One row per clip and class of the out-of-fold predictions as they are now, of each crop `scheme`.",
        ("class_name", "truth", "logit", "probability"),
    ),
    Shown(
        "label_corrections",
        "label_corrections",
        "One row per verdict of label_corrections.csv, in its order: whether it is in force, who gave it, when and why.",
    ),
    Shown(
        "figures",
        "(?!test_)(.+)_metrics",
        "One row per figure as it is now, with its 95% interval, of each crop `scheme`: overall, by fold, class and clip.",
    ),
    Shown(
        "experiments",
        "experiments",
        "One row per variant of the classifier that FA_EXPERIMENTS names, the baseline first, and last the nested choice "
        "among them (settings null): for each fold the variant that is best on the other folds. The best variant's LWLRAP is "
        "the maximum of a search and so too high; the nested choice's is not.",
    ),
)


def has_embeddings(asset: str) -> bool:
    """Whether an asset's value stays in its files, in which the view `EMBEDDINGS` reads it."""
    return asset.endswith(f"_{EMBEDDINGS}")


def insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, statement: str = "insert into {} by name"
) -> None:
    """Add rows to a table, column by column of the same name."""
    connection.register("new_rows", rows)
    connection.execute(f"{statement.format(table)} from new_rows")
    connection.unregister("new_rows")


def refresh(connection: duckdb.DuckDBPyConnection, storage_root: StoragePath, asset: str) -> None:
    """Make the table of an asset again from the value files of its newest materializations."""
    table = _table(asset)
    connection.execute(f"drop table if exists {table}")
    parts = _stored_parts(connection, storage_root, asset)
    if not parts:
        return
    try:
        files = [pq.ParquetFile(pa.BufferReader(part.content)) for part in parts]
        tables = [
            _with_constants(file.schema_arrow.empty_table(), part) for file, part in zip(files, parts, strict=True)
        ]
        empty = pa.concat_tables(tables, promote_options="permissive")
        insert(connection, table, empty, "create table {} as")
        for file, part in zip(files, parts, strict=True):
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                insert(connection, table, _with_constants(pa.Table.from_batches([batch]), part))
    except pa.ArrowException as error:
        log.warning("The value of %s is not in the catalog: %s", asset, error)
        connection.execute(f"drop table if exists {table}")
        return
    comment_on(connection, f"table {table}", f"The value of the asset {asset} as it is now.")
    for field in empty.schema:
        about = (field.metadata or {}).get(b"doc")
        if about is not None:
            comment_on(connection, f'column {table}."{field.name}"', about.decode())


def create_views(connection: duckdb.DuckDBPyConnection, values: Path, changed: Collection[str] | None) -> None:
    """Make the views again, which follow the tables that are there and their columns.

    Args:
        values: the folder of value files, or its copy of the embeddings, on this machine.
        changed: the assets whose tables are others than when the views were made; None makes every view.
    """
    due = [shown for shown in SHOWN if changed is None or any(re.fullmatch(shown.pattern, asset) for asset in changed)]
    if due:
        _create_shown(connection, due)
    create_view(connection, embeddings_view(_select_embeddings(connection, values)))


def _create_shown(connection: duckdb.DuckDBPyConnection, views: Collection[Shown]) -> None:
    found = connection.execute("select table_name from duckdb_tables() where schema_name = ?", [SCHEMA]).fetchall()
    lists = dict(
        connection.execute(
            "select table_name, list(column_name) from duckdb_columns() where schema_name = ? and data_type like '%[]' "
            "group by table_name",
            [SCHEMA],
        ).fetchall()
    )
    for shown in views:
        matches = [match for (name,) in sorted(found) if (match := re.fullmatch(shown.pattern, name))]
        selects = [
            "select "
            + "".join(f"{quoted(scheme)} as scheme, " for scheme in match.groups())
            + f"{shown.selected(lists.get(match[0], ()))} from {_table(match[0])}"
            for match in matches
        ]
        columns = connection.execute(
            "select column_name, any_value(comment) from duckdb_columns() where schema_name = ? "
            "and list_contains(?, table_name) and comment is not null group by column_name",
            [SCHEMA, [match[0] for match in matches]],
        ).fetchall()
        if matches and matches[0].groups():
            columns.append(_SCHEME)
        select = " union all by name ".join(selects) or "select null::VARCHAR as materialization_id where false"
        create_view(connection, View(shown.name, shown.about, tuple(columns) or (_MATERIALIZATION,), select))


def embeddings_view(select: str | None) -> View:
    """The view over the embedding files; without a statement, one that has no rows."""
    return View(
        EMBEDDINGS,
        "One row per clip and crop scheme, read from the embedding files as they are now.",
        (
            _SCHEME,
            ("fold", "the clip's fold"),
            ("fname", "clip"),
            ("embedding", "the encoder's vector, mean over the crops; `list_cosine_similarity` compares two"),
        ),
        select
        or "select ''::VARCHAR as scheme, 0::INTEGER as fold, ''::VARCHAR as fname, null::FLOAT[] as embedding where false",
    )


def _select_embeddings(connection: duckdb.DuckDBPyConnection, values: Path) -> str | None:
    """The statement that reads the embedding files; None while there are none, which DuckDB refuses, or they cannot be read."""
    pattern = "**/*_embeddings/fold=*/*.parquet"
    if not any(values.glob(pattern)):
        return None
    folder = values.as_posix()
    select = f"""
        select regexp_extract(filename[{len(folder) + 2}:], '^(.+)_embeddings/', 1) as scheme,
            regexp_extract(filename, 'fold=([0-9]+)/[^/]+$', 1)::INTEGER as fold, fname, embedding::FLOAT[] as embedding
        from read_parquet({quoted(f"{glob.escape(folder)}/{pattern}")}, filename = true, hive_partitioning = false)
        """
    try:
        # Beside the transaction of `connection`, which a refused statement would end.
        with connection.cursor() as beside:
            beside.execute(f"describe {select}")
    except duckdb.Error as error:
        log.warning("the catalog's embeddings are empty, the files in %s cannot be read: %s", values, error)
        return None
    return select


@dataclass(frozen=True)
class _Part:
    """A value file that is on disk as it was recorded: its materialization, its partition and its bytes.

    The file is read once: what is hashed is what is shown, also while another process replaces the file.
    """

    id: str
    partition: str | None
    content: bytes


def _stored_parts(connection: duckdb.DuckDBPyConnection, storage_root: StoragePath, asset: str) -> list[_Part]:
    """The newest entry of each partition whose file is on disk; partitions only of an asset whose newest entry has one."""
    entries = connection.execute(
        "select m.partition, m.id, f.path, f.sha256 from materializations m join files f on f.materialization_id = m.id "
        "where f.position = 0 and m.asset = ? order by m.id desc",
        [asset],
    ).fetchall()
    contents: dict[str, tuple[bytes, str]] = {}
    parts: dict[str | None, _Part] = {}
    for partition, id, path, sha256 in entries:
        if partition in parts or (partition is None) != (entries[0][0] is None):
            continue
        if path not in contents:
            content = _read_or_none(storage_root / path) or b""
            contents[path] = content, hashlib.sha256(content).hexdigest()
        content, digest = contents[path]
        if digest == sha256:
            parts[partition] = _Part(id, partition, content)
    return list(parts.values())


def _with_constants(table: pa.Table, part: _Part) -> pa.Table:
    """The rows of a file with their fold, where the file's partition is all that says it, and their materialization."""
    if part.partition is not None and part.partition.isdecimal() and "fold" not in table.column_names:
        field = pa.field("fold", pa.int32(), metadata={"doc": "the fold that the row is stored under"})
        table = table.append_column(field, pa.repeat(pa.scalar(int(part.partition), pa.int32()), table.num_rows))
    name, about = _MATERIALIZATION
    return table.append_column(
        pa.field(name, pa.string(), metadata={"doc": about}), pa.repeat(pa.scalar(part.id), table.num_rows)
    )


def _table(asset: str) -> str:
    return f'{SCHEMA}."{asset}"'


def _read_or_none(path: StoragePath) -> bytes | None:
    try:
        return read_whole(path)
    except OSError:
        return None
