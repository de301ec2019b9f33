"""A Dagster instance with a history: a finished run's own records, as if it had run every night.

Written straight into the instance's SQLite files, because through Dagster, which commits every event by itself, two hundred
runs take ten minutes. Rows are copied as they are; only run ids, row ids and times are new.
"""

import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

_DAY_S = 86_400.0


def add_past_runs(home: Path, run_id: str, n: int) -> str:
    """Put `n` runs like this one into a home that nobody has open, a day apart, and return the id of the newest.

    The given run becomes the oldest; the newest has its time.
    """
    ids = [run_id, *(str(uuid.uuid4()) for _ in range(n))]
    shards = home / "history" / "runs"
    with _database(home / "history" / "runs.db") as runs, _database(shards / "index.db") as index:
        originals = {table: _rows(database, table, run_id) for database, table in _tables(runs, index)}
        tags = index.execute(
            "select t.* from asset_event_tags t join event_logs e on e.id = t.event_id where e.run_id = ?", [run_id]
        ).fetchall()
        for age, own_id in zip(range(n, -1, -1), ids, strict=True):
            copy = _Copy(run_id, own_id, age * _DAY_S)
            new_ids: dict[int, int] = {}
            for database, table in _tables(runs, index):
                for row in originals[table]:
                    values = copy.of(row)
                    for reference in ("evaluation_event_storage_id", "materialization_event_storage_id"):
                        if reference in values:
                            values[reference] = new_ids.get(values[reference], values[reference])
                    new = _put(database, table, values, in_place=own_id == run_id)
                    if table == "event_logs":
                        new_ids[row["id"]] = new
            for row in tags if own_id != run_id else ():
                _put(index, "asset_event_tags", {**copy.of(row), "event_id": new_ids[row["event_id"]]}, in_place=False)
            if own_id != run_id:
                shutil.copyfile(shards / f"{run_id}.db", shards / f"{own_id}.db")
        newest = _Copy(run_id, ids[-1], 0)
        for row in index.execute("select * from asset_keys where last_run_id = ?", [run_id]).fetchall():
            _put(index, "asset_keys", {**newest.of(row), "cached_status_data": None}, in_place=True)
    for age, own_id in zip(range(n, -1, -1), ids, strict=True):
        with _database(shards / f"{own_id}.db") as shard:
            for row in _rows(shard, "event_logs", run_id):
                _put(shard, "event_logs", _Copy(run_id, own_id, age * _DAY_S).of(row), in_place=True)
    return ids[-1]


class _Copy:
    """A row as it would be had the run another id and happened `age` seconds earlier."""

    def __init__(self, old_id: str, new_id: str, age: float) -> None:
        self._ids = (old_id, new_id)
        self._age = age

    def of(self, row: sqlite3.Row) -> dict[str, object]:
        return {name: self._value(name, row[name]) for name in row.keys()}  # noqa: SIM118 (a Row iterates its values)

    def _value(self, name: str, value: object) -> object:
        if isinstance(value, float) and name.endswith(("time", "timestamp")):
            return value - self._age
        if not isinstance(value, str):
            return value
        if name.endswith("timestamp"):
            return (datetime.fromisoformat(value) - timedelta(seconds=self._age)).isoformat(" ")
        text = value.replace(*self._ids)
        return re.sub(r'("timestamp": )(\d+\.\d+)', lambda found: f"{found[1]}{float(found[2]) - self._age}", text)


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma synchronous = off")
        yield connection


def _tables(runs: sqlite3.Connection, index: sqlite3.Connection) -> list[tuple[sqlite3.Connection, str]]:
    """Every table with rows of a run; those that others refer to come first."""
    return [(runs, "runs"), (runs, "run_tags"), (index, "event_logs"), (index, "asset_check_executions")]


def _rows(database: sqlite3.Connection, table: str, run_id: str) -> list[sqlite3.Row]:
    return database.execute(f"select * from {table} where run_id = ? order by id", [run_id]).fetchall()


def _put(database: sqlite3.Connection, table: str, values: dict[str, object], *, in_place: bool) -> int:
    """Write a row, over the one with its id or as a new one; return its id."""
    if in_place:
        names = ", ".join(f'"{name}" = :{name}' for name in values)
        database.execute(f"update {table} set {names} where id = :id", values)
        return int(str(values["id"]))
    fresh = {name: value for name, value in values.items() if name != "id"}
    names = ", ".join(f'"{name}"' for name in fresh)
    marks = ", ".join(f":{name}" for name in fresh)
    return int(database.execute(f"insert into {table} ({names}) values ({marks})", fresh).lastrowid or 0)
