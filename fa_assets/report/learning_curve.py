"""A picture of the learning curve."""

import numpy as np
import pyarrow as pa

from fa_assets.report.picture import BLUE, ORANGE, Picture, draw


def learning_curve(table: pa.Table) -> Picture | None:
    """LWLRAP by clips per class: the draws as dots, their mean as a line, and that of all clips across; None with those
    alone."""
    *rows, everything = table.to_pylist()
    if not rows:
        return None
    sizes = [row["clips_per_class"] for row in rows]
    across = [row["clips_per_class"] for row in rows for _ in row["draws"]]

    def paint(axis) -> None:  # type: ignore[no-untyped-def]
        label = f"all clips ({everything['clips']:.0f} in a fit): {everything['lwlrap']:.4f}"
        axis.axhline(everything["lwlrap"], color=ORANGE, linewidth=1.4, label=label)
        axis.plot(sizes, [row["lwlrap"] for row in rows], "-", color=BLUE, label="mean of the draws")
        axis.plot(across, np.concatenate([row["draws"] for row in rows]), "o", color=BLUE, markersize=4, alpha=0.6)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, map(str, sizes))
        axis.minorticks_off()
        axis.set(xlabel="clips per class", ylabel="LWLRAP, out of fold", title="Learning curve")
        axis.margins(0.08, 0.12)
        axis.legend(loc="lower right")

    figures = ", ".join(f"{row['lwlrap']:.4f} with {row['clips_per_class']} clips per class" for row in rows)
    return draw("Learning curve", f"LWLRAP: {figures}; {everything['lwlrap']:.4f} with all.", paint, height=3)
