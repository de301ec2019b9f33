"""A discrete-event simulation of the embedding stage on a cluster: batches pass the driver, decoders, the network and actors.

A batch is a job that takes servers of resources in turn, first come first served, and holds them for times that were measured
(`Measured`) or are assumed (`Assumed`). What it leaves out: failures, the start of Ray itself, and other users.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np

DECODED_BYTES = 4 * 320_000
"""Of a crop of 10 s: float32 at 32 kHz."""


class Resource:
    """So many servers of a kind; `busy` is the seconds they were taken, all together."""

    def __init__(self, name: str, servers: int) -> None:
        if servers < 1:
            raise ValueError(f"{name}: {servers} servers")
        self.name = name
        self.servers = servers
        self.busy = 0.0
        self._free = servers
        self._queue: deque[Iterator[Step]] = deque()

    def take(self, job: "Iterator[Step]") -> bool:
        """Whether the job has a server now; else it has a place in the queue."""
        if self._free:
            self._free -= 1
            return True
        self._queue.append(job)
        return False

    def give(self) -> "Iterator[Step] | None":
        """Give a server back: the job that has it next, if one waits."""
        if self._queue:
            return self._queue.popleft()
        self._free += 1
        return None


@dataclass(frozen=True)
class Step:
    """Take or give a server of a resource, or hold what was taken for some seconds, which count for `resource`."""

    do: Literal["take", "give", "hold"]
    resource: Resource
    seconds: float = 0.0


def during(resource: Resource, seconds: float) -> Iterator[Step]:
    """Take a server, hold it and give it back."""
    yield Step("take", resource)
    yield Step("hold", resource, seconds)
    yield Step("give", resource)


def simulate(jobs: Iterable[Iterator[Step]]) -> float:
    """Run all jobs, which are there from the begin; the time at which the last one ends, in seconds."""
    events = [(0.0, number, job) for number, job in enumerate(jobs)]
    count, now = len(events), 0.0
    while events:
        now, _, job = heapq.heappop(events)
        for step in job:
            if step.do == "hold":
                step.resource.busy += step.seconds
                count += 1
                heapq.heappush(events, (now + step.seconds, count, job))
                break
            if step.do == "take":
                if not step.resource.take(job):
                    break
            elif (following := step.resource.give()) is not None:
                count += 1
                heapq.heappush(events, (now, count, following))
    return now


@dataclass(frozen=True)
class Spread:
    """How a cost is spread: its quantiles, evenly spaced from the least to the most."""

    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(tuple(float(value) for value in np.quantile(values, np.linspace(0, 1, 21))))

    @property
    def mean(self) -> float:
        return float(np.trapezoid(self.quantiles, dx=1 / (len(self.quantiles) - 1)))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.interp(rng.random(shape), np.linspace(0, 1, len(self.quantiles)), self.quantiles)


@dataclass(frozen=True)
class Measured:
    """What was measured here, in CPU seconds of one core unless said otherwise.

    Attributes:
        decode_clip: reading, checking, decoding and resampling a clip of 10 s.
        embed_relative: a batch's time in the network over the mean of such batches.
        file_bytes: of a clip of 10 s.
        copy_clip: taking a decoded clip in an actor.
        append_batch: putting a batch into a store on a local disk.
        driver_batch: of the driver's process for a batch on its way.
        node_batch: of all other processes of Ray for a batch.
        driver_clip: of the driver for a clip before and after: planning, and reading the embeddings back.
    """

    decode_clip: Spread
    embed_relative: Spread
    file_bytes: float
    copy_clip: float
    append_batch: Spread
    driver_batch: float
    node_batch: float
    driver_clip: float


@dataclass(frozen=True)
class Assumed:
    """What could not be measured here: a cluster with GPUs. Each field says what it is."""

    gpus: int = field(default=1, metadata={"what": "GPUs"})
    clips_per_gpu_second: float = field(
        default=1000.0, metadata={"what": "clips of 10 s that one GPU embeds in a second; no GPU was at hand"}
    )
    cpus_per_gpu: int = field(default=12, metadata={"what": "CPU cores for each GPU, one of them an actor's"})
    gpus_per_node: int = field(default=8, metadata={"what": "GPUs of a node"})
    node_gbit: float = field(default=100.0, metadata={"what": "Gbit/s that each node's network carries inwards"})
    put_seconds: float = field(
        default=0.05, metadata={"what": "seconds until the shared storage has a batch, beside the CPU time"}
    )
    actors_per_gpu: int = field(default=1, metadata={"what": "actors that share a GPU"})
    driver_speed: float = field(default=1.0, metadata={"what": "the driver's speed; 1 is as measured"})
    batch: int = field(default=64, metadata={"what": "clips of a batch"})
    clips: int = field(default=2_000_000, metadata={"what": "clips of 10 s, one crop each"})
    folds: int = field(default=5, metadata={"what": "folds, embedded one after another"})
    start_seconds: float = field(
        default=15.0, metadata={"what": "seconds in each fold until its actors have loaded the network"}
    )

    @property
    def nodes(self) -> int:
        return -(-self.gpus // self.gpus_per_node)


def what_is_assumed() -> list[tuple[str, object, str]]:
    """Name, value where nothing else is said, and what it is."""
    return [(one.name, one.default, one.metadata["what"]) for one in fields(Assumed)]


@dataclass(frozen=True)
class Outcome:
    """What a simulated stage took.

    Attributes:
        seconds: from the begin of the first fold to the end of the last.
        streaming_seconds: of them, while batches were on their way.
        used: of the streaming, the share in which the servers of each resource did something: the driver, the decoders, the
            network, the actors (copying, embedding and storing), the GPUs (embedding alone).
        storing: of the streaming, the share in which the actors stored.
    """

    seconds: float
    streaming_seconds: float
    used: dict[str, float]
    storing: float

    @property
    def limit(self) -> str:
        """The resource that is used most."""
        return max(self.used, key=lambda name: self.used[name])


def embedding_stage(costs: Measured, cluster: Assumed, seed: int = 0) -> Outcome:
    """Simulate one fold and take all of them to be alike."""
    rng = np.random.default_rng(seed)
    clips = cluster.clips // cluster.folds
    sizes = np.full(-(-clips // cluster.batch), cluster.batch)
    sizes[-1] -= sizes.sum() - clips
    n = len(sizes)
    decode = np.array([costs.decode_clip.draw(rng, (size,)).sum() for size in sizes]) + costs.node_batch
    embed = sizes / cluster.clips_per_gpu_second * costs.embed_relative.draw(rng, (n,)) / costs.embed_relative.mean
    store = costs.append_batch.draw(rng, (n,)) + cluster.put_seconds
    # Files come from a storage that all share; what is decoded crosses the network unless its actor is on the same node.
    crossing = costs.file_bytes + DECODED_BYTES * (1 - 1 / cluster.nodes)

    n_actors = cluster.gpus * cluster.actors_per_gpu
    n_decoders = max(1, cluster.gpus * cluster.cpus_per_gpu - n_actors)
    driver, decoders = Resource("driver", 1), Resource("decoders", n_decoders)
    network, gpus = Resource("network", cluster.nodes), Resource("GPUs", cluster.gpus)
    actors, storing = Resource("actors", n_actors), Resource("storing", n_actors)
    window = Resource("under way", n_decoders + 4 * n_actors)

    def batch(i: int) -> Iterator[Step]:
        copy = sizes[i] * costs.copy_clip
        yield Step("take", window)
        yield from during(driver, costs.driver_batch / cluster.driver_speed)
        yield from during(decoders, decode[i])
        yield from during(network, sizes[i] * crossing * 8 / (cluster.node_gbit * 1e9))
        yield Step("take", actors)
        yield Step("hold", actors, copy)
        yield from during(gpus, embed[i])
        yield Step("hold", storing, store[i])
        yield Step("give", actors)
        yield Step("give", window)

    streaming = simulate(batch(i) for i in range(n))
    actors.busy += gpus.busy + storing.busy
    used = {one.name: one.busy / one.servers / streaming for one in (driver, decoders, network, actors, gpus)}
    around = cluster.start_seconds + clips * costs.driver_clip / cluster.driver_speed
    return Outcome(
        seconds=cluster.folds * (streaming + around),
        streaming_seconds=cluster.folds * streaming,
        used=used,
        storing=storing.busy / n_actors / streaming,
    )


def most_clips_per_second(costs: Measured, cluster: Assumed) -> dict[str, float]:
    """What each resource could take if nothing else held it up: clips a second, from mean costs."""
    n_actors = cluster.gpus * cluster.actors_per_gpu
    crossing = costs.file_bytes + DECODED_BYTES * (1 - 1 / cluster.nodes)
    of_an_actor = costs.copy_clip + 1 / cluster.clips_per_gpu_second
    of_an_actor += (costs.append_batch.mean + cluster.put_seconds) / cluster.batch
    return {
        "driver": cluster.batch / costs.driver_batch * cluster.driver_speed,
        "decoders": max(1, cluster.gpus * cluster.cpus_per_gpu - n_actors)
        / (costs.decode_clip.mean + costs.node_batch / cluster.batch),
        "network": cluster.nodes * cluster.node_gbit * 1e9 / 8 / crossing,
        "actors": n_actors / of_an_actor,
        "GPUs": cluster.gpus * cluster.clips_per_gpu_second,
    }


def on_cpus(workers: int, batches: Sequence[tuple[float, float, float]], driver_seconds: float) -> float:
    """Seconds of a run on workers of one CPU each, where decoding, embedding and the driver share the CPUs.

    Args:
        batches: CPU seconds of the driver, of decoding with all that Ray does beside it, and of the actor, for each batch.
        driver_seconds: before and after.
    """
    cpus, actors, driver = Resource("CPUs", workers), Resource("actors", workers), Resource("driver", 1)
    window = Resource("under way", 5 * workers)

    def batch(driving: float, decoding: float, embedding: float) -> Iterator[Step]:
        yield Step("take", window)
        yield Step("take", driver)
        yield from during(cpus, driving)
        yield Step("give", driver)
        yield from during(cpus, decoding)
        yield Step("take", actors)
        yield from during(cpus, embedding)
        yield Step("give", actors)
        yield Step("give", window)

    return simulate(batch(*costs) for costs in batches) + driver_seconds
