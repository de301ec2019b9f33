"""`fa-assets` as a shell would call it: in this process, or by its script in one of its own."""

import os
import sys
from pathlib import Path
from unittest import mock

from click.testing import CliRunner, Result

from fa_assets.cli.main import main
from fa_assets.settings import Settings

COMMAND = Path(sys.executable).with_name("fa-assets")


def environment(settings: Settings | None = None) -> dict[str, str]:
    """This process's environment with these settings, and with nothing else of fa_assets or Dagster."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
    return clean if settings is None else {**clean, **settings.as_environment()}


def fa_assets(*arguments: str, settings: Settings | None = None, variables: dict[str, str] | None = None) -> Result:
    """Call the command in this process, whose environment is afterwards as it was.

    What `cli.entry` does beside it, and what libraries write past `sys.stderr`, is seen in a process of its own alone
    (`COMMAND`, `end_to_end.commands`).
    """
    with mock.patch.dict(os.environ, {**environment(settings), **(variables or {})}, clear=True):
        return CliRunner().invoke(main, arguments, catch_exceptions=False)
