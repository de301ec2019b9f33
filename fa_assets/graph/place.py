"""Where a code location works, and how its assets, jobs and sensors are called."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.recorder import Recorder
from fa_assets.progress import Watcher, watch_nothing

STAGES = ("clips", "model", "embeddings", "evaluation", "submission", "export")
"""In the order of the pipeline."""


@dataclass(frozen=True, eq=False)
class Place:
    """One dataset with its storage.

    Attributes:
        dataset, recorder: the folder of clips, and the storage.
        prefix: of the asset keys, so that several datasets go into one code location.
        watcher: told of the progress of long assets.
    """

    dataset: DatasetFolder
    recorder: Recorder
    prefix: Sequence[str] = ()
    watcher: Watcher = watch_nothing

    def key(self, asset: str) -> dg.AssetKey:
        """The key of an asset; its name may have parts, as ``birdnet/mc5_metrics``."""
        return dg.AssetKey([*self.prefix, *asset.split("/")])

    def step(self, asset: str) -> str:
        """The key of the step that makes an asset."""
        return "__".join(self.key(asset).path)

    def named(self, name: str) -> str:
        """The name of a job, a sensor, a schedule, a group."""
        return "_".join([*self.prefix, name])

    def group(self, stage: str) -> str:
        """The name of a stage's group, which begins with its number: the UI sorts groups by name."""
        return self.named(f"{STAGES.index(stage) + 1}_{stage}")

    def asset(self, key: dg.AssetKey) -> str | None:
        """The asset of a key; None of a key that has not this prefix."""
        own = len(self.prefix)
        return "/".join(key.path[own:]) if list(key.path[:own]) == list(self.prefix) else None
