"""What is current and what is not, told from the stored values themselves.

A value is current when it is on disk, was made by the code version and settings of now, from inputs that are current and
still at the data versions it read, is known to the Dagster instance, and passed its blocking checks. This is Dagster's own
notion of staleness, plus the files: a value that was deleted or overwritten is noticed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster import AssetRecordsFilter
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from fa_assets.partitions import FOLD_NAMES
from fa_assets.storage.values import ValueStore

Part = tuple[str, str | None]
"""One value: asset name and fold, or None for an asset without partitions."""


@dataclass(frozen=True)
class Stale:
    """One value that has to be made, and the first reason why."""

    asset: str
    partition: str | None
    reason: str


def find_stale(
    definitions: dg.Definitions, instance: dg.DagsterInstance, values: ValueStore, source_versions: Mapping[str, str]
) -> list[Stale]:
    """Every value that is not current, upstream first.

    Args:
        source_versions: the data versions of the observed source assets, as they are now.
    """
    graph = definitions.resolve_asset_graph()
    current: dict[Part, str] = {(asset, None): version for asset, version in source_versions.items()}
    stale: list[Stale] = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if not node.is_materializable:
            continue
        asset = key.to_user_string()
        failed_check = _failed_blocking_check(instance, graph, key)
        for partition in FOLD_NAMES if node.is_partitioned else (None,):
            reason = _reason(instance, values, key, partition, node.code_version, current) or failed_check
            if reason is None:
                header = values.header(asset, partition)
                assert header is not None
                current[(asset, partition)] = header.data_version
            else:
                stale.append(Stale(asset, partition, reason))
    return stale


def _reason(
    instance: dg.DagsterInstance,
    values: ValueStore,
    key: dg.AssetKey,
    partition: str | None,
    code_version: str | None,
    current: dict[Part, str],
) -> str | None:
    header = values.header(key.to_user_string(), partition)
    if header is None:
        return "not materialized"
    if header.code_version != code_version:
        return f"code or settings changed: {header.code_version} -> {code_version}"
    for needed in header.inputs:
        if current.get((needed.asset, needed.partition)) != needed.data_version:
            where = needed.asset if needed.partition is None else f"{needed.asset}, fold {needed.partition},"
            return f"{where} is not current or changed"
    if _known_version(instance, key, partition) != header.data_version:
        return "not known to this Dagster instance"
    return None


def _known_version(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> str | None:
    wanted = AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        materialization = record.asset_materialization
        return (materialization.tags or {}).get("dagster/data_version") if materialization else None
    return None


def _failed_blocking_check(instance: dg.DagsterInstance, graph: AssetGraph, key: dg.AssetKey) -> str | None:
    for check in sorted(graph.get(key).check_keys):
        if not graph.get(check).blocking:
            continue
        record = instance.get_latest_asset_check_evaluation_record(check)
        if record is not None and record.status is not AssetCheckExecutionRecordStatus.SUCCEEDED:
            return f"its check {check.name} did not pass"
    return None


def fold_range(stale: Sequence[Stale]) -> tuple[str, str] | None:
    """First and last fold that is needed, or None when no partitioned value is."""
    folds = sorted(one.partition for one in stale if one.partition is not None)
    return (folds[0], folds[-1]) if folds else None
