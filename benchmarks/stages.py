"""Where the time of a whole run goes: `python -m benchmarks.stages [--precision bf16] [--json OUT]`.

Runs everything in an empty storage in this process, on FA_SHARED_DATA's clips and on many short ones, and prints the wall and
CPU seconds of each asset, and of the parts inside them. Decoding runs beside the network: its wall time counts where the
network waits for it, in "outside the network".
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import write_clips
from benchmarks.timing import machine
from fa_assets.definitions import code_location
from fa_assets.encoders import embed_clips
from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint
from fa_assets.graph.runner import prepare_environment, run
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.report import picture
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import EmbeddingStore

SHORT_CLIPS, SHORT_S = 4000, [0.3, 0.5, 0.8, 1.2]
PARTS: tuple[tuple[str, Any, str], ...] = (
    ("network", embed_clips, "embed_checked"),
    ("decoding (in threads)", embed_clips, "decode_crops"),
    ("embedding store", EmbeddingStore, "append"),
    ("embedding store", EmbeddingStore, "load"),
    ("embedding store", EmbeddingStore, "missing"),
    ("pictures", picture, "draw"),
)
"""Stage, and the function of it that is timed, where it is looked up."""


def labelled_clips(folder: Path, count: int) -> Path:
    """A dataset of clips of noise with a tone, ten classes in turn, each with a tone of its own."""
    write_clips(folder / "train_curated", count, SHORT_S, tones=10)
    rows = "".join(f"{number:05}.wav,class {number % 10}\n" for number in range(count))
    (folder / "train_curated.csv").write_text("fname,labels\n" + rows)
    return folder


def measure(settings: Settings) -> dict[str, dict[str, float]]:
    """Wall and CPU seconds by stage of a run of everything."""
    wall, cpu = Counter[str](), Counter[str]()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            before = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                wall[name] += time.perf_counter() - before[0]
                cpu[name] += time.thread_time() - before[1]

        return call

    def on_step(asset: str, seconds: float | None) -> None:
        wall[f"asset {asset}"] += seconds or 0.0

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FA_") or name == "DAGSTER_HOME"]:
            patch.delenv(name)
        for name, holder, function in PARTS:
            patch.setattr(holder, function, timed(name, getattr(holder, function)))
        for name, classifier in CLASSIFIERS.items():
            patch.setitem(CLASSIFIERS, name, replace(classifier, fit=timed("fits", classifier.fit)))
        location = code_location(settings)
        prepare_environment(location)
        before = time.perf_counter(), sum(os.times()[:4])
        outcome = run(location, on_step=on_step)
        wall["all"], cpu["all"] = time.perf_counter() - before[0], sum(os.times()[:4]) - before[1]
        if outcome.failures:
            raise SystemExit("\n".join(outcome.failures))
    wall["outside the network"] = wall["all"] - wall["network"]
    return {"wall": dict(wall), "cpu": dict(cpu)}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stages", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--short", type=int, default=SHORT_CLIPS, help="short clips; 0 for none (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("data/stages.json"), help="(default: %(default)s)")
    options = parser.parse_args()
    found: dict[str, Any] = machine()
    shared = os.environ.get("FA_SHARED_DATA")
    with tempfile.TemporaryDirectory() as name:
        make_demo_checkpoint(checkpoint := Path(name) / "demo-cnn14.pth")
        sets = {"shared clips": Path(shared) / "esc10_kaggle"} if shared else {}
        if options.short:
            sets["short clips"] = labelled_clips(Path(name) / "short", options.short)
        for title, dataset in sets.items():
            settings = Settings(
                dataset=dataset,
                storage=Path(name) / title,
                checkpoint=str(checkpoint),
                precision=options.precision,
                min_lwlrap=0,  # the untrained weights need not pass the gate
            )
            found[title] = measure(settings)
            print(
                f"{title}: {found[title]['wall']['all']:.1f} s, {found[title]['cpu']['all']:.1f} CPU s", file=sys.stderr
            )
            for stage, seconds in sorted(found[title]["wall"].items(), key=lambda one: -one[1]):
                print(f"  {stage:32} {seconds:8.2f} s  {seconds / found[title]['wall']['all']:6.1%}", file=sys.stderr)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
