"""The embedding stage on Ray beside this process, in turns, on clips of noise, with generated weights.

    python -m benchmarks.ray                                      one and two actors of a Ray of this machine
    python -m benchmarks.ray --actors 1,2,4,8 --address auto      of a cluster that this machine is a node of

This process and each actor compute in one thread; the embeddings must agree before a time is printed. Seconds are without the
start: of a second lot of clips, once all actors have done a first one.
"""

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.embed import clips_of
from benchmarks.processes import write_clips
from benchmarks.timing import largest_difference, middle, require
from fa_assets.audio.crops import SCHEMES
from fa_assets.encoders.cnn14.definition import CARD
from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint
from fa_assets.encoders.embed_clips import Clip, Engine, LocalEngine, embed_clips
from fa_assets.encoders.ray import RayEngine
from fa_assets.encoders.ray_cluster import RayOptions
from fa_assets.encoders.registry import EncoderRecipe
from fa_assets.store.embedding_store import EmbeddingStore

TOLERANCE = 1e-6
"""Of the largest value: how far embeddings may be apart that were computed by other engines."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ray", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=120, help="of 0.5 to 3 s (default: %(default)s)")
    parser.add_argument("--actors", default="1,2", help="how many, in turn (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--address", help="of a cluster that runs; by default a Ray of this machine is started")
    parser.add_argument("--folder", type=Path, help="where to work; with --address one that all nodes see")
    options = parser.parse_args()
    counts = [int(count) for count in options.actors.split(",")]
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        checkpoint = folder / "demo-cnn14.pth"
        make_demo_checkpoint(checkpoint)
        lengths = np.random.default_rng(0).permutation(np.linspace(0.5, 3, 2 * options.clips))
        write_clips(folder / "clips", len(lengths), lengths)
        clips = clips_of(sorted((folder / "clips").iterdir()))
        sha1 = hashlib.sha1(checkpoint.read_bytes()).hexdigest()
        recipe = EncoderRecipe(CARD.name, checkpoint, sha1, "cpu")
        seconds: dict[int, list[float]] = {count: [] for count in (0, *counts)}
        for turn in range(options.turns):
            reference, took = measure(LocalEngine(recipe, 1), clips, folder / f"local-{turn}")
            seconds[0].append(took)
            for count in counts:
                with RayEngine(recipe, RayOptions(address=options.address, actors=count), device="cpu") as engine:
                    vectors, took = measure(engine, clips, folder / f"{count}-{turn}")
                apart = largest_difference(vectors, reference)
                require(apart <= TOLERANCE, f"embeddings differ by {apart:.1e} of the largest value")
                seconds[count].append(took)
    print(f"{options.clips} clips, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {options.turns} turns")
    print(f"this process: {middle(seconds[0]):.1f} s")
    for count in counts:
        ratios = [ours / theirs for ours, theirs in zip(seconds[0], seconds[count], strict=True)]
        print(f"{count} actors: {middle(seconds[count]):.1f} s, {middle(ratios):.2f} times as fast")
    return 0


def measure(engine: Engine, clips: list[Clip], folder: Path) -> tuple[np.ndarray, float]:
    """Vectors of the second half of the clips, and the seconds they took."""
    store = EmbeddingStore(folder, "benchmark")
    half = len(clips) // 2
    embed_clips(engine, clips[:half], SCHEMES["mc5"], store, CARD)
    started = time.perf_counter()
    vectors = embed_clips(engine, clips[half:], SCHEMES["mc5"], store, CARD).vectors
    return vectors, time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
