"""What is current and what is not, told from the stored values themselves.

A value is current when it is on disk as it was recorded, with all files that belong to it, was made by the code version and
settings of now, from inputs that are current and still at the data versions it read, is known to the Dagster instance, and
passed its blocking checks. This is Dagster's own notion of staleness, plus the files: one that was deleted or changed is
noticed, also the weights. The command line, the sensor and the nightly schedule all ask here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from fa_assets.encoders.registry import is_checkpoint
from fa_assets.graph.place import Place
from fa_assets.graph.source import Source
from fa_assets.store.digests import DigestMemory
from fa_assets.store.recipe import short_digest
from fa_assets.store.values import ValueHeader

if TYPE_CHECKING:
    from fa_assets.graph.asset import Asset, Graph

_RECENT = 100
"""Executions of a check among which its last verdict is looked for; a run of all folds has six."""
Part = tuple[str, str | None]
"""One value: asset name and fold, or None for an asset without partitions."""


@dataclass(frozen=True)
class Stale:
    """One value that is not current.

    Attributes:
        reason: the first reason why.
        failed: a blocking check of its asset did not pass.
        waits: it may yet turn out current: all that is wrong is that something it was made from is not current itself.
        made_of: a digest of the code version and of the data versions of what it is made from, as they are stored. Making
            the value again from the same would go the same way.
    """

    asset: str
    partition: str | None
    reason: str
    failed: bool = False
    waits: bool = False
    made_of: str = ""


def find_stale(
    graph: "Graph", place: Place, instance: dg.DagsterInstance, source_versions: Mapping[str, str]
) -> list[Stale]:
    """Every value that is not current, upstream first.

    Args:
        source_versions: the data versions of the observed source assets, as they are now.
    """
    digests = place.recorder.digests
    examined = _examine(graph, place, digests)
    digests.save()
    return _find_stale(graph, place, instance, source_versions, examined)


def made_otherwise(asset: "Asset", place: Place, folds: Collection[str]) -> list[str]:
    """Those of the folds of an asset that are stored, and were made by another encoder or with other weights than now."""
    values, digests = place.recorder.values, place.recorder.digests
    weights: dict[str, str | None] = {}
    for one in asset.reads.values():
        if is_checkpoint(one.name) and not isinstance(one, Source):
            header, loss = values.examine(one.name, None, digests)
            as_now = header is not None and loss is None and header.code_version == str(one.recipe)
            weights[one.name] = header.data_version if header and as_now else None
    return [
        fold
        for fold in sorted(folds)
        if (header := values.header(asset.name, fold))
        and (
            header.code_version != str(asset.recipe)
            or any(weights.get(one.asset, one.data_version) != one.data_version for one in header.inputs)
        )
    ]


def stale_by_settings(graph: "Graph", place: Place) -> dict[str, str]:
    """The assets whose stored values were not made by the settings and code of now, or not from one another; and why.

    Neither the dataset folder nor the Dagster instance is looked at, and of the files no more than the values' headers.
    """
    examined = _examine(graph, place, None)
    made = {one.name for one in graph.assets}
    headers = (header for header, _ in examined.values() if header)
    sources = {one.asset: one.data_version for header in headers for one in header.inputs if one.asset not in made}
    return {one.asset: one.reason for one in reversed(_find_stale(graph, place, None, sources, examined))}


_Examined = Mapping[Part, tuple[ValueHeader | None, str | None]]
"""Of each value its header, where it can be read, and what is lost of it, in words."""


def _examine(graph: "Graph", place: Place, digests: DigestMemory | None) -> _Examined:
    values = place.recorder.values
    return {(one.name, part): values.examine(one.name, part, digests) for one in graph.assets for part in one.parts}


def _find_stale(
    graph: "Graph",
    place: Place,
    instance: dg.DagsterInstance | None,
    source_versions: Mapping[str, str],
    examined: _Examined,
) -> list[Stale]:
    """As `find_stale`; without an instance, what Dagster knows of the values is left out."""
    current: dict[Part, str] = {(asset, None): version for asset, version in source_versions.items()}
    stored = dict(current)
    stale: list[Stale] = []
    for asset in graph.assets:
        key = place.key(asset.name)
        failed = _failed_blocking_checks(instance, graph, place, asset) if instance else {}
        made_of = _made_of(asset, stored)
        for partition in asset.parts:
            header, loss = examined[(asset.name, partition)]
            reason = None
            if header is not None:
                stored[(asset.name, partition)] = header.data_version
                reason = _reason_of_its_own(asset, header, current)
            reason = reason or loss
            if instance and header and not reason and _known_version(instance, key, partition) != header.data_version:
                reason = "not known to this Dagster instance"
            reason = reason or failed.get(partition)
            waits = reason is None
            reason = reason or _reason_upstream(header, current)
            if reason is not None:
                stale.append(Stale(asset.name, partition, reason, partition in failed, waits, made_of))
            elif header is not None:
                current[(asset.name, partition)] = header.data_version
    return stale


def _made_of(asset: "Asset", stored: Mapping[Part, str]) -> str:
    needed = [(one.name, part) for one in sorted(asset.reads.values(), key=lambda one: one.name) for part in one.parts]
    return short_digest(str(asset.recipe), *(f"{part} {stored.get(part)}" for part in needed))


def _reason_of_its_own(asset: "Asset", header: ValueHeader, current: Mapping[Part, str]) -> str | None:
    if header.code_version != str(asset.recipe):
        before, now = (f"version={version}".split() for version in (header.code_version, str(asset.recipe)))
        gone, new = ([one for one in a if one not in b] for a, b in ((before, now), (now, before)))
        return f"code or settings changed: {' '.join(gone) or 'nothing'} -> {' '.join(new) or 'nothing'}"
    # An asset may go on from its own previous value, as folds do.
    if {one.asset for one in header.inputs} - {asset.name} != {one.name for one in asset.reads.values()}:
        return "it reads other assets now"
    for needed in header.inputs:
        version = current.get((needed.asset, needed.partition))
        # An asset that goes on from its own previous value (folds) does not become stale by having done so.
        if version is not None and version != needed.data_version and needed.asset != header.asset:
            return f"{named_part(needed.asset, needed.partition)} changed"
    return None


def _reason_upstream(header: ValueHeader | None, current: Mapping[Part, str]) -> str | None:
    for needed in header.inputs if header else ():
        if (needed.asset, needed.partition) not in current and needed.asset != header.asset:  # type: ignore[union-attr]
            return f"{named_part(needed.asset, needed.partition)} is not current"
    return None


def named_part(asset: str, partition: str | None) -> str:
    """A value in a sentence."""
    return asset if partition is None else f"{asset}, fold {partition},"


def _known_version(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> str | None:
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    for record in instance.fetch_materializations(wanted, limit=1).records:
        materialization = record.asset_materialization
        return (materialization.tags or {}).get("dagster/data_version") if materialization else None
    return None


def _failed_blocking_checks(
    instance: dg.DagsterInstance, graph: "Graph", place: Place, asset: "Asset"
) -> Mapping[str | None, str]:
    """Why an asset cannot be used, by fold, as far as its blocking checks say.

    A run of several folds records its verdict once, without a fold, beside those of the folds.
    """
    keys = sorted(one.key(place) for one in graph.checks_of(asset.name) if one.blocking)
    infos = instance.event_log_storage.get_asset_check_partition_info(keys) if keys else ()
    latest = {(info.check_key, info.partition_key): info for info in infos}
    reasons: dict[str | None, str] = {}
    for check in keys:
        for partition in asset.parts:
            info, of_all = latest.get((check, partition)), latest.get((check, None))
            if of_all and (
                info is None
                or (
                    (info.latest_execution_status.name == "PLANNED")
                    and info.latest_check_event_storage_id < of_all.latest_check_event_storage_id
                )
            ):
                info = of_all
            if info is not None and not _passed_or_pending(instance, info, place.key(asset.name), partition):
                reasons.setdefault(partition, f"its check {check.name} did not pass")
    return reasons


def _passed_or_pending(instance: dg.DagsterInstance, info: Any, key: dg.AssetKey, partition: str | None) -> bool:
    if info.latest_execution_status.name != "PLANNED":
        return bool(info.latest_execution_status.name == "SUCCEEDED")
    run = instance.get_run_by_id(info.latest_planned_run_id)
    if run is not None and not run.is_finished:
        return True
    # That run ended before the check: if it did not make the value either, the verdict of the run that did stands.
    parts = None if partition is None else [partition]
    made = instance.fetch_materializations(dg.AssetRecordsFilter(key, parts), limit=1).records
    verdicts = [
        record
        for record in instance.event_log_storage.get_asset_check_execution_history(info.check_key, _RECENT)
        if record.status.name in ("SUCCEEDED", "FAILED") and record.partition in (partition, None)
        if record.event and made and record.event.timestamp >= made[0].timestamp
    ]
    return bool(verdicts) and verdicts[0].status.name == "SUCCEEDED"


def range_tags(stale: Sequence[Stale]) -> dict[str, str]:
    """The run tags that make one run cover all folds that are stale; none when no partitioned value is."""
    folds = sorted(one.partition for one in stale if one.partition is not None)
    if not folds:
        return {}
    return {"dagster/asset_partition_range_start": folds[0], "dagster/asset_partition_range_end": folds[-1]}
