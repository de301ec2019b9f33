"""What the tests of whole runs and of the served UI share."""

from collections.abc import Iterator

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.end_to_end.ui_server import Site, served_site
from fa_assets_tests.finished_run import FinishedRun

PAST_RUNS = 5


@pytest.fixture(scope="module")
def unchanged(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the finished run for tests that change nothing in it."""
    return finished.copy(tmp_path_factory.mktemp("unchanged"))


@pytest.fixture(scope="package")
def site(illustrated: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One UI for all tests of it, with a few past runs, its automation switched off; ended when the last of them is done.

    A test that changes something leaves the dataset's clips readable, the switches as they were, and no run going.
    """
    with served_site(illustrated, tmp_path_factory.mktemp("ui"), PAST_RUNS) as one:
        yield one
