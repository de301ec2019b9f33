"""Annotations of one clip: label files of Audacity, selection tables of Raven, called as the clip is."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.columns import (
    Columns,
    guessed,
    is_attribute,
    is_numeric,
    is_timed,
    label_column,
    named_label_column,
    once,
)
from fa_assets.intake.encodings import read_text
from fa_assets.intake.json_tables import BY_CLIP
from fa_assets.intake.labels import unused_shares
from fa_assets.intake.names import NameIndex
from fa_assets.intake.tables import Table, read_table

_AUDACITY = re.compile(
    r"(?:-?[\d.,]+\t-?[\d.,]+(?:\t[^\t\r\n]*|\t[^\t\r\n]*[^\W\d_][^\t\r\n]*\t[\d.]+)?|\\\t.*)(?:\r?\n|\Z)"
)
_LONGEST = 60
"""Letters of a line that may be a label."""
_OF_LABELS = re.compile(r"[ _-](labels?|annotations?|events)$", re.IGNORECASE)
"""What programs add to a clip's name for its annotations."""
_RAVEN = frozenset({"View", "Begin Path", "Begin File", "End File", "Begin Date", "Begin Clock Time"})
"""Columns of text in selection tables that are not labels."""


def annotated_clip(folder: Path, path: Path, index: NameIndex) -> str | None:
    """The clip that an annotation file belongs to by its name: c00.txt, c00_labels.txt, c00.Table.1.selections.txt."""
    parts = path.name.split(".")
    inner = path.parent.relative_to(folder) if path.is_relative_to(folder) else Path()
    for count in range(len(parts) - 1, 0, -1):
        stem = _OF_LABELS.sub("", ".".join(parts[:count]))
        for name in ((inner / stem).as_posix(), stem):
            if len(found := index.find(name)) == 1:
                return found[0]
    return None


def track_labels(path: Path, columns: Columns) -> tuple[list[str], list[str]] | None:
    """The labels of an Audacity label file or a Raven selection table of one clip, and notes; None for another file.

    Raises:
        UserError: which column of a selection table holds the labels cannot be told.
    """
    try:
        text = read_text(path, columns.limits)[0].lstrip("\ufeff")
    except BadInputError:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(_AUDACITY.fullmatch(line) for line in lines):
        rows = [parts for line in lines if len(parts := line.split("\t")) > 2 and parts[0] != "\\"]
        cells = [parts[2].strip() for parts in rows]
        shares = f"{path.name}: the number behind a label is not used: each counts, whatever it says"
        return _separated(cells, columns), [shares] * any(len(parts) > 3 for parts in rows)
    if "Begin Time (s)" not in text.partition("\n")[0]:
        return None
    table = read_table(path, limits=columns.limits)
    own = [name for name in once(table, "") if name not in _RAVEN and not is_numeric(table.column(name))]
    named = columns.labels if columns.labels in table.header else named_label_column(table, "")
    name = named or (own[0] if len(own) == 1 else None)
    if name is None and own:
        raise UserError(f"{path}: which column holds the labels? --labels-column takes one of {', '.join(own)}.")
    if name is None:
        return None
    return _separated(table.column(name), columns), unused_shares(table, once(table, name))


def _separated(labels: list[str], columns: Columns) -> list[str]:
    """One label each, which may hold commas, unless a separator is given."""
    return labels if columns.separator is None else [*chain.from_iterable(columns.split(labels)[0])]


def listed_labels(files: Mapping[str, Path], columns: Columns) -> dict[str, dict[str, None]]:
    """The labels of clips beside which lie lists of them, one a line, as in IRMAS; none where lines do not recur."""
    found: dict[str, dict[str, None]] = {}
    for clip, path in files.items():
        with suppress(BadInputError):
            lines = map(str.strip, read_text(path, columns.limits)[0].lstrip("\ufeff").splitlines())
            found[clip] = dict.fromkeys(line for line in lines if line)
    every = [label for own in found.values() for label in own]
    return found if 2 * len({*every}) <= len(every) and all(len(label) <= _LONGEST for label in every) else {}


def table_labels(table: Table, columns: Columns) -> tuple[list[str], list[str], str] | None:
    """The labels in a table of one clip, notes, and as `guessed`; None where no column holds labels.

    One object in JSON is one record: where its keys say nothing of labels, it may hold settings.
    """
    if any(note.endswith(BY_CLIP) for note in table.notes):
        table = replace(table, header=table.column("fname"), rows=[table.column("labels")])
        name = columns.labels if columns.labels in table.header else named_label_column(table, "")
    else:
        texts = [name for name in once(table, "") if name not in _RAVEN and not is_numeric(table.column(name))]
        texts = [name for name in texts if not is_attribute(table, name)]
        name = label_column(table, "", columns) or (texts[0] if len(texts) == 1 and is_timed(table) else None)
    if name is None:
        return None
    labels = chain.from_iterable(columns.split(table.column(name))[0])
    return [*labels], unused_shares(table, once(table, name)), guessed(table, "", name, columns)
