"""The source: the folder of recordings, which others change and Dagster only observes."""

import dagster as dg

from fa_assets.dataset.recordings import scan_recordings
from fa_assets.errors import UserError
from fa_assets.resources.dataset import DatasetFolder
from fa_assets.resources.recorder import Recorder

CURATED_RECORDINGS = "curated_recordings"


@dg.observable_source_asset(
    name=CURATED_RECORDINGS,
    group_name="source",
    description="The dataset folder: the label CSV and the clips it names. Its data version changes when a CSV file or the "
    "bytes of a clip do. Observe it to let Dagster see what became stale.",
)
def curated_recordings(context: dg.OpExecutionContext, dataset: DatasetFolder, recorder: Recorder) -> dg.ObserveResult:
    try:
        state = scan_recordings(dataset.open(), recorder.recordings_memory)
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    return dg.ObserveResult(
        data_version=dg.DataVersion(state.data_version),
        metadata={
            "folder": dg.MetadataValue.path(dataset.folder),
            "clips_named": state.clips_named,
            "clips_present": state.clips_present,
            "bytes": state.bytes_present,
        },
    )
