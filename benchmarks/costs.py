"""What single steps of the embedding stage cost on one CPU here, and how that is spread: what the simulation is fed with."""

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.scale_run import NoEncoder, Run, run
from benchmarks.simulation import Measured, Spread
from fa_assets.audio.crops import CROP_SAMPLES, SCHEMES
from fa_assets.engines.workers import Embedder, batch_row, decode_batch, samples_of
from fa_assets.panns.embed_clips import Clip, LocalEngine, decode_crops, embed_clips_on
from fa_assets.panns.encoder import Cnn14Encoder
from fa_assets.storage.embedding_store import CropKey, EmbeddingStore

LENGTHS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
WIDTH = 2048

Results = dict[str, float | str | list[float]]
"""JSON keys and what was found."""


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def key_of(clip: Clip) -> CropKey:
    return CropKey(clip.sha256, 0, CROP_SAMPLES)


def as_rows(clips: Sequence[Clip]) -> pa.Table:
    return pa.Table.from_pylist([batch_row(0, [(clip, [key_of(clip)]) for clip in clips])])


def decoding(clips: Sequence[Clip]) -> list[float]:
    """CPU seconds of each clip, decoded alone as a task does it; the first is not counted."""
    tasks = [as_rows([clip]) for clip in clips]
    decode_batch(tasks[0], decode_crops)
    return [cpu_seconds(lambda rows=rows: decode_batch(rows, decode_crops)) for rows in tasks]


def embedding(encoder: Cnn14Encoder, batch: int, turns: int) -> dict[float, list[float]]:
    """CPU seconds of a batch of crops, by the length of their content in seconds, in turns."""
    found: dict[float, list[float]] = {length: [] for length in LENGTHS_S}
    noise = 0.1 * np.random.default_rng(0).standard_normal((batch, CROP_SAMPLES), np.float32)
    for turn in range(turns + 1):
        for length in LENGTHS_S:
            samples = round(length * 32_000)
            crops = noise.copy()
            crops[:, samples:] = 0
            seconds = cpu_seconds(lambda crops=crops, samples=samples: encoder.embed(crops, [samples] * batch))
            if turn:
                found[length].append(seconds)
    return found


def appending(folder: Path, batch: int, turns: int) -> list[float]:
    """CPU seconds of putting a batch into the store."""
    store = EmbeddingStore(folder, f"append-{batch}")
    rng = np.random.default_rng(0)
    found = []
    for turn in range(turns + 1):
        keys = [CropKey(sha256(f"{turn}, {row}".encode()).hexdigest(), 0, CROP_SAMPLES) for row in range(batch)]
        vectors = rng.standard_normal((batch, WIDTH), np.float32)
        found.append(cpu_seconds(lambda keys=keys, vectors=vectors: store.append(keys, vectors)))
    return found[1:]


def copying(folder: Path, clips: Sequence[Clip], turns: int) -> float:
    """CPU seconds a clip that an actor needs beside embedding, with the appending still in them."""
    decoded = decode_batch(as_rows(clips), decode_crops)
    actor = Embedder(str(folder), "copy", NoEncoder())
    folder.mkdir(exist_ok=True)
    return min(cpu_seconds(lambda: _embed(actor, decoded)) for _ in range(turns)) / len(clips)


def _embed(actor: Embedder, decoded: pa.Table) -> None:
    actor._embed(pickle.loads(decoded["decoded"][0].as_py()), samples_of(decoded))


def around(folder: Path, clip: Clip, count: int) -> float:
    """CPU seconds a clip for planning and for reading back, of so many clips that are in the store already."""
    clips = fakes(clip, count)
    store = EmbeddingStore(folder, "around")
    vectors = np.zeros((64, WIDTH), np.float32)
    for first in range(0, count, 64):
        some = clips[first : first + 64]
        store.append([key_of(one) for one in some], vectors[: len(some)])
    engine = LocalEngine(NoEncoder(), 1)
    fresh = EmbeddingStore(folder, "around")
    return cpu_seconds(lambda: embed_clips_on(engine, clips, SCHEMES["mc5"], fresh)) / count


def fakes(clip: Clip, count: int) -> list[Clip]:
    """Clips that differ in name and content as far as anyone knows who does not open them."""
    return [
        replace(clip, fname=f"{number:07}.wav", sha256=sha256(str(number).encode()).hexdigest())
        for number in range(count)
    ]


