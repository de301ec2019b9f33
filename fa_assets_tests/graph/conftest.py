"""The Dagster instance of the copy that `settings` is, and what drives its sensor."""

from collections.abc import Iterator

import dagster as dg
import pytest

from fa_assets.settings import Settings
from fa_assets_tests.graph.driver import Daemon


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def daemon(settings: Settings, instance: dg.DagsterInstance) -> Daemon:
    return Daemon(settings, instance)
