"""Where a code location works, and how its assets, jobs and sensors are called."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.progress import ProgressReporter
from fa_assets.graph.recorder import Recorder


@dataclass(frozen=True, eq=False)
class Place:
    """One dataset with its storage.

    Attributes:
        dataset, recorder: the folder of clips, and the storage.
        progress: told of the progress of long assets.
        prefix: of the asset keys, so that several datasets go into one code location.
    """

    dataset: DatasetFolder
    recorder: Recorder
    progress: ProgressReporter
    prefix: Sequence[str] = ()

    def key(self, asset: str) -> dg.AssetKey:
        """The key of an asset."""
        return dg.AssetKey([*self.prefix, asset])

    def named(self, name: str) -> str:
        """The name of a job, a sensor, a schedule, a group."""
        return "_".join([*self.prefix, name])

    def asset(self, key: dg.AssetKey) -> str | None:
        """The asset of a key; None of a key that is not of this dataset."""
        return key.path[-1] if list(key.path[:-1]) == list(self.prefix) else None
