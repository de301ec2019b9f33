"""What a page is made of, and its HTML: the report of a run, and two runs side by side.

Everything shown goes through the template's escaping; pictures, sounds and the script are inside the page, so it asks nobody
for anything, and nothing runs but that one script. The same content gives the same bytes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fa_assets.printable import printable_inside
from fa_assets.report.picture import Picture

if TYPE_CHECKING:
    import jinja2

    from fa_assets.report.embedding_map import EmbeddingMap

_HERE = Path(__file__).parent
_LONG = 15
"""A table of more rows is folded away."""


@dataclass(frozen=True)
class Bar:
    """A number from 0 to 1, shown with a bar of its length."""

    value: float


Cell = str | int | float | bool | Bar | None


@dataclass(frozen=True)
class Table:
    """A table with a title; floats are shown with four decimals, None as a dash.

    Attributes:
        open: whether it is shown at once, however long.
        printed: whether it goes to paper.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    open: bool = False
    printed: bool = True

    @property
    def folded(self) -> bool:
        """Whether it is folded away on the screen."""
        return not self.open and len(self.rows) > _LONG


@dataclass(frozen=True)
class Player:
    """A sound to play: the clip, what is said of it, the sound and its spectrogram as data addresses."""

    title: str
    text: str
    data_uri: str
    spectrogram: str | None = None


@dataclass(frozen=True)
class Section:
    """A part of the page: text, players, map, tables, pictures, in this order; `folded` away until it is asked for."""

    title: str
    text: str = ""
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    players: Sequence[Player] = ()
    map: "EmbeddingMap | None" = None
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """One of the numbers at the top: its name, its value, what it lies between, and what it is: the page says that once."""

    name: str
    value: str
    interval: str
    meaning: str


@dataclass(frozen=True)
class Finding:
    """What a check found: `failed` or only a warning, its name, and what it says."""

    failed: bool
    name: str
    text: str


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes:
        answer: how good it is, in a sentence.
        figures: the few numbers at the top.
        warnings: what a reader must know first.
        findings: of the checks that did not pass; None where checks have no part in it.
        passed: how many checks passed, in a sentence.
    """

    title: str
    subtitle: str
    answer: str
    figures: Sequence[Figure]
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=tuple)
    findings: Sequence[Finding] | None = None
    passed: str = ""


def render(page: Page) -> str:
    """The page as HTML."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _environment().get_template("page.html.j2").render(page=page, script=script, script_digest=digest)


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable_inside(value, keep="\n"),
    )
    environment.filters["cell"] = _cell
    return environment


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, Bar):
        return f"{value.value:.4f}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
