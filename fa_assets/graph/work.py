"""The work on one asset: its inputs, its phases, and what is recorded when it writes.

The inputs are noted, at the data versions that are there, before anything is read; a value that is made again meanwhile
is not read. A value is written, then its ledger entry, then the value takes its name, and last Dagster is told: a value that
is read is always recorded, and a materialization that Dagster shows is always on disk. An asset by fold stores and records
each fold as soon as it is made, also when a later fold of the same run fails.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from fa_assets.catalog.environment import collect_environment
from fa_assets.errors import UserError
from fa_assets.graph.display import EscapingFilter, pictures, shown
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.place import Place
from fa_assets.graph.source import scan_dataset, versions_of
from fa_assets.graph.staleness import named_part
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.progress import Pace, ProgressCallback
from fa_assets.store.atomic import FileDigest
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry, MetricRow, StoredFile
from fa_assets.store.recipe import Recipe, Scalar, short_digest
from fa_assets.store.roots import StoragePath, relative_name
from fa_assets.store.values import Scan, TableStream, ValueHeader, ValueStore, table_digest

if TYPE_CHECKING:
    from fa_assets.report.picture import Picture

KEEP_UNCHANGED_TAG = ".dagster/fa_assets.keep_unchanged"
"""The hidden tag of a refresh: a value whose inputs turn out to be what it was made from is not made again."""
MAKE_AGAIN_TAG = ".dagster/fa_assets.make_again"
"""The hidden tag of a refresh that names the assets which are not kept: a blocking check of theirs did not pass."""
_FEW = 5
_LOG_EVERY_S = 10.0

_ESCAPING = EscapingFilter()


@dataclass(frozen=True, eq=False)
class Made:
    """What an asset made.

    Attributes:
        table: the value; the parts of a stream may be made while they are written.
        fold: of an asset by fold.
        version: the data version; without one that which follows from inputs, settings and code version. One by content leaves
            what reads the value current where it turns out equal.
        facts: figures for the ledger, the catalog and the UI.
        display: metadata for the UI alone (tables, pictures); what is None is left out.
        details: small facts kept in the value's header, for those who read it.
        environment: what the work ran on, beyond the library versions (device, batch).
        metrics: rows of the ledger's metrics.
        files: that belong to the value, as they were written.
    """

    table: pa.Table | TableStream
    fold: str | None = None
    version: str | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    display: Mapping[str, dg.MetadataValue | None] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Sequence[MetricRow] = ()
    files: Sequence[StoredFile] = ()


class Stored:
    """A value that is read: the headers are there at once, the tables when they are asked for.

    Of its own earlier value an asset also reads one that has no ledger entry, since a run was killed or the entry was lost.
    """

    def __init__(self, work: "Work", asset: str, partitions: Sequence[str | None]) -> None:
        self.asset = asset
        self._work = work
        self._recorded = asset != work.asset
        self.headers: dict[str | None, ValueHeader] = {}
        for one in partitions:
            header = work.values.header(asset, one)
            self.headers[one] = header or work.values.read(asset, one, recorded=self._recorded).header

    @property
    def header(self) -> ValueHeader:
        """Of a value that is not stored by fold."""
        return self.headers[None]

    @property
    def table(self) -> pa.Table:
        """The table of a value that is not stored by fold."""
        return self.of(None)

    def of(self, fold: str | None) -> pa.Table:
        """The table of a fold."""
        with self._work.phase("read"):
            value = self._work.values.read(self.asset, fold, recorded=self._recorded)
        self._require_same(value.header, fold)
        return value.table

    @contextmanager
    def scan(self, fold: str | None) -> Iterator[Scan]:
        """The table of a fold, in parts; it is not held in memory as a whole."""
        with self._work.values.scan(self.asset, fold) as scan:
            self._require_same(scan.header, fold)
            yield scan

    @property
    def encoder_fingerprint(self) -> str:
        """Of embeddings: the encoder that made them, with its weights and precision; of all folds it is the same."""
        return str(next(iter(self.headers.values())).details["encoder_fingerprint"])

    def _require_same(self, header: ValueHeader, fold: str | None) -> None:
        if header.data_version != self.headers[fold].data_version:
            raise UserError(
                f"{self.asset} was made again while {self._work.asset} was reading it: start it again once that run is done."
            )


class Work:
    """One asset being materialized.

    Attributes:
        asset: its name.
        partitions: the folds to make, of an asset by fold; else one None.
        inputs: what is read, at which data version.
    """

    def __init__(self, context: dg.AssetExecutionContext, place: Place, recipe: Recipe) -> None:
        self.asset = str(place.asset(context.asset_key))
        self.recipe = recipe
        self.recorder = place.recorder
        self.root = place.recorder.root
        self.values = ValueStore(self.root)
        self.log = context.log
        self.log.addFilter(_ESCAPING)
        self.run_id = context.run.run_id
        self.partitions: Sequence[str | None] = (None,)
        self.dataset = place.dataset
        self._context = context
        self._embeds_pictures = bool(place.prefix)
        self._watcher = place.watcher
        self._inputs: dict[tuple[str, str | None], InputVersion] = {}
        self._metadata: dict[str, object] = {}
        self._data_version: str | None = None
        self.written = 0
        self._start_clock()

    def _start_clock(self) -> None:
        self._started_at = datetime.now(UTC)
        self._started = time.perf_counter()
        self._timings: dict[str, float] = {}
        self._within = 0.0

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """The frame of all of it: errors are explained, and the catalog is brought up to date where anything was written."""
        try:
            with self.recorder.explained(self._context.retry_number):
                yield
        finally:
            if self.written:
                self.recorder.catalog.try_sync(self.run_id, self.asset)

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

    def track(self, unit: str, part: str = "") -> ProgressCallback:
        """A progress callback, e.g. ``track("clips", "fold 0")``; it is logged every `_LOG_EVERY_S` seconds, and at the end."""
        task = f"{self.asset}, {part}" if part else self.asset
        pace = Pace(task, unit, _LOG_EVERY_S)

        def report(done: int, total: int) -> None:
            self._watcher(task, unit, done, total)
            if line := pace.say(done, total):
                self.log.info(line)

        return report

    def draw(self, painters: "Mapping[str, Callable[[], Picture | None]]") -> dict[str, dg.MetadataValue]:
        """Pictures for the UI, where they are wanted; see `pictures`."""
        if not self.recorder.pictures:
            return {}
        with self.phase("draw"):
            return {**pictures(self.log, painters, None if self._embeds_pictures else self.root)}

    def open(self, asset: str, *, by_fold: bool) -> Stored:
        """A stored value, noted as an input."""
        stored = Stored(self, asset, FOLD_NAMES if by_fold else (None,))
        for partition, header in stored.headers.items():
            self._note(asset, partition, header.data_version, header.materialization_id)
        return stored

    def observe(self, source: str) -> KaggleDataset:
        """The dataset, with the state of one of its sources noted as an input before anything is read of it."""
        dataset = self.dataset.open()
        with self.phase("observe"):
            state = scan_dataset(self.dataset, self.recorder)
        self._note(source, None, versions_of(state)[source], None)
        return dataset

    def _note(self, asset: str, partition: str | None, data_version: str, source_id: str | None) -> None:
        self._inputs[(asset, partition)] = InputVersion(asset, partition, data_version, source_id)

    @property
    def inputs(self) -> tuple[InputVersion, ...]:
        """What is read, sorted."""
        return tuple(sorted(self._inputs.values(), key=lambda one: (one.asset, one.partition or "")))

    @property
    def version(self) -> str:
        """The data version that code version, settings and inputs determine."""
        parts = [self.asset, str(self.recipe), *(f"{i.asset} {i.partition} {i.data_version}" for i in self.inputs)]
        return short_digest(*parts)

    def keeps(self, fold: str | None) -> bool:
        """Whether the stored value stays: in a refresh, when it was made by the same recipe from the same inputs.

        What reads nothing is made again: files that lie on another machine (the weights) come to this one.
        """
        if KEEP_UNCHANGED_TAG not in self._context.run.tags or not self.inputs:
            return False
        header, loss = self.values.examine(self.asset, fold, self.recorder.digests)
        if (
            header is None
            or loss is not None
            or header.code_version != str(self.recipe)
            or self._others(header.inputs) != self._others(self.inputs)
        ):
            return False
        if self.asset in self._context.run.tags.get(MAKE_AGAIN_TAG, "").split():
            return False
        recorded = self._ledger.find(str(header.materialization_id), self.asset, fold)
        self.log.info(f"{named_part(self.asset, fold)} is kept: its inputs are unchanged")
        self._data_version = header.data_version
        self._show({**recorded.metadata, "kept": "its inputs are unchanged"}, fold)
        return True

    def _others(self, inputs: Sequence[InputVersion]) -> set[tuple[str, str | None, str]]:
        """The versions of inputs, without the asset's own earlier value, which folds go on from."""
        return {(one.asset, one.partition, one.data_version) for one in inputs if one.asset != self.asset}

    def write(self, made: Made) -> None:
        """Record a value in the ledger, and store it."""
        header = ValueHeader(
            asset=self.asset,
            partition=made.fold,
            data_version=made.version or self.version,
            code_version=str(self.recipe),
            run_id=self.run_id,
            inputs=self.inputs,
            details=made.details,
            materialization_id=self._ledger.new_id(),
        )
        rows = made.table.num_rows
        with ExitStack() as stack:
            with self.phase("write"):
                value = stack.enter_context(self.values.writing(made.table, header))
            # By a clock that never steps back: nothing ends before it began.
            finished_at = self._started_at + timedelta(seconds=time.perf_counter() - self._started)
            self._ledger.append(
                LedgerEntry(
                    **header.in_the_ledger,
                    started_at=self._started_at,
                    finished_at=finished_at,
                    settings=self.recipe.settings,
                    environment={**collect_environment(), **made.environment},
                    timings=dict(self._timings),
                    files=(value, *made.files),
                    metadata={"rows": rows, **made.facts},
                    metrics=tuple(made.metrics),
                )
            )
        self.written += 1
        self._data_version = header.data_version
        seconds = round((finished_at - self._started_at).total_seconds(), 3)
        self._show(
            {
                **{name: one for name, one in made.display.items() if not isinstance(one, dg.TableMetadataValue)},
                "dagster/row_count" if made.fold is None else "dagster/partition_row_count": rows,
                **made.facts,
                **made.environment,
                "seconds": seconds,
                "file": relative_name(self.values.path(self.asset, made.fold), self.root),
                **self._paths(made.files),
                **made.display,
            },
            made.fold,
        )
        self._start_clock()

    def _paths(self, files: Sequence[StoredFile]) -> dict[str, dg.MetadataValue]:
        """Where the other files of a value lie, where they are few, by name."""
        places = {one.path.rpartition("/")[2]: str(self.root / one.path) for one in files}
        return {name: dg.MetadataValue.path(place) for name, place in places.items()} if len(places) <= _FEW else {}

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.root / "ledger")

    def version_by_content(self, table: pa.Table, details: Mapping[str, object]) -> str:
        """The data version of a value by its content."""
        return short_digest(self.asset, table_digest(table), json.dumps(details, sort_keys=True))

    def _show(self, metadata: Mapping[str, object], fold: str | None) -> None:
        self._context.add_asset_metadata(shown(metadata), partition_key=fold)

    def stored(self, path: StoragePath, digest: FileDigest) -> StoredFile:
        """A file that belongs to the value, as it was written or found."""
        inside = not isinstance(path, Path) or (isinstance(self.root, Path) and path.is_relative_to(self.root))
        name = relative_name(path, self.root) if inside else path.absolute().as_posix()
        return StoredFile(name, digest.size_bytes, digest.sha256)

    def result(self, schema: dg.TableSchema, lineage: dg.TableColumnLineage) -> dg.MaterializeResult:
        """What Dagster gets once everything is written: the version, the columns and their origin."""
        if self._data_version is None:
            raise RuntimeError(f"{self.asset} wrote nothing")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(self._data_version),
            metadata={"dagster/column_schema": schema, "dagster/column_lineage": lineage},
        )
