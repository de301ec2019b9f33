"""What the catalog knows about a result, put together for people: its lineage, how two runs differ, the runs.

A *target* is named as people do: an asset (`mc5_metrics`: its newest materialization, of every fold), one fold of it
(`mc5_embeddings[3]`), a materialization or a run by its id or the beginning of it, `latest` or `previous` for the last run
that made metrics and the one before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import duckdb

from fa_assets.catalog.database import Catalog, CatalogBusyError
from fa_assets.errors import UserError
from fa_assets.store.atomic import temporary_folder
from fa_assets.store.ledger import InputVersion, StoredFile

_SYNC_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Materialization:
    """One materialization as the catalog has it; see `schema.TABLES` for what its parts mean."""

    id: str
    asset: str
    partition: str | None
    run_id: str
    started_at: datetime
    finished_at: datetime
    code_version: str
    data_version: str
    metadata: Mapping[str, Any]
    inputs: tuple[InputVersion, ...]
    settings: Mapping[str, str | None]
    environment: Mapping[str, str | None]
    timings: Mapping[str, float]
    files: tuple[StoredFile, ...]


@dataclass(frozen=True)
class Lineage:
    """The targets' ids, and they and all they were made from (or all that was made from them), oldest first."""

    targets: tuple[str, ...]
    downstream: bool
    materializations: tuple[Materialization, ...]


@dataclass(frozen=True)
class Run:
    """A row of the view `runs`, with the overall LWLRAP by crop scheme."""

    run_id: str
    started_at: datetime
    finished_at: datetime
    materializations: int
    assets: tuple[str, ...]
    git_commit: str | None
    git_dirty: bool | None
    lwlrap: Mapping[str, float | None]


@dataclass(frozen=True)
class Difference:
    """A row of `run_diff`."""

    kind: str
    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class RunDifferences:
    """Two runs and what differs between them."""

    a: Run
    b: Run
    differences: tuple[Difference, ...]


def to_json(answer: Lineage | RunDifferences | Sequence[Run]) -> str:
    """An answer as JSON text, times in ISO 8601 (UTC where they come from an `up_to_date` connection)."""
    plain = [asdict(run) for run in answer] if isinstance(answer, Sequence) else asdict(answer)
    return json.dumps(plain, indent=1, default=lambda value: value.isoformat())


@contextmanager
def up_to_date(catalog: Catalog) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the catalog as it should be: brought up to date, or, while it is open elsewhere or where
    it cannot be written (a read-only folder), a temporary copy made from the ledger.

    Raises:
        UserError: nothing has been materialized, or the catalog cannot be used.
    """
    if not catalog.ledger.ids():
        raise UserError(f"Nothing has been materialized in {catalog.storage_root} yet.")
    try:
        catalog.sync(_SYNC_TIMEOUT_S)
    except (CatalogBusyError, OSError):
        with temporary_folder() as folder:
            copy = folder / "catalog.duckdb"
            catalog.snapshot(copy)
            with _connected(Catalog(copy, catalog.storage_root)) as connection:
                yield connection
        return
    with _connected(catalog) as connection:
        yield connection


@contextmanager
def _connected(catalog: Catalog) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection that gives times in UTC, whatever the machine's zone."""
    with catalog.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def lineage(connection: duckdb.DuckDBPyConnection, target: str, downstream: bool = False) -> Lineage:
    """All that a target was made from, or with `downstream` all that was made from it or from an equal value.

    Raises:
        UserError: there is no such target.
    """
    targets = resolve(connection, target)
    macro = "downstream_of" if downstream else "upstream_of"
    reached = set(targets)
    for id in targets:
        reached |= {
            one for (one,) in connection.execute(f"select materialization_id from {macro}(?)", [id]).fetchall() if one
        }
    return Lineage(tuple(targets), downstream, tuple(_materializations(connection, sorted(reached))))


def differences(connection: duckdb.DuckDBPyConnection, a: str, b: str) -> RunDifferences:
    """How two runs differ; each is named as a target is.

    Raises:
        UserError: there is no such run.
    """
    ids = [resolve_run(connection, name) for name in (a, b)]
    by_id = {run.run_id: run for run in runs(connection)}
    rows = connection.execute("select kind, name, a, b from run_diff(?, ?)", ids).fetchall()
    return RunDifferences(by_id[ids[0]], by_id[ids[1]], tuple(Difference(*row) for row in rows))


