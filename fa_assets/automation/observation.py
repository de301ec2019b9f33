"""Looking at the dataset folder, and telling Dagster when it changed.

The newest observation in the Dagster instance is what counts as known, whoever made it: the sensor, the command line or
the asset's Observe button. What was seen then is kept beside the memory of hashes, so that the next look can say how
many clips were added, changed and removed.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from fa_assets.assets.source import CURATED_RECORDINGS
from fa_assets.dataset.recordings import Change, RecordingsState, change_between, scan_recordings
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder
from fa_assets.storage.atomic import replacing

DATA_VERSION_TAG = "dagster/data_version"


@dataclass(frozen=True)
class Look:
    """The state of the folder, and what is new since the last observation; None when nothing is."""

    state: RecordingsState
    observation: dg.AssetObservation | None
    news: str


def known_version(instance: dg.DagsterInstance) -> str | None:
    """The data version of the dataset folder when it was last observed."""
    latest = instance.fetch_observations(dg.AssetKey(CURATED_RECORDINGS), limit=1).records
    observation = latest[0].asset_observation if latest else None
    return observation.data_version if observation else None


def look_at_recordings(
    instance: dg.DagsterInstance, dataset: DatasetFolder, recorder: Recorder, *, limit_s: float | None = None
) -> Look:
    """Look at the folder; the observation is the caller's to report.

    Raises:
        UserError: the folder or its label CSV cannot be used.
        ScanUnfinishedError: `limit_s` seconds were not enough.
    """
    state = scan_recordings(dataset.open(), recorder.recordings_memory, limit_s=limit_s)
    known = known_version(instance)
    if known == state.data_version:
        return Look(state, None, "nothing changed")
    memory = recorder.recordings_memory.with_name("observed.json")
    before = _clips_at(memory, known)
    change = None if before is None else change_between(before, state.clips)
    with replacing(memory) as temporary:
        temporary.write_text(json.dumps({"data_version": state.data_version, "clips": dict(state.clips)}))
    observation = dg.AssetObservation(
        dg.AssetKey(CURATED_RECORDINGS),
        metadata={
            "folder": dg.MetadataValue.path(dataset.folder),
            "clips_named": state.clips_named,
            "clips_present": state.clips_present,
            "bytes": state.bytes_present,
            **({} if change is None else {f"clips_{what}": count for what, count in vars(change).items()}),
        },
        tags={DATA_VERSION_TAG: state.data_version},
    )
    return Look(state, observation, _in_words(state, change))


def _clips_at(memory: Path, version: str | None) -> dict[str, str] | None:
    """What the folder held at a data version, when that is the one that was kept."""
    try:
        kept = json.loads(memory.read_text())
        return dict(kept["clips"]) if version is not None and kept["data_version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _in_words(state: RecordingsState, change: Change | None) -> str:
    if change is None:
        return f"{state.clips_present} clips"
    if change == Change(0, 0, 0):
        return "the CSV files changed, no clip did"
    return f"clips: {change.added} added, {change.changed} changed, {change.removed} removed"
