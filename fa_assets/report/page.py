"""What a report page is made of, and its HTML.

Everything shown goes through the template's escaping; pictures and sounds are inside the page as data addresses, so the page
asks nobody for anything. The same content gives the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fa_assets.printable import printable_inside
from fa_assets.report.picture import Picture

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """A table with a title; floats are shown with four decimals, None as a dash."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Player:
    """A sound to play: what it is, what is said of it, and the sound as a data address."""

    title: str
    text: str
    data_uri: str


@dataclass(frozen=True)
class Section:
    """A part of the page: text, pictures, tables, sounds, in this order."""

    title: str
    text: str = ""
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    players: Sequence[Player] = ()


@dataclass(frozen=True)
class Page:
    """The whole page; `figures` are the few numbers at the top, with their names, `warnings` what a reader must know first."""

    title: str
    subtitle: str
    answer: str
    figures: Sequence[tuple[str, str]]
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=tuple)


def render(page: Page) -> str:
    """The page as HTML."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, finalize=_finalize
    )
    environment.filters["cell"] = _cell
    template = environment.from_string(Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8"))
    return template.render(page=page)


def _finalize(value: object) -> object:
    """What the template shows: text of others is printable; what is HTML already (`Markup`) stays."""
    return printable_inside(value, keep="\n")


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
