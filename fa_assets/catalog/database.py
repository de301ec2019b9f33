"""The catalog: `catalog.duckdb`, a projection of the ledger that can be deleted and rebuilt at any time.

- Whatever the catalog says comes from ledger entries and from value files they name; nothing else writes to it.
- An entry is in it wholly or not at all: each sync is one transaction.
- One writer at a time: `<name>.lock` is held around the short time a connection is open. DuckDB itself locks the file
  against other processes, so a person's open shell keeps writers out; then the run goes on and the catalog catches up at
  the next sync. `<name>.behind` is there until then: it names the runs whose wait timed out, and none waits twice.
- A catalog of a newer layout is refused and left as it is; one of an older layout is rebuilt.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from fa_assets.catalog import current, schema
from fa_assets.errors import UserError
from fa_assets.store.atomic import replacing
from fa_assets.store.check_records import CheckRecords
from fa_assets.store.ledger import Ledger, LedgerEntry
from fa_assets.store.recipe import Scalar
from fa_assets.store.roots import LocalView, StoragePath

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
"""How long a person's command waits for another process that has the catalog open."""

RUN_TIMEOUT_S = 2.0
"""How long a run waits for it, in all its steps and processes together."""

_RETRY_S = 0.05


class CatalogBusyError(UserError):
    """Another process has the catalog open."""


