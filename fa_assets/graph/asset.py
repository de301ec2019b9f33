"""An asset, declared once: what it reads, its columns, its settings, its code version, and the function that makes it.

All else follows from the declaration: the dependencies and the code version that Dagster sees, the columns and their
lineage in the UI, the inputs that are recorded, where the value is stored, and what a check reads.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import dagster as dg
import pyarrow as pa

from fa_assets.errors import UserError
from fa_assets.graph.display import shown
from fa_assets.graph.partitions import ALL_IN_ONE_RUN, FOLD_NAMES, FOLDS
from fa_assets.graph.place import Place
from fa_assets.graph.references import OWNERS, code_references
from fa_assets.graph.source import Source
from fa_assets.graph.staleness import stale_by_settings
from fa_assets.graph.verdicts import keep, with_offenders
from fa_assets.graph.work import Made, Stored, Work
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.printable import printable
from fa_assets.store.ledger import Ledger
from fa_assets.store.recipe import Recipe, Scalar
from fa_assets.store.values import Value


@dataclass(frozen=True, eq=False)
class Asset:
    """A declaration.

    Attributes:
        name, group: as Dagster shows them, the group with its number in the pipeline before it.
        make: called as ``make(work, **inputs)``, with a `Stored` value (or the dataset, of a source) for each of `reads`; gives
            what it made, an asset by fold one `Made` for each fold of the run.
        columns: of the table that is stored.
        version: of the code, raised by hand when the values that it computes change.
        reads: what is read, by the parameter of `make`.
        settings: those that the values depend on; they are part of the code version.
        kinds: shown as icons.
        description: by default the docstring of `make`.
        by_fold: whether the value is stored, and made, a fold at a time.
        pool: of Dagster's concurrency pools.
        priority: of steps that are ready at once, the highest goes first.
    """

    name: str
    group: str
    make: Callable[..., Made | Iterable[Made]]
    columns: pa.Schema
    version: str
    reads: "Mapping[str, Asset | Source]" = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset({"parquet"})
    description: str | None = None
    by_fold: bool = False
    pool: str | None = None
    priority: int = 0

    @cached_property
    def recipe(self) -> Recipe:
        """The code version and the settings."""
        return Recipe(self.version, self.settings)

    @property
    def parts(self) -> Sequence[str | None]:
        """The folds of an asset by fold; of any other, the one None."""
        return FOLD_NAMES if self.by_fold else (None,)

    def to_dagster(self, place: Place, **tags: str) -> dg.AssetsDefinition:
        """The asset as Dagster knows it, with these tags besides those that all have."""

        @dg.asset(
            key=place.key(self.name),
            group_name=place.group(self.group),
            deps=[place.key(one.name) for one in self.reads.values()],
            partitions_def=FOLDS if self.by_fold else None,
            backfill_policy=ALL_IN_ONE_RUN if self.by_fold else None,
            pool=self.pool,
            op_tags={"dagster/priority": str(self.priority)} if self.priority else None,
            code_version=str(self.recipe),
            kinds=set(self.kinds),
            description=self.description or inspect.cleandoc(_function(self.make).__doc__ or ""),
            owners=OWNERS,
            tags={"stage": self.group, "domain": "audio-tagging", **tags},
            metadata={"dagster/code_references": code_references(_function(self.make))},
        )
        def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return self._materialize(context, place)

        return materialize

    def _materialize(self, context: dg.AssetExecutionContext, place: Place) -> dg.MaterializeResult:
        partitions = sorted(context.partition_keys) if self.by_fold else [None]
        work = Work(context, place, self.recipe)
        with work.recorded():
            inputs = {name: _opened(work, one) for name, one in self.reads.items()}
            self._require_one_make(place)
            work.partitions = [one for one in partitions if not work.keeps(one)]
            if work.partitions:
                made = self.make(work, **inputs)
                for one in [made] if isinstance(made, Made) else made:
                    work.write(one)
        lineage = _column_lineage(self.columns, {name: place.key(one.name) for name, one in self.reads.items()})
        return work.result(_column_schema(self.columns), lineage)

    def _require_one_make(self, place: Place) -> None:
        """Refuse to read what was not made by the settings of this run and from one another.

        Raises:
            UserError: it was not, as where another run with other settings works in the same storage.
        """
        stale = stale_by_settings(Graph(_upstream_of(self), ()), place)
        mixed = [f"{one.name} ({stale[one.name]})" for one in self.reads.values() if one.name in stale]
        if mixed:
            raise UserError(
                f"{self.name} is not made from what does not belong together or to these settings: {', '.join(mixed)}. Another "
                f"run made it meanwhile, or it was left out: once no other run works in this storage, `fa-assets run` (or "
                f"--select '+{self.name}')."
            )


@dataclass(frozen=True, eq=False)
class Check:
    """A check of an asset.

    Attributes:
        asset: whose.
        judge: called as ``judge(value, **reads)``, of an asset by fold as ``judge(values, **reads)`` with the values of
            the run's folds; what it reads of an asset by fold comes as such a mapping, too. Gives the verdict, or why there
            is nothing to judge: then there is no verdict, rather than one that is always the same.
        description: what is true when it passes; by default the docstring of `judge`.
        name: where it is not that of `judge`.
        blocking: whether nothing is made from a value that fails it.
        reads: other assets, by the parameter of `judge`.
        with_ledger: whether `judge` takes the ledger, as ``ledger``.
    """

    asset: Asset
    judge: Callable[..., dg.AssetCheckResult | str]
    description: str | None = None
    name: str | None = None
    blocking: bool = False
    reads: Mapping[str, Asset] = field(default_factory=dict)
    with_ledger: bool = False

    @cached_property
    def title(self) -> str:
        """The check's name."""
        return self.name or str(_function(self.judge).__name__)

    def key(self, place: Place) -> dg.AssetCheckKey:
        """The check's key."""
        return dg.AssetCheckKey(place.key(self.asset.name), self.title)

    def to_dagster(self, place: Place) -> dg.AssetChecksDefinition:
        """The check as Dagster knows it."""

        spec = dg.AssetCheckSpec(
            self.title,
            asset=place.key(self.asset.name),
            description=self.description or " ".join(str(_function(self.judge).__doc__).split()),
            blocking=self.blocking,
            partitions_def=FOLDS if self.asset.by_fold else None,
            additional_deps=[place.key(one.name) for one in self.reads.values()],
        )

        # Only a check that may be left out of a run may give no verdict.
        @dg.multi_asset_check(name=spec.get_python_identifier(), specs=[spec], can_subset=True)
        def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            folds = sorted(context.op_execution_context.partition_keys) if self.asset.by_fold else FOLD_NAMES
            reads: dict[str, object] = {name: _values(place, one) for name, one in self.reads.items()}
            if self.with_ledger:
                reads["ledger"] = Ledger(place.recorder.root / "ledger")
            values = _values(place, self.asset, folds)
            verdict = self.judge(values, **reads)
            if isinstance(verdict, str):
                context.log.info(f"{self.title}: nothing to judge: {verdict}")
                return
            result = with_offenders(verdict, self.title)
            judged = [values] if isinstance(values, Value) else list(values.values())
            with place.recorder.explained(0):
                keep(result, self.key(place), context.op_execution_context.run_id, judged, place.recorder.root)
            yield result._replace(
                description=result.description and printable(result.description, keep="\n"),
                metadata=shown(result.metadata),
            )

        return check


