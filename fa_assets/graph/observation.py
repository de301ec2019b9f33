"""Looking at the dataset folder, and telling Dagster when it changed.

The newest observation of each source in the Dagster instance is what counts as known, whoever made it: the sensor, the
command line or the asset's Observe button. What was seen then is kept beside the memory of hashes, so that the next look
can say how many clips were added, changed and removed.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from fa_assets.graph.place import Place
from fa_assets.graph.source import CURATED_RECORDINGS, TEST_RECORDINGS, facts_of, scan_dataset, states_of
from fa_assets.intake.recordings import Change, DatasetState, RecordingsState, change_between
from fa_assets.store.atomic import replacing

DATA_VERSION_TAG = "dagster/data_version"
_SHOWN = 10
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
        UserError: the folder or its label CSV cannot be used.
        ScanUnfinishedError: `limit_s` seconds were not enough.
    """
    state = scan_dataset(place.dataset, place.recorder, limit_s=limit_s)
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
                    **({} if change is None else {f"clips_{what}": count for what, count in vars(change).items()}),
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
    if change == Change(0, 0, 0):
        return f"{clips}: the CSV files changed, no clip did"
    return f"{clips}: {change.added} added, {change.changed} changed, {change.removed} removed"
