"""How many spoilt labels does the label audit find? Beside cleanlab's ranking of the same predictions.

Labels are taken away or exchanged at random, the classifiers are fitted on what is left, out of fold, and both sides rank the
clips: ours by the first mention in the audit, cleanlab by its quality score for multi-label data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.embedded import Embedded, Fit
from fa_assets.metrics.label_audit import MISSING, WRONG, find_label_issues
from fa_assets.metrics.predictions import Predictions
from fa_assets.report.picture import BLUE, ORANGE, Picture, draw

FIRST = 10
"""Clips that a person may listen to at once."""


@dataclass(frozen=True)
class Found:
    """Of `spoilt` clips: the share among the first ten (precision), among the first `spoilt` (precision and recall), and the
    share of all of them that is among the first twice as many (recall)."""

    spoilt: int
    at_10: float
    at_n: float
    at_2n: float


def spoil(truth: np.ndarray, share: float, kind: str, seed: int) -> np.ndarray:
    """Labels bool (n, C) of which a share is gone (`MISSING`) or another class's (`WRONG`)."""
    random = np.random.default_rng(seed)
    spoilt, labels = truth.copy(), np.argwhere(truth)
    for row, column in random.choice(labels, round(share * len(labels)), replace=False):
        spoilt[row, column] = False
        if kind == WRONG:
            spoilt[row, random.choice(np.flatnonzero(~truth[row] & ~spoilt[row]))] = True
    return spoilt


def our_ranking(predictions: Predictions) -> list[int]:
    """Rows of the clips that the audit doubts, the most doubted first."""
    row_of = {name: row for row, name in enumerate(predictions.fnames)}
    return list(dict.fromkeys(row_of[one.fname] for one in find_label_issues(predictions)))


def cleanlabs_ranking(predictions: Predictions) -> list[int]:
    """Rows of all clips, those of the lowest quality first."""
    from cleanlab.multilabel_classification import get_label_quality_scores

    labels = [np.flatnonzero(own).tolist() for own in predictions.truth]
    return np.argsort(get_label_quality_scores(labels, predictions.probabilities), kind="stable").tolist()


RANKINGS = {"label_audit": our_ranking, "cleanlab": cleanlabs_ranking}


def judge(ranking: list[int], spoilt: np.ndarray) -> Found:
    """A ranking of rows against bool (n,)."""
    count = int(spoilt.sum())

    def hits(first: int) -> int:
        return int(spoilt[ranking[:first]].sum())

    return Found(count, hits(FIRST) / FIRST, hits(count) / count, hits(2 * count) / count)


def measure(
    clips: Embedded, fit: Fit, *, shares: tuple[float, ...] = (0.05, 0.1, 0.2), seeds: int = 3
) -> Mapping[tuple[str, float, str], list[Found]]:
    """What each ranking finds, by kind, share and ranking; one `Found` for each seed."""
    found: dict[tuple[str, float, str], list[Found]] = {}
    for kind in (WRONG, MISSING):
        for share in shares:
            for seed in range(seeds):
                truth = spoil(clips.truth, share, kind, seed)
                predictions = clips.predict(fit, truth=truth)
                for name, rank in RANKINGS.items():
                    judged = judge(rank(predictions), (truth != clips.truth).any(axis=1))
                    found.setdefault((kind, share, name), []).append(judged)
    return found


def rows_of(found: Mapping[tuple[str, float, str], list[Found]]) -> list[list[object]]:
    """For a table: the mean over the seeds, and of the middle figure the lowest and highest."""
    rows: list[list[object]] = []
    for (kind, share, name), ones in found.items():
        at_10, at_n, at_2n = (np.mean([getattr(one, field) for one in ones]) for field in ("at_10", "at_n", "at_2n"))
        low, high = (extreme(one.at_n for one in ones) for extreme in (min, max))
        clips = "/".join(str(one.spoilt) for one in ones)
        middle = f"{at_n:.2f} ({low:.2f} to {high:.2f})"
        rows.append([kind, f"{share:.0%}", clips, f"`{name}`", f"{at_10:.2f}", middle, f"{at_2n:.2f}"])
    return rows


COLUMNS = "labels are | share | clips spoilt | ranking | precision at 10 | precision = recall at n | recall at 2 n"


def picture(found: Mapping[tuple[str, float, str], list[Found]]) -> Picture:
    """Precision at n by share and ranking, the seeds as dots."""
    shares = sorted({share for _, share, _ in found})

    def paint(*axes) -> None:  # type: ignore[no-untyped-def]
        for axis, kind in zip(axes, (WRONG, MISSING), strict=True):
            for colour, name in zip((BLUE, ORANGE), RANKINGS, strict=True):
                seeds = [[one.at_n for one in found[kind, share, name]] for share in shares]
                axis.plot(shares, np.mean(seeds, axis=1), "-", color=colour, label=name)
                axis.plot(shares, seeds, "o", color=colour, markersize=4, alpha=0.6)
            axis.set(xlabel="share of labels spoilt", title=kind, ylim=(0, 1), xticks=shares)
        axes[0].set(ylabel="precision = recall at n")
        axes[0].legend(loc="lower right")

    return draw(
        "Spoilt labels found",
        "Precision at n of both rankings, by share of spoilt labels.",
        paint,
        height=3,
        columns=(1, 1),
    )
