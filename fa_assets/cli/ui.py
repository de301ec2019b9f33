"""`fa-assets ui`: the Dagster UI over the instance of a storage folder.

Three programs of Dagster's, in a group of processes: the code location, the webserver behind a guard (`webserver`), and the
daemon. They start and end together, with the runs that they started, whichever of them ends first and however this command is
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
from fa_assets.cli.options import apply_options, say, setting_options
from fa_assets.errors import UserError
from fa_assets.settings import Settings, option_of
from fa_assets.store.atomic import temporary_folder

_HOST = "127.0.0.1"
_LOOK_EVERY_S = 0.2
_END_WITHIN_S = 5.0
"""After that, what has not ended is killed; a command that is told to end has a few seconds more (`interruption`)."""
_END_WITH_PARENT = f"read line; trap '' TERM; kill -TERM 0; sleep {_END_WITHIN_S:.0f}; kill -KILL 0"
"""For a shell: once this process is gone, however it ended, and with it the other end of the pipe, so is the shell's group."""


@click.command("ui")
@setting_options(*Settings.model_fields)
@click.option("--remake", is_flag=True, help="Also with other settings than the storage was made with: make it again.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help=f"Port on {_HOST}.")
def ui_command(port: int, remake: bool, **options: Any) -> None:
    """Open the Dagster UI (webserver and daemon) on 127.0.0.1 over the same instance."""
    from fa_assets.definitions import code_location
    from fa_assets.graph.liveness import ui_of_the_instance
    from fa_assets.graph.made_with import remember
    from fa_assets.graph.runner import prepare_environment

    settings = apply_options(options)
    location = code_location(settings)
    _require_free(port)
    if not remake:
        _require_same_settings(settings)
    prepare_environment(location)
    remember(settings.storage_root, settings.deciding)
    # Dagster's programs end at SIGTERM as they do at SIGINT, which a shell lets what it starts in the background ignore.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ui_of_the_instance():
        say(f"The UI opens at http://{_HOST}:{port}, doubted labels at /review, reports at /reports. Ctrl-C ends it.")
        _serve(port)


def _require_same_settings(settings: Settings) -> None:
    """Refuse settings that would have the sensor make again, within a minute, what the storage holds.

    Raises:
        UserError: they are not those of the last run in this storage, or of the UI that was last opened.
    """
    from fa_assets.graph.made_with import changed, made_with

    before, others = made_with(settings.storage_root), changed(settings.storage_root, settings.deciding)
    if others:
        words = [
            f"{option_of(name)} {shlex.quote(before[name])}" if before[name] else f"no {option_of(name)}"
            for name in others
        ]
        raise UserError(
            f"{settings.storage_root} was made with other settings: {'; '.join(others.values())}. The UI would make what needs "
            f"them again within a minute. Open it with the earlier ones ({', '.join(words)}), or with "
            "--remake to go on with the new ones."
        )


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
