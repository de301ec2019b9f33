"""One refresh is one run of the job `everything`, whatever starts it: all that is stale, with its checks.

State is looked at, not events: what is stored is compared with what it was made from (`staleness.find_stale`, the same
question the command line asks). So nothing is missed while the daemon was off or the sensor paused; changed settings and code
count like changed data, and what `fa-assets run` made is taken as it is.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from fa_assets.graph.asset import Graph
from fa_assets.graph.jobs import EVERYTHING
from fa_assets.graph.liveness import FROM_TAG, UNFINISHED
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.place import Place
from fa_assets.graph.staleness import Stale, range_tags
from fa_assets.graph.work import KEEP_UNCHANGED_TAG, MAKE_AGAIN_TAG

REFRESH_SENSOR = "refresh_what_is_stale"


def refresh_from_a_page() -> Mapping[str, Any]:
    """What a page needs to ask Dagster's GraphQL for a refresh, in one code location by itself: the parameters of ``launchRun``
    for a run of everything that keeps what is current; and which sensor starts refreshes, where it is on."""
    repository = {"repositoryLocationName": "fa_assets", "repositoryName": "__repository__"}
    tags = {
        FROM_TAG: "review",
        KEEP_UNCHANGED_TAG: "yes",
        "dagster/asset_partition_range_start": FOLD_NAMES[0],
        "dagster/asset_partition_range_end": FOLD_NAMES[-1],
    }
    return {
        "launch": {
            "selector": {**repository, "jobName": EVERYTHING},
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        },
        "sensor": {**repository, "sensorName": REFRESH_SENSOR},
    }


def refresh_request(
    graph: Graph,
    place: Place,
    stale: Sequence[Stale],
    started_by: str,
    checks: Collection[dg.AssetCheckKey] = (),
) -> dg.RunRequest:
    """One run of what is stale with its checks, and of other checks."""
    names = list(dict.fromkeys(one.asset for one in stale))
    own = {check.key(place) for name in names for check in graph.checks_of(name)}
    return dg.RunRequest(
        asset_selection=[place.key(name) for name in names],
        asset_check_keys=sorted({*own, *checks}),
        tags={FROM_TAG: started_by, **keeping_tags(stale), **range_tags(stale)},
    )


def keeping_tags(stale: Sequence[Stale]) -> dict[str, str]:
    """The tags by which a run keeps what turns out unchanged, but for what failed a check."""
    failed = " ".join(sorted({one.asset for one in stale if one.failed}))
    return {KEEP_UNCHANGED_TAG: "yes", **({MAKE_AGAIN_TAG: failed} if failed else {})}


def being_made(instance: dg.DagsterInstance, place: Place, stale: Sequence[Stale]) -> set[str]:
    """Those of the stale assets that a run is making or waits to make."""
    wanted = {one.asset for one in stale}
    made: set[str | None] = set()
    for run in instance.get_runs(UNFINISHED):
        if run.asset_selection is None and run.job_name == place.named(EVERYTHING):
            return wanted
        made |= {place.asset(key) for key in run.asset_selection or ()}
    return wanted & made
