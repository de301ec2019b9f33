"""How long `fa-assets run --force` takes over embeddings that are all in the store: it loads no weights and reads no audio.

    python benchmarks/rematerialize.py --clips 5000

A storage folder is made up: clips of 5 to 30 s that have no files, folds, weights that have no file, and every crop of both
schemes in the embedding store, in batches of 32, as a run leaves them there. What is timed is the real command in a process
of its own.
"""

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from fa_assets.audio.crops import SCHEMES, distinct_crops
from fa_assets.encoders.base import Encoder
from fa_assets.encoders.cnn14.architecture import CROP_SAMPLES, SAMPLE_RATE
from fa_assets.encoders.cnn14.definition import ENCODER
from fa_assets.encoders.embed_clips import Clip, embed_clips
from fa_assets.graph import tables
from fa_assets.metrics.folds import N_FOLDS
from fa_assets.store.embedding_store import CropKey, EmbeddingStore
from fa_assets.store.values import ValueHeader, ValueStore

WIDTH, BATCH = 2048, 32
MADE = SCHEMES["mc5"], SCHEMES["center"]
SHA1 = "0" * 40


def write(values: ValueStore, asset: str, table: pa.Table) -> None:
    values.write(table, ValueHeader(asset, None, "made-up", "1", "made-up", (), {"classes": ["Bell"], "left_out": []}))


def make_up(folder: Path, n_clips: int) -> int:
    """Dataset and storage; returns the number of crops in the store."""
    rng = np.random.default_rng(0)
    fnames = [f"{i:06}.wav" for i in range(n_clips)]
    frames = (SAMPLE_RATE * rng.uniform(5, 30, n_clips)).astype(int)
    sha256 = [hashlib.sha256(name.encode()).hexdigest() for name in fnames]
    dataset, values = folder / "dataset", ValueStore(folder / "storage")
    (dataset / "train_curated").mkdir(parents=True)
    (dataset / "train_curated.csv").write_text("fname,labels\n" + "".join(f"{name},Bell\n" for name in fnames))
    columns = {
        "fold": np.arange(n_clips) % N_FOLDS,
        "fname": fnames,
        "labels": [["Bell"]] * n_clips,
        "sample_rate": [SAMPLE_RATE] * n_clips,
        "channels": [1] * n_clips,
        "frames": frames,
        "seconds": frames / SAMPLE_RATE,
        "sha256": sha256,
        "group": [None] * n_clips,
    }
    write(values, "folds", pa.table(columns, schema=tables.FOLDS))
    weights = {"path": "no file", "size_bytes": 0, "sha1": SHA1, "origin": "made up", "trained": False}
    write(values, "cnn14_checkpoint", pa.Table.from_pylist([weights], schema=tables.CHECKPOINT))
    # In the order in which a run computes them: fold by fold.
    crops = [
        CropKey(sha256[clip], SAMPLE_RATE, start, CROP_SAMPLES)
        for clip in sorted(range(n_clips), key=lambda clip: clip % N_FOLDS)
        for start in sorted(
            {crop.start for scheme in MADE for crop in distinct_crops(int(frames[clip]), scheme, CROP_SAMPLES)}
        )
    ]
    store = EmbeddingStore(folder / "storage", ENCODER.fingerprint(SHA1, "fp32"))
    for at in range(0, len(crops), BATCH):
        batch = crops[at : at + BATCH]
        store.append(batch, rng.standard_normal((len(batch), WIDTH), np.float32))
    return len(crops)


def refuse() -> Encoder:
    raise RuntimeError("the weights were asked for")


def read_all(folder: Path) -> tuple[float, float]:
    """The embeddings of both schemes, a fold at a time, from the store alone; wall-clock and CPU seconds."""
    values = ValueStore(folder)
    table = values.read("folds").table
    folds = table["fold"].to_numpy()
    columns = [table[name].to_pylist() for name in ("fname", "sha256", "sample_rate", "frames")]
    clips = [Clip(fname, Path(fname), *rest) for fname, *rest in zip(*columns, strict=True)]
    started, started_cpu = time.perf_counter(), time.process_time()
    for scheme in MADE:
        store = EmbeddingStore(folder, ENCODER.fingerprint(SHA1, "fp32"))
        for fold in range(N_FOLDS):
            embed_clips([clips[row] for row in np.flatnonzero(folds == fold)], scheme, store, refuse, ENCODER.card)
    return time.perf_counter() - started, time.process_time() - started_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        crops = make_up(Path(folder), options.clips)
        wall, cpu = read_all(Path(folder) / "storage")
        sys.stdout.write(
            f"{options.clips} clips, {crops} crops: read from the store in {wall:.1f} s ({cpu:.1f} s of CPU)\n"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("FA_", "DAGSTER_"))}
        command = [
            Path(sys.executable).with_name("fa-assets"),
            "run",
            "--force",
            "--select",
            "mc5_embeddings,center_embeddings",
        ]
        command += ["--dataset", f"{folder}/dataset", "--storage", f"{folder}/storage", "--checkpoint", "demo"]
        started = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        sys.stdout.write(done.stderr)
        sys.stdout.write(
            f"the command, with checks and pictures: {seconds:.1f} s "
            f"({used.ru_utime + used.ru_stime:.1f} s of CPU) with the start of the process, "
            f"peak {used.ru_maxrss // 1024} MB, exit code {done.returncode}\n"
        )


if __name__ == "__main__":
    main()
