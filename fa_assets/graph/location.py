"""A code location: what Dagster loads, and what a process needs to work on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from fa_assets.graph.asset import Graph
from fa_assets.graph.place import Place
from fa_assets.graph.recorder import Recorder


@dataclass(frozen=True, eq=False)
class CodeLocation:
    """One dataset's graph, ready to run.

    Attributes:
        definitions: what Dagster loads.
        graph, place: what it was built from.
        environment: the variables that make another process see the same settings.
        on_ray: whether Ray computes the embeddings.
        deciding: the settings that decide what is computed, fit to be stored.
    """

    definitions: dg.Definitions
    graph: Graph
    place: Place
    environment: Mapping[str, str]
    on_ray: bool
    deciding: Mapping[str, str]

    @property
    def recorder(self) -> Recorder:
        return self.place.recorder
