"""Pictures of one set of predictions against another."""

from collections.abc import Sequence

import numpy as np

from fa_assets.metrics.bootstrap import CONFIDENCE, PairedBootstrap
from fa_assets.metrics.comparison import Comparison
from fa_assets.report.picture import (
    BLUE,
    FAINT,
    ORANGE,
    TEXT,
    VERMILION,
    Picture,
    draw,
    ends,
    name_rows,
    rows_height,
    shorten,
)


def gain(found: PairedBootstrap, schemes: tuple[str, str]) -> Picture:
    """How the difference in LWLRAP is spread over the resamples, with its interval and zero."""
    ours, baseline = schemes

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.stairs(found.counts, found.edges, fill=True, color=BLUE, alpha=0.7)
        axis.axvspan(
            found.low,
            found.high,
            color=FAINT,
            label=f"{CONFIDENCE:.0%} interval {found.low:+z.4f} to {found.high:+z.4f} ({found.units} units)",
        )
        axis.axvline(found.difference, color=ORANGE, linewidth=1.6, label=f"difference {found.difference:+z.4f}")
        axis.axvline(0, color=TEXT, linestyle="--", linewidth=1, label="no difference")
        axis.set(xlabel=f"LWLRAP, {ours} minus {baseline}", ylabel="resamples")
        axis.set_title(f"Gain of {ours}: {found.share_won:.1%} of {found.resamples} resamples won")
        axis.margins(y=0.25)
        axis.figure.legend(loc="outside lower center")

    return draw(
        "Gain over the resamples",
        f"Histogram of the resampled difference: {found.difference:+z.4f}, interval {found.low:+z.4f} to {found.high:+z.4f}.",
        paint,
        height=3.4,
    )


def by_fold(result: Comparison, schemes: tuple[str, str]) -> Picture:
    """Both sides fold by fold, and over all folds."""
    ours, baseline = (
        np.array([*one, total])
        for one, total in ((result.per_fold.ours, result.ours), (result.per_fold.baseline, result.baseline))
    )
    return _dumbbells(
        "by fold", schemes, [*(f"fold {fold}" for fold in result.per_fold.keys), "all folds"], ours, baseline
    )


def by_class(result: Comparison, schemes: tuple[str, str]) -> Picture:
    """Both sides class by class, the largest loss at the top and the largest gain at the bottom."""
    difference = result.per_class.difference
    known = np.flatnonzero(~np.isnan(difference))
    order = ends(known[np.argsort(difference[known], kind="stable")])
    return _dumbbells(
        "by class",
        schemes,
        [shorten(result.per_class.keys[one]) for one in order],
        result.per_class.ours[order],
        result.per_class.baseline[order],
    )


def _dumbbells(
    by: str, schemes: tuple[str, str], names: Sequence[str], ours: np.ndarray, baseline: np.ndarray
) -> Picture:
    title = f"{schemes[0]} against {schemes[1]}, {by}"
    rows = np.arange(len(names))
    difference = ours - baseline

    def paint(axis, difference_axis) -> None:  # type: ignore[no-untyped-def]
        axis.hlines(rows, baseline, ours, color=TEXT, linewidth=1.2)
        axis.plot(
            baseline, rows, "o", color=ORANGE, markersize=7, fillstyle="none", markeredgewidth=1.8, label=schemes[1]
        )
        axis.plot(ours, rows, "o", color=BLUE, markersize=4.5, label=schemes[0])
        name_rows(axis, names)
        axis.set(xlabel="LWLRAP")
        axis.locator_params(axis="x", nbins=5)
        axis.set_title(title)
        axis.figure.legend(loc="outside lower center", ncols=2)
        difference_axis.barh(rows, difference, color=np.where(difference < 0, VERMILION, BLUE), height=0.6)
        difference_axis.axvline(0, color=TEXT, linewidth=0.8)
        difference_axis.set(xlabel="difference")
        name_rows(difference_axis, [""] * len(rows))

    better = int((difference > 0).sum())
    return draw(
        title,
        f"{title}: better in {better} of {len(names)} rows.",
        paint,
        height=rows_height(len(rows)) + 0.35,
        columns=(2.2, 1),
    )
