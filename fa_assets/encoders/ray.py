"""Embedding on a Ray cluster: tasks decode batches of clips, actors embed them and append to the embedding store.

A batch is the unit of work, of progress and of loss. Ray runs a decoding task again whose worker died; a batch whose actor or
node died is given to another actor, and a new actor replaces the one that was lost. An actor has at most `_AHEAD` batches at
a time, so what waits in memory is bounded. What goes wrong in a worker and has a name is raised in the driver as the local
engine would raise it.
"""

import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from fa_assets.audio.decode import BadClipError
from fa_assets.encoders.base import Encoder
from fa_assets.encoders.decoded import decode_crops
from fa_assets.encoders.embed_clips import (
    NOTHING_COMPUTED,
    Decode,
    Work,
    clips_not_finite,
    embed_into,
)
from fa_assets.encoders.ray_cluster import RayOptions, SentEncoder, connect
from fa_assets.encoders.registry import EncoderRecipe
from fa_assets.errors import UserError, one_line
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets.store.recipe import Scalar
from fa_assets.store.roots import open_root

log = logging.getLogger(__name__)

_BATCH = {"cpu": 32, "gpu": 64}
"""Crops of a batch by default."""
_AHEAD = 3
"""Batches of an actor at once: one in the network, the others decoded or on their way."""
_MOST_CROPS = 256
"""Crops of a batch at most: 330 MB on their way from a decoder to an actor."""
_DEATHS = 3
"""How many workers may die with the same batch, or while they load the network, before the run fails."""
_WAIT_S = 30.0


@dataclass(frozen=True)
class Decoded:
    """A batch that was decoded: keys and crops without their padding, and the clips that cannot be used, a line each."""

    keys: list[CropKey] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Embedded:
    """A batch whose crops are in the store, those that are not finite, the clips that cannot be used, and who did it."""

    keys: list[CropKey]
    not_finite: list[CropKey]
    bad: list[str]
    node: str
    worker: int
    device: str
    device_name: str


def decode_batch(batch: Sequence[Work], decode: Decode) -> Decoded:
    """Decode the clips of a batch."""
    decoded = Decoded()
    for clip, keys in batch:
        try:
            crops = decode(clip, keys)
        except BadClipError as error:
            # Another machine may have the file.
            where = f" on node {socket.gethostname()}" if str(error) == "no such file" else ""
            decoded.bad.append(f"{clip.fname}: {error}{where}")
            continue
        decoded.keys.extend(keys)
        decoded.crops.extend(crop[: clip.content_of(key)] for key, crop in zip(keys, crops, strict=True))
    return decoded


class Embedder:
    """An actor: loads the encoder, embeds a batch at a time and appends it to the store.

    Args:
        root, fingerprint: of the embedding store.
        encoder: makes the encoder.
    """

    def __init__(self, root: str, fingerprint: str, encoder: Callable[[], Encoder]) -> None:
        self._root = open_root(root)
        self._store = EmbeddingStore(self._root, fingerprint)
        self._make = encoder

    def load(self) -> None:
        """Load the encoder; raises a UserError where this node does not see the storage or cannot make the encoder."""
        if isinstance(self._root, Path) and not self._root.is_dir():
            raise UserError(
                f"Node {socket.gethostname()} does not see the storage folder {self._root}: share it with every node under the "
                "same path, or use an object store (FA_STORAGE=s3://...)."
            )
        self._encoder = self._make()

    def embed(self, decoded: Decoded) -> Embedded:
        """Embed and store what was decoded."""
        import ray

        stored: list[CropKey] = []
        not_finite: list[CropKey] = []
        if decoded.keys:
            crops = np.zeros((len(decoded.crops), decoded.keys[0].length), np.float32)
            for row, crop in zip(crops, decoded.crops, strict=True):
                row[: len(crop)] = crop
            lengths = [len(crop) for crop in decoded.crops]
            stored, not_finite = embed_into(self._store, self._encoder, decoded.keys, crops, lengths)
        node = f"{socket.gethostname()} ({ray.get_runtime_context().get_node_id()[:8]})"
        return Embedded(
            stored, not_finite, decoded.bad, node, os.getpid(), self._encoder.device, self._encoder.device_name
        )


