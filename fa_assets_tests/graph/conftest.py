"""A copy of the finished run with its Dagster instance, for tests that change something and see what happens."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.settings import Settings
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.graph.driver import Daemon


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Iterator[Settings]:
    copy = finished.copy(tmp_path)
    with environment_of(copy):
        yield copy


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def daemon(settings: Settings, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(settings, instance)
