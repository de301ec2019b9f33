"""Pictures of metrics: which classes are hard, which are taken for each other, and what the probabilities are worth."""

import numpy as np

from fa_assets.metrics.confusion import ConfusedPair
from fa_assets.metrics.figures import CLASS, OVERALL, Figures
from fa_assets.metrics.reliability import ABOVE, Reliability
from fa_assets.report.picture import BLUE, ORANGE, PALE, TEXT, Picture, draw, ends, name_rows, rows_height, shorten


def per_class(figures: Figures) -> Picture:
    """LWLRAP of each class that has positives, the worst first, with the number of positives."""
    classes, lwlrap, count = figures.classes, figures.values(CLASS), figures.weights(CLASS)
    overall = figures.values(OVERALL)[0]
    known = np.flatnonzero(count > 0)
    order = ends(known[np.argsort(lwlrap[known], kind="stable")])
    rows = np.arange(len(order))

    def paint(axis, counts_axis) -> None:  # type: ignore[no-untyped-def]
        axis.barh(rows, lwlrap[order], color=BLUE, height=0.7)
        axis.axvline(overall, color=ORANGE, linewidth=1.2)
        name_rows(axis, [shorten(classes[one]) for one in order])
        axis.set(xlabel="LWLRAP", title=f"LWLRAP per class; line: all, {overall:.4f}", xlim=(0, 1))
        counts_axis.barh(rows, count[order], color=PALE, height=0.7)
        for row, positives in zip(rows, count[order], strict=True):
            counts_axis.annotate(
                str(positives), (positives, row), (3, 0), textcoords="offset points", va="center", fontsize=7
            )
        counts_axis.set(xlabel="positives")
        name_rows(counts_axis, [""] * len(rows))
        counts_axis.margins(x=0.18)

    worst = f"{classes[order[0]]} {lwlrap[order[0]]:.3f}" if order else "none"
    return draw(
        "LWLRAP per class",
        f"LWLRAP per class, sorted; the worst is {worst}, over all {overall:.4f}.",
        paint,
        height=rows_height(len(rows)),
        columns=(3, 1),
    )


def confused_pairs(pairs: list[ConfusedPair]) -> Picture | None:
    """The pairs of classes that are confused most; None when no absent class ever outranks a present one."""
    if not pairs:
        return None
    rows = np.arange(len(pairs))

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.barh(rows, [pair.clips for pair in pairs], color=BLUE, height=0.7)
        for row, pair in zip(rows, pairs, strict=True):
            text = f"{pair.clips} of {pair.positives}"
            axis.annotate(text, (pair.clips, row), (3, 0), textcoords="offset points", va="center", fontsize=7)
        name_rows(axis, [f"{shorten(pair.present, 24)} → {shorten(pair.taken_for, 24)}" for pair in pairs])
        axis.set(
            xlabel="clips",
            title="Most confused classes: clips, of all positives of the first class",
        )
        axis.margins(x=0.1)
        axis.xaxis.get_major_locator().set_params(integer=True)

    first = pairs[0]
    alt = f"Most confused: {first.present} taken for {first.taken_for} in {first.clips} of {first.positives} clips."
    return draw("Most confused classes", alt, paint, height=rows_height(len(rows)))


def reliability_diagram(found: Reliability) -> Picture:
    """Predicted against observed share, and how many labels stand behind each point."""

    def paint(axis, counts_axis) -> None:  # type: ignore[no-untyped-def]
        axis.plot([0, 1], [0, 1], "--", color=TEXT, linewidth=1, label="probabilities that mean what they say")
        axis.plot(
            found.bins.predicted, found.bins.observed, "o-", color=BLUE, markersize=5, label="bins of equal width"
        )
        label = f"above {ABOVE:g}, bins of equally many"
        axis.plot(found.above.predicted, found.above.observed, "s", color=ORANGE, markersize=4, label=label)
        axis.set(xlabel="mean probability", ylabel="share that is present", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.set_title(f"Reliability: calibration error {found.above.error:.3f} above {ABOVE:g}")
        axis.figure.legend(loc="outside lower center")
        bins = np.minimum(np.floor(found.bins.predicted * 10), 9) / 10  # a mean lies in its bin; no bar hides another
        counts_axis.barh(bins, found.bins.count, height=0.09, align="edge", color=PALE)
        most = max([10, *found.bins.count])  # so that two powers of ten are named, and nothing between them
        counts_axis.set(
            xscale="log", xlim=(0.8, 1.3 * most), xlabel="labels (log)", ylabel="probability", ylim=(-0.02, 1.02)
        )
        counts_axis.xaxis.set_minor_formatter("")

    return draw(
        "Reliability of the probabilities",
        f"Predicted probability against observed share; expected calibration error {found.above.error:.3f} of probabilities "
        f"above {ABOVE:g}, {found.bins.error:.3f} of all.",
        paint,
        height=4.0,
        columns=(2.4, 1),
    )
