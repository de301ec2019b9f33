"""`python -m benchmarks`: measure, check that the numbers agree, and write one JSON object."""

import argparse
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.timing import BusyError, DisagreementError, Result, chosen_parts, machine, require_quiet
from fa_assets.encoders.threads import usable_cpus

PARTS = ("embed", "oof", "lwlrap", "startup", "memory", "growth")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--dataset", type=Path, help="folder in the Kaggle layout; by default FA_SHARED_DATA's clips, or the demo set"
    )
    parser.add_argument("--checkpoint", type=Path, help="a CNN14 file; by default the generated, untrained one")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results.json"), help="where to write the results")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (default: %(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--clips", type=int, default=24, help="clips a round of `embed` (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of `embed` (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=1, help="folds of `oof` that are measured (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="tiny sizes: to see that it works, not how fast")
    options = parser.parse_args()
    parts = chosen_parts(parser, options.only, PARTS)

    results: dict[str, float | str] = json.loads(options.json.read_text()) if options.json.is_file() else {}
    results |= machine()
    with tempfile.TemporaryDirectory() as folder:
        dataset, checkpoint = _inputs(options.dataset, options.checkpoint, Path(folder), set(parts))
        for part in parts:
            print(f"{part} ...", file=sys.stderr)
            measure = partial(_measure, part, dataset, checkpoint, options)
            try:
                if not options.small:
                    require_quiet(partial(time.sleep, 2), 2.0 * usable_cpus())
                found = measure() if options.small else require_quiet(measure)
            except (DisagreementError, BusyError) as error:
                print(f"{part}: {error}; no speed is reported", file=sys.stderr)
                return 1
            for key, value in found.items():
                print(f"{key:50} {value:.6g}", file=sys.stderr)
            results |= found
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    return 0


def _measure(part: str, dataset: Path, checkpoint: Path, options: argparse.Namespace) -> Result:
    from benchmarks import embed, evaluation, growth, processes

    small = options.small
    match part:
        case "embed":
            clips, rounds = (2, 1) if small else (options.clips, options.rounds)
            # In bfloat16 a product of two matrices of 2048 takes a minute on a CPU without instructions for it.
            trunk = (1, 1, 256) if small else (4, 3, 2048)
            return embed.measure(dataset, checkpoint, clips, rounds, options.device, trunk)
        case "oof":
            rows, classes = (300, 4) if small else (4970, 80)
            return evaluation.measure_oof(rows, classes, options.folds)
        case "lwlrap":
            return evaluation.measure_lwlrap(*((200, 10, 1) if small else (5000, 80, 5)))
        case "startup":
            return processes.measure_startup(1 if small else 5)
        case "memory":
            counts = [4, 8] if small else [200, 4000]
            return processes.measure_memory(checkpoint, counts, 20 if small else 1800)
        case _:
            sizes: tuple[list[int], list[float], list[int]] = (
                [100, 400, 1000, 4000],
                [0.3, 1, 3, 10, 30, 120, 600],
                [10, 30, 80, 200, 500],
            )
            if small:
                sizes = ([2], [0.3], [2])
            return growth.measure(checkpoint, options.device, *sizes)


def _inputs(dataset: Path | None, checkpoint: Path | None, folder: Path, parts: set[str]) -> tuple[Path, Path]:
    """What was given, or what is at hand, or what can be generated in the folder."""
    from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint
    from fa_assets.intake.demo.dataset import generate_demo_dataset

    if dataset is None:
        shared = os.environ.get("FA_SHARED_DATA")
        dataset = Path(shared) / "esc10_kaggle" if shared else folder / "demo"
        if not shared and "embed" in parts:
            generate_demo_dataset(dataset)
    if checkpoint is None:
        checkpoint = folder / "demo-cnn14.pth"
        if parts & {"embed", "memory", "growth"}:
            make_demo_checkpoint(checkpoint)
    return dataset, checkpoint


if __name__ == "__main__":
    raise SystemExit(main())
