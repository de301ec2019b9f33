"""A cluster that this machine is not a node of: what drives the pipeline is an actor there.

Ray Data needs a driver that is a node: through Ray's client it cannot stream. So only the results come through the client, a
batch at a time, and each of them is some names and numbers.
"""

import logging
from typing import Any

from fa_assets.engines.pipeline import Batches, Pipeline
from fa_assets.engines.stream import Results
from fa_assets.engines.workers import Embedded
from fa_assets.errors import UserError

log = logging.getLogger(__name__)

_DRIVERS = 3
"""How many drivers may die."""
_CLOSE_S = 10.0
_HEAD = {"node:__internal_head__": 0.001}
"""Which only the head has: a driver there dies with the cluster, not with one of its workers."""


class ConnectionLostError(UserError):
    """The cluster does not answer any more."""

    transient = True


def is_client() -> bool:
    """Whether this process is connected to a cluster through Ray's client."""
    from ray.util.client import ray as client

    return bool(client.is_connected())


def run_on_head(pipeline: Pipeline, batches: Batches) -> Results:
    """What `Pipeline.run` gives, from a driver on the cluster's head.

    Raises:
        ConnectionLostError: the connection broke and could not be mended.
        UserError: one driver after another died.
    """
    import ray

    left = dict(batches)
    said = ""
    for _ in range(_DRIVERS):
        driver: Any = ray.remote(num_cpus=0, resources=_HEAD)(_Driver).remote(pipeline, left)
        try:
            while (done := ray.get(driver.next.remote())) is not None:
                left.pop(done.number, None)
                yield done
            return
        except ray.exceptions.RayActorError as error:
            said = " ".join(str(error).split())
            log.warning("What drives the batches on the cluster's head died, and is started again: %s", said)
        except ConnectionError as error:
            raise ConnectionLostError(
                f"The connection to the Ray cluster was lost ({error}). What was finished is kept, and the next run goes on "
                "from there."
            ) from error
        finally:
            _end(driver)
    raise UserError(
        f"What drives the batches on the head of the Ray cluster died {_DRIVERS} times ({said}). See that this version of "
        "fa_assets is installed there, with Ray, and that the head has memory to spare. What was finished is kept."
    )


def _end(driver: Any) -> None:
    """End a driver and what it drives. It is asked first, since Ray Data keeps what a driver that is killed has claimed of the
    cluster from the next one, for a while."""
    import ray

    if is_client():  # else it ends with the connection
        ray.wait([driver.close.remote()], timeout=_CLOSE_S)
        ray.kill(driver)


class _Driver:
    """The actor."""

    def __init__(self, pipeline: Pipeline, batches: Batches) -> None:
        self._results = pipeline.run(batches)

    def next(self) -> Embedded | None:
        return next(self._results, None)

    def close(self) -> None:
        self._results.close()
