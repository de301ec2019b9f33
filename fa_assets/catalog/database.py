"""The catalog: `catalog.duckdb`, a projection of the ledger that can be deleted and rebuilt at any time.

- Whatever the catalog says comes from ledger entries and from value files they name; nothing else writes to it.
- An entry is in it wholly or not at all: each sync is one transaction.
- One writer at a time: `<name>.lock` is held around the short time a connection is open. DuckDB itself locks the file
  against other processes, so a person's open shell keeps writers out; then the run, which waits once in a process, goes
  on, and the catalog catches up at the next sync.
- A catalog of a newer layout is refused and left as it is; one of an older layout, or a damaged one, is rebuilt.
- What the ledger no longer has goes with the next sync.
"""

from __future__ import annotations

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
from fa_assets.store.atomic import bring, replacing
from fa_assets.store.check_records import CheckRecords
from fa_assets.store.digests import DigestMemory
from fa_assets.store.ledger import Ledger
from fa_assets.store.roots import StoragePath, relative_name
from fa_assets.store.values import ValueStore

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
"""How long a person's command waits for another process that has the catalog open."""

RUN_TIMEOUT_S = 2.0
"""How long a run waits for it, in all its steps in a process together."""

_RETRY_S = 0.05


class CatalogBusyError(UserError):
    """Another process has the catalog open."""


