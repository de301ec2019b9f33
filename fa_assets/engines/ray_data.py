"""Embedding on Ray: batches of clips are decoded by tasks and embedded by a pool of actors, on as many nodes as there are.

The driver plans the batches of a fold, Ray Data streams them through the nodes, and the actors append to the embedding store.
So a batch is the unit of everything: of work, of progress, and of what is lost when a process or a node dies. Ray runs a batch
again that was lost; one that comes to nothing however often it is run is looked into, a clip at a time, because a clip that
kills the process that decodes it can only be told from a dying node by trying it alone.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from itertools import chain, count
from pathlib import Path
from types import TracebackType

from fa_assets.engines.client import is_client, run_on_head
from fa_assets.engines.cluster import Session, require_ray
from fa_assets.engines.pipeline import Batches, Pipeline
from fa_assets.engines.share import RayOptions, Share, share_of
from fa_assets.engines.stream import Results, Stream
from fa_assets.engines.workers import Decode, Embedded, EncoderRecipe, try_to_decode
from fa_assets.errors import UserError
from fa_assets.panns.embed_clips import NOTHING_COMPUTED, Encoder, Work, decode_crops
from fa_assets.panns.encoder import BATCH_SIZES
from fa_assets.recipe import Scalar
from fa_assets.storage.embedding_store import CropKey, EmbeddingStore

log = logging.getLogger(__name__)

_PASSES = 3
"""How often the batches that came to nothing are tried again, when no clip turns out to be at fault."""
_DEATHS = 2
"""How many processes a clip must kill, alone, before it is called the cause."""
_MOST_CROPS = 256
"""Crops of a batch at most: 330 MB on their way from a decoder to an actor."""
_CROPS_AHEAD = 500_000
"""Crops of the parts that go through the cluster in one stream, if it is more than one part: the driver keeps what it knows of
them, some 200 MB."""


class RayEngine:
    """An `Engine` on a Ray cluster. Parts that were announced go through it as one stream: the actors, with the network in
    them, are there for all of them, and go on while the driver writes a part.

    Args:
        encoder: makes the encoder in an actor.
        options: what to ask of the cluster.
        device: "auto", "cpu" or "cuda": whether actors want a GPU where nothing is said.
        batch_size: crops of a batch; by default as the encoder's.
        decode: decodes a clip in a task.
        session: is opened when there is work and left open with the context, unless by an error; without one, the engine has
            one of its own.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(
        self,
        encoder: Callable[[], Encoder],
        options: RayOptions,
        *,
        device: str = "auto",
        batch_size: int | None = None,
        decode: Decode = decode_crops,
        session: Session | None = None,
    ) -> None:
        require_ray()
        self._encoder = encoder
        self._options = options
        self._device = device
        self._batch_size = batch_size
        self._decode = decode
        self._session = session or Session(options.address)
        self._keeps_session = session is not None
        self._share: Share | None = None
        self._numbers = count()
        self._announced: list[list[Work]] = []
        self._ahead: list[Batches] = []
        self._stream = Stream()
        self._seen: list[Embedded] = []

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is not None or not self._keeps_session:
            self._session.close()
        self._share = None

    @property
    def environment(self) -> dict[str, Scalar]:
        """What it computed on, for the ledger; says so when everything was reused and nothing computed."""
        if not self._seen:
            return {"engine": "ray", "device": NOTHING_COMPUTED}
        devices, workers = self.devices, self.workers
        return {
            "engine": "ray",
            "ray": metadata.version("ray"),
            "device": ", ".join(sorted({device for device, _ in devices})),
            "device_name": ", ".join(name for _, name in devices),
            "nodes": ", ".join(sorted({node for node, _ in workers})),
            "actors": len(workers),
        }

    @property
    def workers(self) -> dict[tuple[str, int], int]:
        """The batches that each actor has stored so far, by its node and its process."""
        counts: dict[tuple[str, int], int] = {}
        for one in self._seen:
            counts[one.node, one.worker] = counts.get((one.node, one.worker), 0) + 1
        return counts

    @property
    def devices(self) -> list[tuple[str, str]]:
        """The devices that computed, each once: kind and name."""
        return sorted({(one.device, one.device_name or "") for one in self._seen if one.device})

    def announce(self, parts: Iterable[list[Work]]) -> int:
        """See `Engine`."""
        taken: list[list[Work]] = []
        crops = 0
        for work in parts:
            crops += sum(len(keys) for _, keys in work)
            if taken and crops > _CROPS_AHEAD:
                break
            taken.append(work)
        self._announced = [work for work in taken if work]
        return len(taken)

    def compute(
        self, work: Sequence[Work], store: EmbeddingStore, finished: Callable[[Sequence[CropKey]], None]
    ) -> list[str]:
        """See `Engine`.

        Raises:
            UserError: no cluster answers, or batches come to nothing for another reason than a clip.
            Exception: what a worker raised, e.g. because the storage is full.
        """
        share = self._connect()
        if isinstance(store.root, Path):
            store.root.mkdir(parents=True, exist_ok=True)
        wanted = {key for _, keys in work for key in keys}
        pending = self._sent(work, wanted, store, share)
        bad: list[str] = []
        for attempt in range(_PASSES):
            if attempt:
                self._stream.send(self._run(pending, store, share))
            for done in self._stream.take(list(pending)):
                if done.error is not None:
                    raise done.error
                del pending[done.number]
                bad += done.bad
                if done.keys:
                    self._seen.append(done)
                    finished([key for key in done.keys if key in wanted])
            if not self._ahead:
                self._stream.wait()
            if not pending:
                return bad
            deadly = self._deadly_clips(chain.from_iterable(pending.values()), share)
            bad += [f"{clip}: the process that decodes it dies ({how})" for clip, how in deadly.items()]
            pending = {
                number: left
                for number, parts in pending.items()
                if (left := [part for part in parts if part[0].fname not in deadly])
            }
            if not pending:
                return bad
        names = [clip.fname for parts in pending.values() for clip, _ in parts]
        raise UserError(
            f"{len(names)} clips could not be embedded on Ray: {_PASSES} times the processes or nodes that had them died, and "
            f"decoding them is not the cause. The first is {names[0]}. Ray's logs have the reason; often it is memory: set "
            "FA_RAY_MAX_ACTORS or FA_BATCH_SIZE lower. What was finished is kept."
        )

    def _connect(self) -> Share:
        if self._share is not None:
            return self._share
        self._session.open()
        import ray

        resources = ray.cluster_resources()
        self._share = share_of(self._options, self._device, resources.get("CPU", 0.0), resources.get("GPU", 0.0))
        hosts = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
        if isinstance(self._encoder, EncoderRecipe) and hosts != {socket.gethostname()}:
            self._encoder = replace(self._encoder, content=ray.put(self._encoder.checkpoint.read_bytes()))
        log.info("Ray with nodes on %s: %s", ", ".join(sorted(hosts)), self._share)
        return self._share

    def _planned(self, work: Sequence[Work], share: Share) -> Batches:
        """The batches of some work, each with a number of its own."""
        size = self._batch_size or BATCH_SIZES["cuda" if share.actor_gpus else "cpu"]
        return {next(self._numbers): parts for parts in plan_batches(work, min(size, _MOST_CROPS))}

    def _sent(self, work: Sequence[Work], wanted: set[CropKey], store: EmbeddingStore, share: Share) -> Batches:
        """The batches of the work, under way: those of the announced part that has all of its crops, or its own."""
        if self._announced:
            self._ahead = [self._planned(work, share) for work in self._announced]
            self._announced = []
            self._stream.send(self._run(dict(chain.from_iterable(part.items() for part in self._ahead)), store, share))
        for place, part in enumerate(self._ahead):
            if wanted <= {key for parts in part.values() for _, keys in parts for key in keys}:
                self._ahead = self._ahead[place + 1 :]
                return part
        own = self._planned(work, share)
        self._stream.send(self._run(own, store, share))
        return own

    def _run(self, batches: Batches, store: EmbeddingStore, share: Share) -> Results:
        pipeline = Pipeline(str(store.root), store.fingerprint, self._encoder, self._decode, share)
        return run_on_head(pipeline, batches) if is_client() else pipeline.run(batches)

    def _deadly_clips(self, parts: Iterator[Work], share: Share) -> dict[str, str]:
        """Of the clips, those whose decoding kills a process each time it is tried alone, and how."""
        import ray

        decode_alone = ray.remote(num_cpus=share.decode_cpus, max_retries=0)(try_to_decode)
        suspects = {clip.fname: (clip, keys) for clip, keys in parts}
        deadly: dict[str, str] = {}
        for _ in range(_DEATHS):
            tries = {name: decode_alone.remote(part, self._decode) for name, part in suspects.items()}
            deadly = {}
            for name, result in tries.items():
                try:
                    ray.get(result)
                except ray.exceptions.RayError as error:
                    deadly[name] = type(error).__name__
            suspects = {name: suspects[name] for name in deadly}
        return deadly


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
