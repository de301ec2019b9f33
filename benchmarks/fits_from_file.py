"""What a fit from a file costs: CPU time of a pass over the rows, and memory, as rows and classes grow.

    OMP_NUM_THREADS=1 python -m benchmarks.fits_from_file

Every line is a process of its own. Memory is what the fit added to the peak of the process; the rows are in the page cache,
so what is measured is work, not the disk. CPU time does not depend on what else runs, or not much.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.processes import own_peak_mb
from fa_assets.models.torch_lbfgs import fit
from fa_assets.store.row_file import row_file

WIDTH = 2048
STEPS = 5
FROM_FILE, IN_MEMORY = "from a file", "in memory"
FITS = [(20_000, 50, FROM_FILE), (80_000, 50, FROM_FILE), (20_000, 527, FROM_FILE), (20_000, 50, IN_MEMORY)]
_PART = 1000


def measure(rows: int, classes: int, way: str) -> dict[str, float]:
    """Fit all classes on made-up rows, `STEPS` steps at most."""
    random = np.random.default_rng(0)
    truth = np.zeros((rows, classes), bool)
    truth[np.arange(rows), np.arange(rows) % classes] = True
    prototypes = random.normal(size=(classes, WIDTH)) * (random.random((classes, WIDTH)) < 0.1)
    with tempfile.TemporaryDirectory() as folder, row_file(Path(folder), WIDTH, rows) as file:
        for start in range(0, rows, _PART):
            part = truth[start : start + _PART]
            noise = random.standard_normal((len(part), WIDTH), np.float32)
            file.append(np.maximum(part @ prototypes.astype(np.float32) + noise - 0.5, 0))
        fit(file.read(slice(0, 100)), truth[:100], max_iter=1)  # imports
        before, started = own_peak_mb(), time.process_time()
        model = fit(file if way == FROM_FILE else file.read(slice(0, rows)), truth, max_iter=STEPS)
        spent = time.process_time() - started
    return {"cpu": spent, "cpu_per_step": spent / model.iterations.max(), "added_mb": own_peak_mb() - before}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits_from_file", description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("ROWS", "CLASSES", "WAY"), help="one line, in this process")
    options = parser.parse_args()
    if options.one:
        rows, classes, way = options.one
        print(json.dumps(measure(int(rows), int(classes), way)))
        return
    for rows, classes, way in FITS:
        command = [sys.executable, "-m", "benchmarks.fits_from_file", "--one", str(rows), str(classes), way]
        done = subprocess.run(command, capture_output=True, check=True)
        figures = ", ".join(f"{name} {value:.4g}" for name, value in json.loads(done.stdout).items())
        print(f"{rows} rows, {classes} classes, {way}: {figures}", flush=True)


if __name__ == "__main__":
    main()
