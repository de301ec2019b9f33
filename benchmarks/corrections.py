"""Wrong labels, found by the audit and corrected through `label_corrections.csv`: LWLRAP before and after.

    python -m benchmarks.corrections --dataset DIR --storage DIR [--checkpoint FILE]

DIR is copied, ten clips of one label get another class's, and who listens to the first 40 doubted labels is one who knows the
right ones. Seed 0.
"""

import argparse
import csv
import random
import shutil
from pathlib import Path

from fa_assets.api import run
from fa_assets.intake.correcting import give_verdicts, write_corrected_csv
from fa_assets.intake.corrections import Correction, utc_now
from fa_assets.intake.kaggle import KaggleDataset, read_labels
from fa_assets.store.values import ValueStore

SPOILT, HEARD = 10, 40
SELECT = "+label_audit,+label_corrections"


def main() -> None:
    """Spoil, run, correct, run again, and print what it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--storage", type=Path, required=True)
    parser.add_argument("--checkpoint")
    given = parser.parse_args()
    dataset, results = KaggleDataset(given.storage / "dataset"), given.storage / "results"
    shutil.copytree(given.dataset, dataset.root)
    clips = read_labels(dataset)
    truth = dict(zip(clips.fnames, map(set, clips.labels), strict=True))
    spoilt = _spoil(dataset, truth)
    options = {"encoder": "birdnet", "scheme": "tiles", "pictures": "off", "checkpoint": given.checkpoint}

    def refresh() -> None:
        failures = run(dataset.root, results, select=SELECT, **{k: v for k, v in options.items() if v}).failures
        if failures:
            raise SystemExit("\n".join(failures))

    refresh()
    doubts = ValueStore(results).read("label_audit").table.to_pylist()[:HEARD]
    heard = list(dict.fromkeys(row["fname"] for row in doubts))
    print(
        f"{len(spoilt & set(heard))} of {len(spoilt)} spoilt clips are among the first {HEARD} doubts, of {len(heard)} clips"
    )
    now = dict(zip(clips.fnames, map(set, read_labels(dataset).labels), strict=True))
    verdicts = [
        Correction(fname, name, "add" if name in truth[fname] else "remove", "benchmark", utc_now(), "")
        for fname in heard
        for name in sorted(now[fname] ^ truth[fname])
    ]
    print(f"{len(give_verdicts(dataset, verdicts).appended)} verdicts")
    refresh()
    for one in ValueStore(results).read("label_corrections").header.details["effects"]:
        print(one)
    print(write_corrected_csv(dataset, "benchmark"))
    print(
        f"{sum(set(own) != truth[f] for f, own in zip(clips.fnames, read_labels(dataset).labels, strict=True))} labels wrong"
    )


def _spoil(dataset: KaggleDataset, truth: dict[str, set[str]]) -> set[str]:
    """Write the CSV with wrong labels; the clips that have one."""
    draws, classes = random.Random(0), sorted(set().union(*truth.values()))
    chosen = draws.sample([fname for fname, own in truth.items() if len(own) == 1], SPOILT)
    wrong = {fname: draws.choice([name for name in classes if name not in truth[fname]]) for fname in chosen}
    with dataset.labels_csv.open("w", newline="") as file:
        rows = ([fname, wrong.get(fname) or ",".join(sorted(own))] for fname, own in truth.items())
        csv.writer(file).writerows([["fname", "labels"], *rows])
    return set(wrong)


if __name__ == "__main__":
    main()
