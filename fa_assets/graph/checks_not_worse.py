"""The check that LWLRAP did not fall: against the run before, and against the best so far."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import dagster as dg
import pyarrow as pa

from fa_assets.graph import clip_tables
from fa_assets.graph.asset import Asset, Check
from fa_assets.graph.display import records
from fa_assets.metrics.bootstrap import CONFIDENCE
from fa_assets.metrics.label_ranks import RankChanges, label_ranks, rank_changes
from fa_assets.metrics.predictions import predictions_of
from fa_assets.report.ranks import read_ranks
from fa_assets.store.ledger import Ledger, LedgerEntry, MetricRow
from fa_assets.store.values import Value

REPORT = "report"
"""The asset whose files hold how each label was ranked in earlier runs."""
COMPARABLE_CHANGE = 0.1
"""Share of the labels that may have come or gone for two LWLRAPs to be held against each other by their totals."""
_ADVICE = (
    "See what differs between the two runs (`fa-assets diff`: inputs, settings, code, folds) before you use these numbers; "
    "raise FA_MAX_LWLRAP_DROP if this is expected."
)


def not_worse_check(metrics: Asset, predictions: Asset, folds: Asset, scheme: str, max_drop: float) -> Check:
    """`<scheme>_not_worse`."""
    return Check(
        metrics,
        partial(not_worse, scheme=scheme, max_drop=max_drop),
        f"LWLRAP is not more than {max_drop:g} (FA_MAX_LWLRAP_DROP) below that of the run before, nor of the best so far, on "
        f"clips whose sound and labels are the same, and outside the {CONFIDENCE:.0%} interval of a paired bootstrap. Schemes "
        "without a report are compared by their totals with the run before.",
        name=f"{scheme}_not_worse",
        reads={"predictions": predictions, "folds": folds},
        with_ledger=True,
    )


def not_worse(
    metrics: Value, predictions: Value, folds: Value, ledger: Ledger, *, scheme: str, max_drop: float
) -> dg.AssetCheckResult | str:
    """Warns where LWLRAP fell."""
    asset, version = metrics.header.asset, metrics.header.data_version
    reports = [one for one in earlier_reports(ledger, asset, version) if one.settings.get("scheme") == scheme]
    scores = {
        one.data_version: score
        for one in ledger.newest_of(asset)
        if isinstance(score := one.metadata.get("lwlrap"), int | float)
    }
    by_score = sorted(reports, key=lambda one: -scores.get(_made_from(one, asset), 0))
    before, best = (_first_readable(ledger, ordered) for ordered in (reports, by_score))
    if before is None or best is None:
        return _by_totals(ledger, asset, max_drop)
    references = {"the run before": before} | ({"the best so far": best} if best[0] != before[0] else {})
    ours = label_ranks(
        predictions_of(predictions.table, predictions.header.details["classes"]),
        dict(zip(folds.table["fname"].to_pylist(), folds.table["sha256"].to_pylist(), strict=True)),
        clip_tables.units_by_name(folds.table),
    )
    changes = {name: rank_changes(ranks, ours) for name, (_, ranks) in references.items()}
    fell = [name for name, change in changes.items() if is_loss(change, max_drop)]
    told = [describe(name, change) for name, change in changes.items()]
    if not any(one.change for one in changes.values()):
        return " ".join(told)
    if fell:
        told.append(f"More than {max_drop:g} lower than {' and '.join(fell)}. {_ADVICE}")
    rows = [
        (name, references[name][0], change.compared, *((own.difference, own.low, own.high) if own else (None,) * 3))
        for name, change in changes.items()
        for own in (change.change,)
    ]
    return dg.AssetCheckResult(
        passed=not fell,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(told),
        metadata={"compared": records(["with", "run", "clips", "change", "low", "high"], rows)},
    )


def _first_readable(ledger: Ledger, reports: Sequence[LedgerEntry]) -> tuple[str, pa.Table] | None:
    """The run of the first report whose table of ranks is still there, and the table."""
    root = ledger.folder.parent
    found = ((one.run_id, read_ranks(root, one.run_id)) for one in reports)
    return next(((run_id, ranks) for run_id, ranks in found if ranks is not None), None)


def is_loss(change: RankChanges, most: float) -> bool:
    """Whether LWLRAP on common clips fell by more than `most`, and by more than the choice of clips explains."""
    found = change.change
    return found is not None and found.difference < -most and found.high < 0


def describe(name: str, change: RankChanges) -> str:
    """The comparison with one run in a sentence."""
    left_out = f"; {len(change.relabelled)} clips with other labels left out" if change.relabelled else ""
    if change.change is None:
        return f"Not compared with {name}: no clip has the same sound and labels{left_out}."
    return (
        f"LWLRAP {change.b:.4f} against {change.a:.4f} of {name} ({change.change.difference:+z.4f}, {CONFIDENCE:.0%} interval "
        f"{change.change.low:+z.4f} to {change.change.high:+z.4f}) on {change.compared} clips of the same sound and "
        f"labels{left_out}."
    )


def earlier_reports(ledger: Ledger, metrics: str, version: str) -> Iterator[LedgerEntry]:
    """The reports of other figures than those of `version`, the newest first, each figures once."""
    seen = {version}
    for entry in ledger.newest_of(REPORT):
        made_from = _made_from(entry, metrics)
        if made_from not in seen:
            seen.add(made_from)
            yield entry


def _made_from(report: LedgerEntry, metrics: str) -> str:
    return next((one.data_version for one in report.inputs if one.asset == metrics), "")


def _by_totals(ledger: Ledger, asset: str, max_drop: float) -> dg.AssetCheckResult | str:
    entries = ledger.newest_of(asset)
    now = next(entries)
    before = next((one for one in entries if one.data_version != now.data_version), None)
    if before is None:
        return "there is no earlier one to compare with"
    change = LwlrapChange.between(before.metrics, now.metrics)
    if not change.comparable:
        return change.describe(max_drop)
    return dg.AssetCheckResult(
        passed=not change.is_drop(max_drop),
        severity=dg.AssetCheckSeverity.WARN,
        description=change.describe(max_drop),
        metadata={
            "before": change.before,
            "now": change.now,
            "labels_changed_share": change.labels_changed,
            "run_before": before.run_id,
        },
    )


@dataclass(frozen=True)
class LwlrapChange:
    """LWLRAP before and now, and the share of positives per class that came or went in between (0: the same labels)."""

    before: float
    now: float
    labels_changed: float

    @classmethod
    def between(cls, before: Sequence[MetricRow], now: Sequence[MetricRow]) -> "LwlrapChange":
        """From the metric rows of two materializations of one scheme."""
        totals = []
        for rows in (before, now):
            count: Counter[str] = Counter()
            for row in rows:
                count[row.class_name] += row.count
            lwlrap = sum(row.precision_sum for row in rows) / max(sum(count.values()), 1)
            totals.append((lwlrap, count))
        (lwlrap_before, count_before), (lwlrap_now, count_now) = totals
        changed = sum(abs(count_now[name] - count_before[name]) for name in count_before | count_now)
        return cls(lwlrap_before, lwlrap_now, changed / max(sum(count_before.values()), 1))

    @property
    def comparable(self) -> bool:
        return self.labels_changed <= COMPARABLE_CHANGE

    def is_drop(self, most: float) -> bool:
        """Whether LWLRAP fell by more than `most` on nearly the same labels."""
        return self.comparable and self.before - self.now > most

    def describe(self, most: float) -> str:
        """The two in a sentence."""
        figures = f"LWLRAP {self.now:.4f}, {self.before:.4f} before ({self.now - self.before:+.4f})"
        if not self.comparable:
            return f"{figures}. Not compared: {self.labels_changed:.0%} of the labels were added or removed."
        if not self.is_drop(most):
            return f"{figures}."
        return f"{figures}: more than {most:g} lower. {_ADVICE}"
