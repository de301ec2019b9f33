"""One embedding of some clips into an empty store, in a process of its own, by this process or on Ray.

`python -m benchmarks.scale_run REQUEST` takes a pickled `Run` from a file and prints a JSON object. On Linux everything that
computes is bound to as many CPUs as there are workers, unless more are asked for: a worker is one CPU, with all that decodes,
embeds, stores and plans on it, so that one worker is not helped by a CPU that is counted to nobody.
"""

import hashlib
import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cpu_time import run_and_watch
from fa_assets.audio.crops import CROP_SAMPLES, SCHEMES
from fa_assets.engines.ray_data import RayEngine
from fa_assets.engines.share import RayOptions
from fa_assets.engines.workers import Decode, EncoderRecipe
from fa_assets.panns.embed_clips import Clip, Encoder, Engine, LocalEngine, decode_crops, embed_clips_on
from fa_assets.panns.encoder import encoder_fingerprint
from fa_assets.panns.loading import load_encoder
from fa_assets.storage.embedding_store import CropKey, EmbeddingStore


@dataclass(frozen=True)
class Run:
    """What is run.

    Attributes:
        workers: actors on Ray, one for each node of one CPU; 0 is this process with one thread.
        clips: what is embedded, under the scheme mc5.
        checkpoint: the weights; none for `NoEncoder` and `no_decode`, which leave what Ray itself costs.
        asleep: seconds that `NoEncoder` sleeps for each batch.
        folder: the store is made in it; where `address` is given, one that all nodes see.
        address: of a cluster that runs; None makes one of this machine.
        nodes: the one that is made has a node for each worker and is there before the time is taken; else it is what the engine
            starts by itself, for one worker.
        batch_size: crops of a batch; by default as on a CPU.
        cpus: how many the run is bound to; None is one for each worker.
    """

    workers: int
    clips: list[Clip]
    checkpoint: Path | None
    folder: Path
    address: str | None = None
    nodes: bool = False
    batch_size: int | None = None
    cpus: int | None = None
    asleep: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What a run cost: wall seconds from the first import of torch or Ray to the vectors, CPU seconds of all processes of this
    machine, those of the driver alone, and the vectors."""

    seconds: float
    cpu_seconds: float
    driver_cpu_seconds: float
    vectors: np.ndarray


@dataclass(frozen=True)
class NoEncoder:
    """Embeds nothing, in no time or asleep for some seconds a batch; its own factory."""

    batch_size: int = 32
    seconds: float = 0.0

    def __call__(self) -> "NoEncoder":
        return self

    def embed(self, crops: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        time.sleep(self.seconds)
        return np.zeros((len(crops), 2048), np.float32)


def no_decode(clip: Clip, keys: Sequence[CropKey]) -> np.ndarray:
    """Silence, and the file is not opened."""
    return np.zeros((len(keys), CROP_SAMPLES), np.float32)


def run(what: Run) -> Outcome:
    """Run it in a process of its own."""
    request = what.folder / "run.pickle"
    request.write_bytes(pickle.dumps(what))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    said, cpu = run_and_watch([sys.executable, "-m", "benchmarks.scale_run", str(request)], environment)
    found = json.loads(said.splitlines()[-1])
    vectors = np.load(found["vectors"])
    return Outcome(found["seconds"], cpu, found["driver_cpu_seconds"], vectors)


def main(request: Path) -> None:
    what: Run = pickle.loads(request.read_bytes())
    with tempfile.TemporaryDirectory(dir=what.folder) as folder, _cluster(what) as address:
        store = EmbeddingStore(Path(folder) / "storage", "benchmark")
        sha1 = hashlib.sha1(what.checkpoint.read_bytes()).hexdigest() if what.checkpoint else ""
        started, driver = time.perf_counter(), time.process_time()
        with _engine(what, sha1, address) as engine:
            vectors = embed_clips_on(engine, what.clips, SCHEMES["mc5"], store).vectors
            seconds, driver = time.perf_counter() - started, time.process_time() - driver
    out = what.folder / "vectors.npy"
    np.save(out, vectors)
    print(json.dumps({"seconds": seconds, "driver_cpu_seconds": driver, "vectors": str(out)}))


@contextmanager
def _engine(what: Run, sha1: str, address: str | None) -> Iterator[Engine]:
    if not what.workers:
        yield LocalEngine(lambda: load_encoder(what.checkpoint, sha1, "cpu", "fp32", None), threads=1)
        return
    encoder: Encoder | EncoderRecipe = NoEncoder(seconds=what.asleep)
    decode: Decode = no_decode
    if what.checkpoint:
        encoder = EncoderRecipe(what.checkpoint, sha1, "cpu", "fp32", None, encoder_fingerprint(sha1, "fp32"))
        decode = decode_crops
    options = RayOptions(address=address, min_actors=what.workers, max_actors=what.workers)
    with RayEngine(encoder, options, device="cpu", batch_size=what.batch_size, decode=decode) as engine:
        yield engine


@contextmanager
def _cluster(what: Run) -> Iterator[str | None]:
    """The address to give to the engine, and CPUs bound: of the nodes, which inherit it, and of this process."""
    if what.address is not None:
        yield what.address
        return
    count = max(1, what.workers)
    bound = what.cpus or count
    cpus = _bindable(bound)
    _bind(cpus[:bound])
    if not what.nodes:
        yield None
        return
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 1_000_000_000}
    cluster = Cluster()
    try:
        for number in range(count):
            _bind(cpus[number : number + 1])
            cluster.add_node(**node, **({} if number else {"include_dashboard": False}))
        _bind(cpus[:count])
        yield cluster.address
    finally:
        cluster.shutdown()


def _bindable(count: int) -> list[int]:
    """The CPUs to bind to; none where that cannot be done."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cpus) < count:
        print(f"{count} CPUs are to be bound to, and there are {len(cpus)}: nothing is bound", file=sys.stderr)
        return []
    return cpus


def _bind(cpus: Sequence[int]) -> None:
    if cpus:
        os.sched_setaffinity(0, cpus)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
