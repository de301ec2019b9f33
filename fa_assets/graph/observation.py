"""Looking at the dataset folder, and telling Dagster when it changed or cannot be used.

The newest observation of each source in the Dagster instance is what counts as known, whether made by the sensor, the
command line or the asset's Observe button. What was seen then is kept beside the memory of hashes, so that the next look
can name the clips that were added, changed and removed. The check `dataset_usable` is evaluated at every look, and reported
when it says something else than before.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.display import failure, records, shown
from fa_assets.graph.place import Place
from fa_assets.graph.source import CURATED_RECORDINGS, TEST_RECORDINGS, facts_of, scan_dataset, states_of
from fa_assets.intake.recordings import Change, DatasetState, RecordingsState, change_between
from fa_assets.printable import printable
from fa_assets.store.atomic import replacing

DATA_VERSION_TAG = "dagster/data_version"
USABLE = "dataset_usable"
_SHOWN = 10
_NAMED = 50
_ROWS = 1_000
SCAN_LIMIT_S = 30.0
"""Seconds that a look at the folder may take within a tick, which Dagster ends after 60; it goes on at the next."""


@dataclass(frozen=True)
class DatasetObservation:
    """The state of the folder, what is new since the last observations, and that in words; none where nothing is new."""

    state: DatasetState
    observations: tuple[dg.AssetObservation, ...]
    news: str


def _known_version(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """The data version of a source asset when it was last observed."""
    latest = instance.fetch_observations(key, limit=1).records
    observation = latest[0].asset_observation if latest else None
    return observation.data_version if observation else None


def observe_dataset(instance: dg.DagsterInstance, place: Place, *, limit_s: float | None = None) -> DatasetObservation:
    """Look at the folder; the observations are the caller's to report.

    Raises:
        UserError, OSError: the folder or its label CSV cannot be used; Dagster was told so, by the check `dataset_usable`.
        ScanUnfinishedError: `limit_s` seconds were not enough.
    """
    try:
        state = scan_dataset(place.dataset, place.recorder, limit_s=limit_s)
    except (UserError, OSError) as error:
        _report_verdict(instance, place, _verdict(place, error))
        raise
    _report_verdict(instance, place, _verdict(place, state))
    memory = place.recorder.recordings_memory.with_name("observed.json")
    observations, news = [], []
    for name, one in states_of(state).items():
        known = _known_version(instance, place.key(name))
        if known == one.data_version:
            continue
        before = _clips_at(memory, name, known)
        change = None if before is None else change_between(before, one.clips)
        observations.append(
            dg.AssetObservation(
                place.key(name),
                metadata={
                    **facts_of(place.dataset, one),
                    **({} if change is None else _named_change(change)),
                },
                tags={DATA_VERSION_TAG: one.data_version},
            )
        )
        news.append(_describe_change(_CLIPS[name], one, change))
    if observations:
        with replacing(memory) as temporary:
            temporary.write_text(
                json.dumps(
                    {
                        name: {"data_version": one.data_version, "clips": dict(one.clips)}
                        for name, one in states_of(state).items()
                    }
                )
            )
    if state.unreadable:
        news.append(describe_unreadable(state))
    return DatasetObservation(state, tuple(observations), "; ".join(news) or "nothing changed")


def describe_unreadable(state: DatasetState) -> str:
    """The clips that cannot be read, in words, the first few by name."""
    some = "; ".join(state.unreadable[:_SHOWN]) + ("; ..." if len(state.unreadable) > _SHOWN else "")
    return f"clips that cannot be read: {len(state.unreadable)} ({some})"


def report_observations(instance: dg.DagsterInstance, place: Place, *, limit_s: float | None = None) -> DatasetState:
    """The state of the dataset folder as it is now; Dagster is told of what is new.

    Raises:
        UserError, ScanUnfinishedError: see `observe_dataset`.
    """
    observed = observe_dataset(instance, place, limit_s=limit_s)
    for observation in observed.observations:
        instance.report_runless_asset_event(observation)
    return observed.state


def observe_source(name: str, place: Place, instance: dg.DagsterInstance) -> dg.ObserveResult:
    """What the Observe button of one source does: a look at the folder, as the sensor has it."""
    try:
        observed = observe_dataset(instance, place)
    except UserError as error:
        raise failure(error) from error
    state = states_of(observed.state)[name]
    news = {one.asset_key: one for one in observed.observations}
    own = news.pop(place.key(name), None)
    for other in news.values():
        instance.report_runless_asset_event(other)
    return dg.ObserveResult(
        asset_key=place.key(name),
        data_version=dg.DataVersion(state.data_version),
        metadata=own.metadata if own else facts_of(place.dataset, state),
    )


_CLIPS = {CURATED_RECORDINGS.name: "clips", TEST_RECORDINGS.name: "test clips"}


def _clips_at(memory: Path, name: str, version: str | None) -> dict[str, str] | None:
    """What there was at a data version, when that is the one that was kept."""
    try:
        kept = json.loads(memory.read_text())[name]
        return dict(kept["clips"]) if version is not None and kept["data_version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _describe_change(clips: str, state: RecordingsState, change: Change | None) -> str:
    if change is None:
        return f"{state.clips_present} {clips}"
    if change == Change():
        return f"{clips}: the CSV files changed, no clip did"
    return f"{clips}: {len(change.added)} added, {len(change.changed)} changed, {len(change.removed)} removed"


def _named_change(change: Change) -> dict[str, Any]:
    """How many clips were added, changed and removed, and which."""
    return shown(
        {f"clips_{what}": len(names) for what, names in vars(change).items()}
        | {what: _first(names) for what, names in vars(change).items() if names}
    )


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name.removeprefix("/test/") for name in names[:_NAMED]) + more


def usable_check(place: Place) -> dg.AssetChecksDefinition:
    """The check of the dataset folder as Dagster knows it; it can be executed from the UI too."""

    @dg.asset_check(
        asset=place.key(CURATED_RECORDINGS.name),
        name=USABLE,
        description="The dataset folder can be read as it is now, and so can the bytes of every clip that its tables name; "
        "what does not decode fails curated_clips. It is looked at by the sensor, the schedule and every run.",
    )
    def check() -> dg.AssetCheckResult:
        try:
            return _verdict(place, scan_dataset(place.dataset, place.recorder))
        except (UserError, OSError) as error:
            return _verdict(place, error)

    return check


def _verdict(place: Place, found: DatasetState | Exception) -> dg.AssetCheckResult:
    """What the check says of the folder's state, or of the error that is all there is."""
    if isinstance(found, Exception):
        said = f"The dataset cannot be used as it is now; earlier results stay as they are. {found}"
        return dg.AssetCheckResult(passed=False, description=printable(said, keep="\n"))
    unreadable = [one.partition(": ") for one in found.unreadable]
    description = f"{found.curated.clips_present} clips and {found.test.clips_present} test clips are there."
    if unreadable:
        description = f"{describe_unreadable(found).capitalize()}."
    return dg.AssetCheckResult(
        passed=not unreadable,
        severity=dg.AssetCheckSeverity.WARN if place.dataset.skips_unreadable else dg.AssetCheckSeverity.ERROR,
        description=printable(description),
        metadata=shown(
            {"unreadable": records(("fname", "reason"), [(name, why) for name, _, why in unreadable[:_ROWS]])}
            if unreadable
            else {}
        ),
    )


def _report_verdict(instance: dg.DagsterInstance, place: Place, result: dg.AssetCheckResult) -> None:
    """Tell Dagster what the check says, where it is not what it said last."""
    key = dg.AssetCheckKey(place.key(CURATED_RECORDINGS.name), USABLE)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=bool(result.passed),
        severity=result.severity,
        description=result.description,
        metadata=result.metadata,
    )
    latest = instance.get_latest_asset_check_evaluation_record(key)
    event = latest.event.dagster_event if latest and latest.event else None
    before = event.event_specific_data if event else None
    if not isinstance(before, dg.AssetCheckEvaluation) or _said(before) != _said(evaluation):
        instance.report_runless_asset_event(evaluation)


def _said(evaluation: dg.AssetCheckEvaluation) -> tuple[bool, object, str | None]:
    return evaluation.passed, evaluation.severity, evaluation.description
