"""`fa-assets ui`: the Dagster UI over the instance of a storage folder.

The code location is that of workspace.yaml: the checkout's, or its copy inside an installed wheel. So the command is the same
in whichever folder it is given.
"""

import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import click

import fa_assets
from fa_assets.cli.options import apply_options, friendly_errors, setting_options
from fa_assets.errors import UserError
from fa_assets.settings import IN_CHECKOUT, Settings

_HOST = "127.0.0.1"
_PACKAGE = Path(fa_assets.__file__).parent
_WORKSPACE = (_PACKAGE.parent if IN_CHECKOUT else _PACKAGE) / "workspace.yaml"


@click.command("ui")
@setting_options(*Settings.model_fields)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help=f"Port on {_HOST}.")
def ui_command(port: int, **options: Any) -> None:
    """Open the Dagster UI (webserver and daemon) on 127.0.0.1 over the same instance."""
    with friendly_errors():
        from fa_assets.definitions import code_location
        from fa_assets.graph.runner import prepare_environment

        location = code_location(apply_options(options))
        _require_free(port)
        prepare_environment(location)
        where = ["--host", _HOST, "--port", str(port), "--workspace", str(_WORKSPACE)]
        # Dagster ends at SIGTERM as it does at SIGINT, which a shell lets what it starts in the background ignore.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-m", "dagster_dg_cli.cli", "dev", *where])


def ui_command_line(settings: Settings) -> str:
    """The command that opens the UI with the settings that are not the defaults."""
    given = settings.model_dump(exclude_defaults=True, exclude_none=True)
    given.pop("checkpoint", None)
    source = settings.checkpoint_source
    # A URL with credentials is not repeated; it is in the environment, or typed again.
    if (
        source != settings.model_copy(update={"checkpoint": None}).checkpoint_source
        and source == settings.checkpoint_label
    ):
        given["checkpoint"] = source
    if given.pop("encoders", None):
        given |= {"encoders": settings.encoders_label}
        given.pop("encoder", None)
    if not given and IN_CHECKOUT:
        return "make ui"
    options = [f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items()]
    return " ".join(["fa-assets ui", *options])


def _require_free(port: int) -> None:
    """Refuse a port that the webserver could not listen on: Dagster's daemon would go on without it, and compute.

    Raises:
        UserError: it is in use, or not for this user.
    """
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((_HOST, port))
        except OSError as error:
            raise UserError(
                f"The UI cannot be opened on port {port} of {_HOST} ({error.strerror}): close what listens there, which may be "
                "the UI of another storage folder, or take another port with --port."
            ) from error
