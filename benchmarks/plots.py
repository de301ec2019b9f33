"""The plots of README.md from the benchmark's JSON: `python -m benchmarks.plots [RESULTS]`."""

import json
import re
import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

HERE = Path(__file__).parent
GROWTH = {
    "clips": ("clips of 0.3 s", "ms per clip"),
    "clip_seconds": ("seconds of a clip", "ms per clip"),
    "classes": ("classes", "seconds per fold"),
}


def curve(results: dict[str, float], name: str) -> tuple[list[float], list[float]]:
    """Sizes and costs of one growth curve, by size."""
    points = sorted(
        (float(found[1]), value)
        for key, value in results.items()
        if (found := re.fullmatch(rf"growth\.{name}\.([\d.]+)\.\w+", key))
    )
    return [size for size, _ in points], [cost for _, cost in points]


def main(results_file: Path) -> None:
    results = json.loads(results_file.read_text())
    matplotlib.rcParams["svg.hashsalt"] = "fa_assets"  # the same numbers give the same file
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, (name, (across, up)) in zip(axes, GROWTH.items(), strict=True):
        axis.plot(*curve(results, name), "o-")
        axis.set(xlabel=across, ylabel=up, xscale="log", ylim=(0, None))
        axis.grid(alpha=0.3)
    figure.savefig(HERE / "growth.svg", metadata={"Date": None})

    names = {
        "embed.ratio_fp32": "embedding, fp32",
        "embed.ratio_bf16": "embedding, bf16",
        "oof.scikit-learn.ratio": "fits, scikit-learn",
        "oof.torch.ratio": "fits, torch",
    }
    figure = Figure(figsize=(7, 2.2), layout="constrained")
    axis = figure.subplots()
    bars = axis.barh(list(names.values()), [results[name] for name in names])
    axis.bar_label(bars, fmt="%.1f x", padding=3)
    axis.set(xlabel="times as fast as the reference, in the same run", xlim=(0, 1.15 * max(results[n] for n in names)))
    axis.invert_yaxis()
    figure.savefig(HERE / "ratios.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results.json")
