"""What a process of its own is needed for: the time to load the definitions, and the peak of memory while embedding."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.timing import Result, middle

_STARTUP = """
import time
before = time.perf_counter()
import dagster
between = time.perf_counter()
import fa_assets.definitions
print(time.perf_counter() - between)
"""


def measure_startup(turns: int) -> Result:
    """Seconds that `import fa_assets.definitions` takes after `import dagster`, the median of new processes."""
    runs = [subprocess.run([sys.executable, "-c", _STARTUP], capture_output=True, check=True) for _ in range(turns)]
    return {"startup.seconds_beyond_dagster": middle([float(run.stdout) for run in runs])}


def write_clips(folder: Path, count: int, lengths_s: Sequence[float], tones: int = 0) -> None:
    """`count` clips of noise at 16 kHz, of these lengths in turn, no two alike, with one of `tones` tones in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        random = np.random.default_rng(number)
        frames = max(1, round(lengths_s[number % len(lengths_s)] * RATE))
        sound = random.standard_normal(frames)
        if tones:
            sound += np.sin(np.arange(frames) * (0.1 * (1 + number % tones)))
        soundfile.write(folder / f"{number:05}.wav", 0.1 * sound, RATE, subtype="PCM_16")


RATE = 16_000
MIXED = [10.0, 12.0, 12.0, *[0.3] * 197]
"""Of 200 clips three fill a crop or five: eleven full crops, more than a batch of them, in a set of any size."""


def peak_mb(checkpoint: Path, lengths_s: list[float], count: int) -> float:
    """Peak resident memory of a process that embeds `count` made clips, in MB (10^6 bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), count, lengths_s)
        command = [sys.executable, "-m", "benchmarks.processes", folder, str(checkpoint)]
        run = subprocess.run(command, capture_output=True, check=True)
        return float(json.loads(run.stdout)["peak_mb"])


def measure_memory(checkpoint: Path, counts: list[int], long_s: float) -> Result:
    found = {f"memory.peak_mb_{count}": peak_mb(checkpoint, MIXED, count) for count in counts}
    return {**found, f"memory.peak_mb_recordings_of_{long_s:.0f}_s": peak_mb(checkpoint, [long_s], 2)}


def own_peak_mb() -> float:
    """Peak resident memory of this process. Linux's `ru_maxrss` also has that of the process which started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (kilobytes,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(kilobytes) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _embed(folder: Path, checkpoint: Path) -> None:
    from benchmarks.embed import clips_of, ours
    from fa_assets.encoders.cnn14.encoder import Cnn14Encoder

    ours(clips_of(sorted(folder.iterdir())), Cnn14Encoder(checkpoint, device="cpu"))
    print(json.dumps({"peak_mb": own_peak_mb()}))


if __name__ == "__main__":
    _embed(Path(sys.argv[1]), Path(sys.argv[2]))
