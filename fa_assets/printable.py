"""Text of others, fit to be shown: names, labels and servers' answers may hold what steers a terminal or breaks a page."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Control characters of ASCII and Latin-1, soft hyphen, marks and overrides of direction, other format characters (not the
# joiners that scripts and emoji need), separators of lines and paragraphs, byte order mark, and what is not Unicode at all.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_FORMULA = ("=", "+", "-", "@")


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that steers rather than shows written as an escape, e.g. ``\x1b``; `keep` stay."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def printable_inside(value: Any, keep: str = "") -> Any:
    """A copy of a value with all text in its lists and mappings printable; anything else is as it was."""
    if type(value) is str:  # of no type that says what it is, such as HTML that was escaped
        return printable(value, keep)
    if isinstance(value, Mapping):
        return {printable_inside(name): printable_inside(one, keep) for name, one in value.items()}
    return [printable_inside(one, keep) for one in value] if isinstance(value, list) else value


def spreadsheet_row(row: Sequence[object]) -> list[object]:
    """The cells of a CSV file that a spreadsheet opens: text is printable, and none of it begins a formula."""
    return [_spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in row]


def _spreadsheet_cell(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
