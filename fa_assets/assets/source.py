"""The source: the folder of recordings, which others change and Dagster only observes."""

import dagster as dg

from fa_assets.dataset.recordings import scan_recordings
from fa_assets.errors import UserError
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder

CURATED_RECORDINGS = "curated_recordings"

_COLUMNS = dg.TableSchema(
    [
        dg.TableColumn("fname", "string", "file name, from train_curated.csv"),
        dg.TableColumn("labels", "string", "its classes, from train_curated.csv"),
        dg.TableColumn("audio", "bytes", "the file in train_curated/"),
    ]
)


@dg.multi_observable_source_asset(
    name=CURATED_RECORDINGS,
    specs=[
        dg.AssetSpec(
            CURATED_RECORDINGS,
            group_name="source",
            kinds={"file"},
            metadata={"dagster/column_schema": _COLUMNS},
            description="The dataset folder: the label CSV (train_curated.csv: one row per clip, file name and labels) and the "
            "clips it names (train_curated/: audio files of any rate and number of channels). It belongs to others and is "
            "only observed. Its data version changes when a CSV file or the bytes of a clip do: observe it to let Dagster "
            "see what became stale.",
        )
    ],
)
def curated_recordings(
    context: dg.AssetExecutionContext, dataset: DatasetFolder, recorder: Recorder
) -> dg.ObserveResult:
    try:
        state = scan_recordings(dataset.open(), recorder.recordings_memory)
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    return dg.ObserveResult(
        asset_key=CURATED_RECORDINGS,
        data_version=dg.DataVersion(state.data_version),
        metadata={
            "folder": dg.MetadataValue.path(dataset.folder),
            "clips_named": state.clips_named,
            "clips_present": state.clips_present,
            "bytes": state.bytes_present,
        },
    )
