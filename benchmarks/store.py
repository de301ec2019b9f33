"""What the embedding store costs: appending, looking keys up and reading, in time and memory, before and after compaction.

    python benchmarks/store.py --rows 1000000 --width 16           a million rows of small vectors, in batches of 32
    python benchmarks/store.py --rows 25000 --width 2048           5,000 clips of five crops: what rematerializing reads

Each phase runs in a process of its own, so that its peak memory is its own; what it added is beside it. The bytes are in the
page cache: what is measured is work, not the disk. CPU time is given because it does not depend on what else runs.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fa_assets.store.compaction import compact, verify
from fa_assets.store.embedding_store import CropKey, EmbeddingStore

SOME = 25_000
APPEND, LOOK_UP_ALL, LOOK_UP_SOME, LOAD_SOME = "append", "look up all", f"look up {SOME}", f"load {SOME}"
COMPACT, REMOVE, VERIFY = "compact", "remove replaced", "verify"
_LOOKS = (LOOK_UP_ALL, LOOK_UP_SOME, LOAD_SOME)
PLAN = (APPEND, *_LOOKS, COMPACT, LOOK_UP_ALL, REMOVE, *_LOOKS, VERIFY)


def keys(first: int, end: int) -> list[CropKey]:
    """Five crops of each made-up clip."""
    return [
        CropKey(hashlib.sha256(str(i // 5).encode()).hexdigest(), 32_000, 32_000 * (i % 5), 320_000)
        for i in range(first, end)
    ]


def run_phase(name: str, root: Path, rows: int, width: int, batch: int) -> dict[str, object]:
    """Run one phase, and say what it cost."""
    store = EmbeddingStore(root, "simulated")
    span = {LOOK_UP_ALL: (0, rows), LOOK_UP_SOME: (0, min(rows, SOME)), LOAD_SOME: (max(0, rows - SOME), rows)}
    sought = keys(*span[name]) if name in span else []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, started_cpu = time.perf_counter(), time.process_time()
    said: object = None
    if name == APPEND:
        rng = np.random.default_rng(0)
        for first in range(0, rows, batch):
            some_keys = keys(first, min(first + batch, rows))
            store.append(some_keys, rng.standard_normal((len(some_keys), width), np.float32))
    elif name in (LOOK_UP_ALL, LOOK_UP_SOME):
        if store.missing(sought):
            raise RuntimeError("rows are missing")
    elif name == LOAD_SOME:
        if len(store.load(sought)) != len(sought):
            raise RuntimeError("rows are missing")
    elif name == VERIFY:
        said = vars(verify(store))
    else:
        said = vars(compact(store, grace_s=0 if name == REMOVE else 3600))
    seconds, cpu = time.perf_counter() - started, time.process_time() - started_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shards = store.shards()
    return {
        "phase": name,
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak // 1024,
        "added_mb": (peak - before) // 1024,
        "shards": len(shards),
        "store_mb": sum(one.size_bytes for one in shards) / 1e6,
        "said": said,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        sys.stdout.write(
            json.dumps(run_phase(options.phase, options.folder, options.rows, options.width, options.batch))
        )
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name in PLAN:
            command = [sys.executable, __file__, "--phase", name, "--folder", folder]
            command += ["--rows", str(options.rows), "--width", str(options.width), "--batch", str(options.batch)]
            done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            sys.stdout.write(
                f"{done['phase']:<16}{done['seconds']:>8.2f} s ({done['cpu']:>6.2f} s of CPU)   peak {done['peak_mb']:>5} MB "
                f"(+{done['added_mb']:>4})   {done['shards']:>6} shards {done['store_mb']:>8.1f} MB   {done['said'] or ''}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
