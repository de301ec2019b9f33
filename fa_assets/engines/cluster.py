"""Ray: one that runs, or one of this machine's own that is started and stopped again."""

import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from fa_assets.errors import UserError
from fa_assets.panns.threads import usable_cpus

if TYPE_CHECKING:
    import psutil

_OURS = "local"
_ANSWER_S = 20.0
_END_S = 5.0
_TRIES = 3
_SERVERS = {"gcs_server", "raylet"}
_UNWATCHED = {"enable_metrics_collection": False, "task_events_report_interval_ms": 0, "enable_timeline": False}
"""Metrics and the history of tasks are for a dashboard, which a Ray of ours has not: without them its dozen processes take a
third less of a CPU while they wait."""


def require_ray() -> None:
    """Raise a UserError that names the extra where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError("FA_ENGINE=ray needs Ray: pip install 'fa_assets[ray]', or use FA_ENGINE=local.")


class Session:
    """A Ray that is connected to, or started, when it is first asked for, and let go when this is closed; then it can be opened
    again.

    Args:
        address: see `connected`.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._open: ExitStack | None = None

    def open(self) -> None:
        """Be connected.

        Raises:
            UserError: see `connected`.
        """
        if self._open is None:
            stack = ExitStack()
            stack.enter_context(connected(self._address))
            self._open = stack

    def close(self) -> None:
        """Be not; what still runs there on behalf of this process ends."""
        stack, self._open = self._open, None
        if stack is not None:
            stack.close()


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """This process is a driver of a Ray cluster.

    Args:
        address: ``auto`` or ``HOST:PORT``, of a cluster that this machine is a node of; ``ray://HOST:PORT``, of any cluster
            that runs Ray's client server; None starts a cluster of this machine alone, which ends with the context.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    require_ray()
    # Read by Ray when it is imported and when it starts a node.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    own: dict[str, Any] = {}
    if address is None:
        own = {"include_dashboard": False, "num_cpus": usable_cpus(), "_system_config": _UNWATCHED}
    others = _servers()
    try:
        try:
            _require_answer(address)
            with _signals_in_order(held=address is None):
                _init(address or _OURS, own)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise _trouble(address, error) from error
        yield
    finally:
        try:
            ray.shutdown()
        finally:
            _end(_servers() - others)


def _init(address: str, own: dict[str, Any]) -> None:
    """Connect or start, more than once where the client's server does not get its process for us started: it forks with threads
    in gRPC, and that ends badly now and then (Ray's issue 63202)."""
    import ray

    for left in reversed(range(_TRIES)):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except ConnectionAbortedError:
            if not left:
                raise
        else:
            return


def _servers() -> "set[psutil.Process]":
    """The Ray servers that are children of this process."""
    import psutil  # Ray has it with it, and puts it on the path

    running = psutil.process_iter(["ppid", "name"])
    return {one for one in running if one.info["ppid"] == os.getpid() and one.info["name"] in _SERVERS}


def _end(servers: "set[psutil.Process]") -> None:
    """End servers and all that they started: Ray knows nothing of a node whose start was interrupted."""
    import psutil

    families = list(servers)
    for server in servers:
        with suppress(psutil.NoSuchProcess):
            families += server.children(recursive=True)
            server.terminate()
    _, left = psutil.wait_procs(families, timeout=_END_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=_END_S)


def _require_answer(address: str | None) -> None:
    """Raise an OSError where nothing listens at [ray://]HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()


@contextmanager
def _signals_in_order(held: bool) -> Iterator[None]:
    """SIGINT and SIGTERM do as before, in spite of Ray, whose own SIGTERM handler exits at once.

    Args:
        held: the first one waits until the context ends. What a handler raises while Ray forks its servers can be lost, with
            a lock that then nobody frees.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import ray

    before: dict[int, Any] = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    received: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    set_by_ray = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    try:
        if held:
            for number in before:
                signal.signal(number, hold)
        yield
    finally:
        ray._private.utils.set_sigterm_handler = set_by_ray
        restore()
        for number in received[:1]:
            signal.raise_signal(number)


def _trouble(address: str | None, error: Exception) -> UserError:
    """Why there is no Ray, and what can be done."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = " ".join(dict.fromkeys((lines[0], lines[-1])))
    if address is None:
        return UserError(f"Ray cannot be started here ({said}). FA_ENGINE=local does without it.")
    return UserError(
        f"Ray cannot be used at FA_RAY_ADDRESS={address} ({said}). See that the cluster runs, that it can be reached and, "
        "where the cluster wants a token, that RAY_AUTH_MODE=token is set here and the token is known; or leave FA_RAY_ADDRESS "
        "out for a Ray of this machine alone."
    )
