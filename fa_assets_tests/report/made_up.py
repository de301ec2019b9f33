"""A run that never was, of any size, and what its report is made of."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile

from fa_assets.metrics.comparison import compare
from fa_assets.metrics.figures import METRICS, Figures
from fa_assets.metrics.label_audit import find_label_issues
from fa_assets.metrics.label_ranks import label_ranks
from fa_assets.metrics.predictions import Predictions
from fa_assets.report.evaluated import Evaluated
from fa_assets.report.snippets import LocalClip
from fa_assets.store.atomic import digest_file
from fa_assets.store.check_records import CheckRecord

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def predictions(n: int, n_classes: int, seed: int = 0) -> Predictions:
    """Of n clips with a label or two; the seed is that of the scores."""
    truth = np.eye(n_classes, dtype=bool)[np.arange(n) % n_classes]
    truth |= np.random.default_rng(1).random((n, n_classes)) < 0.01
    logits = truth * 2.0 + np.random.default_rng(seed).normal(size=truth.shape)
    classes = tuple(f"Class_{number:02}" for number in range(n_classes))
    fnames = np.array([f"{number:05}.wav" for number in range(n)], dtype=object)
    return Predictions(fnames, np.arange(n) % 5, classes, truth, logits, 1 / (1 + np.exp(-logits)))


def ranks(found: Predictions, sha256: str = "") -> pa.Table:
    """Their table; every clip is a unit of its own, and its digest is its name's."""
    digests = np.array([sha256 or one for one in found.fnames], dtype=object)
    return label_ranks(replace(found, units=np.arange(len(digests)), sha256=digests))


def check(name: str, passed: bool, severity: str = "WARN") -> CheckRecord:
    """One evaluation."""
    return CheckRecord("1", "mc5_metrics", name, "run", AT, ("id",), passed, severity, f"what {name} says")


def evaluated(n: int, n_classes: int, folder: Path, *, sounds: int = 3) -> Evaluated:
    """The run; so many of its clips lie in the folder, those of the most doubted labels first."""
    found, other = predictions(n, n_classes), predictions(n, n_classes, seed=1)
    figures, baseline = (
        Figures([row for of in METRICS.values() for row in of(replace(one, units=np.arange(n)))], one.classes)
        for one in (found, other)
    )
    names, labels = found.fnames.tolist(), [[found.classes[c] for c in np.flatnonzero(own)] for own in found.truth]
    audit = [
        {"rank": rank, "fname": one.fname, "class_name": one.class_name, "kind": one.kind, "labels": "a,b"}
        | {"probability": one.probability, "self_confidence": one.self_confidence, "margin": one.margin}
        for rank, one in enumerate(find_label_issues(found), 1)
    ]
    local = {}
    for fname in list(dict.fromkeys(row["fname"] for row in audit))[:sounds]:
        soundfile.write(folder / fname, 0.1 * np.random.default_rng(0).normal(size=16_000), 16_000)
        local[fname] = LocalClip(fname, folder / fname, digest_file(folder / fname).sha256)
    return Evaluated(
        schemes=("mc5", "center"),
        clips=pa.table({"fname": names, "labels": labels, "fold": found.fold, "seconds": np.full(n, 3.0)}),
        left_out=[],
        embeddings=np.random.default_rng(0).normal(size=(n, 16)).astype(np.float32),
        predictions=found,
        ranks=ranks(found),
        figures=figures,
        baseline=baseline,
        gain=compare(figures, baseline).gain,
        audit=pa.Table.from_pylist(audit),
        encoder="Tiny",
        weights_origin="a test",
        weights_licence="MIT",
        weights_trained=True,
        local_clips=local,
        entries=[],
        checks=[check("gate", False, "ERROR"), check("loud", False), check("whole", True)],
    )