@dataclass(frozen=True, eq=False)
class Graph:
    """All that is declared: assets, those that are read before those that read them, and checks."""

    assets: Sequence[Asset]
    checks: Sequence[Check]

    def checks_of(self, asset: str) -> list[Check]:
        """The checks of an asset."""
        return [one for one in self.checks if one.asset.name == asset]

    @cached_property
    def code_versions(self) -> list[str]:
        """Of all assets."""
        return [str(one.recipe) for one in self.assets]


def _upstream_of(asset: Asset) -> list[Asset]:
    """All that an asset is made from, those that are read before those that read them."""
    found: dict[str, Asset] = {}
    for read in asset.reads.values():
        if isinstance(read, Asset):
            found |= {one.name: one for one in (*_upstream_of(read), read)}
    return list(found.values())


def _values(place: Place, asset: Asset, folds: Sequence[str] = FOLD_NAMES) -> Value | dict[str, Value]:
    if asset.by_fold:
        return {fold: place.recorder.values.read(asset.name, fold) for fold in folds}
    return place.recorder.values.read(asset.name)


def _opened(work: Work, read: Asset | Source) -> Stored | KaggleDataset:
    return work.observe(read.name) if isinstance(read, Source) else work.open(read.name, by_fold=read.by_fold)


def _function(make: Callable[..., Any]) -> Callable[..., Any]:
    return make.func if isinstance(make, partial) else make


def _column_schema(schema: pa.Schema) -> dg.TableSchema:
    """An Arrow schema as Dagster shows it."""
    return dg.TableSchema([dg.TableColumn(one.name, str(one.type), _said(one, b"doc") or None) for one in schema])


def _column_lineage(schema: pa.Schema, reads: Mapping[str, dg.AssetKey]) -> dg.TableColumnLineage:
    """Which columns of other assets each column is made of; `reads` gives the assets by parameter."""
    return dg.TableColumnLineage(
        {
            one.name: [
                dg.TableColumnDep(asset_key=reads[parameter], column_name=column)
                for parameter, _, column in (made_of.partition(".") for made_of in _said(one, b"from").split())
            ]
            for one in schema
            if _said(one, b"from")
        }
    )


def _said(field: pa.Field, what: bytes) -> str:
    return (field.metadata or {}).get(what, b"").decode()