class RayEngine:
    """An `Engine` on a Ray cluster, which is connected to when there is work. Actors stay until the context ends; an error ends
    the connection too.

    Args:
        encoder: makes the encoder in an actor.
        options: what to ask of the cluster.
        device: as the setting; with "auto" and "cuda" actors want a GPU by default.
        batch_size: crops of a batch.
        decode: decodes a clip in a task.
    """

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        options: RayOptions,
        *,
        device: str = "auto",
        batch_size: int | None = None,
        decode: Decode = decode_crops,
    ) -> None:
        self._encoder = encoder
        self._options = options
        self._device = device
        self._batch_size = batch_size
        self._decode = decode
        self._pool: _Pool | None = None
        self._seen: list[Embedded] = []

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool:
            self._pool.close()
            if kind:
                import ray

                ray.shutdown()

    @property
    def environment(self) -> dict[str, Scalar]:
        """See `Engine`."""
        if not self._seen:
            return {"engine": "ray", "device": NOTHING_COMPUTED}
        devices = sorted({(one.device, one.device_name) for one in self._seen})
        return {
            "engine": "ray",
            "ray": metadata.version("ray"),
            "device": ", ".join(sorted({device for device, _ in devices})),
            "device_name": ", ".join(name for _, name in devices),
            "nodes": ", ".join(sorted({one.node for one in self._seen})),
            "actors": len(self.batches),
        }

    @property
    def batches(self) -> Counter[tuple[str, int]]:
        """How many batches each actor has stored so far, by its node and its process."""
        return Counter((one.node, one.worker) for one in self._seen)

    def compute(
        self, work: Sequence[Work], store: EmbeddingStore, finished: Callable[[Sequence[CropKey]], None]
    ) -> list[str]:
        """See `Engine`.

        Raises:
            UserError: no cluster answers, it is too small, or its workers keep dying.
            Exception: what a worker raised, e.g. because the storage is full.
        """
        if self._pool is None:
            connect(self._options.address)
            self._pool = self._new_pool(store)
        bad: list[str] = []
        not_finite: list[CropKey] = []
        for done in self._pool.run(work):
            self._seen.append(done)
            bad += done.bad
            not_finite += done.not_finite
            finished(done.keys)
        return bad + clips_not_finite(work, not_finite)

    def _new_pool(self, store: EmbeddingStore) -> "_Pool":
        import ray

        resources = ray.cluster_resources()
        hosts = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
        use = self._options.on(resources.get("CPU", 0.0), resources.get("GPU", 0.0), self._device)
        log.info("Ray on %s: %s", ", ".join(sorted(hosts)), use)
        if isinstance(store.root, Path):
            store.root.mkdir(parents=True, exist_ok=True)
        encoder = self._encoder
        if isinstance(encoder, EncoderRecipe):
            elsewhere = hosts != {socket.gethostname()}
            is_file = encoder.checkpoint.is_file()  # a folder has to be seen by every node
            content = ray.put(encoder.checkpoint.read_bytes()) if elsewhere and is_file else None
            encoder = SentEncoder(encoder, encoder.fingerprint, content)
        embedder = ray.remote(num_cpus=use.actor_cpus, num_gpus=use.actor_gpus)(Embedder)
        decode = ray.remote(num_cpus=use.decode_cpus, max_retries=1)(decode_batch)
        return _Pool(
            use.actors,
            min(self._batch_size or _BATCH["gpu" if use.actor_gpus else "cpu"], _MOST_CROPS),
            start=lambda: embedder.remote(str(store.root), store.fingerprint, encoder),
            embed=lambda actor, batch: actor.embed.remote(decode.remote(batch, self._decode)),
        )


