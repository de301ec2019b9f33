"""Reading and writing of values, with everything recorded that a number came from.

An asset does its work inside `Recorder.materialization`: what it reads is noted at the data version that was read, what
it writes goes to its value file, then to the ledger, and last to Dagster; so a materialization Dagster shows is always on
disk. Each fold is stored and recorded as soon as it is written, also when a later fold of the same run fails. The
catalog is brought up to date at the end; when it is busy the run goes on, and it catches up at the next write.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from fa_assets.catalog.environment import collect_environment
from fa_assets.errors import UserError
from fa_assets.graph.retries import wait_to_retry
from fa_assets.settings import Settings
from fa_assets.store.atomic import digest_file
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry, MetricRow, StoredFile
from fa_assets.store.recipe import Recipe, Scalar, short_digest
from fa_assets.store.roots import StoragePath, open_root, relative_name
from fa_assets.store.trouble import remote_trouble, storage_trouble
from fa_assets.store.values import Scan, TableStream, Value, ValueHeader, ValueStore, table_digest

if TYPE_CHECKING:
    from fa_assets.catalog.database import Catalog

Metadata = Mapping[str, dg.MetadataValue | Scalar]


@dataclass(frozen=True)
class Recorder:
    """The storage root, and how values are read, written and recorded there.

    `local` is the folder of what has to lie on this machine (catalog, checkpoints); where the storage is a local folder,
    that one by default. `pictures`: whether they are drawn.
    """

    storage: str
    local: str | None = None
    pictures: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "Recorder":
        """The recorder of a code location with these settings."""
        return cls(
            storage=str(settings.storage_root), local=str(settings.local_root), pictures=settings.pictures == "on"
        )

    @property
    def root(self) -> StoragePath:
        return open_root(self.storage)

    @property
    def local_root(self) -> Path:
        return Path(self.storage if self.local is None else self.local)

    @property
    def values(self) -> ValueStore:
        return ValueStore(self.root)

    @property
    def recordings_memory(self) -> Path:
        """The file that remembers the hashes of the source folder's clips."""
        return self.local_root / "recordings.json"

    @contextmanager
    def materialization(self, context: dg.AssetExecutionContext, recipe: Recipe) -> Iterator["Materialization"]:
        """The frame of one asset's work; a `UserError` becomes a failure that is shown without a traceback, or another
        attempt where it is transient."""
        work = Materialization(context, self.root, recipe)
        try:
            yield work
        except UserError as error:
            if error.transient:
                wait_to_retry(error, context.retry_number)
            raise dg.Failure(description=str(error), allow_retries=False) from error
        except Exception as error:
            trouble = remote_trouble(error, self.root) or storage_trouble(error, self.local_root)
            if trouble is None:
                raise
            raise dg.Failure(description=str(trouble), allow_retries=False) from error
        finally:
            if work.written:
                self.catalog.try_sync(context.run.run_id)

    @property
    def catalog(self) -> "Catalog":
        from fa_assets.catalog.database import Catalog

        return Catalog(self.local_root / "catalog.duckdb", self.root, Ledger(self.root / "ledger"))


