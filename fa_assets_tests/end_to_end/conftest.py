"""What tests of the served UI share."""

from collections.abc import Iterator

import pytest

from fa_assets.settings import Settings
from fa_assets_tests.end_to_end.ui_server import Webserver, serving


@pytest.fixture(scope="module")
def webserver(settings: Settings) -> Iterator[Webserver]:
    """The webserver, daemon and code server over the module's `settings`, a fixture of its own."""
    with serving(settings, settings.storage_root / "ui.log") as server:
        yield server
