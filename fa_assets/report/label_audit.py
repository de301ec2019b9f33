"""A picture of the doubted labels."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from fa_assets.metrics.label_audit import MISSING, WRONG, LabelIssue
from fa_assets.report.picture import BLUE, ORANGE, Picture, draw, name_rows, rows_height, shorten

_SHOWN = 40


def doubts_per_class(doubts: Sequence[LabelIssue]) -> Picture | None:
    """How many labels of each class are doubted, the most first; None when none is."""
    if not doubts:
        return None
    counts = Counter((one.class_name, one.kind) for one in doubts)
    names = sorted(
        {one.class_name for one in doubts}, key=lambda name: (-counts[name, MISSING] - counts[name, WRONG], name)
    )[:_SHOWN]
    rows = np.arange(len(names))
    missing, wrong = ([counts[name, kind] for name in names] for kind in (MISSING, WRONG))

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        axis.barh(rows, wrong, color=ORANGE, height=0.7, label="looks wrong")
        axis.barh(rows, missing, left=wrong, color=BLUE, height=0.7, label="looks missing")
        name_rows(axis, [shorten(name) for name in names])
        axis.set(xlabel="labels", title="Doubted labels per class")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(loc="lower right")

    return draw(
        "Doubted labels per class",
        f"{sum(wrong)} labels look wrong and {sum(missing)} look missing in the {len(names)} classes shown.",
        paint,
        height=rows_height(len(rows)),
    )
