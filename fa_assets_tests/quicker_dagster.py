"""What Dagster does for each connection to its SQLite files is done once for a test process: a fifth of a run's time."""

from collections.abc import Callable
from functools import cache

import sqlalchemy
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

_ENGINES = 64
"""That are kept at a time."""


def make_dagster_quicker() -> None:
    """One engine for a database, since SQLAlchemy compiles a statement once for an engine; the migrations are read once."""
    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        module.create_engine = _kept(module.create_engine)  # type: ignore[attr-defined]
    ScriptDirectory.from_config = staticmethod(cache(ScriptDirectory.from_config))  # type: ignore[method-assign, assignment]


def _kept(create_engine: Callable[..., sqlalchemy.Engine]) -> Callable[..., sqlalchemy.Engine]:
    engines: dict[str, sqlalchemy.Engine] = {}

    def engine_of(url: str, **options: object) -> sqlalchemy.Engine:
        engine = engines.get(url)
        if engine is None:
            if len(engines) >= _ENGINES:
                engines.clear()
            engine = engines[url] = create_engine(url, **options)
        return engine

    return engine_of
