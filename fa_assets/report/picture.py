"""How every picture is drawn: an SVG of a few kilobytes that is legible on a light page and on a dark one.

The background is transparent. Text and lines have mid-tones whose contrast with white and with the UI's dark grey is about
the same (4:1), and the series' colours stay apart for colour-blind readers (Okabe and Ito, "Color Universal Design",
2008). The same data gives the same bytes: no time, no random ids.
"""

import base64
import html
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fa_assets.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

TEXT = "#7c7f86"
FAINT = "#7c7f8640"
PALE = "#7c7f8680"
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#2f86c1", "#d98a00", "#109b76", "#d3602a", "#b5679b", "#4fa8d8"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, "#a08b3c", "#7a76c2")
WIDTH = 5.4
"""Inches at 100 pixels each: legible as wide as a phone, and two beside each other on a page."""

MAX_BYTES = 100_000
"""The instance's database stores each picture several times."""

Drawn = TypeVar("Drawn")

MAX_ROWS = 80
"""Rows of a chart with a row per class; of more classes the two ends are shown, and the tables hold them all."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fa_assets",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.dpi": 100,
    "savefig.dpi": 100,
}


@dataclass(frozen=True)
class Picture:
    """A drawn SVG and what it says, in words, for those who cannot see it."""

    title: str
    alt: str
    svg: str

    @property
    def data_uri(self) -> str:
        """The picture inside an address, so that a page needs no second file."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()

    def inline(self, prefix: str) -> str:
        """The picture as an element of a page: its text follows the page's colour `--soft`, its ids have a prefix of their
        own, and its width is that of the place where it stands."""
        svg = re.sub(r"<style.*?</style>", "", self.svg, flags=re.DOTALL)
        svg = re.sub(r' id="[\w.]+_\d+"', "", svg).replace(TEXT, "var(--soft)")
        svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
        svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
        return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(self.alt)}"', 1)


def draw(
    title: str, alt: str, paint: Callable[..., None], *, height: float, columns: Sequence[float] = (1,), **axes: Any
) -> Picture:
    """Draw one picture.

    Args:
        title: of the picture as a whole; axes carry their own.
        alt: what it shows, in a sentence.
        paint: called with the axes, one for each of `columns`.
        height: in inches.
        columns: relative widths of the axes, side by side.
        axes: keyword arguments of `Figure.subplots`, e.g. ``sharey=True``.

    Raises:
        ValueError: the picture is larger than `MAX_BYTES`.
    """
    with _style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        grid = figure.subplots(1, len(columns), squeeze=False, width_ratios=list(columns), **axes)
        paint(*grid[0])
        first = grid[0][0]
        figure.suptitle(
            first.get_title(), x=0.01, ha="left", size=10, weight="bold"
        )  # from the edge on: axes may be narrow
        first.set_title("")
        svg = _svg(figure)
    if len(svg) > MAX_BYTES:
        raise ValueError(f"the picture {title!r} has {len(svg)} bytes, more than {MAX_BYTES}: draw fewer marks")
    return Picture(printable(title), printable(alt), svg)


def name_rows(axis: "Axes", names: Sequence[str]) -> None:
    """Make the axes a list of rows, the first at the top, named at the left: no grid across and no little lines."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    axis.tick_params(left=False)


def ends(order: Sequence[int] | np.ndarray) -> list[int]:
    """The first and last rows of a long order, `MAX_ROWS` in all; a short one as it is."""
    listed = [int(one) for one in order]
    half = MAX_ROWS // 2
    return listed if len(listed) <= MAX_ROWS else [*listed[:half], *listed[-half:]]


def rows_height(rows: int) -> float:
    """Inches for a chart with so many rows."""
    return 0.9 + 0.17 * rows


def shorten(name: str, limit: int = 28) -> str:
    """A name that fits beside an axis; "$" would begin a formula."""
    name = printable(name).replace("$", r"\$")
    return name if len(name) <= limit else name[: limit - 1] + "…"


def drawn(wanted: bool, *painters: Callable[[], Drawn | None]) -> list[Drawn]:
    """The pictures that are wanted and can be drawn; one that cannot is a warning, not the end of the page."""
    found = []
    for paint in painters if wanted else ():
        try:
            picture = paint()
        except Exception as error:
            log.warning("a picture of the report could not be drawn: %s: %s", type(error).__name__, error)
            continue
        if picture is not None:
            found.append(picture)
    return found


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context({**mpl.rcParamsDefault, **_STYLE, "backend": mpl.rcParams["backend"]}):
        yield


def _svg(figure: "Figure") -> str:
    """The figure as SVG text, without what only an editor would need, and with coordinates to a hundredth of a point."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = printable(buffer.getvalue(), keep="\n\t")
    text = re.sub(r"<\?xml.*?<svg", "<svg", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", _shorter_numbers, text)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def _shorter_numbers(tag: re.Match[str]) -> str:
    """A tag's coordinates with two decimals; the text between tags is left as it is."""
    return re.sub(r"(?<![\w#.])-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag[0])
