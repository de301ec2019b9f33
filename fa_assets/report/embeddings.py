"""Pictures of embeddings: how fast they came, and how the classes lie among them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fa_assets.metrics.projection import project
from fa_assets.report.picture import BLUE, CYCLE, ORANGE, PALE, Picture, draw, shorten

_SHOWN_CLASSES = len(CYCLE)
_SHOWN_CLIPS = 700


def throughput(moments: Sequence[tuple[float, int]]) -> Picture | None:
    """Clips done against time, and the pace between.

    Args:
        moments: (seconds since the start, clips done), ascending.

    Returns:
        None when there is too little to draw: everything came from the store at once.
    """
    if len(moments) < 2 or moments[-1][0] <= moments[0][0] or moments[-1][1] == moments[0][1]:
        return None
    at, done = (np.array(one, dtype=float) for one in zip(*moments, strict=True))
    ticks = np.linspace(0, at[-1], 21)
    pace = np.diff(np.interp(ticks, at, done)) / np.diff(ticks)
    overall = (done[-1] - done[0]) / at[-1]

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.stairs(pace, ticks, fill=True, color=BLUE, alpha=0.55, linewidth=0, label="clips/s")
        axis.axhline(overall, color=ORANGE, label=f"{overall:.1f} clips/s over all")
        axis.set(xlabel="seconds since the start", ylabel="clips/s", xlim=(0, at[-1]), ylim=(0, None))
        axis.set_title(f"Throughput: {int(done[-1] - done[0])} clips in {at[-1]:.1f} s")
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)

    return draw("Throughput", f"Clips per second over time; {overall:.1f} over all.", paint, height=2.6)


def projection(embeddings: np.ndarray, labels: Sequence[Sequence[str]]) -> Picture | None:
    """The clips' embeddings in two dimensions, coloured by class.

    Args:
        embeddings: float (n, d).
        labels: for each clip its classes; the first gives the colour.

    Returns:
        None when there are fewer than three clips, or numbers that are not finite.
    """
    if len(embeddings) < 3 or not np.isfinite(embeddings).all():
        return None
    points, explained = project(embeddings)
    first = np.array([own[0] if own else "" for own in labels], dtype=object)
    common = [name for name, _ in Counter(sorted(first)).most_common(_SHOWN_CLASSES) if name]
    shown = np.random.default_rng(0).permutation(len(points))[:_SHOWN_CLIPS]

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        others = [row for row in shown if first[row] not in common]
        if others:
            axis.scatter(*points[others].T, s=9, color=PALE, linewidths=0, label="other classes")
        for name, colour in zip(common, CYCLE, strict=False):
            own = [row for row in shown if first[row] == name]
            axis.scatter(*points[own].T, s=14, color=colour, linewidths=0, label=shorten(str(name), 22))
        axis.set(
            xlabel=f"first principal component ({explained[0]:.0%} of the variance)",
            ylabel=f"second ({explained[1]:.0%})",
            title=f"Embeddings of {len(shown)}{'' if len(shown) == len(points) else f' of {len(points)}'} clips",
        )
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.4)

    return draw(
        "Embeddings in two dimensions",
        f"The first two principal components of {len(shown)} clips, the {len(common)} most frequent classes in colour.",
        paint,
        height=4.2,
    )