class _Pool:
    """Actors that are given batches, and replaced when they die.

    Args:
        size: actors at most.
        batch_size: crops of a batch.
        start: starts an actor.
        embed: (actor, batch) -> the reference to its `Embedded`.
    """

    def __init__(
        self, size: int, batch_size: int, start: Callable[[], Any], embed: Callable[[Any, list[Work]], Any]
    ) -> None:
        self._size = size
        self._batch_size = batch_size
        self._start = start
        self._embed = embed
        self._actors: set[Any] = set()
        self._busy: dict[Any, int] = {}  # actors that have loaded the encoder -> batches that they have
        self._running: dict[Any, tuple[Any, list[Work]]] = {}  # reference -> actor and batch, empty while it loads
        self._deaths: Counter[str] = Counter()

    def run(self, work: Sequence[Work]) -> Iterator[Embedded]:
        """The batches of this work, as they are stored."""
        import ray

        waiting = deque(plan_batches(work, self._batch_size))
        while len(self._actors) < min(self._size, len(waiting)):
            self._add()
        while waiting or any(batch for _, batch in self._running.values()):
            self._hand_out(waiting)
            done, _ = ray.wait(list(self._running), num_returns=1, timeout=_WAIT_S)
            if not done and not self._busy:
                log.warning("No actor has begun on the Ray cluster for %.0f s: it is full, or slow to start.", _WAIT_S)
            for reference in done:
                actor, batch = self._running.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayError as error:
                    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
                    if not isinstance(cause, ray.exceptions.RayError):
                        raise (cause or error) from None  # what our own code raised in the worker
                    waiting.extend([batch] if batch else [])
                    self._lost(actor, batch, cause)
                    continue
                if actor in self._actors:  # it may have died since
                    self._busy[actor] = self._busy[actor] - 1 if batch else 0
                if batch:
                    yield result

    def close(self) -> None:
        """End all actors."""
        import ray

        for actor in self._actors:
            ray.kill(actor)

    def _add(self) -> None:
        actor = self._start()
        self._actors.add(actor)
        self._running[actor.load.remote()] = (actor, [])

    def _hand_out(self, waiting: deque[list[Work]]) -> None:
        """Each actor gets as many batches as it may have at once, those with the fewest first."""
        while waiting and self._busy:
            actor = min(self._busy, key=self._busy.__getitem__)
            if self._busy[actor] >= _AHEAD:
                return
            batch = waiting.popleft()
            self._busy[actor] += 1
            self._running[self._embed(actor, batch)] = (actor, batch)

    def _lost(self, actor: Any, batch: list[Work], error: Exception) -> None:
        """An actor or a decoder died."""
        import ray

        name = f"the batch of {len(batch)} clips that begins with {batch[0][0].fname}" if batch else "the network"
        said = one_line(error, 300)
        log.warning("A worker with %s was lost: %s", name, said)
        self._deaths[name] += 1
        if self._deaths[name] >= _DEATHS:
            raise UserError(
                f"{_DEATHS} workers of the Ray cluster died with {name} ({said}). Ray's logs have the reason; often it is "
                "memory: set FA_RAY_ACTORS or FA_BATCH_SIZE lower. What was finished is kept."
            ) from error
        if actor not in self._actors:
            return  # another one has taken its place
        if isinstance(error, ray.exceptions.RayActorError):
            self._actors.remove(actor)
            self._busy.pop(actor, None)
            self._add()
        else:
            self._busy[actor] -= 1


def plan_batches(work: Sequence[Work], size: int) -> list[list[Work]]:
    """Clips in batches of up to `size` crops, in order; a clip is in one batch unless it has more crops than that."""
    batches: list[list[Work]] = []
    room = 0
    for clip, keys in work:
        for start in range(0, len(keys), size):
            some = keys[start : start + size]
            if len(some) > room:
                batches.append([])
                room = size
            batches[-1].append((clip, some))
            room -= len(some)
    return batches
