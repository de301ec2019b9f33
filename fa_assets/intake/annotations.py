"""Labels from files beside the clips: tables that name them, a table for each class, annotations of each clip.

Annotations of parts of a clip (Raven selection tables, Audacity labels, a row for each event) become labels of the whole clip.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.class_folders import is_share
from fa_assets.intake.class_names import filled
from fa_assets.intake.columns import (
    CALLED_AS_LABELS,
    GROUP_NAMES,
    Columns,
    group_column,
    guessed,
    is_numeric,
    label_column,
    may_be_labels,
    named_index,
    named_label_column,
    numbers_of_classes,
    of_grid,
    once,
    plain,
    repeats,
)
from fa_assets.intake.label_tracks import annotated_clip, listed_labels, table_labels, track_labels
from fa_assets.intake.labels import Labels, indicator_labels, joined_labels, numbered_columns
from fa_assets.intake.names import SHARE, NameIndex, hint, is_audio, listed
from fa_assets.intake.table_notes import names_of, not_used, of_many, table_notes
from fa_assets.intake.tables import Table, read_table

_NO_NAMES = re.compile(
    r"(.*[ _])?(index|idx)|selection|channel|view|(low|high) freq.*"
    r"|(start|end|begin|onset|offset|duration)(?![^\W_]).*|t(min|max)",
    re.IGNORECASE,
)
"""Columns whose numbers are not the names of clips."""
_PATH = "folder/name"
_OF_CLIPS = "annotations of each clip (all of them; their times are not used)"
_SAMPLE = 200
"""Rows that tell which column names the clips."""


class WhichColumnError(UserError):
    """Which column holds the labels cannot be told, or no table has one that was named."""


@dataclass
class Found:
    """What the files say, by clip.

    Attributes:
        origin: where it is from, in words.
        labels: of each clip, each once.
        groups: of each clip, where there are any.
        missing: names that no clip has, or several have, and their labels.
        unused: tables that name no clip.
        guess: what the labels are from, where it is not called as labels are, and class folders count for more; or empty.
    """

    origin: str
    labels: dict[str, dict[str, None]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    missing: dict[str, dict[str, None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unused: list[Path] = field(default_factory=list)
    guess: str = ""

    def add(self, clip: str, labels: Iterable[str]) -> None:
        """More labels of a clip."""
        self.labels.setdefault(clip, {}).update(dict.fromkeys(label for label in labels if label))


def labels_from_files(
    folder: Path,
    files: Sequence[Path],
    audio: Sequence[str],
    columns: Columns,
    *,
    explicit: bool,
    others: Iterable[str] = (),
) -> Found | None:
    """The labels that tables and annotations give the clips; None where there are none.

    Args:
        folder: what the files lie in.
        files: that may be tables or annotations.
        audio: the clips, by name.
        explicit: whether the one file was named by a person.
        others: files that are no clips here: rows that name them by this path do not mean clips that are called so elsewhere.

    Raises:
        UserError: which column holds the labels cannot be told; a file that was named, or none of those there, can be used.
    """
    index, own = NameIndex(audio, others, folder), Found(_OF_CLIPS)
    tables, notes, unused = list[tuple[Table, str]](), list[str](), list[Path]()
    headers, lists = dict[str, list[str]](), dict[str, Path]()
    for path in files:
        clip = annotated_clip(folder, path, index)
        if clip is not None and (annotated := track_labels(path, columns)) is not None:
            own.add(clip, annotated[0])
            own.notes += annotated[1][: not own.notes]
            continue
        read = _read(path, columns, explicit, notes)
        if read is None:
            lists.update({clip: path} if clip and path.suffix.lower() == ".txt" else {})
            continue
        table, fname = _with_header(read, index, columns)
        if not table.rows and path.suffix.lower() != ".txt" and clip is None:
            notes.append(f"{path} has no rows" + (" as long as its header" if table.uneven else ""))
            continue
        headers[path.name] = table.header
        if fname is not None and fname in table.header and (clip is None or any(map(is_audio, table.column(fname)))):
            tables.append((of_grid(table, fname), fname))
            continue
        if clip is not None and table.header and is_numeric(table.header[:1]):  # a time
            table = _headed(table)
        if clip is None:
            unused.append(path)
        elif (held := table_labels(table, columns)) is not None:
            own.add(clip, held[0])
            own.notes, own.guess = [*own.notes, *held[1][: not own.notes]], own.guess or held[2]
    if not tables and not any(own.labels.values()) and (each := listed_labels(lists, columns)):
        own = Found("a list of labels beside each clip", each, guess="lists beside the clips, whose lines recur")
    if not own.labels:
        _require_columns(columns, headers)
    found = _from_tables(tables, index, columns) if tables else own if any(own.labels.values()) else None
    if found is not None:
        found.notes += [f"not read: {note}" for note in notes]
        found.unused = unused
    elif notes:
        raise UserError("\n".join(notes))
    return found


def _read(path: Path, columns: Columns, explicit: bool, notes: list[str]) -> Table | None:
    """A table; None, and a note, where it cannot be read, or where it is a list of files or prose."""
    is_text = path.suffix.lower() == ".txt"
    try:
        table = read_table(path, limits=columns.limits)
    except BadInputError as error:
        if explicit:
            raise
        notes += [] if is_text else [str(error)]
        return None
    return None if is_text and len(table.header) < 2 and not explicit else table


def _require_columns(columns: Columns, headers: Mapping[str, Sequence[str]]) -> None:
    """Raise where no table has a column that was named."""
    named = {"--fname-column": columns.fname, "--labels-column": columns.labels, "--group-column": columns.group}
    for option, name in named.items():
        if name is not None and not any(name in header for header in headers.values()):
            have = "; ".join(f"{table} has {', '.join(header)}" for table, header in [*headers.items()][:5])
            alike = [own for header in headers.values() for own in header if plain(own) == plain(name)]
            meant = f" Or {option} {alike[0]!r}?" if alike else ""
            raise WhichColumnError(f"{option}: no column {name!r}; {have or 'there is no table'}.{meant}")


def _with_header(table: Table, index: NameIndex, columns: Columns) -> tuple[Table, str | None]:
    """A table whose first row names a clip, and so is not a header, with one; and its column that names the clips."""
    inside = _inside(table, index)
    is_row = any(is_audio(name) and clip_of(index, name, inside) for name in table.header)
    table = named_index(_headed(table) if is_row else table)
    if columns.fname is None:
        table = _with_paths(table, index)
    fname = columns.fname or _fname_column(table, index)
    if fname and fname != columns.fname and clip_of(index, fname, inside):
        return _headed(table), f"column {table.header.index(fname) + 1}"
    return table, fname


def _with_paths(table: Table, index: NameIndex) -> Table:
    """A table of clips whose names are there twice, of which another column says the folder, with a column of both."""
    sample = range(min(_SAMPLE, len(table.rows)))
    for name in once(table, ""):
        cells = table.column(name)
        if not any(is_audio(cells[n]) and len(index.find(cells[n])) > 1 for n in sample):
            continue
        for other in once(table, name):
            for before in ("", other):
                paths = [f"{before}{folder}/{cell}" for folder, cell in zip(table.column(other), cells, strict=True)]
                found = [len(index.find(paths[n])) for n in sample]
                if max(found) == 1 and 2 * sum(found) > len(found):
                    note = f"{table.path.name}: clips are those of the columns {other!r} and {name!r}, as {paths[0]!r}"
                    rows = [[path, *row] for path, row in zip(paths, table.rows, strict=True)]
                    return replace(table, header=[_PATH, *table.header], rows=rows, notes=(*table.notes, note))
    return table


def _headed(table: Table) -> Table:
    header = [f"column {number}" for number in range(1, len(table.header) + 1)]
    note = f"{table.path.name} has no header: its first row is {', '.join(table.header)}"
    return replace(table, header=header, rows=[table.header, *table.rows], notes=(*table.notes, note))


def clip_of(index: NameIndex, cell: str, inside: str = "") -> str | None:
    """The clip that a cell names by path, by name or by name without suffix, first below the table's folder, `inside`; only
    where there is one."""
    if cell in index.others:
        return None
    found = index.find(inside + cell) if inside else []
    found = found if len(found) == 1 else index.find(cell)
    if len(found) != 1 and re.search(r"[/\\]", cell):
        found = index.find(re.split(r"[/\\]", cell.rstrip("/\\"))[-1])
    return found[0] if len(found) == 1 else None


def _inside(table: Table, index: NameIndex) -> str:
    """The folder of clips that is called as a table is, or as the share in its name (train_labels.csv), or that it lies in,
    with a `/` behind it; empty where none is."""
    parent, stem = table.path.parent, table.path.stem
    share = SHARE.search(stem)
    if called := next((one for one in (stem, share and share[0]) if one in index.folders), None):
        return f"{called}/"
    if index.folder is None or parent.name not in index.folders or not parent.is_relative_to(index.folder):
        return ""
    return f"{parent.relative_to(index.folder).as_posix()}/"


def _from_tables(tables: Sequence[tuple[Table, str]], index: NameIndex, columns: Columns) -> Found:
    notes: list[str] = []
    labelled, odd, guess = [], list[BadInputError](), ""
    for table, fname in tables:
        try:
            if read := _row_labels(table, fname, columns):
                labelled.append((table, fname, read))
        except BadInputError as error:
            every = dict.fromkeys([*may_be_labels(table, fname), *once(table, fname)])
            which = f"--labels-column takes one of {listed(every, 20)}"
            odd.append(BadInputError(f"{error.summary} Or take a column as it stands: {which}.", error.offenders))
    if odd and not labelled:
        raise odd[0]
    if labelled:
        best = max(labelled, key=lambda one: len(one[0].rows))
        same = [one for one in labelled if one[0].header == best[0].header]
        rows = [(table, fname, read[0]) for table, fname, read in same]
        notes = [f"{table.path.name}: {note}" for table, _, read in same for note in read[2]]
        origin = ", ".join(names_of(table for table, _, _ in same)) + f", columns {best[1]} and {best[2][1]}"
        guess = guessed(best[0], best[1], best[2][1], columns)
    elif not columns.labels and _are_of_classes([table for table, _ in tables], index):
        rows = [(table, fname, [(table.path.stem,)] * len(table.rows)) for table, fname in tables]
        origin = f"a table for each class ({listed(table.path.name for table, _ in tables)})"
        if shares := [table.path.stem for table, _ in tables if is_share(table.path.stem)]:
            guess = origin
            notes = [f"{listed(shares)} may be a share of the dataset, rather than a class, by its name"]
    else:
        raise _which_column(*max(tables, key=lambda one: _count_named(one[0], one[1], index)), index)
    notes += not_used([table for table, _ in tables], [table for table, _, _ in rows])
    found = Found(origin, notes=notes, guess=guess)
    named_by: dict[str, Table] = {}
    twice: dict[str, None] = {}
    for table, fname, labels in rows:
        group = group_column(table, fname, columns)
        groups, of_groups = filled(table.column(group) if group else [""] * len(table.rows), group or "")
        inside = _inside(table, index)
        clips = [clip_of(index, cell, inside) for cell in table.column(fname)]
        for cell, clip, own, its in zip(table.column(fname), clips, labels, groups, strict=True):
            if clip is None:
                found.missing.setdefault(cell, {}).update(dict.fromkeys(filter(None, own)))
                continue
            if clip in named_by and own and named_by[clip] is not table and {*own} != {*found.labels.get(clip, ())}:
                twice[clip] = None
            named_by.setdefault(clip, table)
            found.add(clip, own)
            if its:
                found.groups[clip] = its
        found.notes += table_notes(table, fname, clips, found.missing, {label for own in labels for label in own})
        if group:
            found.notes += [
                f"{table.path.name}: {one}" for one in (f"clips of one {group!r} get one group", *of_groups)
            ]
    if several := next((name for name in found.missing if len(index.find(name)) > 1), None):
        found.notes.append(f"{several!r}{hint(index, several)}")
    if twice and labelled:
        found.notes.append(f"labels of several tables are joined, of {listed(twice)}; --csv takes one table")
    found.notes = of_many(found.notes)
    return found


def _are_of_classes(tables: Sequence[Table], index: NameIndex) -> bool:
    """Whether tables of the same columns are one for each class: of several names, not all of shares or called as clips."""
    names = {table.path.stem for table in tables}
    same = all(table.header == tables[0].header for table in tables)
    is_other = all(map(is_share, names)) or all(map(index.find, names))
    return same and len(names) == len(tables) > 1 and not is_other


def _row_labels(table: Table, fname: str, columns: Columns) -> tuple[list[Labels], str, list[str]] | None:
    """The labels of each row, the columns they are from, and notes."""
    named = named_label_column(table, fname)
    several = numbered_columns(table, once(table, fname))
    if named and not any(name.lower().startswith("primary") for name in several):
        several = list(dict.fromkeys([named, *several]))
    if not columns.labels and len(several) > 1 and several != [named]:
        labels, notes = joined_labels(table, several, separator=columns.separator, names=columns.classes)
        return labels, ", ".join(several), notes
    if (name := columns.labels or named) is None:
        name = numbers_of_classes(table, fname)
        try:
            is_label = name is not None and plain(name) in ("label", "labels", "class", "category", "target")
            indicators = None if is_label else indicator_labels(table, {fname, *GROUP_NAMES})
        except BadInputError:
            if name is None:
                raise
            indicators = None
        if indicators is not None and len({label for own in indicators[0] for label in own}) > 1:
            return indicators[0], "one for each class", indicators[1]
        name = name or label_column(table, fname, columns)
    if name is None or name not in table.header:
        return None
    labels, notes = columns.split(table.column(name))
    return labels, name, notes


def _which_column(table: Table, fname: str, index: NameIndex) -> UserError:
    """The error for a table that names clips, of which no column is called as labels are."""
    if not (others := once(table, fname)):
        return UserError(f"{table.path} names clips and has no other column: it says nothing of labels.")
    empty = [name for name in others if not any(map(str.strip, table.column(name)))]
    its = f" Empty: {listed(empty)}." if empty else ""
    folders = "; --level N the folders as classes" if any("/" in name for name in index.names) else ""
    likely = may_be_labels(table, fname)
    kind = WhichColumnError if any(repeats(table, name) for name in likely) else UserError
    which = listed(likely, 20)
    return kind(f"{table.path}: which column holds the labels?{its} --labels-column takes one of {which}{folders}.")


def _count_named(table: Table, fname: str, index: NameIndex) -> int:
    inside = _inside(table, index)
    return len({clip_of(index, cell, inside) for cell in table.column(fname)[:_SAMPLE]} - {None})


def _fname_column(table: Table, index: NameIndex) -> str | None:
    """The column whose cells name most clips."""
    if table.header[:1] == [_PATH]:
        return _PATH
    own = [name for name in once(table, "") if not CALLED_AS_LABELS.fullmatch(name)]
    own = [name for name in own if not (_NO_NAMES.fullmatch(name) and is_numeric(table.column(name)))]
    called = [name for name in own if any(map(is_audio, table.column(name)[:_SAMPLE]))]  # as labels are not
    counts = {name: _count_named(table, name, index) for name in called or own}
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] else None
