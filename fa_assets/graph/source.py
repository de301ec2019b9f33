"""The sources: the curated and the test clips of the dataset folder, which others change and Dagster only observes."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.display import shown
from fa_assets.graph.place import Place
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.references import OWNERS, code_references
from fa_assets.intake.recordings import DatasetState, RecordingsState, scan_recordings


@dataclass(frozen=True)
class Source:
    """An asset that is observed and never made; its columns are (name, type, meaning)."""

    name: str
    description: str
    columns: tuple[tuple[str, str, str], ...]
    group: str
    parts: tuple[None, ...] = (None,)

    def to_dagster(
        self, place: Place, look: Callable[[str, Place, dg.DagsterInstance], dg.ObserveResult]
    ) -> dg.AssetsDefinition:
        """The source as Dagster knows it; `look` is what its Observe button does."""
        spec = dg.AssetSpec(
            place.key(self.name),
            group_name=place.group(self.group),
            kinds={"file"},
            owners=OWNERS,
            tags={"stage": self.group, "domain": "audio-tagging"},
            metadata={
                "dagster/column_schema": dg.TableSchema([dg.TableColumn(*column) for column in self.columns]),
                "dagster/code_references": code_references(look),
            },
            description=self.description,
        )

        @dg.multi_observable_source_asset(name=place.named(self.name), specs=[spec])  # type: ignore[untyped-decorator]
        def observe(context: dg.AssetExecutionContext) -> dg.ObserveResult:
            return look(self.name, place, context.instance)

        return observe


CURATED_RECORDINGS = Source(
    "curated_recordings",
    "The dataset folder: the label CSV (train_curated.csv: one row per clip, file name and labels) and the "
    "clips it names (train_curated/: audio files of any rate and number of channels). It belongs to others and is "
    "only observed. Its data version changes when the label CSV, the verdicts on labels (label_corrections.csv), the given "
    "folds, the classes or the bytes of a clip do: observe it to let Dagster see what became stale.",
    (
        ("fname", "string", "file name, from train_curated.csv"),
        ("labels", "string", "its classes, from train_curated.csv"),
        ("audio", "bytes", "the file in train_curated/"),
    ),
    "clips",
)
TEST_RECORDINGS = Source(
    "test_recordings",
    "The test set in the dataset folder: the clips in test/, the rows of sample_submission.csv, and test.csv "
    "with their labels where they are known. It belongs to others and is only observed. Its data version is its own: a "
    "change here makes the test stage stale and nothing of the curated clips. Without a test/ folder it is empty.",
    (
        ("fname", "string", "file name, from sample_submission.csv, or as in test/"),
        ("labels", "string", "its classes, from test.csv"),
        ("usage", "string", "Public or Private, from test.csv"),
        ("audio", "bytes", "the file in test/"),
    ),
    "submission",
)


def scan_dataset(dataset: DatasetFolder, recorder: Recorder, *, limit_s: float | None = None) -> DatasetState:
    """The state of the dataset folder; `limit_s` as in `scan_recordings`.

    Raises:
        UserError: the folder cannot be used, or the storage is of another dataset: it holds clips, and none of these.
        ScanUnfinishedError: `limit_s` seconds were not enough.
    """
    state = scan_recordings(dataset.open(), recorder.recordings_memory, limit_s=limit_s)
    if state.curated.sha256 and not dataset.replaces_another:
        _require_own_storage(state.curated.sha256, dataset, recorder)
    return state


def _require_own_storage(found: AbstractSet[str], dataset: DatasetFolder, recorder: Recorder) -> None:
    try:
        stored = recorder.values.read("curated_clips").table["sha256"].to_pylist()
    except UserError:  # not there, or damaged and made again
        return
    if stored and found.isdisjoint(stored):
        raise UserError(
            f"{recorder.root} holds the results of another dataset: of its {len(stored)} clips none is in "
            f"{dataset.layout.root}. Give each dataset a storage of its own with FA_STORAGE, or set "
            "FA_OTHER_DATASET=replace to go on with this one."
        )


def states_of(state: DatasetState) -> Mapping[str, RecordingsState]:
    """What was seen, by source asset."""
    return {CURATED_RECORDINGS.name: state.curated, TEST_RECORDINGS.name: state.test}


def versions_of(state: DatasetState) -> dict[str, str]:
    """The data versions that were seen, by source asset."""
    return {name: one.data_version for name, one in states_of(state).items()}


def facts_of(dataset: DatasetFolder, state: RecordingsState) -> dict[str, Any]:
    """What an observation says."""
    return shown(
        {
            "folder": dg.MetadataValue.path(dataset.layout.root),
            "clips_named": state.clips_named,
            "clips_present": state.clips_present,
            "bytes": state.bytes_present,
        }
    )
