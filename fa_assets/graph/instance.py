"""Dagster's instance: what can be wrong with its folder, said with the way out before anything is started on it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.store.atomic import replacing
from fa_assets.store.locks import locked
from fa_assets.store.roots import refusal_of
from fa_assets.store.storage_errors import as_memory_error, as_storage_error, require_writable

LOCK_LIMIT_S = 60.0
"""Seconds to wait for another process that starts on the same instance."""
TABLES_LIMIT_S = 10.0
"""Seconds to wait for tables that another process has locked; Dagster itself would wait for minutes."""
_TABLES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")


def dagster_home(local_root: Path) -> Path:
    """The instance's folder: DAGSTER_HOME, or `dagster_home` in the local folder, made with our dagster.yaml."""
    given = os.environ.get("DAGSTER_HOME")
    if given:
        home = Path(given).expanduser().absolute()
        if reason := refusal_of(home):
            raise UserError(f"DAGSTER_HOME={given!r}: {reason}.")
        return home
    home = local_root / "dagster_home"
    configuration = Path(__file__).with_name("dagster.yaml")
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        with replacing(home / "dagster.yaml") as temporary:
            shutil.copyfile(configuration, temporary)
    return home


def instance_home() -> Path | None:
    """The folder of the instance, where one is set."""
    home = os.environ.get("DAGSTER_HOME")
    return Path(home) if home else None


def require_instance(home: Path) -> None:
    """Open the instance once, which makes its tables where there are none.

    Raises:
        UserError: the folder cannot be written to, its tables are damaged or locked, dagster.yaml cannot be used, or another
            process does not come to an end with the same.
    """
    require_writable(home, "DAGSTER_HOME")
    try:
        for table in (home / name for name in _TABLES):
            if table.exists():
                with closing(sqlite3.connect(f"{table.as_uri()}?mode=rw", TABLES_LIMIT_S, uri=True)) as connection:
                    connection.execute("select count(*) from sqlite_master").fetchone()
        # Several processes that start on a new home at once would trip over each other's tables.
        with (
            locked(home / ".initialise.lock", "opening the Dagster instance", LOCK_LIMIT_S),
            dg.DagsterInstance.get() as instance,
        ):
            instance.get_runs_count()
            # Made when first used: by a run, or by the daemon.
            _ = instance.run_launcher, instance.run_coordinator, instance.compute_log_manager
    except UserError:
        raise
    except Exception as error:  # of Dagster, its storage or PyYAML
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise (
            as_storage_error(error, home, home)
            or as_memory_error(error)
            or UserError(
                f"Dagster cannot open its instance in {home} ({said}): correct {home / 'dagster.yaml'}, or move it away to "
                "have ours in its place."
            )
        ) from error
