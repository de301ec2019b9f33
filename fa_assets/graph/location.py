"""A code location: the graph for some choices, with what a process needs to work on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from fa_assets.graph.dataset import DatasetFolder
from fa_assets.graph.recorder import Recorder


@dataclass(frozen=True, eq=False)
class CodeLocation:
    """What Dagster loads, and where it works.

    Attributes:
        definitions: assets, checks, jobs, sensors and the schedule.
        dataset, recorder: the folder of clips, and the storage.
        environment: the variables that make another process see the same settings.
        on_ray: whether Ray computes the embeddings.
    """

    definitions: dg.Definitions
    dataset: DatasetFolder
    recorder: Recorder
    environment: Mapping[str, str]
    on_ray: bool
