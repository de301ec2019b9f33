"""How each given label is ranked by the scores of its clip: small enough to be kept of every run, and all that is needed to
compare two runs label by label.

A row for each label of each clip. The mean of the column `precision` is LWLRAP (`lwlrap`), over all rows, those of a class or
those of a clip.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fa_assets.metrics.bootstrap import FEWEST_UNITS, PairedBootstrap, resampled
from fa_assets.metrics.lwlrap import positive_precisions
from fa_assets.metrics.predictions import Predictions

SCHEMA = pa.schema(
    [
        ("fname", pa.string()),
        ("sha256", pa.string()),
        ("unit", pa.int64()),
        ("fold", pa.int8()),
        ("class_name", pa.string()),
        ("precision", pa.float64()),
        ("rank", pa.int32()),
        ("probability", pa.float64()),
    ]
)


def label_ranks(predictions: Predictions) -> pa.Table:
    """The table of predictions whose units and sha256 are known, of `SCHEMA`; `rank` is 1 for the class with the highest score,
    and that of the last among equals."""
    assert predictions.units is not None and predictions.sha256 is not None
    row, column, precision = positive_precisions(predictions.truth, predictions.logits)
    own = predictions.logits[row, column]
    rank = np.array(
        [(predictions.logits[one] >= score).sum() for one, score in zip(row, own, strict=True)], dtype=np.int32
    )
    columns = [
        predictions.fnames[row],
        predictions.sha256[row],
        predictions.units[row],
        predictions.fold[row].astype(np.int8),
        [predictions.classes[one] for one in column],
        precision,
        rank,
        predictions.probabilities[row, column],
    ]
    return pa.table([pa.array(one) for one in columns], names=SCHEMA.names).cast(SCHEMA)


@dataclass(frozen=True)
class ClassChange:
    """LWLRAP of a class in two runs, on the labels that are compared, and the bootstrap of b minus a."""

    class_name: str
    labels: int
    a: float
    b: float
    change: PairedBootstrap


@dataclass(frozen=True)
class ClipChange:
    """LWLRAP of a clip in two runs, and (class, rank in a, rank in b) of its labels."""

    fname: str
    a: float
    b: float
    ranks: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class RankChanges:
    """Two runs on the clips that both scored with the same sound and the same labels.

    Attributes:
        compared: how many these are.
        only_a, only_b: clips with a label that the other run has not, or with other bytes.
        relabelled: clips of the same bytes whose labels are others.
        a, b: LWLRAP on the clips compared.
        change: the bootstrap of b minus a; None, as a and b, where no clip is compared.
        classes: the greatest loss first.
        clips: those whose LWLRAP is another, the greatest change first.
    """

    compared: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    relabelled: tuple[str, ...]
    a: float | None
    b: float | None
    change: PairedBootstrap | None
    classes: tuple[ClassChange, ...]
    clips: tuple[ClipChange, ...]

    @property
    def relabelling(self) -> str:
        """What is to be said where labels were changed between the runs, a sentence after a blank; else empty."""
        return (
            f" {len(self.relabelled)} clips have other labels and are left out: labels that were changed by the model's "
            "advice would flatter it (docs/evaluation.md)."
            if self.relabelled
            else ""
        )

    def is_loss(self, most: float) -> bool:
        """Whether LWLRAP on common clips fell by more than `most`, and by more than the choice of clips explains."""
        found = self.change
        return found is not None and found.units >= FEWEST_UNITS and found.difference < -most and found.high < 0


def common_clips(a: pa.Table, b: pa.Table) -> list[str]:
    """The clips that `rank_changes` compares."""
    return _common(_by_clip(a), _by_clip(b))


def rank_changes(a: pa.Table, b: pa.Table) -> RankChanges:
    """What changed from run a to run b; the tables are those of `label_ranks`."""
    of_a, of_b = _by_clip(a), _by_clip(b)
    same_sound = [fname for fname in of_b if fname in of_a and of_a[fname][0] == of_b[fname][0]]
    compared = _common(of_a, of_b)
    pairs = [(fname, name, of_a[fname][1][name], own) for fname in compared for name, own in of_b[fname][1].items()]
    unit = {fname: of_b[fname][2] for fname in compared}
    precision = np.array([(before[0], after[0]) for _, _, before, after in pairs]).reshape(-1, 2)
    units = np.array([unit[fname] for fname, *_ in pairs], np.int64)
    names = np.array([name for _, name, *_ in pairs], dtype=object)
    means = precision.mean(axis=0).tolist() if pairs else [None, None]
    classes = []
    for name in sorted(set(names)):
        own = names == name
        before, after = precision[own].mean(axis=0).tolist()
        change = _resampled(precision[own, 1] - precision[own, 0], units[own])
        classes.append(ClassChange(name, int(own.sum()), before, after, change))
    clips = []
    for fname in compared:
        ranks = [(name, of_a[fname][1][name], own) for name, own in of_b[fname][1].items()]
        before, after = (float(np.mean([one[side][0] for one in ranks])) for side in (1, 2))
        if before != after:
            clips.append(ClipChange(fname, before, after, tuple((name, x[1], y[1]) for name, x, y in ranks)))
    return RankChanges(
        compared=len(compared),
        only_a=tuple(fname for fname in of_a if fname not in same_sound),
        only_b=tuple(fname for fname in of_b if fname not in same_sound),
        relabelled=tuple(fname for fname in same_sound if fname not in unit),
        a=means[0],
        b=means[1],
        change=_resampled(precision[:, 1] - precision[:, 0], units) if pairs else None,
        classes=tuple(sorted(classes, key=lambda one: (one.b - one.a, one.class_name))),
        clips=tuple(sorted(clips, key=lambda one: (-abs(one.b - one.a), one.fname))),
    )


_OfClip = tuple[str, dict[str, tuple[float, int]], int]
"""Of a clip: its sha256, by class the precision and rank of its labels, its unit."""


def _by_clip(ranks: pa.Table) -> dict[str, _OfClip]:
    found: dict[str, _OfClip] = {}
    for row in ranks.to_pylist():
        own = found.setdefault(row["fname"], (row["sha256"], {}, row["unit"]))
        own[1][row["class_name"]] = (row["precision"], row["rank"])
    return found


def _common(a: Mapping[str, _OfClip], b: Mapping[str, _OfClip]) -> list[str]:
    """Clips of the same sound and the same labels, in the order of b."""
    return [fname for fname, own in b.items() if fname in a and _what(a[fname]) == _what(own)]


def _what(clip: _OfClip) -> tuple[str, frozenset[str]]:
    return clip[0], frozenset(clip[1])


def _resampled(gain: np.ndarray, units: np.ndarray) -> PairedBootstrap:
    """The bootstrap of the mean over labels, drawn by unit."""
    return resampled(gain, np.ones(len(gain), np.int64), units=units)