class Materialization:
    """One asset being materialized: its reads, its phases, its writes."""

    def __init__(self, context: dg.AssetExecutionContext, root: StoragePath, recipe: Recipe) -> None:
        self.root = root
        self.recipe = recipe
        self.asset = context.asset_key.to_user_string()
        self.written = 0
        self._context = context
        self._values = ValueStore(root)
        self._ledger = Ledger(root / "ledger")
        self._inputs: dict[tuple[str, str | None], InputVersion] = {}
        self._data_version: str | None = None
        self._start_clock()

    def _start_clock(self) -> None:
        self._started_at = datetime.now(UTC)
        self._started = time.perf_counter()
        self._timings: dict[str, float] = {}
        self._within = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the work, without the phases inside it; it is recorded with the next write."""
        started, before = time.perf_counter(), self._within
        self._within = 0.0
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self._timings[name] = self._timings.get(name, 0.0) + spent - self._within
            self._within = before + spent

    def read(self, asset: str, partition: str | None = None) -> Value:
        """A stored value; the data version that was read, and which materialization had made it, are recorded."""
        with self.phase("read"):
            value = self._values.read(asset, partition)
        self.note_input(asset, value.header.data_version, partition, value.header.materialization_id)
        return value

    @contextmanager
    def scan(self, asset: str, partition: str | None = None) -> Iterator[Scan]:
        """As `read`, of a value that is not held in memory as a whole."""
        with self._values.scan(asset, partition) as scan:
            self.note_input(asset, scan.header.data_version, partition, scan.header.materialization_id)
            yield scan

    def header(self, asset: str, partition: str | None = None) -> ValueHeader:
        """As `read`, of a value whose table is not looked at."""
        with self.scan(asset, partition) as scan:
            return scan.header

    def note_input(
        self, asset: str, data_version: str, partition: str | None = None, source_id: str | None = None
    ) -> None:
        """Record an input; `read` does it for stored values, the source folder has no `source_id`."""
        self._inputs[(asset, partition)] = InputVersion(asset, partition, data_version, source_id)

    @property
    def inputs(self) -> tuple[InputVersion, ...]:
        """What was read so far, sorted."""
        return tuple(sorted(self._inputs.values(), key=lambda one: (one.asset, one.partition or "")))

    def version_from_inputs(self) -> str:
        """The data version that code version, settings and the inputs read so far determine."""
        parts = [self.asset, str(self.recipe), *(f"{i.asset} {i.partition} {i.data_version}" for i in self.inputs)]
        return short_digest(*parts)

    def version_from_content(self, table: pa.Table) -> str:
        """The data version of a table by its content, so that equal content leaves downstream assets current."""
        return short_digest(self.asset, table_digest(table))

    def write(
        self,
        table: pa.Table | TableStream,
        *,
        data_version: str,
        partition: str | None = None,
        facts: Mapping[str, Scalar] | None = None,
        display: Metadata | None = None,
        details: Mapping[str, object] | None = None,
        environment: Mapping[str, Scalar] | None = None,
        metrics: Sequence[MetricRow] = (),
        extra_files: Sequence[StoragePath] = (),
    ) -> None:
        """Store a value, and record it in the ledger.

        Args:
            table: the value; the parts of a stream may be made while they are written.
            data_version: by `version_from_inputs` or `version_from_content`.
            partition: the fold, for a partitioned asset.
            facts: figures for the ledger, the catalog and the UI.
            display: metadata for the UI alone (tables, pictures).
            details: small facts kept in the value's header.
            environment: what the work ran on, beyond the library versions (device, batch).
            metrics: the metric rows of this materialization.
            extra_files: files that were written beside the value, to be recorded with size and hash.
        """
        id = self._ledger.new_id()
        with self.phase("write"):
            path = self._values.write(
                table,
                ValueHeader(
                    asset=self.asset,
                    partition=partition,
                    data_version=data_version,
                    code_version=str(self.recipe),
                    run_id=self._context.run.run_id,
                    inputs=self.inputs,
                    details=details or {},
                    materialization_id=id,
                ),
            )
            files = tuple(self.stored(file) for file in (path, *extra_files))
        # By a clock that never steps back: nothing ends before it began.
        finished_at = self._started_at + timedelta(seconds=time.perf_counter() - self._started)
        facts = {"rows": table.num_rows, **(facts or {})}
        self._ledger.append(
            LedgerEntry(
                id=id,
                asset=self.asset,
                partition=partition,
                run_id=self._context.run.run_id,
                started_at=self._started_at,
                finished_at=finished_at,
                code_version=str(self.recipe),
                data_version=data_version,
                inputs=self.inputs,
                settings=self.recipe.settings,
                environment={**collect_environment(), **(environment or {})},
                timings=dict(self._timings),
                files=files,
                metadata=facts,
                metrics=tuple(metrics),
            )
        )
        self.written += 1
        self._data_version = data_version
        metadata: dict[str, object] = {
            "dagster/row_count": table.num_rows,
            **{name: fact for name, fact in facts.items() if name != "rows"},
            **(environment or {}),
            **(display or {}),
            "seconds": round((finished_at - self._started_at).total_seconds(), 3),
            "file": dg.MetadataValue.path(str(path)),
        }
        self._context.add_asset_metadata(
            {name: value for name, value in metadata.items() if value is not None}, partition_key=partition
        )
        self._start_clock()

    def stored(self, path: StoragePath) -> StoredFile:
        """A file under the storage root with its size and hash."""
        digest = digest_file(path)
        return StoredFile(relative_name(path, self.root), digest.size_bytes, digest.sha256)

    def result(
        self, schema: dg.TableSchema | None = None, lineage: dg.TableColumnLineage | None = None
    ) -> dg.MaterializeResult:
        """What the asset returns to Dagster once everything is written: its version, its columns and their origin."""
        if self._data_version is None:
            raise RuntimeError(f"{self.asset} wrote nothing")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(self._data_version),
            metadata={
                name: value
                for name, value in (("dagster/column_schema", schema), ("dagster/column_lineage", lineage))
                if value is not None
            },
        )
