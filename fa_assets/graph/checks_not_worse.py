"""The check that LWLRAP did not fall: against the run before, and against the best so far."""

from collections.abc import Iterable, Iterator
from functools import partial

import dagster as dg
import pyarrow as pa

from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.display import records
from fa_assets.metrics.bootstrap import CONFIDENCE
from fa_assets.metrics.label_ranks import RankChanges, common_clips, rank_changes
from fa_assets.report.ranks import beside_metrics, read_ranks
from fa_assets.store.ledger import Ledger, LedgerEntry
from fa_assets.store.values import Value

_ADVICE = (
    "See what differs between the two runs (`fa-assets diff`: inputs, settings, code, folds) before you use these numbers; "
    "raise FA_MAX_LWLRAP_DROP if this is expected."
)


def not_worse_check(metrics: Asset, scheme: str, max_drop: float) -> Check:
    """`<scheme>_not_worse`."""
    return Check(
        metrics,
        partial(not_worse, max_drop=max_drop),
        f"LWLRAP is not more than {max_drop:g} (FA_MAX_LWLRAP_DROP) below that of the run before, nor of the best so far, on "
        f"clips whose sound and labels are the same, and outside the {CONFIDENCE:.0%} interval of a paired bootstrap.",
        name=f"{scheme}_not_worse",
        with_ledger=True,
    )


def not_worse(metrics: Value, ledger: Ledger, *, max_drop: float) -> dg.AssetCheckResult | str:
    """Warns where LWLRAP fell."""
    header = metrics.header
    ours = read_ranks(beside_metrics(ledger.folder.parent, header.asset, header.run_id))
    others = list(earlier(ledger, header.asset, header.data_version))
    before = newest_kept(ledger, others)
    if ours is None or before is None:
        return "there is no earlier one to compare with"
    references = {"the run before": before}
    best = newest_kept(ledger, sorted(others, key=_lwlrap, reverse=True), beside=ours)
    if best and best[0] != before[0]:
        references["the best so far"] = best
    changes = {name: rank_changes(ranks, ours) for name, (_, ranks) in references.items()}
    fell = [name for name, change in changes.items() if change.is_loss(max_drop)]
    told = [describe(name, change) for name, change in changes.items()]
    if not any(one.change for one in changes.values()):
        return " ".join(told)
    if fell:
        told.append(f"More than {max_drop:g} lower than {' and '.join(fell)}. {_ADVICE}")
    rows = [
        (
            name,
            references[name][0].run_id,
            change.compared,
            *((own.difference, own.low, own.high, own.units) if own else (None,) * 4),
        )
        for name, change in changes.items()
        for own in (change.change,)
    ]
    return dg.AssetCheckResult(
        passed=not fell,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(told),
        metadata={"compared": records(["with", "run", "clips", "change", "low", "high", "units"], rows)},
    )


def describe(name: str, change: RankChanges) -> str:
    """The comparison with one run in a sentence."""
    found = change.change
    if found is None:
        return f"Not compared with {name}: no clip has the same sound and labels.{change.relabelling}"
    return (
        f"LWLRAP {change.b:.4f} against {change.a:.4f} of {name} ({found.difference:+z.4f}, {CONFIDENCE:.0%} interval "
        f"{found.low:+z.4f} to {found.high:+z.4f}, {found.units} independent clips or groups) on {change.compared} clips of "
        f"the same sound and labels.{change.relabelling} {found.warning}"
    ).strip()


def earlier(ledger: Ledger, metrics: str, version: str) -> Iterator[LedgerEntry]:
    """Metrics other than those of `version`, the newest first, each once."""
    seen = {version}
    for entry in ledger.newest_of(metrics):
        if entry.data_version not in seen:
            seen.add(entry.data_version)
            yield entry


def newest_kept(
    ledger: Ledger, metrics: Iterable[LedgerEntry], beside: pa.Table | None = None
) -> tuple[LedgerEntry, pa.Table] | None:
    """The first whose table of `label_ranks` is there, and the table; those of older versions have none. With a table
    `beside`, the first that can be compared with it."""
    for one in metrics:
        ranks = read_ranks(beside_metrics(ledger.folder.parent, one.asset, one.run_id))
        if ranks is not None and (beside is None or common_clips(ranks, beside)):
            return one, ranks
    return None


def _lwlrap(metrics: LedgerEntry) -> float:
    found = metrics.metadata.get("lwlrap")
    return found if isinstance(found, int | float) else 0.0
