"""Running the definitions without the UI: find what is stale, make it in one run, say what went wrong.

The run happens in this process, against the same instance as the UI, so what it materialized is seen there.
"""

import logging
import os
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial

import dagster as dg
from dagster import DagsterEventType

# Private: Dagster's public ways to run a job in this process (`execute_in_process`, `execute_job`)
# record a run that belongs to no code location, so the UI shows it on no job's page and not on the timeline. One that takes
# the origin of the job, or takes it from the instance's workspace, would end this.
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from fa_assets.encoders.devices import resolve_device
from fa_assets.encoders.ray_cluster import require_ray
from fa_assets.encoders.registry import is_checkpoint
from fa_assets.errors import UserError
from fa_assets.graph.asset import Graph
from fa_assets.graph.clips import require_enough
from fa_assets.graph.instance import dagster_home, require_instance
from fa_assets.graph.jobs import EVERYTHING
from fa_assets.graph.liveness import FROM_TAG, alive, bury_the_dead
from fa_assets.graph.location import CodeLocation
from fa_assets.graph.made_with import made_with, remember
from fa_assets.graph.observation import describe_unreadable, report_observations
from fa_assets.graph.partitions import FOLD_NAMES
from fa_assets.graph.pools import waiting_for_pools
from fa_assets.graph.refresh import keeping_tags
from fa_assets.graph.source import versions_of
from fa_assets.graph.staleness import Stale, find_stale, made_otherwise, range_tags
from fa_assets.intake.clips import require_clips
from fa_assets.intake.kaggle import read_classes, read_labels
from fa_assets.intake.recordings import DatasetState
from fa_assets.store.atomic import remove_abandoned
from fa_assets.store.storage_errors import as_storage_error, require_reachable, require_there, require_writable

_ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("fa_assets"), "__repository__").get_job_origin(EVERYTHING)
"""The job in the code location of workspace.yaml."""
_UNSAID = "the run failed; its log is in the UI"

StepListener = Callable[[str, float | None], None]
"""Called as ``on_step(asset, None)`` when an asset begins, and with the seconds it took when it is done."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run did: its id (None when everything was current), what it set out to make, what failed, what warned."""

    run_id: str | None
    planned: tuple[Stale, ...]
    failures: tuple[str, ...]
    warnings: tuple[str, ...]


def prepare_environment(location: CodeLocation) -> None:
    """Make this process and its children see these settings and this instance, and initialise the instance once.

    Raises:
        UserError: the storage cannot be written to, or Ray was asked for and is not installed.
    """
    local_root = location.recorder.local_root
    try:
        if location.on_ray:
            require_ray()
        require_writable(local_root)
        require_reachable(location.recorder.root)
        home = dagster_home(local_root)
        for root in (location.recorder.root, local_root):
            remove_abandoned(root, deep=True)
        for folder in (home, location.place.dataset.layout.root):  # of what is below, much may belong to others
            remove_abandoned(folder)
        os.environ.update(location.environment, DAGSTER_HOME=str(home))
        require_instance(home)
    except OSError as error:
        raise as_storage_error(error, local_root) or UserError(
            f"The storage folder cannot be used ({error}): set FA_STORAGE to one that can be written."
        ) from error


