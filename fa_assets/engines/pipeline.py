"""Batches through the nodes: decoded by tasks, embedded and stored by a pool of actors. Ray Data does it."""

import logging
import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fa_assets.engines.share import Share
from fa_assets.engines.stream import Results
from fa_assets.engines.workers import Decode, Embedder, batch_row, decode_batch
from fa_assets.panns.embed_clips import Encoder, Work

_RETRIES = 1
"""How often Ray runs a batch again whose process died."""
_MOST_BLOCKS = 10_000
"""Tasks of a pass at most; with more batches than that, a task has several."""
_CLAIM_S = 30
"""How long Ray Data keeps from others what a driver has claimed that does not claim it again, as it does every 10 s while it
lives. With Ray's 180 a run that follows one that was killed is held up for so long."""

Batches = dict[int, list[Work]]
"""Batches of clips and their crops, by number."""


@dataclass(frozen=True)
class Pipeline:
    """What happens to batches, in a form that can travel.

    Attributes:
        root, fingerprint: of the embedding store.
        encoder: makes the encoder in an actor.
        decode: decodes a clip in a task.
        share: what of the cluster to use.
    """

    root: str
    fingerprint: str
    encoder: Callable[[], Encoder]
    decode: Decode
    share: Share

    def run(self, batches: Batches) -> Results:
        """Stream batches through the cluster that this process is connected to; those whose processes died too often are
        missing from what it gives."""
        import ray

        # Read when ray.data is imported, which is now.
        os.environ.setdefault("RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S", str(_CLAIM_S))
        _quiet()
        share = self.share
        rows = [batch_row(number, parts) for number, parts in batches.items()]
        most = min(share.max_actors, len(rows))
        # Ray Data warns of more tasks at once than there are batches.
        decoders = None if share.decoders is None else min(share.decoders, len(rows))
        # Retries are set in a way that Ray 2.64 gives up; pyproject.toml stays below it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            dataset = (
                ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS))
                .map_batches(
                    partial(decode_batch, decode=self.decode),
                    batch_size=1,
                    batch_format="pyarrow",
                    compute=ray.data.TaskPoolStrategy(size=decoders),
                    num_cpus=share.decode_cpus,
                    max_retries=_RETRIES,
                )
                .map_batches(
                    Embedder,
                    fn_constructor_args=(self.root, self.fingerprint, self.encoder),
                    batch_size=1,
                    batch_format="pyarrow",
                    compute=ray.data.ActorPoolStrategy(min_size=min(share.min_actors, most), max_size=most),
                    num_cpus=share.actor_cpus,
                    num_gpus=share.actor_gpus,
                    max_restarts=-1,
                    max_task_retries=_RETRIES,
                )
            )
        for rows_done in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in rows_done["embedded"]:
                yield pickle.loads(row.as_py())


def _quiet() -> None:
    """Ray Data's own bars and log are not shown: the run's log has its progress; and it goes on without batches that die."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
