"""The sources: the curated and the test clips of the dataset folder, which others change and Dagster only observes."""

from collections.abc import Mapping

import dagster as dg

from fa_assets.errors import UserError
from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.recorder import Recorder
from fa_assets.intake.recordings import DatasetState, RecordingsState, scan_recordings

CURATED_RECORDINGS = "curated_recordings"
TEST_RECORDINGS = "test_recordings"

_DESCRIPTIONS = {
    CURATED_RECORDINGS: "The dataset folder: the label CSV (train_curated.csv: one row per clip, file name and labels) and the "
    "clips it names (train_curated/: audio files of any rate and number of channels). It belongs to others and is "
    "only observed. Its data version changes when the label CSV, the given folds, the classes or the bytes of a clip do: "
    "observe it to let Dagster see what became stale.",
    TEST_RECORDINGS: "The test set in the dataset folder: the clips in test/, the rows of sample_submission.csv, and test.csv "
    "with their labels where they are known. It belongs to others and is only observed. Its data version is its own: a "
    "change here makes the test stage stale and nothing of the curated clips. Without a test/ folder it is empty.",
}
_CURATED_COLUMNS = [
    dg.TableColumn("fname", "string", "file name, from train_curated.csv"),
    dg.TableColumn("labels", "string", "its classes, from train_curated.csv"),
    dg.TableColumn("audio", "bytes", "the file in train_curated/"),
]
_TEST_COLUMNS = [
    dg.TableColumn("fname", "string", "file name, from sample_submission.csv, or as in test/"),
    dg.TableColumn("labels", "string", "its classes, from test.csv"),
    dg.TableColumn("usage", "string", "Public or Private, from test.csv"),
    dg.TableColumn("audio", "bytes", "the file in test/"),
]


def states_of(state: DatasetState) -> Mapping[str, RecordingsState]:
    """What was seen, by source asset."""
    return {CURATED_RECORDINGS: state.curated, TEST_RECORDINGS: state.test}


def versions_of(state: DatasetState) -> dict[str, str]:
    """The data versions that were seen, by source asset."""
    return {name: one.data_version for name, one in states_of(state).items()}


def facts_of(dataset: DatasetFolder, state: RecordingsState) -> dict[str, dg.MetadataValue | int]:
    """What an observation says."""
    return {
        "folder": dg.MetadataValue.path(dataset.folder),
        "clips_named": state.clips_named,
        "clips_present": state.clips_present,
        "bytes": state.bytes_present,
    }


def _spec(name: str, columns: list[dg.TableColumn]) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        group_name="source",
        kinds={"file"},
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
        description=_DESCRIPTIONS[name],
    )


def _observe(name: str, dataset: DatasetFolder, recorder: Recorder) -> dg.ObserveResult:
    try:
        state = states_of(scan_recordings(dataset.open(), recorder.recordings_memory))[name]
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    return dg.ObserveResult(
        asset_key=name, data_version=dg.DataVersion(state.data_version), metadata=facts_of(dataset, state)
    )


@dg.multi_observable_source_asset(name=CURATED_RECORDINGS, specs=[_spec(CURATED_RECORDINGS, _CURATED_COLUMNS)])  # type: ignore[untyped-decorator]
def curated_recordings(
    context: dg.AssetExecutionContext, dataset: dg.ResourceParam[DatasetFolder], recorder: dg.ResourceParam[Recorder]
) -> dg.ObserveResult:
    return _observe(CURATED_RECORDINGS, dataset, recorder)


@dg.multi_observable_source_asset(name=TEST_RECORDINGS, specs=[_spec(TEST_RECORDINGS, _TEST_COLUMNS)])  # type: ignore[untyped-decorator]
def test_recordings(
    context: dg.AssetExecutionContext, dataset: dg.ResourceParam[DatasetFolder], recorder: dg.ResourceParam[Recorder]
) -> dg.ObserveResult:
    return _observe(TEST_RECORDINGS, dataset, recorder)
