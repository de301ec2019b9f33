"""The plot and the tables of docs/scale.md from what was measured: `python -m benchmarks.scale_report [RESULTS [DOCUMENT]]`.

A table goes between the lines ``<!-- NAME: ... -->`` and ``<!-- end -->`` of the document.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import costs
from benchmarks.costs import Results, number, numbers
from benchmarks.scale import GPUS, ON_CPUS, PARTS, RATES, WHAT_IF
from benchmarks.simulation import Spread, what_is_assumed

HERE = Path(__file__).parent
USED = ("driver", "decoders", "network", "actors", "GPUs")


def table(header: str, rows: Sequence[Sequence[str]]) -> str:
    columns = [cell.strip() for cell in header.split("|")]
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def overhead(found: Results) -> str:
    rows = []
    kinds = {"short": "clips of 0.5 to 3 s", "mixed": "of the demo's mix, 0.3 to 25 s"}
    for part, kind in product(ON_CPUS, kinds):
        key = f"{part}.{kind}"
        if f"{key}.clips" not in found:
            continue
        for measure, said in (("seconds", "wall clock"), ("cpu_seconds", "CPU, all processes")):
            times = [number(found, f"{key}.{run}_{measure}") for run in ("local", "ray", "local_start", "ray_start")]
            rest, whole = (number(found, f"{key}.{ratio}_{measure}") for ratio in ("ratio_without_start", "ratio"))
            clips = f"{number(found, f'{key}.clips'):,.0f} {kinds[kind]}"
            seconds = [f"{time:.1f} s" for time in times]
            rows.append([clips, str(ON_CPUS[part]), said, *seconds, f"{rest - 1:+.1%}", f"{whole - 1:+.1%}"])
    columns = "clips | CPUs | measure | local | Ray | start, local | start, Ray | overhead after the start | with it"
    return table(columns, rows)


def scaling(found: Results) -> str:
    rows = []
    for workers in map(int, numbers(found, "scaling.workers")):
        strong, weak = f"scaling.strong.{workers}", f"scaling.weak.{workers}"
        predicted = [f"simulation.predicted.{kind}.{workers}.seconds" for kind in ("strong", "weak")]
        said = [f"{number(found, key):.1f} s" if key in found else "" for key in predicted]
        rows.append(
            [
                str(workers),
                f"{number(found, f'{strong}.seconds'):.1f} s",
                f"{number(found, f'{strong}.speed_up'):.2f}",
                said[0],
                f"{number(found, f'{weak}.seconds'):.1f} s",
                f"{number(found, f'{weak}.efficiency'):.2f}",
                said[1],
            ]
        )
    clips, share = number(found, "scaling.clips"), number(found, "scaling.clips_per_worker")
    strong_header = f"{clips:,.0f} clips | times as fast | simulated"
    return table(f"workers | {strong_header} | {share:,.0f} clips a worker | efficiency | simulated", rows)


def measured_costs(found: Results) -> str:
    def spread(name: str) -> str:
        some = Spread(tuple(numbers(found, f"costs.{name}.quantiles")))
        tenth, ninetieth = some.quantiles[2], some.quantiles[-3]
        return f"{1e3 * some.mean:.1f} ms ({1e3 * tenth:.1f} to {1e3 * ninetieth:.1f})"

    def ms(name: str) -> str:
        return f"{1e3 * number(found, f'costs.{name}'):.2f} ms"

    relative = numbers(found, "costs.embed_relative.quantiles")
    per_length = ", ".join(
        f"{1e3 * number(found, f'costs.embed_crop_of_{length:g}_s'):.0f}" for length in costs.LENGTHS_S
    )
    seconds = ", ".join(f"{length:g}" for length in costs.LENGTHS_S)
    rows = [
        ["decoding a clip of 10 s, stereo FLAC at 44.1 kHz", spread("decode_10_s_clip"), "`decode_10_s_clip`"],
        ["decoding a short clip", spread("decode_short_clip"), "`decode_short_clip`"],
        [f"embedding a crop of {seconds} s on one CPU, fp32", f"{per_length} ms", "`embed_crop_of_*_s`"],
        ["a batch's time beside the mean", f"{relative[2]:.2f} to {relative[-3]:.2f}", "`embed_relative`"],
        ["taking a decoded clip of 10 s in an actor", ms("copy_10_s_clip_64"), "`copy_10_s_clip_64`"],
        ["storing a batch of 64, local disk", spread("append_64"), "`append_64`"],
        ["the driver, a batch of 64 on its way", ms("ray_driver_batch_64"), "`ray_driver_batch_64`"],
        ["Ray's other processes, the same", ms("ray_others_batch_64"), "`ray_others_batch_64`"],
        ["the driver, a clip before and after", ms("driver_clip"), "`driver_clip`"],
        *(
            [
                f"all of Ray while its actors sleep, workers: {name.removeprefix('costs.ray_idle_')}",
                f"{number(found, name):.1%} of a CPU",
                f"`{name}`",
            ]
            for name in sorted(found)
            if name.startswith("costs.ray_idle_")
        ),
        [
            "bytes of a clip's file",
            f"{number(found, 'costs.file_bytes_10_s_clip') / 1e6:.2f} MB",
            "`file_bytes_10_s_clip`",
        ],
    ]
    return table("CPU time of one core: mean (10% to 90%) | | in scale.json, `costs.` and", rows)


def assumptions(found: Results) -> str:
    varied = {"gpus": f"{GPUS[0]} to {GPUS[-1]}", "clips_per_gpu_second": ", ".join(f"{rate:g}" for rate in RATES)}
    rows = [[what, varied.get(name, f"{value:,}")] for name, value, what in what_is_assumed()]
    return table("assumed | value", rows)


def simulated(found: Results) -> str:
    rows = []
    for gpus in GPUS:
        key = f"simulation.1000.{gpus}"
        rates = [f"{number(found, f'simulation.{rate:g}.{gpus}.clips_per_second'):,.0f}" for rate in RATES]
        used = [f"{number(found, f'{key}.used.{name}'):.0%}" for name in USED]
        hours = [f"{number(found, f'{key}.{name}'):.2f}" for name in ("hours", "gpu_hours")]
        rows.append([str(gpus), *rates, *hours, *used, str(found[f"{key}.limit"])])
    rates_header = " | ".join(f"clips/s at {rate:g}" for rate in RATES)
    return table(f"GPUs | {rates_header} | hours | GPU hours | {' | '.join(USED)} | used most", rows)


def what_if(found: Results) -> str:
    rows = []
    for row, name in enumerate(WHAT_IF):
        cells = [name]
        for gpus in (8, 64):
            key = f"simulation.what_if.{row}.{gpus}"
            cells += [f"{number(found, f'{key}.clips_per_second'):,.0f}", f"{number(found, f'{key}.gpu_hours'):.1f}"]
            cells.append(str(found[f"{key}.limit"]))
        rows.append(cells)
    return table("assumed | 8 GPUs: clips/s | GPU hours | used most | 64 GPUs: clips/s | GPU hours | used most", rows)


def machine(found: Results) -> str:
    parts = [part for part in PARTS if f"{part}.machine.load" in found]
    loads = "; ".join(
        f"{part} {number(found, f'{part}.turns'):g}, {number(found, f'{part}.machine.load'):.1f} and "
        f"{number(found, f'{part}.machine.load_after'):.1f}"
        for part in parts
    )
    first = parts[0]
    return (
        f"Measured on {number(found, f'{first}.machine.cpus'):g} CPUs ({found[f'{first}.machine.processor']}), Python "
        f"{found[f'{first}.machine.python']}, torch {found[f'{first}.machine.torch']}, Ray {found[f'{first}.machine.ray']}. "
        f"Turns, and the load average before and after: {loads}."
    )


TABLES: dict[str, tuple[str, Callable[[Results], str]]] = {
    "machine": ("", machine),
    "overhead": ("overhead", overhead),
    "scaling": ("scaling", scaling),
    "costs": ("costs", measured_costs),
    "assumptions": ("", assumptions),
    "simulated": ("simulation", simulated),
    "what if": ("simulation", what_if),
}
"""By the name in the document: the part of the results that it needs, and what makes it."""


def filled(document: str, found: Results) -> str:
    """The document with every table that it has a place for made anew."""
    for name, (part, make) in TABLES.items():
        text = make(found) if has(found, part) else "Not measured yet."
        place = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
        document = place.sub(lambda match, text=text: f"{match[1]}\n{text}\n\n{match[2]}", document)
    return document


def has(found: Results, part: str) -> bool:
    return any(key.startswith(f"{part}.") for key in found) or not part


def plot_scaling(axis: Axes, found: Results) -> None:
    workers = numbers(found, "scaling.workers")
    strong = [number(found, f"scaling.strong.{count:g}.speed_up") for count in workers]
    weak = [number(found, f"scaling.weak.{count:g}.efficiency") * count / workers[0] for count in workers]
    axis.plot(workers, [count / workers[0] for count in workers], ":", color="grey", label="ideal")
    axis.plot(workers, strong, "o-", label="the same clips")
    axis.plot(workers, weak, "s-", label="as many a worker")
    axis.set(
        title="measured", xlabel="workers of one CPU", ylabel="times as fast as one", ylim=(0, None), xticks=workers
    )
    axis.legend(fontsize=8)


def draw(found: Results, path: Path) -> None:
    """Three plots: measured scaling, simulated clips a second, and what is used, over GPUs."""
    matplotlib.rcParams["svg.hashsalt"] = "fa_assets"  # the same numbers give the same file
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    measured, rates, used = figure.subplots(1, 3)
    if has(found, "scaling"):
        plot_scaling(measured, found)
    for rate in RATES:
        speeds = [number(found, f"simulation.{rate:g}.{gpus}.clips_per_second") for gpus in GPUS]
        rates.plot(GPUS, speeds, "o-", label=f"{rate:g} clips/s each")
    rates.set(title="simulated", xlabel="GPUs", ylabel="clips/s, start to end", xscale="log", yscale="log")
    for name in USED:
        used.plot(GPUS, [number(found, f"simulation.1000.{gpus}.used.{name}") for gpus in GPUS], "o-", label=name)
    used.set(
        title="simulated, 1000 clips/s each",
        xlabel="GPUs",
        ylabel="share of the time in use",
        xscale="log",
        ylim=(0, 1.05),
    )
    for axis in (rates, used):
        axis.set_xticks(GPUS, [str(gpus) for gpus in GPUS], minor=False)
        axis.set_xticks([], minor=True)
        axis.legend(fontsize=8)
    for axis in (measured, rates, used):
        axis.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main(results_file: Path, document: Path) -> None:
    found: Results = json.loads(results_file.read_text())
    draw(found, HERE / "scaling.svg")
    document.write_text(filled(document.read_text(), found))


if __name__ == "__main__":
    arguments = [Path(one) for one in sys.argv[1:]]
    main(*arguments, *[HERE / "scale.json", HERE.parent / "docs" / "scale.md"][len(arguments) :])
