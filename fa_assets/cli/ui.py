"""`fa-assets ui`: the Dagster UI over the instance of a storage folder.

Three programs of Dagster's, in a group of processes: the code location, the webserver behind a guard (`webserver`), and the
daemon. They start and end together, with the runs that they started, whoever of them ends first and however this command is
ended, be it by SIGKILL.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from fa_assets.cli.interruption import ignore_signals
from fa_assets.cli.options import apply_options, friendly_errors, setting_options
from fa_assets.errors import UserError
from fa_assets.setting_fields import IN_CHECKOUT
from fa_assets.settings import Settings
from fa_assets.store.atomic import temporary_folder

_HOST = "127.0.0.1"
_LOOK_EVERY_S = 0.2
_END_WITHIN_S = 5.0
"""After that, what has not ended is killed; a command that is told to end has a few seconds more (`interruption`)."""
_END_WITH_PARENT = f"read line; trap '' TERM; kill -TERM 0; sleep {_END_WITHIN_S:.0f}; kill -KILL 0"
"""For a shell: once this process is gone, however it ended, and with it the other end of the pipe, so is the shell's group."""


@click.command("ui")
@setting_options(*Settings.model_fields)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help=f"Port on {_HOST}.")
def ui_command(port: int, **options: Any) -> None:
    """Open the Dagster UI (webserver and daemon) on 127.0.0.1 over the same instance."""
    with friendly_errors():
        from fa_assets.definitions import code_location
        from fa_assets.graph.liveness import ui_of_the_instance
        from fa_assets.graph.runner import prepare_environment

        location = code_location(apply_options(options))
        _require_free(port)
        prepare_environment(location)
        # Dagster's programs end at SIGTERM as they do at SIGINT, which a shell lets what it starts in the background ignore.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ui_of_the_instance():
            _serve(port)


def _serve(port: int) -> None:
    """Run the programs until one of them ends, or this one is told to."""
    code = ["--module-name", "fa_assets.definitions", "--attribute", "defs", "--location-name", "fa_assets"]
    with temporary_folder() as folder, _ended_together() as programs:
        served, workspace = folder / "code", folder / "workspace.yaml"
        server = {"socket": str(served), "location_name": "fa_assets"}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))

        def start(module: str, *arguments: str) -> None:
            command = [sys.executable, "-m", module, *arguments]
            programs.append(subprocess.Popen(command, process_group=programs[0].pid))

        os.environ["DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD"] = "1"  # seconds that the end waits for requests under way
        start("dagster", "code-server", "start", "--socket", str(served), *code)
        while not served.exists():
            _require_all(programs)
        start("dagster._daemon", "run", "--workspace", str(workspace))
        start("fa_assets.cli.webserver", "--host", _HOST, "--port", str(port), "--workspace", str(workspace))
        while True:
            _require_all(programs)


def _require_all(programs: list[subprocess.Popen[bytes]]) -> None:
    """Wait a moment.

    Raises:
        UserError: one of the programs has ended.
    """
    time.sleep(_LOOK_EVERY_S)
    for one in programs:
        if one.poll() is not None:
            name = list(one.args)[2]  # type: ignore[arg-type]
            raise UserError(f"{name!s} ended with status {one.returncode}, and the UI with it; what it said is above.")


@contextmanager
def _ended_together() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs that are to be started in the group of the first, a shell; at the end it is told to end, and then killed."""
    command = ["sh", "-c", _END_WITH_PARENT]
    programs = [subprocess.Popen(command, process_group=0, stdin=subprocess.PIPE)]
    try:
        yield programs
    finally:
        ignore_signals()
        with suppress(ProcessLookupError):  # there is nobody left in it
            group = programs[0].pid
            os.killpg(group, signal.SIGTERM)
            deadline = time.monotonic() + _END_WITHIN_S
            while time.monotonic() < deadline:
                for one in programs:
                    one.poll()
                os.killpg(group, 0)
                time.sleep(_LOOK_EVERY_S)
            os.killpg(group, signal.SIGKILL)
        for one in programs:
            one.wait()


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
