"""A Ray cluster: being a driver of it, what to ask of it, and sending it an encoder."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fa_assets.encoders.base import Encoder
from fa_assets.encoders.registry import EncoderRecipe
from fa_assets.encoders.threads import usable_cpus
from fa_assets.errors import UserError, one_line
from fa_assets.store.atomic import remove_abandoned, replacing

if TYPE_CHECKING:
    import ray

_CPUS = (0.75, 0.25)
"""Of an actor and of a task that decodes, without GPUs: the parts of one CPU; decoding takes far less of it."""
_ANSWER_S = 20.0


@dataclass(frozen=True)
class RayOptions:
    """What the engine asks of a cluster; None is chosen by what the cluster has.

    Attributes:
        address: see `connect`.
        actors: copies of the network at most.
        actor_gpus: of each actor.
    """

    address: str | None = None
    actors: int | None = None
    actor_gpus: float | None = None

    def on(self, cpus: float, gpus: float, device: str) -> "Use":
        """What to use of a cluster with so many CPUs and GPUs.

        Raises:
            UserError: the cluster has less than one actor and one decoder need.
        """
        on_gpu = gpus > 0 and device in ("auto", "cuda")
        actor_gpus = self.actor_gpus if self.actor_gpus is not None else float(on_gpu or device == "cuda")
        actor_cpus, decode_cpus = (1.0, 1.0) if actor_gpus else _CPUS
        if actor_gpus > gpus or actor_cpus + decode_cpus > cpus:
            raise UserError(
                f"The Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs, and an actor and a decoder need "
                f"{actor_cpus + decode_cpus:g} and {actor_gpus:g}: add nodes, or set FA_RAY_ACTOR_GPUS or FA_DEVICE=cpu."
            )
        fit = int(gpus / actor_gpus if actor_gpus else cpus / (actor_cpus + decode_cpus))
        return Use(self.actors or max(1, fit), actor_gpus, actor_cpus, decode_cpus)


class Use(NamedTuple):
    """What is used of a cluster; see `RayOptions`."""

    actors: int
    actor_gpus: float
    actor_cpus: float
    decode_cpus: float


@dataclass(frozen=True)
class SentEncoder:
    """How a node makes the encoder.

    Attributes:
        recipe: with the weights' place on the driver's machine; a node that has no such file gets them from `content`.
        fingerprint: the encoder's on the driver; a node with another version of its code has another.
        content: the bytes of the weights in Ray's object store, where the cluster has other machines.
    """

    recipe: EncoderRecipe
    fingerprint: str
    content: "ray.ObjectRef[bytes] | None" = None

    def __call__(self) -> Encoder:
        if self.recipe.fingerprint != self.fingerprint:
            raise UserError(
                f"Node {socket.gethostname()} has another version of fa_assets or of encoder {self.recipe.name} than the "
                "driver: install the same on every node. With FA_PRECISION=bf16 it may have another kind of processor: see "
                "docs/cluster.md."
            )
        return replace(self.recipe, checkpoint=self.weights())()

    def weights(self) -> Path:
        """The weights on this machine, fetched from the driver where they are missing."""
        if self.content is None or self.recipe.checkpoint.is_file():
            return self.recipe.checkpoint
        import ray

        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fa_assets"
        path = cache / f"{self.recipe.sha1}{self.recipe.checkpoint.suffix}"
        if not path.is_file():
            remove_abandoned(cache)
            with replacing(path) as draft:
                draft.write_bytes(ray.get(self.content))
        return path


def require_ray() -> None:
    """Raise a UserError that names the extra where Ray is not installed."""
    if util.find_spec("ray") is None:
        raise UserError("FA_ENGINE=ray needs Ray: pip install 'fa_assets[ray]', or use FA_ENGINE=local.")


def connect(address: str | None) -> None:
    """Be a driver of a Ray cluster until this process ends, or go on being one.

    Args:
        address: ``auto`` or ``HOST:PORT``, of a cluster that this machine is a node of; None starts one of this machine alone,
            which ends with this process.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """
    require_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read by Ray when it is imported and when it starts a node
    try:
        if address and ":" in address:  # where nothing answers Ray would wait for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
        import ray

        if not ray.is_initialized():
            own: dict[str, Any] = {} if address else {"num_cpus": usable_cpus(), "include_dashboard": False}
            with _signals_held():
                ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (OSError, RuntimeError, ValueError) as error:
        said = one_line(error, None)
        raise UserError(
            f"Ray cannot be used at FA_RAY_ADDRESS={address or ''} ({said}). Check that the cluster runs, that this machine is "
            "a node of it and, if it requires a token, that RAY_AUTH_MODE=token is set here and the token is known; or leave "
            "FA_RAY_ADDRESS out for a Ray of this machine alone."
        ) from error


@contextmanager
def _signals_held() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the context ends, and then do as before, in spite of Ray's own handler, which exits at
    once: interrupted while it starts, Ray leaves servers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    import ray

    received: list[int] = []
    before = {
        int(number): signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    set_by_ray = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = set_by_ray
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in received[:1]:
            signal.raise_signal(number)