def run(
    location: CodeLocation,
    *,
    select: str | None = None,
    folds: Sequence[str] | None = None,
    force: bool = False,
    on_plan: Callable[[], None] = lambda: None,
    on_step: StepListener = lambda asset, seconds: None,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> RunOutcome:
    """Materialize what is not current.

    Args:
        select: an asset selection (see `_select`), e.g. ``+mc5_metrics`` for it and all it needs; without one, everything.
        folds: only these folds of the partitioned assets, consecutive; see `plan`.
        force: also what is current.
        on_plan: called once there is something to make, and nothing that is soon seen speaks against it.
        on_step: told of every asset that begins or ends.
        on_warning: told of what the log warns of on the way, such as a retry and why it comes.

    Raises:
        UserError: the settings, the dataset folder or the selection cannot be used.
        KeyboardInterrupt: SIGINT or SIGTERM came; the run is marked as failed and its places in the pools are free.
    """
    with dg.DagsterInstance.get() as instance:
        bury_the_dead(instance)
        planned = plan(location, instance, select=select, folds=folds, force=force)
        _require_usable(location, {one.asset for one in planned})
        before = made_with(location.recorder.root)
        remember(location.recorder.root, location.deciding)
        if not planned:
            return RunOutcome(None, (), (), ())
        on_plan()
        tags = {FROM_TAG: "fa-assets run", **({} if force else keeping_tags(planned)), **range_tags(planned)}
        run_id = str(uuid.uuid4())
        steps = {location.place.step(one.asset): one.asset for one in planned}
        # Without an origin, as execute_in_process leaves it, a run is on neither the job's page nor the timeline of the UI.
        instance.create_run_for_job = partial(instance.create_run_for_job, remote_job_origin=_ORIGIN)  # type: ignore[method-assign]
        instance.add_event_listener(run_id, partial(_report_step, steps, on_step))
        instance.add_event_listener(run_id, partial(_report_warning, on_warning))
        job = location.definitions.resolve_job_def(EVERYTHING)
        with alive(instance, run_id), waiting_for_pools(instance, on_warning):
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[location.place.key(asset) for asset in steps.values()],
                run_id=run_id,
                tags=tags,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        if _was_interrupted(result.all_events):
            raise KeyboardInterrupt
        if any(one.is_step_failure and is_checkpoint(steps.get(one.step_key or "", "")) for one in result.all_events):
            remember(location.recorder.root, before)  # nothing is made with weights that cannot be read
        failures, warnings = _problems(result.all_events, steps)
        failures = failures or (() if result.success else (_UNSAID,))
        if not location.recorder.catalog.try_sync(result.run_id):  # with the checks that came after the last asset
            warnings += ("the catalog is behind, it was open elsewhere: `fa-assets catalog sync` once it is closed",)
        return RunOutcome(result.run_id, tuple(planned), failures, warnings)


def _require_usable(location: CodeLocation, planned: AbstractSet[str]) -> None:
    """Refuse what takes seconds to see, before weights are downloaded or clips read: a device or clips that are not there, a
    label table that cannot be used; raises UserError."""
    device = location.environment["FA_DEVICE"]
    if not location.on_ray and device != "auto":  # which may take a GPU
        resolve_device(device)
    if "curated_clips" in planned:
        dataset = location.place.dataset
        classes = read_classes(dataset.layout, labelled := read_labels(dataset.layout))
        require_enough(dataset.layout, labelled, classes)
        if not dataset.skips_unreadable:
            require_clips(dataset.layout.clips_folder, labelled.fnames)


@dataclass(frozen=True)
class Status:
    """What a run would make, upstream first; which clips cannot be read, in words, '' where all can; and the newest run with
    what failed in it, where it did and something is stale; nothing, where it was ended from outside."""

    stale: Sequence[Stale]
    unreadable: str
    failed_run: str | None = None
    failures: Sequence[str] = ()


def find_status(location: CodeLocation) -> Status:
    """Where a storage folder stands.

    Raises:
        UserError: there is no such storage folder (none is made), or the dataset folder cannot be used.
    """
    require_there(location.recorder.root)
    prepare_environment(location)
    with dg.DagsterInstance.get() as instance:
        bury_the_dead(instance)
        state = report_observations(instance, location.place)
        stale = plan(location, instance, state=state)
        unreadable = describe_unreadable(state) if state.unreadable else ""
        newest = next(iter(instance.get_runs(limit=1)), None)
        if not stale or newest is None or newest.status is not dg.DagsterRunStatus.FAILURE:
            return Status(stale, unreadable)
        told = {DagsterEventType.STEP_FAILURE, DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.RUN_FAILURE}
        records = instance.get_records_for_run(newest.run_id, of_type=told).records
        events = [event for one in records if (event := one.event_log_entry.dagster_event)]
        steps = {location.place.step(one.name): one.name for one in location.graph.assets}
        failures = () if _was_interrupted(events) else _problems(events, steps)[0] or (_UNSAID,)
        return Status(stale, unreadable, newest.run_id, failures)


def plan(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    *,
    select: str | None = None,
    folds: Sequence[str] | None = None,
    force: bool = False,
    state: DatasetState | None = None,
) -> list[Stale]:
    """What a run would make, upstream first; the dataset folder is observed on the way, unless its state is given.

    Of some folds: the embeddings of these, and nothing that needs other folds' embeddings which are not current.
    """
    versions = versions_of(state or report_observations(instance, location.place))
    assets = location.graph.assets
    names = {one.name for one in assets}
    chosen = names if select is None else names & _select(location.definitions, select)
    if not chosen:
        raise UserError(f"--select {select!r} selects nothing that can be materialized.")
    wanted = _consecutive(folds) if folds else set(FOLD_NAMES)
    everything = select is None and not folds
    candidates = [] if force and everything else find_stale(location.graph, location.place, instance, versions)
    lacking = [one.asset for one in candidates if one.partition not in (None, *wanted)]
    if lacking:
        needing, chosen = chosen, chosen - _select(location.definitions, ",".join(f"{one}+" for one in lacking))
        chosen |= needing & set(lacking)
        if not chosen:
            raise UserError(
                f"--fold: {', '.join(sorted(needing))} cannot be made, since the embeddings of the other folds are not "
                "current. Leave --fold out."
            )
    stale = {one.asset for one in candidates}
    if force:
        candidates = [Stale(one.name, fold, "forced") for one in assets for fold in one.parts]
    planned = [one for one in candidates if one.asset in chosen and (one.partition is None or one.partition in wanted)]
    made = {one.asset for one in planned}
    _require_current_inputs(location.graph, made, stale)
    for one in (one for one in assets if one.by_fold and one.name in made):
        if others := made_otherwise(one, location.place, set(FOLD_NAMES) - wanted):
            raise UserError(
                f"--fold: {one.name} of fold {', '.join(others)} was made by another encoder or weights. Leave --fold out."
            )
    return planned


def _require_current_inputs(graph: Graph, planned: AbstractSet[str], stale: AbstractSet[str]) -> None:
    """Refuse to make something from values of other settings, or of other data, than those of now.

    Raises:
        UserError: what is read is stale and not made before.
    """
    needed = {
        one.name: sorted({read.name for read in one.reads.values()} & stale - planned)
        for one in graph.assets
        if one.name in planned
    }
    lacking = {name: reads for name, reads in needed.items() if reads}
    if lacking:
        said = "; ".join(f"{name} reads {', '.join(reads)}" for name, reads in lacking.items())
        raise UserError(
            f"--select leaves out what is stale: {said}. Use --select '{','.join(f'+{name}' for name in lacking)}' for "
            "these and all that they need."
        )


def _select(definitions: dg.Definitions, text: str) -> set[str]:
    """The assets that a selection names.

    Clauses are separated by commas: an asset's name, with ``+`` before it for all that it needs and behind it for all that
    uses it, or anything in Dagster's own selection syntax.

    Raises:
        UserError: it cannot be understood, or names an asset that there is not.
    """
    graph = definitions.resolve_asset_graph()
    names = sorted(key.to_user_string() for key in graph.get_all_asset_keys())
    selected: set[dg.AssetKey] = set()
    for clause in text.split(","):
        bare = re.fullmatch(r"(\+?)([\w/]+)(\+?)", clause.strip())
        if bare and bare[2] not in names:
            raise UserError(f"--select: there is no asset {bare[2]!r}. There are: {', '.join(names)}.")
        expression = f'{bare[1]}key:"{bare[2]}"{bare[3]}' if bare else clause.strip()
        try:
            selected |= dg.AssetSelection.from_string(expression).resolve(graph)
        except dg.DagsterError as error:
            raise UserError(f"--select {clause!r} cannot be understood: {error}") from error
    return {key.to_user_string() for key in selected}


def _consecutive(folds: Sequence[str]) -> set[str]:
    """The folds as a set; a run covers a range of them.

    Raises:
        UserError: there is no such fold, or the folds are not consecutive.
    """
    if unknown := sorted(set(folds) - set(FOLD_NAMES)):
        raise UserError(f"--fold {', '.join(unknown)}: the folds are {FOLD_NAMES[0]} to {FOLD_NAMES[-1]}.")
    ordered = sorted(map(int, set(folds)))
    if ordered[-1] - ordered[0] >= len(ordered):
        raise UserError(
            f"--fold {', '.join(map(str, ordered))}: one run takes consecutive folds; start one run for each."
        )
    return set(folds)


def _problems(events: Sequence[dg.DagsterEvent], assets: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Failures and warnings of a run, in words; `assets` has the asset of each step."""
    failures: list[str] = []
    warnings: list[str] = []
    steps: dict[str, list[str]] = {}  # what went wrong, and where; what is wrong for several is said once
    for event in events:
        if event.event_type is DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            if data.error and data.error.cls_name == "DagsterAssetCheckFailedError":
                continue  # the check is named below
            said = data.user_failure_data.description if data.user_failure_data else None
            steps.setdefault(said or (data.error.to_string() if data.error else "failed"), []).append(
                assets.get(str(event.step_key), str(event.step_key))
            )
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                line = f"{check.asset_key.to_user_string()}, check {check.check_name}: {check.description}"
                (failures if check.severity is dg.AssetCheckSeverity.ERROR else warnings).append(line)
    failures = [*(f"{', '.join(where)}: {said}" for said, where in steps.items()), *failures]
    return tuple(failures), tuple(warnings)


def _was_interrupted(events: Sequence[dg.DagsterEvent]) -> bool:
    """Whether a signal ended the run, or its process was found gone; Dagster turns either into a failure."""
    ends = [event for event in events if event.event_type is DagsterEventType.RUN_FAILURE]
    reasons = [one.job_failure_data.failure_reason if one.event_specific_data else None for one in ends]
    return any(reason is None or reason.name == "UNEXPECTED_TERMINATION" for reason in reasons)


def _report_step(steps: Mapping[str, str], on_step: StepListener, entry: dg.EventLogEntry) -> None:
    """Pass on where assets begin and end, out of all that a run logs; `steps` has the asset of each step."""
    asset = steps.get(entry.step_key or "")
    if asset is None:
        return
    if entry.dagster_event_type is DagsterEventType.STEP_START:
        on_step(asset, None)
    elif entry.dagster_event_type is DagsterEventType.STEP_SUCCESS:
        on_step(asset, entry.get_dagster_event().step_success_data.duration_ms / 1000)


def _report_warning(on_warning: Callable[[str], None], entry: dg.EventLogEntry) -> None:
    """Pass on what the assets' own code warns of."""
    if not entry.is_dagster_event and entry.level == logging.WARNING:
        on_warning(entry.user_message)
