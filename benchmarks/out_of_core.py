"""What fitting out of core costs: CPU time of a pass over the rows, and memory, as rows and classes grow.

    OMP_NUM_THREADS=1 python -m benchmarks.out_of_core                      fits of made-up rows, out of core and in memory
    OMP_NUM_THREADS=1 python -m benchmarks.out_of_core --asset              one fold of mc5_oof_predictions, likewise

Every line is a process of its own. Memory is what the work added to the peak of the process; the rows are in the page cache,
so what is measured is work, not the disk. CPU time does not depend on what else runs, or not much.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.processes import own_peak_mb
from fa_assets.models.one_vs_rest import fit_one_vs_rest
from fa_assets.models.out_of_core import fit_out_of_core
from fa_assets.store.row_file import row_file

WIDTH = 2048
OUT_OF_CORE, IN_MEMORY = "out of core", "in memory"
FITS = [
    (20_000, 50, OUT_OF_CORE),
    (80_000, 50, OUT_OF_CORE),
    (20_000, 527, OUT_OF_CORE),
    (20_000, 50, IN_MEMORY),
]
ASSETS = [
    (10_000, 527, OUT_OF_CORE),
    (40_000, 527, OUT_OF_CORE),
    (10_000, 527, IN_MEMORY),
    (40_000, 527, IN_MEMORY),
]
_PART = 1000


def truth_of(rows: int, classes: int) -> np.ndarray:
    """Labels of made-up rows, bool (rows, classes): one each."""
    truth = np.zeros((rows, classes), bool)
    truth[np.arange(rows), np.arange(rows) % classes] = True
    return truth


def features_of(truth: np.ndarray) -> Iterator[np.ndarray]:
    """Made-up features as `evaluation.embeddings_like` has them, some rows at a time."""
    random = np.random.default_rng(0)
    prototypes = random.normal(size=(truth.shape[1], WIDTH)) * (random.random((truth.shape[1], WIDTH)) < 0.1)
    for start in range(0, len(truth), _PART):
        part = truth[start : start + _PART]
        noise = random.standard_normal((len(part), WIDTH), np.float32)
        yield np.maximum(part @ prototypes.astype(np.float32) + noise - 0.5, 0)


def fit(rows: int, classes: int, way: str) -> dict[str, float]:
    """Fit all classes on all rows, five iterations at most."""
    from sklearn.preprocessing import StandardScaler

    truth = truth_of(rows, classes)
    told: list[int] = []

    def spent(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    with tempfile.TemporaryDirectory() as folder, row_file(Path(folder), WIDTH, rows) as file:
        for part in features_of(truth):
            file.append(part)
        scaler = StandardScaler(copy=False).fit(part)
        before = own_peak_mb()
        if way == IN_MEMORY:
            cpu = spent(lambda: fit_one_vs_rest(file.read(slice(0, rows)), truth, max_iter=5))
            return {"cpu": cpu, "added_mb": own_peak_mb() - before}
        cpu = spent(lambda: fit_out_of_core(file, truth, max_iter=5, progress=lambda done, _: told.append(done)))
        added = own_peak_mb() - before
        scaling = spent(lambda: fit_out_of_core(file, np.zeros((rows, 1), bool)))
        parts = [slice(start, min(start + 500, rows)) for start in range(0, rows, 500)]
        reading = spent(lambda: [scaler.transform(file.read(part)) for part in parts])
    passes = len(told) - 2
    return {
        "cpu": cpu,
        "added_mb": added,
        "scaler": scaling,
        "passes": passes,
        "per_pass": (cpu - scaling) / passes,
        "reading": reading,
    }


def materialize(clips: int, classes: int, way: str) -> dict[str, float]:
    """Materialize a fold of mc5_oof_predictions from made-up values, three iterations at most."""
    import dagster as dg

    from fa_assets.catalog.database import Catalog
    from fa_assets.graph.build import build_definitions
    from fa_assets.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.out_of_core", "--values", folder, str(clips), str(classes)]
        subprocess.run(command, check=True)
        limit = 0.0 if way == OUT_OF_CORE else 1e6
        settings = Settings(dataset=Path(folder) / "set", storage=Path(folder), max_iter=3, fit_in_memory_gb=limit)
        job = build_definitions(settings).resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey("mc5_oof_predictions")]
        before, started = own_peak_mb(), time.process_time()
        at_the_end: list[float] = []
        copy = Catalog.try_sync

        def sync(catalog: Catalog, run_id: str) -> None:
            at_the_end.append(own_peak_mb())
            copy(catalog, run_id)

        with dg.DagsterInstance.ephemeral() as instance, mock.patch.object(Catalog, "try_sync", sync):
            job.execute_in_process(instance=instance, asset_selection=selection, partition_key="0")
        return {
            "cpu": time.process_time() - started,
            "added_mb": at_the_end[0] - before,
            "added_with_catalog_mb": own_peak_mb() - before,
        }


def write_values(folder: Path, clips: int, classes: int) -> None:
    """What mc5_oof_predictions reads."""
    import pyarrow as pa

    from fa_assets.metrics.folds import N_FOLDS
    from fa_assets.store.embedding_store import embedding_column
    from fa_assets.store.values import TableStream, ValueHeader, ValueStore

    store, truth = ValueStore(folder), truth_of(clips, classes)
    fold_of = np.repeat(np.arange(N_FOLDS), clips // N_FOLDS)
    fnames = [f"{number:08}.wav" for number in range(len(fold_of))]
    names = [f"class {number}" for number in range(classes)]
    details = {"encoder_fingerprint": "made up"}

    def write(asset: str, table: pa.Table | TableStream, partition: str | None = None) -> None:
        store.write(table, ValueHeader(asset, partition, "v1", "1", "run", (), details))

    write("class_vocabulary", pa.table({"class_name": names}))
    write(
        "curated_clips", pa.table({"fname": fnames, "labels": [[names[row % classes]] for row in range(len(fnames))]})
    )
    write("folds", pa.table({"fname": fnames, "fold": pa.array(fold_of, pa.int8())}))
    schema = pa.schema([("fname", pa.string()), ("embedding", pa.list_(pa.float32()))])
    for fold in range(N_FOLDS):
        own = np.flatnonzero(fold_of == fold)
        parts = (
            pa.table([fnames[own[0] + start : own[0] + start + len(part)], embedding_column(part)], schema=schema)
            for start, part in zip(range(0, len(own), _PART), features_of(truth[own]), strict=True)
        )
        write("mc5_embeddings", TableStream(schema, len(own), parts), str(fold))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.out_of_core", description=__doc__)
    parser.add_argument("--asset", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("ROWS", "CLASSES", "WAY"), help="one line, in this process")
    parser.add_argument("--values", nargs=3, metavar=("DIR", "CLIPS", "CLASSES"), help="write what the asset reads")
    options = parser.parse_args()
    if options.values:
        folder, clips, classes = options.values
        write_values(Path(folder), int(clips), int(classes))
        return
    if options.one:
        rows, classes, way = options.one
        measure = materialize if options.asset else fit
        print(json.dumps(measure(int(rows), int(classes), way)))
        return
    for rows, classes, way in ASSETS if options.asset else FITS:
        command = [sys.executable, "-m", "benchmarks.out_of_core", *(["--asset"] if options.asset else [])]
        done = subprocess.run([*command, "--one", str(rows), str(classes), way], capture_output=True)
        if done.returncode:
            sys.exit(done.stderr.decode())
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{rows} x {WIDTH}, {classes} classes, {way}:",
            ", ".join(f"{name} {value:.3g}" for name, value in found.items()),
        )


if __name__ == "__main__":
    main()
