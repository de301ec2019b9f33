"""Which column of a table holds the labels, and which the clips of one group."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from fa_assets.intake.labels import NO_CLASS, Labels, split_labels, yes_or_no
from fa_assets.intake.names import SHARE, is_audio, is_of_tests
from fa_assets.intake.tables import Table
from fa_assets.store.source_files import USUAL_LIMITS, Limits

LABEL_NAMES = (
    "labels", "label", "category", "class", "class name", "classes", "tags", "tag", "species", "event", "event label",
    "common name", "annotation", "annotations", "species code", "primary label", "sound", "target", "scene label", "scene",
    "ebird code", "manual id", "scientific name", "emotion", "genre", "instrument", "choice",
    "klasse", "etikett", "art", "étiquette", "classe", "espèce", "etiqueta", "clase", "especie", "etichetta", "specie",
    "ラベル", "クラス", "種名", "标签", "类别", "物种",
)  # fmt: skip
"""As `plain` has them; of other languages, what tables of their spreadsheets have."""
_OF_CLASSES = re.compile(r".*[ _.-](labels?|tags?|class|category|species)", re.IGNORECASE)
"""How further names of columns of labels end."""
CALLED_AS_LABELS = re.compile(r"(class|label|genre|category|tag).*", re.IGNORECASE)
"""Columns that name no clips, whatever clips are called, and need no word where they are taken as labels."""
GROUP_NAMES = (
    "group", "fold", "fsid", "src file", "recording", "recording id", "site", "speaker", "uploader", "location",
)  # fmt: skip
"""Columns whose clips belong into one fold, the first that is there."""
PARTS = frozenset({"split", "set", "subset", "partition", "usage", "part"})
_SAYS_SHARE = re.compile(r"is[ _-]?(?:(?P<train>train(?:ing)?)|test(?:ing)?|eval(?:uation)?|holdout)", re.IGNORECASE)
_ATTRIBUTES = PARTS.union(
    GROUP_NAMES,
    ("license", "licence", "format", "codec", "date", "time", "gender", "sex", "age", "accent", "language", "locale"),
    ("device", "microphone", "mic", "recorder", "sensor", "quality", "source", "user", "author", "country"),
    ("sentence", "text", "transcript", "transcription", "description", "title", "comment", "comments", "notes"),
    ("email", "timestamp", "annotator", "recordist", "observer", "url", "path", "city"),
)
"""Columns, as `plain` has them, that say something else of clips than their labels, unless they are named."""


@dataclass(frozen=True)
class Columns:
    """The columns to take, where they were named, what separates labels, the classes that are known, and how much is read."""

    fname: str | None = None
    labels: str | None = None
    group: str | None = None
    separator: str | None = None
    classes: frozenset[str] = frozenset()
    limits: Limits = USUAL_LIMITS

    def split(self, cells: Sequence[str]) -> tuple[list[Labels], list[str]]:
        """As `split_labels`."""
        return split_labels(cells, separator=self.separator, names=self.classes)


def once(table: Table, fname: str) -> list[str]:
    """The other columns whose name no two have."""
    return [name for name in table.header if name and name != fname and table.header.count(name) == 1]


def named_label_column(table: Table, fname: str) -> str | None:
    named = {plain(name): name for name in table.header if name != fname}
    found = [named[one] for one in LABEL_NAMES if one in named]
    if len(further := [name for name in once(table, fname) if _OF_CLASSES.fullmatch(name)]) == 1:
        found += further
    if not (fname or found) and {"tmin", "text", "tmax"} <= {*table.header}:  # of Praat
        found = ["text"]
    texts = (name for name in found if not is_numeric(table.column(name)))
    return next((name for name in texts if yes_or_no(table.column(name)) is None), None)


def numbers_of_classes(table: Table, fname: str) -> str | None:
    """A column that is called as labels are, and holds numbers in every row; or the one of text beside it whose name begins
    so, as instrument and instrument_str; none where there are several."""
    named = {plain(name): name for name in once(table, fname) if all(table.column(name))}
    number = next((one for one in LABEL_NAMES if one in named), None)
    texts = [own for name, own in named.items() if number and name.startswith(f"{number} ")]
    texts = [own for own in texts if not is_numeric(table.column(own))]
    return None if number is None or len(texts) > 1 else (*texts, named[number])[0]


def group_column(table: Table, fname: str, columns: Columns) -> str | None:
    """The column whose clips belong into one fold."""
    named = {plain(name): name for name in table.header if name != fname}
    found = columns.group if columns.group in table.header else None
    return found or next((named[one] for one in GROUP_NAMES if one in named), None)


def plain(name: str) -> str:
    """A name of a column as it is compared: class_name, Class Name and class-name are one."""
    return re.sub(r"[ _.-]+", " ", name).strip().lower()


def label_column(table: Table, fname: str, columns: Columns) -> str | None:
    """By its name; else the one text column that repeats itself, or is the only other one, and is no attribute."""
    named = columns.labels if columns.labels in table.header else named_label_column(table, fname)
    others = [name for name in once(table, fname) if not (is_numeric(table.column(name)) or is_attribute(table, name))]
    repeating = [name for name in others if 1 < len({*(cells := table.column(name))}) <= len(cells) / 2]
    likely = repeating or (others if len(table.header) == 2 else [])
    return named or (likely[0] if len(likely) == 1 else None)


def guessed(table: Table, fname: str, name: str, columns: Columns) -> str:
    """In words which column was taken, where nothing but its cells speaks for it."""
    asked = columns.fname or columns.labels or columns.group or columns.separator
    named = asked or named_label_column(table, fname) or numbers_of_classes(table, fname)
    if named or name not in table.header or CALLED_AS_LABELS.fullmatch(name) or name.startswith("column "):
        return ""
    return f"{table.path.name}, whose column {name!r} is not called as labels are; --labels-column {name!r} takes it"


def is_attribute(table: Table, name: str) -> bool:
    """Whether a column says something else of the clips than their labels: by its name, or since it holds shares or files."""
    called = plain(name)
    if any(map(is_audio, table.column(name))):
        return True
    is_aside = re.search(r"\b(id|hash|login|quality|rating|licen[sc]e|date|time|url|path|version)$", called) is not None
    return is_aside or called in _ATTRIBUTES or all(SHARE.fullmatch(cell.strip()) for cell in table.column(name))


def may_be_labels(table: Table, fname: str) -> list[str]:
    """The columns of text that repeat themselves and are no attributes; or else those of text, or else all."""
    others = once(table, fname)
    texts = [name for name in others if not is_numeric(table.column(name))]
    return [name for name in texts if repeats(table, name)] or texts or others


def repeats(table: Table, name: str) -> bool:
    cells = table.column(name)
    return 1 < len({*cells}) < len(cells) and not (is_numeric(cells) or is_attribute(table, name))


def says_share(name: str) -> bool:
    """Whether a column says which share of the dataset a clip is of."""
    return name.lower() in PARTS or _SAYS_SHARE.fullmatch(name) is not None


def is_row_of_tests(column: str, cell: str) -> bool:
    """Whether a row is of a test clip by its share, or by a column as is_test or is_train."""
    says = _SAYS_SHARE.fullmatch(column)
    return is_of_tests(cell) if says is None else (yes_or_no([cell]) == [True]) != (says["train"] is not None)


def of_grid(table: Table, fname: str) -> Table:
    """A table with a row for each clip and each class, and a column that says whether it is of it, without the rows of no."""
    label = named_label_column(table, fname)
    pairs = {*zip(table.column(fname), table.column(label), strict=True)} if label else set()
    clips, classes = len({clip for clip, _ in pairs}), len({one for _, one in pairs})
    if not len(pairs) == len(table.rows) == clips * classes > max(clips, classes):
        return table
    each = {name: yes_or_no(table.column(name)) for name in once(table, fname) if not NO_CLASS.fullmatch(name)}
    likely = {name: says for name, says in each.items() if says and any(says) and not all(says)}
    if len(likely) != 1:  # of several none is taken: `unused_shares` names them
        return table
    name, says = likely.popitem()
    rows = [row for row, yes in zip(table.rows, says, strict=True) if yes]
    its = f"{len(says) - len(rows)} rows of clips that are not of the class, by {name!r}, are left out"
    return replace(table, rows=rows, notes=(*table.notes, f"{table.path.name}: {its}"))


def named_index(table: Table) -> Table:
    """A table whose only column without a name holds names of clips, as an index that pandas wrote, with a name for it."""
    nameless = [n for n, name in enumerate(table.header) if not name]
    if len(nameless) != 1 or not any(is_audio(row[nameless[0]]) for row in table.rows):
        return table
    return replace(table, header=[name or f"column {nameless[0] + 1}" for name in table.header])


def unnamed_columns(table: Table) -> list[str]:
    """The columns without a name that hold more than numbers, by where they stand."""
    each = enumerate(table.header, start=1)
    return [f"column {n}" for n, name in each if not name and not is_numeric([row[n - 1] for row in table.rows])]


def is_timed(table: Table) -> bool:
    """Whether the first column holds times, or a column is called so."""
    if any(re.match(r"(begin|start|end|onset|offset)(?![^\W_])", name, re.IGNORECASE) for name in table.header):
        return True
    cells = [table.header[0] if table.header else "", *(row[0] for row in table.rows[:5])]
    return len(cells) > 1 and all(re.fullmatch(r"\d+[.,]\d+", cell) for cell in cells[1:]) and len(table.header) > 1


def is_numeric(cells: Collection[str]) -> bool:
    """Whether all are numbers, or say nothing."""
    return all(re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|true|false|\[\]|", cell.strip().lower()) for cell in cells)