class Catalog:
    """The catalog at `path`, made from the ledger and the value files under `storage_root`."""

    def __init__(self, path: Path, storage_root: StoragePath) -> None:
        self.path = path
        self.storage_root = storage_root
        self.ledger = Ledger(storage_root / "ledger")
        self._waited: set[str] = set()
        self._seen_by_duckdb = storage_root if isinstance(storage_root, Path) else path.with_name("values_for_catalog")

    @classmethod
    def of(cls, local_root: Path, storage_root: StoragePath) -> Catalog:
        """The catalog of a storage root, in the local folder."""
        return cls(local_root / "catalog.duckdb", storage_root)

    def sync(self, timeout_s: float = TIMEOUT_S, asset: str | None = None) -> int:
        """Bring the catalog up to date with the ledger; return the number of entries that were added.

        Args:
            asset: whose value took its place just now; another process may have seen its entry before.

        Raises:
            CatalogBusyError: another process had it open all the time.
            UserError: it, or the ledger, is of a newer version, or it cannot be opened; it is left as it is.
            duckdb.Error, OSError: it could not be written (disk full); it is left as it was.
        """
        deadline = time.monotonic() + timeout_s
        with self._alone(deadline):
            added = self._add(deadline, asset) if self.path.exists() else None
            if added is None:  # whole or not there: DuckDB would leave half a file where the disk is full
                added = self._rebuild_at(self.path)
            return added

    def _add(self, deadline: float, asset: str | None) -> int | None:
        """Add what the ledger has and the catalog has not; None where it has to be rebuilt."""
        try:
            with closing(self._open(deadline)) as connection:
                version = self._known_version(connection)
                if version in (None, schema.SCHEMA_VERSION):
                    return self._apply(connection, fresh=version is None, stored=asset)
            log.info("%s has layout %s, this is %s: it is rebuilt.", self.path, version, schema.SCHEMA_VERSION)
        except (_UnusableCatalogError, duckdb.Error) as error:
            log.warning("%s is damaged, or cannot be written, and is rebuilt: %s", self.path, error)
        return None

    def try_sync(self, run_id: str, asset: str | None = None) -> bool:
        """`sync` after a materialization of the asset, which is in the ledger: it warns, once in a run, instead of raising.

        Returns False when the catalog is behind: it is open elsewhere (a run waits once, `RUN_TIMEOUT_S`), or could
        not be written.
        """
        try:
            self.sync(0.0 if run_id in self._waited else RUN_TIMEOUT_S, asset)
        except (UserError, duckdb.Error, OSError) as error:
            if run_id not in self._waited:
                log.warning(
                    "The catalog is behind; the ledger has everything. It catches up at the next write, or with "
                    "`fa-assets catalog sync`. %s",
                    error,
                )
                self._waited.add(run_id)
            return False
        self._waited.clear()
        return True

    def rebuild(self, timeout_s: float = TIMEOUT_S) -> int:
        """Rebuild the catalog from the ledger and the value files, beside the old one, and put it in its place.

        Returns the number of entries in it; raises as `sync` does. A damaged catalog is replaced; its readers
        go on reading the old one until they open the new one.
        """
        deadline = time.monotonic() + timeout_s
        with self._alone(deadline):
            if self.path.exists():
                try:
                    with closing(self._open(deadline, read_only=True)) as connection:
                        self._known_version(connection)
                except _UnusableCatalogError as error:
                    log.warning("%s", error)
            return self._rebuild_at(self.path)

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
            copy = Catalog(target, self.storage_root)
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
            UserError: it is not there, cannot be opened, or is damaged.
        """
        if not self.path.exists():
            raise UserError(
                f"There is no catalog {self.path} yet: materialize something, or run `fa-assets catalog sync`."
            )
        try:
            with closing(self._open(time.monotonic() + timeout_s, read_only=read_only)) as connection:
                yield connection
        except duckdb.Error as error:
            if type(error) is not duckdb.Error and not isinstance(error, _DAMAGE):
                raise  # the query's own
            raise self._unusable(error) from error

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The rows of a query, read-only.

        Args:
            sql: one statement that gives rows.
            params: for its ``?`` or ``$name`` placeholders.

        Raises:
            UserError: as `connect`; the query is wrong or gives no rows; or it reads embeddings, and one of their files is not
                what was recorded.
        """
        if current.EMBEDDINGS in sql.casefold():
            self._require_sound_embeddings()
        with self.connect() as connection:
            try:
                relation = connection.sql(sql, params=params)
                if relation is not None:
                    return relation.to_arrow_table().to_pandas()
            except duckdb.Error as error:
                raise UserError(f"The catalog refused the query: {error}") from error
        raise UserError("The query gives no rows: ask with select; docs/catalog.md has the tables.")

    @contextmanager
    def _alone(self, deadline: float) -> Iterator[None]:
        """Hold the lock that keeps the writers of this program apart."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_name(f"{self.path.name}.lock"), timeout=max(0.0, deadline - time.monotonic()))
        try:
            held = lock.acquire()
        except Timeout:
            raise CatalogBusyError(f"The catalog {self.path} is being written by another process.") from None
        with held:
            yield

    def _open(self, deadline: float, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """Open the database, waiting until `deadline` while another process, or a part of this one, has it open."""
        while True:
            try:
                return duckdb.connect(self.path, read_only=read_only)
            except duckdb.Error as error:
                if not _means_busy(error):
                    raise self._unusable(error) from error
                if time.monotonic() >= deadline:
                    raise CatalogBusyError(f"The catalog {self.path} is open elsewhere: {error}") from error
            time.sleep(_RETRY_S)

    def _unusable(self, error: duckdb.Error) -> _UnusableCatalogError:
        return _UnusableCatalogError(
            f"The catalog {self.path} cannot be read ({error}): rebuild it with `fa-assets catalog rebuild`."
        )

    def _require_sound_embeddings(self) -> None:
        """DuckDB reads the embedding files as they are; see to it that they are what was recorded."""
        values, digests = ValueStore(self.storage_root), DigestMemory(self.path.with_name("digests.json"))
        for folder in values.folder.glob("**/*_embeddings/fold=*"):
            asset, _, fold = relative_name(folder, values.folder).rpartition("/fold=")
            if lost := values.examine(asset, fold, digests)[1]:
                raise UserError(f"{asset}, fold {fold}: {lost}. Materialize it again (`fa-assets run`).")
        digests.save()

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
                    added = self._apply(connection, fresh=True)
            finally:
                _log_of(temporary).unlink(missing_ok=True)
            _log_of(path).unlink(missing_ok=True)  # it belongs to the old file, and must not meet the new one
        return added

    def _apply(self, connection: duckdb.DuckDBPyConnection, *, fresh: bool, stored: str | None = None) -> int:
        """Add what the ledger has and the database, which is empty where it is fresh, has not.

        It is one transaction; closing without commit undoes it.
        """
        connection.begin()
        if fresh:
            schema.create(connection)
        known = dict(connection.execute("select id, asset from materializations").fetchall())
        lost = known.keys() - set(self.ledger.ids())
        for history in schema.TABLES if lost else ():
            owner = history.columns[0][0]
            connection.execute(f"delete from {history.name} where list_contains(?, {owner})", [sorted(lost)])
        entries = list(self.ledger.entries(skip=known))
        for table, rows in schema.history_rows(entries).items():
            current.insert(connection, table, pa.Table.from_pylist(rows))
        seen = {id for (id,) in connection.execute("select id from checks").fetchall()}
        checks = schema.check_rows(CheckRecords(self.storage_root / "checks").records(skip=seen))
        if checks:
            current.insert(connection, "checks", pa.Table.from_pylist(checks))
        for newest in {(entry.asset, entry.partition): entry for entry in entries}.values():
            if current.has_embeddings(newest.asset):
                bring(self.storage_root, newest.files[0].path, self._seen_by_duckdb)
        changed = [*(known[id] for id in sorted(lost)), *(entry.asset for entry in entries), *filter(None, [stored])]
        for asset in dict.fromkeys(changed):
            if not current.has_embeddings(asset):
                current.refresh(connection, self.storage_root, asset)
        current.create_views(connection, self._seen_by_duckdb.absolute() / "values", None if fresh else changed)
        connection.commit()
        return len(entries)


class _UnusableCatalogError(UserError):
    """The file exists but is not a DuckDB database that can be opened."""


_DAMAGE = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)
"""What DuckDB raises over a file that is not as it was written, besides its bare `Error`."""


def _log_of(database: Path) -> Path:
    """DuckDB's write-ahead log, which lies beside the database while it is open or after its process died."""
    return database.with_name(f"{database.name}.wal")


def _means_busy(error: duckdb.Error) -> bool:
    """Whether another process has the file open (IO error), or this one has it open in the other mode."""
    return "Could not set lock on file" in str(error) or "different configuration than existing" in str(error)
