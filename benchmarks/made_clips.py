"""Clips for measuring: cut from the demo's generated sounds, so that any number of them costs little to make."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.embed import clips_of
from fa_assets.encoders.embed_clips import Clip
from fa_assets.intake.demo.dataset import generate_demo_dataset
from fa_assets.intake.demo.sounds import SOUNDS


def demo_clips(folder: Path, count: int, seed: int = 2019) -> list[Clip]:
    """`count` clips of the demo's own mix: 0.3 to 25 s, a seventh over 10 s; several rates, WAV and FLAC."""
    generate_demo_dataset(folder, n_clips=max(count, len(SOUNDS)), n_test=0, seed=seed)
    paths = sorted((folder / "train_curated").iterdir())
    order = np.random.default_rng(seed).permutation(len(paths))[:count]
    return clips_of([paths[i] for i in order])


def pieces(source: Sequence[Clip], folder: Path, count: int, shortest_s: float, longest_s: float) -> list[Clip]:
    """`count` WAV files cut from the clips in turn, each of another content, at the rate of the clip it is from.

    A piece that is longer than its clip goes round. Lengths are spread evenly between the two, in random order.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    lengths = rng.permutation(np.linspace(shortest_s, longest_s, count))
    sounds = [soundfile.read(clip.path, dtype="float32", always_2d=True) for clip in source]
    paths = []
    for number, seconds in enumerate(lengths):
        samples, rate = sounds[number % len(sounds)]
        start = int(rng.integers(len(samples)))
        cut = np.take(samples, np.arange(start, start + round(seconds * rate)), axis=0, mode="wrap")
        paths.append(folder / f"{number:05}.wav")
        soundfile.write(paths[-1], rng.uniform(0.5, 1) * cut, rate, subtype="PCM_16")
    return clips_of(paths)
