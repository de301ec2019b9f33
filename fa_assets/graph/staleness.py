"""What is current and what is not, told from the stored values themselves.

A value is current when it is on disk, was made by the code version and settings of now, from inputs that are current and
still at the data versions it read, is known to the Dagster instance, and passed its blocking checks. This is Dagster's own
notion of staleness, plus the files: a value that was deleted or overwritten is noticed. The command line, the sensor and
the nightly schedule all ask here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter

from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.store.recipe import short_digest
from fa_assets.store.values import ValueHeader, ValueStore

AssetGraph = Any
"""What `Definitions.resolve_asset_graph` gives; its class has no public name."""

Part = tuple[str, str | None]
"""One value: asset name and fold, or None for an asset without partitions."""


@dataclass(frozen=True)
class Stale:
    """One value that is not current.

    Attributes:
        reason: the first reason why.
        failed: a blocking check of its asset did not pass.
        waits: it may yet turn out current: all that is wrong is that something it was made from is not current itself.
        situation: a digest of the code version and of the data versions of what it is made from, as they are stored. Making
            the value again in the same situation would go the same way.
    """

    asset: str
    partition: str | None
    reason: str
    failed: bool = False
    waits: bool = False
    situation: str = ""


def find_stale(
    graph: AssetGraph, instance: dg.DagsterInstance, values: ValueStore, source_versions: Mapping[str, str]
) -> list[Stale]:
    """Every value that is not current, upstream first.

    Args:
        source_versions: the data versions of the observed source assets, as they are now.
    """
    current: dict[Part, str] = {(asset, None): version for asset, version in source_versions.items()}
    stored = dict(current)
    stale: list[Stale] = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if not node.is_materializable:
            continue
        asset = key.to_user_string()
        failed = _failed_blocking_checks(instance, graph, key)
        situation = _situation(graph, key, stored)
        for partition in parts_of(graph, key):
            header = values.header(asset, partition)
            if header is not None:
                stored[(asset, partition)] = header.data_version
            reason = _reason_of_its_own(instance, header, key, partition, node.code_version, current)
            reason = reason or failed.get(partition)
            waits = reason is None
            reason = reason or _reason_upstream(header, current)
            if reason is not None:
                stale.append(Stale(asset, partition, reason, partition in failed, waits, situation))
            elif header is not None:
                current[(asset, partition)] = header.data_version
    return stale


def parts_of(graph: AssetGraph, key: dg.AssetKey) -> Sequence[str | None]:
    """The folds of a partitioned asset; of any other, the one None."""
    return FOLD_NAMES if graph.get(key).is_partitioned else (None,)


def _situation(graph: AssetGraph, key: dg.AssetKey, stored: Mapping[Part, str]) -> str:
    needed = [
        (parent.to_user_string(), partition)
        for parent in sorted(graph.get(key).parent_keys)
        for partition in parts_of(graph, parent)
    ]
    parts = [str(graph.get(key).code_version), *(f"{part} {stored.get(part)}" for part in needed)]
    return short_digest(*parts)


def _reason_of_its_own(
    instance: dg.DagsterInstance,
    header: ValueHeader | None,
    key: dg.AssetKey,
    partition: str | None,
    code_version: str | None,
    current: Mapping[Part, str],
) -> str | None:
    if header is None:
        return "not materialized"
    if header.code_version != code_version:
        return f"code or settings changed: {header.code_version} -> {code_version}"
    for needed in header.inputs:
        version = current.get((needed.asset, needed.partition))
        # An asset that goes on from its own previous value (folds) does not become stale by having done so.
        if version is not None and version != needed.data_version and needed.asset != header.asset:
            return f"{_named(needed.asset, needed.partition)} changed"
    if _known_version(instance, key, partition) != header.data_version:
        return "not known to this Dagster instance"
    return None


def _reason_upstream(header: ValueHeader | None, current: Mapping[Part, str]) -> str | None:
    for needed in header.inputs if header else ():
        if (needed.asset, needed.partition) not in current and needed.asset != header.asset:  # type: ignore[union-attr]
            return f"{_named(needed.asset, needed.partition)} is not current"
    return None


def _named(asset: str, partition: str | None) -> str:
    return asset if partition is None else f"{asset}, fold {partition},"


def _known_version(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> str | None:
    wanted = AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        materialization = record.asset_materialization
        return (materialization.tags or {}).get("dagster/data_version") if materialization else None
    return None


def _failed_blocking_checks(
    instance: dg.DagsterInstance, graph: AssetGraph, key: dg.AssetKey
) -> Mapping[str | None, str]:
    """Why an asset cannot be used, by fold, as far as its blocking checks say.

    A run of several folds records its verdict once, without a fold, beside those of the folds.
    """
    blocking = [check for check in sorted(graph.get(key).check_keys) if graph.get(check).blocking]
    infos = instance.event_log_storage.get_asset_check_partition_info(blocking) if blocking else ()
    latest = {(info.check_key, info.partition_key): info for info in infos}
    reasons: dict[str | None, str] = {}
    for check in blocking:
        for partition in parts_of(graph, key):
            info, of_all = latest.get((check, partition)), latest.get((check, None))
            if of_all and (
                info is None
                or (
                    (info.latest_execution_status.name == "PLANNED")
                    and info.latest_check_event_storage_id < of_all.latest_check_event_storage_id
                )
            ):
                info = of_all
            if info is not None and not _passed_or_pending(instance, info):
                reasons.setdefault(partition, f"its check {check.name} did not pass")
    return reasons


def _passed_or_pending(instance: dg.DagsterInstance, info: Any) -> bool:
    if info.latest_execution_status.name == "PLANNED":
        run = instance.get_run_by_id(info.latest_planned_run_id)
        return run is not None and not run.is_finished
    return info.latest_execution_status.name == "SUCCEEDED"


def range_tags(stale: Sequence[Stale]) -> dict[str, str]:
    """The run tags that make one run cover all folds that are stale; none when no partitioned value is."""
    folds = sorted(one.partition for one in stale if one.partition is not None)
    if not folds:
        return {}
    return {"dagster/asset_partition_range_start": folds[0], "dagster/asset_partition_range_end": folds[-1]}