def runs(connection: duckdb.DuckDBPyConnection) -> list[Run]:
    """All runs, newest first."""
    values: dict[str, dict[str, float | None]] = {}
    for run_id, scheme, value in connection.execute(
        "select m.run_id, l.scheme, l.lwlrap from lwlrap l join materializations m on m.id = l.materialization_id "
        "where l.scope = 'overall' order by m.id"
    ).fetchall():
        values.setdefault(run_id, {})[scheme] = value
    rows = connection.execute(
        "select run_id, started_at, finished_at, materializations, assets, git_commit, git_dirty from runs "
        "order by finished_at desc, run_id"
    ).fetchall()
    return [
        Run(run_id, started_at, finished_at, count, tuple(assets), commit, dirty, values.get(run_id, {}))
        for run_id, started_at, finished_at, count, assets, commit, dirty in rows
    ]


def resolve(connection: duckdb.DuckDBPyConnection, target: str) -> list[str]:
    """The ids of the materializations that a target names, oldest first.

    Raises:
        UserError: it names none, or several things.
    """
    named = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]+)\])?", target.strip())
    if named is not None:
        asset, partition = named.groups()
        newest = connection.execute(
            "select max(id) as id from materializations "
            "where asset = $asset and ($partition is null or partition = $partition) group by partition order by id",
            {"asset": asset, "partition": partition},
        ).fetchall()
        if newest:
            return [id for (id,) in newest]
    ids = [id for (id,) in connection.execute("select id from materializations order by id").fetchall()]
    if target not in ("latest", "previous"):
        begun = [id for id in ids if id.startswith(target)]
        if len(begun) == 1:
            return begun
        if begun:
            raise UserError(f"{target} is the beginning of {len(begun)} materialization ids: give more of it.")
    try:
        run_id = resolve_run(connection, target)
    except UserError as error:
        assets = connection.execute("select distinct asset from materializations order by 1").fetchall()
        raise UserError(
            f"{error} Nor is it an asset, ASSET[FOLD] or a materialization's id; the assets that have been materialized "
            f"are {', '.join(asset for (asset,) in assets)}."
        ) from None
    made = connection.execute("select id from materializations where run_id = ? order by id", [run_id]).fetchall()
    return [id for (id,) in made]


def resolve_run(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The id of a run: `latest` or `previous` of those that made metrics, or an id or the beginning of one.

    Raises:
        UserError: there is none, or several ids begin with it.
    """
    places = {"latest": 0, "previous": 1}
    if name in places:
        made = connection.execute(
            "select run_id from materializations where id in (select materialization_id from metrics) "
            "group by run_id order by max(id) desc"
        ).fetchall()
        if places[name] < len(made):
            return str(made[places[name]][0])
        raise UserError(f"There is no {name} run: {len(made)} made metrics. `fa-assets runs` lists all runs.")
    ids = [id for (id,) in connection.execute("select run_id from runs").fetchall()]
    begun = [id for id in ids if id.startswith(name)]
    if name in begun:
        return name
    if len(begun) != 1:
        what = "is the beginning of several run ids" if begun else "is not a run"
        raise UserError(f"{name!r} {what}: `fa-assets runs` lists them.")
    return begun[0]


def _materializations(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> Iterator[Materialization]:
    """What the tables say about materializations, in the order of the ids."""

    def by_id(columns: str, table: str, order: str) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {}
        where = "materialization_id in (select unnest(?))"
        sql = f"select materialization_id, {columns} from {table} where {where} order by {order}"
        for id, *row in connection.execute(sql, [list(ids)]).fetchall():
            found.setdefault(id, []).append(tuple(row))
        return found

    inputs = by_id("asset, partition, data_version, source_id", "lineage", "asset, partition")
    settings = by_id("name, value", "settings", "name")
    environment = by_id("name, value", "environment", "rowid")
    timings = by_id("phase, seconds", "timings", "rowid")
    files = by_id("path, size_bytes, sha256", "files", "position")
    columns = ("id", "asset", "partition", "run_id", "started_at", "finished_at", "code_version", "data_version")
    rows = connection.execute(
        f"select metadata, {', '.join(columns)} from materializations where id in (select unnest(?)) order by id",
        [list(ids)],
    ).fetchall()
    for metadata, id, *row in rows:
        yield Materialization(
            **dict(zip(columns, (id, *row), strict=True)),
            metadata=json.loads(metadata),
            inputs=tuple(InputVersion(*one) for one in inputs.get(id, [])),
            settings=dict(settings.get(id, [])),
            environment=dict(environment.get(id, [])),
            timings=dict(timings.get(id, [])),
            files=tuple(StoredFile(*one) for one in files.get(id, [])),
        )
