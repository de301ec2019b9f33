"""Where a run's values came from, told from the ledger: every materialization behind the values that were read."""

from collections.abc import Sequence
from itertools import groupby

from fa_assets.report.page import Table
from fa_assets.store.ledger import InputVersion, Ledger, LedgerEntry


def behind(ledger: Ledger, inputs: Sequence[InputVersion]) -> list[LedgerEntry]:
    """The entries that made the inputs, and theirs, and so on; upstream first, then by asset and fold."""
    found: dict[str, LedgerEntry] = {}
    waiting = [one.source_id for one in inputs]
    while waiting:
        id = waiting.pop()
        if id is None or id in found:
            continue
        found[id] = ledger.read(id)
        waiting += [one.source_id for one in found[id].inputs]
    depth: dict[str, int] = {}

    def depth_of(id: str) -> int:
        if id not in depth:
            above = [depth_of(one.source_id) for one in found[id].inputs if one.source_id is not None]
            depth[id] = 1 + max(above, default=0)
        return depth[id]

    return sorted(found.values(), key=lambda entry: (depth_of(entry.id), entry.asset, entry.partition or ""))


def lineage_table(entries: Sequence[LedgerEntry]) -> Table:
    """One row per materialization: what it is, its versions, what it was made from, when and by which run."""
    rows = [
        (
            entry.asset,
            entry.partition,
            entry.data_version,
            entry.code_version,
            _describe_inputs(entry.inputs),
            f"{entry.finished_at:%Y-%m-%d %H:%M:%S}",
            entry.run_id[:8],
        )
        for entry in entries
    ]
    columns = ("asset", "fold", "data version", "code and settings", "made from", "at (UTC)", "run")
    return Table("Materializations", columns, rows, printed=False)


def settings_table(entries: Sequence[LedgerEntry]) -> Table:
    """The settings, and the assets that each value entered."""
    found: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for name, value in entry.settings.items():
            found.setdefault((name, str(value)), set()).add(entry.asset)
    rows = [(name, value, ", ".join(sorted(assets))) for (name, value), assets in sorted(found.items())]
    return Table("Settings", ("setting", "value", "of"), rows)


def environment_table(entries: Sequence[LedgerEntry]) -> Table:
    """What the values were computed on; where assets differ, each value is named with its assets."""
    found: dict[str, dict[str, set[str]]] = {}
    for entry in entries:
        for name, value in entry.environment.items():
            if value is not None:
                found.setdefault(name, {}).setdefault(str(value), set()).add(entry.asset)
    rows = [
        (name, value, "" if len(values) == 1 else ", ".join(sorted(assets)))
        for name, values in found.items()
        for value, assets in sorted(values.items())
    ]
    return Table("Environment", ("what", "value", "only in"), rows, printed=False)


def _describe_inputs(inputs: Sequence[InputVersion]) -> str:
    """Assets with their folds or data version, e.g. ``folds 3f2a, mc5_embeddings folds 0 1 2 3 4``."""
    parts = []
    for asset, group in groupby(
        sorted(inputs, key=lambda one: (one.asset, one.partition or "")), lambda one: one.asset
    ):
        own = list(group)
        if own[0].partition is None:
            parts.append(f"{asset} {own[0].data_version[:8]}")
        else:
            parts.append(f"{asset} folds {' '.join(str(one.partition) for one in own)}")
    return ", ".join(parts)