def rays_own(folder: Path, clip: Clip, batch: int, few: int, many: int) -> tuple[float, float]:
    """CPU seconds a batch of the driver, and of all other processes, for clips that nobody decodes or embeds.

    From two runs of so many batches, so that the start is not in them. Planning, reading back and appending are.
    """
    runs = [run(Run(1, fakes(clip, count * batch), None, folder, batch_size=batch)) for count in (few, many)]
    driver = runs[1].driver_cpu_seconds - runs[0].driver_cpu_seconds
    total = runs[1].cpu_seconds - runs[0].cpu_seconds
    return driver / (many - few), (total - driver) / (many - few)


def rays_idle(folder: Path, clip: Clip, workers: int, seconds: float) -> float:
    """CPUs that all processes of a run use while its actors sleep, the driver's included: the difference of two runs of some
    batches, with and without the sleep.

    Args:
        workers: actors, one for each node, as the scaling is measured.
        seconds: how long an actor sleeps for each of its four batches.
    """
    clips = fakes(clip, 4 * workers)
    awake, asleep = (
        run(Run(workers, clips, None, folder, nodes=True, batch_size=1, asleep=some)) for some in (0.0, seconds)
    )
    return max(0.0, asleep.cpu_seconds - awake.cpu_seconds) / (asleep.seconds - awake.seconds)


def measure(
    checkpoint: Path, ten_s: Sequence[Clip], short: Sequence[Clip], folder: Path, workers: Sequence[int], small: bool
) -> Results:
    """All of it.

    Args:
        ten_s: clips of 10 s, as AudioSet's.
        short: clips as those that the scaling is measured with.
        workers: counts of workers that it is measured with.
        small: few turns: to see that it works.
    """
    import torch

    torch.set_num_threads(1)
    encoder = Cnn14Encoder(checkpoint, device="cpu")
    batch, turns = (2, 1) if small else (32, 4)
    by_length = embedding(encoder, batch, turns)
    relative = [seconds / np.mean(times) for length, times in by_length.items() if length >= 1 for seconds in times]
    few, many = (1, 3) if small else (20, 320)
    found: Results = {
        "costs.decode_10_s_clip.quantiles": list(Spread.of(decoding(ten_s)).quantiles),
        "costs.decode_short_clip.quantiles": list(Spread.of(decoding(short)).quantiles),
        "costs.embed_relative.quantiles": list(Spread.of(relative).quantiles),
        **{f"costs.embed_crop_of_{length:g}_s": float(np.median(times)) / batch for length, times in by_length.items()},
        "costs.file_bytes_10_s_clip": float(np.mean([clip.path.stat().st_size for clip in ten_s])),
        "costs.driver_clip": around(folder, short[0], 200 if small else 20_000),
    }
    for size in (32, 64):
        spread = Spread.of(appending(folder, size, 3 if small else 60))
        found[f"costs.append_{size}.quantiles"] = list(spread.quantiles)
        copy = copying(folder, (list(ten_s) * size)[:size], 2 if small else 8) - spread.quantiles[0] / size
        found[f"costs.copy_10_s_clip_{size}"] = max(0.0, copy)
        driver, others = rays_own(folder, short[0], size, few, many)
        found[f"costs.ray_driver_batch_{size}"] = max(0.0, driver - size * number(found, "costs.driver_clip"))
        found[f"costs.ray_others_batch_{size}"] = max(0.0, others - spread.mean)
    for count in workers:
        found[f"costs.ray_idle_{count}"] = rays_idle(folder, short[0], count, 1.0 if small else 15.0)
    return found


def number(results: Results, name: str) -> float:
    value = results[name]
    assert isinstance(value, float)
    return value


def numbers(results: Results, name: str) -> list[float]:
    value = results[name]
    assert isinstance(value, list)
    return value


def measured(results: Results, batch: int = 64) -> Measured:
    """The simulation's input from what `measure` found."""

    def spread(name: str) -> Spread:
        return Spread(tuple(numbers(results, f"costs.{name}.quantiles")))

    return Measured(
        decode_clip=spread("decode_10_s_clip"),
        embed_relative=spread("embed_relative"),
        file_bytes=number(results, "costs.file_bytes_10_s_clip"),
        copy_clip=number(results, f"costs.copy_10_s_clip_{batch}"),
        append_batch=spread(f"append_{batch}"),
        driver_batch=number(results, f"costs.ray_driver_batch_{batch}"),
        node_batch=number(results, f"costs.ray_others_batch_{batch}"),
        driver_clip=number(results, "costs.driver_clip"),
    )
