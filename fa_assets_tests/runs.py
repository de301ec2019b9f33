"""Runs for settings, as the command line starts them."""

from typing import Any

import dagster as dg

from fa_assets.definitions import code_location
from fa_assets.graph import runner
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.runner import RunOutcome
from fa_assets.graph.staleness import Stale
from fa_assets.settings import Settings


def run(settings: Settings, **options: Any) -> RunOutcome:
    """See `runner.run`."""
    return runner.run(code_location(settings), **options)


def plan(settings: Settings, instance: dg.DagsterInstance, **options: Any) -> list[Stale]:
    """See `runner.plan`."""
    return runner.plan(code_location(settings), instance, **options)


def prepare_environment(settings: Settings) -> None:
    """See `runner.prepare_environment`."""
    runner.prepare_environment(code_location(settings))


def recorder_of(settings: Settings) -> Recorder:
    """The recorder of the code location."""
    return code_location(settings).recorder
