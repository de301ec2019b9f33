"""Ray: one that runs, or one of this machine's own that is started and stopped again."""

import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fa_assets.errors import UserError
from fa_assets.panns.threads import usable_cpus

_OURS = "local"
_ANSWER_S = 20.0


def require_ray() -> None:
    """Raise a UserError that names the extra where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError("FA_ENGINE=ray needs Ray: pip install 'fa_assets[ray]', or use FA_ENGINE=local.")


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """This process is a driver of a Ray cluster.

    Args:
        address: ``auto`` (the cluster this machine is a node of), ``HOST:PORT`` or ``ray://HOST:PORT``; None starts a
            cluster of this machine alone, which ends with the context.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    require_ray()
    # Read by Ray when it is imported and when it starts a node.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    own: dict[str, Any] = {"include_dashboard": False, "num_cpus": usable_cpus()} if address is None else {}
    try:
        _require_answer(address)
        with _handlers_kept():
            ray.init(address=address or _OURS, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        place = "here" if address is None else f"at FA_RAY_ADDRESS={address}"
        raise UserError(
            f"Ray cannot be used {place} ({_first_line(error)}). See that the cluster runs and this machine reaches it, "
            "or leave FA_RAY_ADDRESS out for a Ray of this machine alone."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str | None) -> None:
    """Raise an OSError where nothing listens at HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray puts in a SIGTERM handler that exits at once; a run that is told to stop is to end as it always does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