class Catalog:
    """The catalog at `path`, made from `ledger` and the value files under `storage_root`."""

    def __init__(self, path: Path, storage_root: StoragePath, ledger: Ledger) -> None:
        self.path = path
        self.storage_root = storage_root
        self.ledger = ledger
        self._seen_by_duckdb = LocalView(storage_root, path.with_name("values_for_catalog"))

    @classmethod
    def of(cls, local_root: Path, storage_root: StoragePath) -> Catalog:
        """The catalog of a storage root, in the local folder."""
        return cls(local_root / "catalog.duckdb", storage_root, Ledger(storage_root / "ledger"))

    def sync(self, timeout_s: float = TIMEOUT_S) -> int:
        """Bring the catalog up to date with the ledger; return the number of entries that were added.

        Raises:
            CatalogBusyError: another process had it open all the time.
            UserError: it, or the ledger, is of a newer version, or it cannot be opened; it is left as it is.
            duckdb.Error, OSError: it could not be written (disk full); it is left as it was.
        """
        deadline = time.monotonic() + timeout_s
        with self._alone(deadline):
            if self.path.exists():
                with closing(self._open(deadline)) as connection:
                    version = self._known_version(connection)
                    is_ours = version in (None, schema.SCHEMA_VERSION)
                    added = self._apply(connection) if is_ours else 0
                if not is_ours:
                    log.info("%s has layout %s, this is %s: it is rebuilt.", self.path, version, schema.SCHEMA_VERSION)
                    added = self._rebuild_at(self.path)
            else:  # whole or not there: DuckDB would leave half a file where the disk is full
                added = self._rebuild_at(self.path)
            self._behind.unlink(missing_ok=True)
            return added

    def try_sync(self, run_id: str) -> bool:
        """`sync` after a materialization, which is safe in the ledger: it warns, once in a run, instead of raising.

        Returns False when the catalog is behind: it is open elsewhere (a run waits for it once, `RUN_TIMEOUT_S`), or could
        not be written.
        """
        waited = self._runs_that_waited()
        try:
            self.sync(0.0 if run_id in waited else RUN_TIMEOUT_S)
        except (UserError, duckdb.Error, OSError) as error:
            if run_id not in waited:
                log.warning(
                    "The catalog is behind; the ledger has everything. It catches up at the next write, or with "
                    "`fa-assets catalog sync`. %s",
                    error,
                )
                self._remember_runs_that_waited([*waited, run_id])
            return False
        return True

    @property
    def is_behind(self) -> bool:
        """Whether a run could not write to it, and nothing has since."""
        return self._behind.exists()

    def rebuild(self, timeout_s: float = TIMEOUT_S) -> int:
        """Rebuild the catalog from the ledger and the value files, beside the old one, and put it in its place.

        Returns the number of entries in it; raises as `sync` does. A damaged catalog is replaced; whoever reads the old one
        goes on reading it until they open the new one.
        """
        deadline = time.monotonic() + timeout_s
        with self._alone(deadline):
            if self.path.exists():
                try:
                    with closing(self._open(deadline, read_only=True)) as connection:
                        self._known_version(connection)
                except _UnusableCatalogError as error:
                    log.warning("%s", error)
            added = self._rebuild_at(self.path)
            self._behind.unlink(missing_ok=True)
            return added

    def snapshot(self, target: Path, timeout_s: float = TIMEOUT_S) -> int:
        """Put an up-to-date copy at `target`, for dashboards, which may hold it open; return the entries in it.

        It is whole or not there, and replaces an older one under its readers. It is made from the ledger, as the catalog
        is, so it does not matter who has the catalog open. Its view `embeddings` reads the files of the storage folder.

        Raises:
            UserError: what is at `target` is not such a copy, or of a newer version; or the ledger is of a newer version.
            CatalogBusyError: `target` is open for writing elsewhere.
            duckdb.Error, OSError: it could not be written; what was there is left as it was.
        """
        if target.resolve() == self.path.resolve():
            raise UserError(f"{target} is the catalog itself: name another file for its copy.")
        if target.exists():
            copy = Catalog(target, self.storage_root, self.ledger)
            try:
                with copy.connect(timeout_s=timeout_s) as connection:
                    version = copy._known_version(connection)
            except _UnusableCatalogError:
                version = None
            if version is None:
                raise UserError(f"{target} exists and is not a copy of a catalog: name another file, or move it away.")
        return self._rebuild_at(target)

    @contextmanager
    def connect(self, read_only: bool = True, timeout_s: float = TIMEOUT_S) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for queries; close it soon, no run can bring the catalog up to date while it is open.

        Raises:
            CatalogBusyError: another process had it open for writing all the time.
            UserError: it is not there, or cannot be opened.
        """
        if not self.path.exists():
            raise UserError(
                f"There is no catalog {self.path} yet: materialize something, or run `fa-assets catalog sync`."
            )
        with closing(self._open(time.monotonic() + timeout_s, read_only=read_only)) as connection:
            yield connection

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows of a query, read-only.

        Args:
            sql: one statement that gives rows.
            params: for its ``?`` or ``$name`` placeholders.

        Raises:
            UserError: as `connect`.
            duckdb.Error: the query is wrong.
        """
        with self.connect() as connection:
            return connection.sql(sql, params=params).to_arrow_table().to_pandas()

    @contextmanager
    def _alone(self, deadline: float) -> Iterator[None]:
        """Hold the lock that keeps the writers of this program apart."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=max(0.0, deadline - time.monotonic()))
        try:
            lock.acquire()
        except Timeout:
            raise CatalogBusyError(f"The catalog {self.path} is being written by another process.") from None
        try:
            yield
        finally:
            lock.release()

    def _open(self, deadline: float, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the database, waiting until `deadline` while another process, or a part of this one, has it open."""
        while True:
            try:
                return duckdb.connect(self.path, read_only=read_only)
            except duckdb.Error as error:
                if not _means_busy(error):
                    raise _UnusableCatalogError(
                        f"The catalog {self.path} cannot be opened ({error}): rebuild it with `fa-assets catalog rebuild`."
                    ) from error
                if time.monotonic() >= deadline:
                    raise CatalogBusyError(f"The catalog {self.path} is open elsewhere: {error}") from error
            time.sleep(_RETRY_S)

    def _known_version(self, connection: duckdb.DuckDBPyConnection) -> int | None:
        """The layout's version, None for an empty database; a newer one than ours is a UserError."""
        version = schema.read_version(connection)
        if version is not None and version > schema.SCHEMA_VERSION:
            raise UserError(
                f"The catalog {self.path} has layout {version}, this fa_assets knows up to {schema.SCHEMA_VERSION}: "
                "install a newer fa_assets, or move the catalog away and it is rebuilt."
            )
        return version

    def _rebuild_at(self, path: Path) -> int:
        """Make the database at `path` from the ledger and the value files, and put it in the place of what was there."""
        with replacing(path) as temporary:
            try:
                with closing(duckdb.connect(temporary)) as connection:
                    added = self._apply(connection)
            finally:
                _log_of(temporary).unlink(missing_ok=True)
            _log_of(path).unlink(missing_ok=True)  # it belongs to the old file, and must not meet the new one
        return added

    @property
    def _behind(self) -> Path:
        return self.path.with_name(f"{self.path.name}.behind")

    def _runs_that_waited(self) -> list[str]:
        try:
            return self._behind.read_text(encoding="utf-8").splitlines()
        except OSError:
            return []

    def _remember_runs_that_waited(self, run_ids: Sequence[str]) -> None:
        try:
            with replacing(self._behind) as temporary:
                temporary.write_text("\n".join(run_ids), encoding="utf-8")
        except OSError as error:
            log.warning("%s cannot be written (%s): the next step waits for the catalog again.", self._behind, error)

    def _apply(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Add what the ledger has and the database has not, in one transaction; closing without commit undoes it."""
        connection.begin()
        if schema.read_version(connection) is None:
            schema.create(connection)
        known = {id for (id,) in connection.execute("select id from materializations").fetchall()}
        entries = list(self.ledger.entries(skip=known))
        for table, rows in _history_rows(entries).items():
            current.insert(connection, table, pa.Table.from_pylist(rows))
        seen = {id for (id,) in connection.execute("select id from checks").fetchall()}
        checks = [
            {**vars(one), "materialization_ids": list(one.materialization_ids), "offenders": json.dumps(one.offenders)}
            for one in CheckRecords(self.storage_root / "checks").records(skip=seen)
        ]
        if checks:
            current.insert(connection, "checks", pa.Table.from_pylist(checks))
        for newest in {(entry.asset, entry.partition): entry for entry in entries}.values():
            if newest.asset.endswith("_embeddings"):
                self._seen_by_duckdb.bring(newest.files[0].path)
        for asset in dict.fromkeys(entry.asset for entry in entries if not entry.asset.endswith("_embeddings")):
            current.refresh(connection, self.storage_root, asset)
        current.create_views(connection, self._seen_by_duckdb.folder.absolute() / "values")
        connection.commit()
        return len(entries)


class _UnusableCatalogError(UserError):
    """The file exists but is not a DuckDB database that can be opened."""


def _history_rows(entries: Sequence[LedgerEntry]) -> dict[str, list[dict[str, Any]]]:
    """The rows that entries add, by table; tables without rows are left out."""
    rows: dict[str, list[dict[str, Any]]] = {}

    def add(table: str, **row: Any) -> None:
        rows.setdefault(table, []).append(row)

    for entry in entries:
        add(
            "materializations",
            id=entry.id,
            asset=entry.asset,
            partition=entry.partition,
            run_id=entry.run_id,
            started_at=entry.started_at,
            finished_at=entry.finished_at,
            seconds=(entry.finished_at - entry.started_at).total_seconds(),
            code_version=entry.code_version,
            data_version=entry.data_version,
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


def _log_of(database: Path) -> Path:
    """DuckDB's write-ahead log, which lies beside the database while it is open or after its process died."""
    return database.with_name(f"{database.name}.wal")


def _means_busy(error: duckdb.Error) -> bool:
    """Whether another process has the file open (IO error), or this one has it open in the other mode."""
    return "Could not set lock on file" in str(error) or "different configuration than existing" in str(error)
