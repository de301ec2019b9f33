"""The embedding stage on Ray beside this process, over several workers, and simulated on a cluster of GPUs.

    python -m benchmarks.scale                                   everything, about three hours on two quiet cores
    python -m benchmarks.scale --only overhead --turns 1         a part
    python -m benchmarks.scale --only scaling --workers 1,2,4,8 --address auto --folder /shared    on a cluster
    python -m benchmarks.scale_report                            the plot and the tables of docs/scale.md

Clips are cut from the demo's generated sounds, weights are the generated, untrained ones. Every run is a process of its own
(`scale_run`) that computes with one thread a worker; what is compared runs in turns, and ratios are medians over the turns. The
embeddings must agree before a time is written.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks import costs
from benchmarks.costs import Results, number, numbers
from benchmarks.made_clips import audioset_like, demo_clips, pieces
from benchmarks.scale_run import Outcome, Run, run
from benchmarks.simulation import Assumed, Measured, Spread, embedding_stage, most_clips_per_second, on_cpus
from benchmarks.timing import DisagreementError, chosen_parts, machine, middle, require
from fa_assets.demo.weights import make_demo_checkpoint
from fa_assets.panns.embed_clips import Clip

ON_CPUS = {"overhead": 1, "spare": 2, "mixed": 2}
"""The parts that compare Ray on one worker with this process: the CPUs that everything of a run is bound to."""
PARTS = (*ON_CPUS, "scaling", "costs", "simulation")
TOLERANCE = 1e-6
"""Of the largest value: how far embeddings may be apart that were computed on other engines."""
SHORT_S = (0.5, 3.0)
"""Seconds of the shortest and the longest of the short clips, on which the overhead weighs most."""
GPUS = (1, 2, 4, 8, 16, 32, 64)
RATES = (500.0, 1000.0, 1500.0)
_TWO = Assumed(actors_per_gpu=2)
_MANY = Assumed(actors_per_gpu=2, cpus_per_gpu=48)
WHAT_IF = {
    "as in the table above": Assumed(),
    "the storage answers in 5 ms": Assumed(put_seconds=0.005),
    "the storage answers in 200 ms": Assumed(put_seconds=0.2),
    "two actors for each GPU": _TWO,
    "two actors, 6 cores for each GPU": replace(_TWO, cpus_per_gpu=6),
    "two actors, 48 cores for each GPU": _MANY,
    "two actors, 48 cores, batches of 256": replace(_MANY, batch=256),
    "two actors, 48 cores, batches of 256, one fold": replace(_MANY, batch=256, folds=1),
    "two actors, 48 cores, batches of 256, 25 Gbit/s": replace(_MANY, batch=256, node_gbit=25.0),
    "two actors, 48 cores, batches of 256, a driver half as fast": replace(_MANY, batch=256, driver_speed=0.5),
}
"""What else could be assumed, at 1,000 clips/s for each GPU."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/scale.json"), help="what is there is added to")
    parser.add_argument("--turns", type=int, default=3, help="of what is compared (default: %(default)s)")
    parser.add_argument(
        "--short", type=int, default=2000, help="clips of `overhead`, `spare` and `mixed` (default: %(default)s)"
    )
    parser.add_argument(
        "--mixed", type=int, default=150, help="clips of the demo's mix in `overhead` (default: %(default)s)"
    )
    parser.add_argument("--clips", type=int, default=800, help="short clips of `scaling` (default: %(default)s)")
    parser.add_argument("--workers", default="1,2", help="worker counts of `scaling`, `costs` (default: %(default)s)")
    parser.add_argument("--address", help="of a cluster that runs; by default one is made, of a node for each worker")
    parser.add_argument("--folder", type=Path, help="where to work; with --address one that all nodes see")
    parser.add_argument("--small", action="store_true", help="tiny sizes: to see that it works, not how fast")
    options = parser.parse_args()
    if options.small:
        options.turns, options.short, options.mixed, options.clips = 1, 6, 0, 4
    parts = chosen_parts(parser, options.only, PARTS)
    results: Results = json.loads(options.json.read_text()) if options.json.is_file() else {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for part in parts:
            print(f"{part} ...", file=sys.stderr)
            folder = Path(name) / part
            folder.mkdir()
            try:
                found = measure(part, options, folder, results)
            except DisagreementError as error:
                print(f"{part}: {error}; no time is reported", file=sys.stderr)
                return 1
            for key, value in found.items():
                if isinstance(value, float):
                    print(f"{key:60} {value:.6g}", file=sys.stderr)
            results = {key: value for key, value in results.items() if not key.startswith(f"{part}.")} | found
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return 0


def measure(part: str, options: argparse.Namespace, folder: Path, results: Results) -> Results:
    if part == "simulation":
        return simulation(results)
    about: Results = {f"{part}.{key}": value for key, value in machine().items()}
    about |= {f"{part}.machine.ray": metadata.version("ray"), f"{part}.turns": float(options.turns)}
    checkpoint = folder.parent / "demo-cnn14.pth"
    make_demo_checkpoint(checkpoint)
    source = demo_clips(folder / "demo", 80)
    if part in ON_CPUS:
        found, cpus = {}, ON_CPUS[part]
        short_clips, mixed_clips = {
            "overhead": (options.short, options.mixed),
            "spare": (options.short, 0),
            "mixed": (0, options.short),
        }[part]
        if short_clips:
            short = pieces(source, folder / "short", short_clips, *SHORT_S)
            found |= overhead(f"{part}.short", short, options, checkpoint, folder, cpus)
        if mixed_clips:
            mixed = demo_clips(folder / "mixed", mixed_clips, seed=7)
            found |= overhead(f"{part}.mixed", mixed, options, checkpoint, folder, cpus)
    elif part == "scaling":
        found = scaling(pieces(source, folder / "short", options.clips, *SHORT_S), options, checkpoint, folder)
    else:
        ten_s = audioset_like(source, folder / "ten_s", 3 if options.small else 64)
        short = pieces(source, folder / "short", 3 if options.small else 200, *SHORT_S)
        found = costs.measure(checkpoint, ten_s, short, folder, worker_counts(options), options.small)
    return about | found | {f"{part}.machine.load_after": os.getloadavg()[0]}


def overhead(
    key: str, clips: list[Clip], options: argparse.Namespace, checkpoint: Path, folder: Path, cpus: int
) -> Results:
    """Ray with one worker against this process, everything on so many CPUs; what the shortest clip takes is the start."""
    shortest = [min(clips, key=lambda clip: clip.n_samples)]
    runs: dict[str, list[Outcome]] = {"local": [], "ray": [], "local start": [], "ray start": []}
    for turn in range(options.turns):
        for workers, engine in ((0, "local"), (1, "ray")):
            runs[f"{engine} start"].append(run(Run(workers, shortest, checkpoint, folder, cpus=cpus)))
            runs[engine].append(run(Run(workers, clips, checkpoint, folder, cpus=cpus)))
            print(f"  turn {turn}, {engine}: {runs[engine][-1].seconds:.1f} s", file=sys.stderr)
    require_agreement(runs["local"] + runs["ray"])
    found: Results = {f"{key}.clips": float(len(clips))}
    found[f"{key}.seconds_of_sound"] = float(sum(clip.n_samples for clip in clips) / 32_000)
    for measure in ("seconds", "cpu_seconds"):
        took = {what: np.array([getattr(outcome, measure) for outcome in some]) for what, some in runs.items()}
        rest = {engine: took[engine] - took[f"{engine} start"] for engine in ("local", "ray")}
        for what, values in took.items():
            found[f"{key}.{what.replace(' ', '_')}_{measure}"] = middle(list(values))
        found[f"{key}.ratio_{measure}"] = middle(list(took["ray"] / took["local"]))
        found[f"{key}.ratio_without_start_{measure}"] = middle(list(rest["ray"] / rest["local"]))
    return found


def scaling(clips: list[Clip], options: argparse.Namespace, checkpoint: Path, folder: Path) -> Results:
    """The same clips over more workers, and as many for each worker; the start, what the shortest clip takes, left out."""
    shortest = [min(clips, key=lambda clip: clip.n_samples)]
    counts = worker_counts(options)
    share = len(clips) // counts[-1]
    jobs = sorted({(count, size) for count in counts for size in (len(clips), share * count)})
    seconds: dict[tuple[int, int], list[float]] = {job: [] for job in jobs}
    outcomes = []
    for turn in range(options.turns):
        for count in counts:
            start = run(Run(count, shortest, checkpoint, folder, options.address, nodes=True)).seconds
            for size in (size for workers, size in jobs if workers == count):
                outcome = run(Run(count, clips[:size], checkpoint, folder, options.address, nodes=True))
                seconds[count, size].append(outcome.seconds - start)
                outcomes += [outcome] if size == len(clips) else []
                print(f"  turn {turn}, {count} workers, {size} clips: {outcome.seconds:.1f} s", file=sys.stderr)
    require_agreement(outcomes)
    found: Results = {
        "scaling.clips": float(len(clips)),
        "scaling.clips_per_worker": float(share),
        "scaling.workers": [float(count) for count in counts],
    }
    first = counts[0]
    for count in counts:
        strong, weak = np.array(seconds[count, len(clips)]), np.array(seconds[count, share * count])
        alone_strong, alone_weak = np.array(seconds[first, len(clips)]), np.array(seconds[first, share * first])
        found[f"scaling.strong.{count}.seconds"] = middle(list(strong))
        found[f"scaling.strong.{count}.speed_up"] = middle(list(alone_strong / strong))
        found[f"scaling.weak.{count}.seconds"] = middle(list(weak))
        found[f"scaling.weak.{count}.efficiency"] = middle(list(alone_weak / weak))
    found["scaling.lengths_s"] = [clip.n_samples / 32_000 for clip in clips]
    return found


def worker_counts(options: argparse.Namespace) -> list[int]:
    return sorted({int(count) for count in options.workers.split(",")})


def require_agreement(outcomes: list[Outcome]) -> None:
    first = outcomes[0].vectors
    worst = max(float(np.abs(one.vectors - first).max() / np.abs(first).max()) for one in outcomes)
    require(worst <= TOLERANCE, f"embeddings differ by {worst:.1e} of the largest value")


def simulation(results: Results) -> Results:
    """The cluster of GPUs, and the runs of `scaling` for comparison; from what `costs` and `scaling` left in the results."""
    if "costs.driver_clip" not in results:
        raise SystemExit("the simulation needs what `costs` measures: --only costs,simulation")
    measured = costs.measured(results)
    found: Results = {}
    for rate in RATES:
        for gpus in GPUS:
            found |= _simulated(f"{rate:g}.{gpus}", Assumed(gpus=gpus, clips_per_gpu_second=rate), measured)
    for row, (name, changed) in enumerate(WHAT_IF.items()):
        for gpus in (8, 64):
            key = f"what_if.{row}.{gpus}"
            found |= _simulated(key, replace(changed, gpus=gpus), measured) | {f"simulation.{key}.what": name}
    for name, rate in most_clips_per_second(measured, Assumed()).items():
        found[f"simulation.most.{name}"] = rate
    return found | (predictions(results) if "scaling.lengths_s" in results else {})


def _simulated(key: str, cluster: Assumed, measured: Measured) -> Results:
    outcome = embedding_stage(measured, cluster)
    return {
        f"simulation.{key}.clips_per_second": cluster.clips / outcome.seconds,
        f"simulation.{key}.clips_per_second_streaming": cluster.clips / outcome.streaming_seconds,
        f"simulation.{key}.hours": outcome.seconds / 3600,
        f"simulation.{key}.gpu_hours": outcome.seconds / 3600 * cluster.gpus,
        f"simulation.{key}.storing": outcome.storing,
        f"simulation.{key}.limit": outcome.limit,
        **{f"simulation.{key}.used.{name}": share for name, share in outcome.used.items()},
    }


def predictions(results: Results) -> Results:
    """Seconds that the simulation gives for the measured runs of `scaling`, from the measured costs alone.

    What Ray's processes use while they wait is taken from each CPU all the time.
    """
    lengths, counts = numbers(results, "scaling.lengths_s"), numbers(results, "scaling.workers")
    short = costs.measured(results, batch=32)
    decode = Spread(numbers(results, "costs.decode_short_clip.quantiles")).mean
    share = int(number(results, "scaling.clips_per_worker"))
    embed = [number(results, f"costs.embed_crop_of_{length:g}_s") for length in costs.LENGTHS_S]
    found: Results = {}
    for count in map(int, counts):
        if f"costs.ray_idle_{count}" not in results:
            continue
        left = 1 - number(results, f"costs.ray_idle_{count}") / count
        for kind, size in (("strong", len(lengths)), ("weak", share * count)):
            batches = []
            for first in range(0, size, 32):
                some = sorted(lengths[:size], reverse=True)[first : first + 32]
                actor = float(np.interp(some, costs.LENGTHS_S, embed).sum()) + short.append_batch.mean
                actor += short.copy_clip * sum(some) / 10
                batches.append((short.driver_batch, len(some) * decode + short.node_batch, actor))
            predicted = on_cpus(count, batches, size * short.driver_clip) / left
            actual = number(results, f"scaling.{kind}.{count}.seconds")
            found[f"simulation.predicted.{kind}.{count}.seconds"] = predicted
            found[f"simulation.predicted.{kind}.{count}.over_measured"] = predicted / actual
    return found


if __name__ == "__main__":
    raise SystemExit(main())
