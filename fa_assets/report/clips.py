"""Pictures of the intake and of the folds."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fa_assets.report.picture import BLUE, CYCLE, ORANGE, TEXT, Picture, draw, ends, name_rows, rows_height, shorten

CROP_SECONDS = 10.0


def durations(seconds: np.ndarray) -> Picture:
    """How long the clips are."""
    over = int((seconds > CROP_SECONDS).sum())
    median = float(np.median(seconds))

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.hist(seconds, bins=np.linspace(0, max(float(seconds.max()), 1.0), 41), color=BLUE)
        axis.axvline(median, color=ORANGE, linewidth=1.5, label=f"median {median:.1f} s")
        if over:
            axis.axvline(CROP_SECONDS, color=ORANGE, linestyle="--", label=f"one crop: 10 s ({over} clips are longer)")
        axis.set(xlabel="duration (s)", ylabel="clips", title=f"Durations of {len(seconds)} clips", xlim=(0, None))
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.legend()

    return draw(
        "Durations", f"Histogram of clip durations; median {median:.1f} s, {over} over 10 s.", paint, height=2.9
    )


def label_counts(labels: Sequence[Sequence[str]]) -> Picture | None:
    """How many clips each class has, the rarest at the top; `labels` are each clip's. None when no clip has one."""
    counted = Counter(name for own in labels for name in set(own))
    if not counted:
        return None
    names = sorted(counted)
    counts = np.array([counted[name] for name in names])
    order = ends(np.argsort(counts, kind="stable"))
    rows = np.arange(len(order))

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.barh(rows, counts[order], color=BLUE, height=0.7)
        for row, count in zip(rows, counts[order], strict=True):
            axis.annotate(str(count), (count, row), (3, 0), textcoords="offset points", va="center", fontsize=7)
        name_rows(axis, [shorten(names[one]) for one in order])
        axis.set(xlabel="clips", title="Clips per class, the rarest first")

    fewest, most = order[0], order[-1]
    alt = f"Clips per class: from {counts[fewest]} ({names[fewest]}) to {counts[most]} ({names[most]})."
    return draw("Clips per class", alt, paint, height=rows_height(len(rows)))


def fold_balance_picture(classes: Sequence[str], balance: np.ndarray) -> Picture:
    """How evenly the classes lie in the folds.

    Args:
        classes: the C class names.
        balance: int (n_folds, C), positives per fold and class.
    """
    totals = balance.sum(axis=0)
    expected = totals / len(balance)
    order = ends(np.argsort(totals, kind="stable"))
    rows = np.arange(len(order))

    def paint(axis, totals_axis) -> None:  # type: ignore[no-untyped-def]
        for fold, own in enumerate(balance):
            shift = (fold - (len(balance) - 1) / 2) * 0.14
            axis.plot(
                (own - expected)[order],
                rows + shift,
                "o",
                markersize=3.5,
                color=CYCLE[fold % len(CYCLE)],
                label=f"fold {fold}",
            )
        axis.axvline(0, color=TEXT, linewidth=0.8)
        name_rows(axis, [shorten(classes[one]) for one in order])
        reach = max(1.5, float(np.abs(balance - expected).max()) * 1.15)
        axis.set(
            xlabel="positives more or fewer than an even share",
            title="Positives per class and fold",
            xlim=(-reach, reach),
        )
        axis.figure.legend(loc="outside lower center", ncols=len(balance))
        totals_axis.barh(rows, totals[order], color=BLUE, height=0.7)
        totals_axis.set(xlabel="in all")
        name_rows(totals_axis, [""] * len(rows))

    worst = float(np.abs(balance - expected).max())
    return draw(
        "Label balance of the folds",
        f"Positives of each class in each fold against an even share; the largest deviation is {worst:.1f} clips.",
        paint,
        height=rows_height(len(rows)) + 0.3,
        columns=(3, 1),
    )
