"""From the cells of a table to labels: separators, names that hold one, lists, and a column for each class.

Plain is what `,` and `;` separate. Whatever else is found is noted.
"""

import html
import json
import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from fa_assets.errors import BadInputError
from fa_assets.intake.json_tables import region_labels
from fa_assets.intake.tables import Table

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_QUOTED_LIST = re.compile(
    rf"(?:[\w.]+\(|c(?=\())?(?:[\[({{][\s,;]*(?:(?:{_QUOTED}|None|nan)[\s,;]*)+[\])}}]|[\[({{]\s*[\])}}])"
    r"(?:,\s*dtype=[\w'<>.]+)?\)?|set\(\)"
)
_OBJECT = re.compile(
    r"([\w.]+\()?[\[({]([^'\"]*['\"][^'\"]*['\"]\s*:|\s*[\[({]|.*['\"]\s+\.\.\.).*[\])}]|\{[^'\"{}]+:\s*[\d.]+\s*\}",
    re.DOTALL,
)
"""A cell of a program that holds more than names, or less than all: {'Bird': 0.9}, [('Bird', 0.9)], ['Bird' ... 'Rain']."""
_BRACKETED = re.compile(r"\[.*\]|\{[^:'\"]*\}", re.DOTALL)
_WRAPPED = re.compile(rf"\b[\w.]+\(({_QUOTED})\)")
"""A name as NumPy prints it: np.str_('Bird')."""
_BY_LABEL_STUDIO = re.compile(r'\s*[\[{].*"(choices|labels)":.*[\]}]\s*', re.DOTALL)
_ENTITY = re.compile(r"&(amp|lt|gt|quot|apos|nbsp|#\d+);")
_PROTECTED = re.compile(r'"((?:[^"]|"")*)"')
_FURTHER = "|\uff0c\u3001\uff1b\uff5c\u060c\u061b\n\t"
"""A bar, the commas, semicolons and bar of Chinese, Japanese and Arabic, a new line and a tab inside a cell."""
_BETWEEN_LABELS = ":#"
_ONES_AND_ZEROS = (
    *({"1"}, {"0"}),
    *({"x"}, {"☐", "-"}),
    *({"✓", "✔", "☑", "✅", "●"}, {"☐", "-", "✗", "✘", "✕", "×", "❌"}),
    *({"○", "◯", "〇", "◎", "はい", "有", "是"}, {"×", "✕", "✗", "いいえ", "無", "无", "否"}),
    *({"да", "истина", "tak", "ano", "on"}, {"нет", "ложь", "nie", "ne", "off"}),
    *({"+"}, {"-"}),
    *({"t"}, {"f"}),
    *({"pos", "positive"}, {"neg", "negative"}),
    *({"y", "yes", "j", "ja", "s", "si", "sí", "sì", "sim", "o", "oui"}, {"n", "no", "nein", "nee", "não", "non"}),
    *({"true", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda", "sant", "tosi", "pravda", "doğru"},
      {"false", "falsch", "faux", "falso", "onwaar", "fałsz", "falskt", "epätosi", "nepravda", "yanlış"}),
)  # fmt: skip
"""What stands for 1 and, after it, for 0 in a column of a class: also the words of spreadsheets in other languages. Nothing
stands for 0 beside any of them."""
_NUMBER = re.compile(r"([-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?|nan|(?P<unknown>n/?a|\?+|--+|null|none|unknown))?")
_NUMBERED = re.compile(
    r"(labels?|class|category|tags?|species)[ _.-]?\d+|(primary|secondary)[ _]labels?", re.IGNORECASE
)

NO_CLASS = re.compile(
    r"(.*[_ ])?id|(min|max)_t|t_?(min|max)|((start|end|begin|onset|offset|duration)([_ ](time|s))?|seconds)( \(s\))?|(n|num)_.*"
    r"|(.*_)?(split|fold|usage|verified)|is[_ ]?(train|test|val|valid).*|train|test|val",
    re.IGNORECASE,
)
"""Columns that say something else of a clip than a class."""
_TIME = re.compile(r"on|off|start|begin|end|column 1$", re.IGNORECASE)
_SURE = re.compile(r"conf|score|prob|relevance", re.IGNORECASE)
_SHARE = re.compile(r"[01]|0?\.\d+|1\.0*|true|false")
_VERDICT = re.compile(
    r"(not? ?)?present|absent|(in)?correct|(false )?(positive|negative)|rejected|accepted|[tf]p|yes|no|n/?a|-*"
)

Labels = tuple[str, ...]


def split_labels(
    cells: Sequence[str], *, separator: str | None = None, names: Collection[str] = ()
) -> tuple[list[Labels], list[str]]:
    """The labels in each cell, and notes on what was found in them.

    Raises:
        BadInputError: a cell of a program that holds more than names.

    Args:
        separator: what separates labels. Default: `,` and `;`, and `_FURTHER` where they stand in no known name; cells may
            also be lists in brackets.
        names: of classes, matched whole before anything is separated.
    """
    cells = [_of_label_studio(cell) if _BY_LABEL_STUDIO.fullmatch(cell) else cell for cell in cells]
    stripped = [_WRAPPED.sub(r"\1", cell.strip()) if cell.lstrip()[:1] in "[({" else cell.strip() for cell in cells]
    notes: list[str] = []
    lists: dict[int, Labels] = {}
    if separator is None:
        if coded := next((cell for cell in stripped if _ENTITY.search(cell)), None):
            stripped = [html.unescape(cell) for cell in stripped]
            notes.append(f"signs of web pages are read as what they stand for, as in {coded!r}")
        if odd := [cell for cell in stripped if _OBJECT.fullmatch(cell) and not _QUOTED_LIST.fullmatch(cell)]:
            raise BadInputError(
                f"{len(odd)} cells of labels hold more than a list of names, or not all of it: write the names alone, with "
                f"',' between, or a column of 0 and 1 for each class. The first is {odd[0][:200]!r}."
            )
        lists = _lists(stripped)
        if lists:
            notes.append(f"labels are lists in brackets, as {stripped[next(iter(lists))]!r}")
    left = [cell for index, cell in enumerate(stripped) if index not in lists]
    at = re.compile(re.escape(separator) if separator else "[,;]")
    split, said = _split(left, at, names)
    separators = ",;"
    for further in _further(left, split) if separator is None else ():
        split_further, said_further = _split(left, re.compile(f"[{separators}{further}]"), names)
        if split_further != split:
            example = next(cell for cell, a, b in zip(left, split, split_further, strict=True) if a != b)
            split, said, separators = split_further, said_further, separators + further
            notes.append(f"labels are also separated by {further!r}, as in {example!r}")
    rest = iter(split)
    return [lists[index] if index in lists else next(rest) for index in range(len(cells))], notes + said


def _further(cells: Sequence[str], split: Sequence[Labels]) -> list[str]:
    """What else separates labels in these cells: `_FURTHER`, and `_BETWEEN_LABELS` where each part is a label elsewhere."""
    found = [one for one in _FURTHER if any(one in cell for cell in cells)]
    labels = {label for own in split for label in own}
    for one in _BETWEEN_LABELS:
        parts = {part.strip() for label in labels if one in label for part in label.split(one)}
        if parts and parts <= labels:
            found.append(one)
    return found


def join_labels(labels: Sequence[str]) -> str:
    """A cell that `split_labels` reads as these labels."""
    plain = ",".join(labels)
    is_clear = not (set(plain) & set(_BETWEEN_LABELS) or _OBJECT.fullmatch(plain))
    if is_clear and split_labels([plain])[0] == [tuple(labels)]:
        return plain
    return ",".join('"' + label.replace('"', '""') + '"' for label in labels)


def indicator_labels(table: Table, other: Collection[str]) -> tuple[list[Labels], list[str]] | None:
    """The labels of a table with a column of 0 and 1 for each class (one-hot, multi-hot), and notes; None for another table.

    Args:
        other: columns that are not classes.

    Raises:
        BadInputError: two columns of one name; numbers that are neither 0 nor 1 where only those say what a clip is.
    """
    columns: dict[str, list[bool]] = {}
    left_out, aside, blank = [], [], []
    numbers: dict[str, list[float]] = {}
    for position, name in enumerate(table.header):
        if not name or name in other:
            continue
        if NO_CLASS.fullmatch(name):
            aside.append(name)
            continue
        cells = [row[position] for row in table.rows]
        if (says := yes_or_no(cells)) is not None:
            table.column(name)
            columns[name] = says
        else:
            left_out.append(name)
            cells = [_plain(cell) for cell in cells]
            if not any(cells):
                blank.append(name)
            elif all(map(_NUMBER.fullmatch, cells)):
                numbers[name] = [_number(cell) for cell in cells]
    likely = [name for name, cells in numbers.items() if 2 * sum(cell in (0, 1) for cell in cells) >= len(cells)]
    every = [one for cells in numbers.values() for one in cells]
    only_numbers = len(numbers) == len(left_out) > 1
    if (likely and (columns or only_numbers)) or (not columns and only_numbers and _are_of_classes(every)):
        raise _not_indicators(table, {name: numbers[name] for name in likely or numbers})
    is_remark = len(columns) == 1 and all(map(all, columns.values())) and set(left_out) - set(numbers)
    if is_remark or not any(map(any, columns.values())):
        return None
    if len(columns) == 1 and not all(next(iter(columns.values()))):
        raise BadInputError(
            f"{table.path}: one column of 0 and 1, {_listed(columns)}, says of the other clips only what they are not. Add a "
            "column for what they are, as in 'fname,Bird,no Bird', or a column 'labels'."
        )
    labels = [tuple(name for name in columns if columns[name][row]) for row in range(len(table.rows))]
    notes = [f"a column for each class: {_listed(columns)}"]
    if without := [row[0] for row, own in zip(table.rows, labels, strict=True) if not own]:
        notes.append(
            f"rows without any 1, for which a column of their own, as 'nothing', can be added: {_listed(without)}"
        )
    if odd := [*aside, *(name for name in left_out if name not in blank)]:
        why = "by their names, or since they hold more than 0 and 1"
        notes.append(f"columns that are not classes, {why}: {_listed(odd)}")
    if empty := [name for name in table.header if name in blank or not any(columns.get(name, [True]))]:
        notes.append(f"columns without any 1 are not classes: {_listed(empty)}")
    return labels, notes


def yes_or_no(cells: Sequence[str]) -> list[bool] | None:
    """What cells of 1 and 0, or words and signs for them, say; None of others, and where all are empty."""
    cells = [_plain(cell) for cell in cells]
    held = {*cells} - {""}
    pairs = zip(_ONES_AND_ZEROS[::2], _ONES_AND_ZEROS[1::2], strict=True)
    ones = next((ones for ones, zeros in pairs if held <= ones | zeros), None)
    return [cell in ones for cell in cells] if held and ones else None


def _plain(cell: str) -> str:
    """A cell as it is compared: 1 for 1.00, 1,0 and full-width digits."""
    cell = cell.strip().lower().rstrip("\ufe0f")
    cell = cell if cell.isascii() else unicodedata.normalize("NFKC", cell)
    return cell[0] if re.fullmatch(r"[01][.,]0+", cell) else cell


def _number(cell: str) -> float:
    found = _NUMBER.fullmatch(cell)
    return math.nan if found and found["unknown"] else float(cell.replace(",", ".") or 0)


def _are_of_classes(numbers: Collection[float]) -> bool:
    return all(-1 <= one <= 1 for one in numbers) or all(one.is_integer() and -1 <= one <= 100 for one in numbers)


def _not_indicators(table: Table, columns: Mapping[str, Sequence[float]]) -> BadInputError:
    """The error for columns of numbers that do not say whether a clip is of a class."""
    values = sorted({one for cells in columns.values() for one in cells if not math.isnan(one)})
    if any(math.isnan(one) for cells in columns.values() for one in cells):
        what, way_out = "unknown or nan beside", "write 1 or 0, or leave out the clips of which nobody knows"
    elif min(values) < 0:
        what = "-1 beside"
        way_out = (
            "write 1 where a clip is of the class and 0 where it is not, and leave out clips of which nobody knows"
        )
    elif all(one.is_integer() for one in values):
        what, way_out = (
            "counts or numbers of classes beside",
            "write 1 for whatever counts as being of the class, and 0",
        )
    else:
        what = "shares or probabilities beside"
        way_out = "choose from which value on a clip is of a class, and write 1 there and 0 elsewhere"
    shown = ", ".join(f"{one:g}" for one in values[:5]) + (", ..." if len(values) > 5 else "")
    return BadInputError(
        f"{table.path}: a column for each class holds 1 or 0; {_listed(columns)} hold {shown}, which looks like {what} 0 and "
        f"1: {way_out}. Or give the labels in a column 'labels'; columns that are not classes can be left out."
    )


def unused_shares(table: Table, columns: Sequence[str], *, of_one_row: bool = False) -> list[str]:
    """A note where columns beside the labels say whether, or how surely, each row holds: words as 'not present', or numbers
    from 0 to 1 that differ; where no clip has more than one row, only numbers in columns called so."""
    cells = {name: {cell.strip().lower() for cell in table.column(name)} for name in columns if not _TIME.match(name)}
    shares = [
        name
        for name, own in cells.items()
        if (own and all(map(_SHARE.fullmatch, own)) and (_SURE.match(name) or (len(own) > 1 and not of_one_row)))
        or (len(own) > 1 and all(map(_VERDICT.fullmatch, own)))
    ]
    if not shares:
        return []
    return [
        f"{table.path.name}: {_listed(shares)} is not used: each row counts, whatever it says; take out those that should not"
    ]


def numbered_columns(table: Table, among: Collection[str]) -> list[str]:
    """The columns that hold one label each, or the further ones: label1 and label2, primary_label and secondary_labels."""
    found = [name for name in among if _NUMBERED.fullmatch(name)]
    are_classes = all(yes_or_no(table.column(name)) is not None for name in found)  # as pandas.get_dummies has them
    return [] if are_classes else found


def joined_labels(
    table: Table, columns: Sequence[str], *, separator: str | None = None, names: Collection[str] = ()
) -> tuple[list[Labels], list[str]]:
    """The labels of several columns together, each once, and notes; arguments as of `split_labels`."""
    each = [split_labels(table.column(name), separator=separator, names=names) for name in columns]
    rows = zip(*(labels for labels, _ in each), strict=True)
    joined = [tuple(dict.fromkeys(label for own in row for label in own if label)) for row in rows]
    return joined, [f"labels are those of {_listed(columns)} together", *(note for _, notes in each for note in notes)]


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:10])
    return f"{shown}, ... ({len(names)})" if len(names) > 10 else shown


def _lists(cells: Sequence[str]) -> dict[int, Labels]:
    """The labels of the cells that are lists, by row: of names in quotes, or of anything where every cell is in brackets."""
    found = {index: _listed_names(cell) for index, cell in enumerate(cells) if _QUOTED_LIST.fullmatch(cell)}
    filled = [cell for cell in cells if cell]
    if filled and len(found) < len(filled) and all(map(_BRACKETED.fullmatch, filled)):
        for index, cell in enumerate(cells):
            if cell and index not in found:
                between = r"\s+" if re.fullmatch(r"[\s\d]+", cell[1:-1].strip()) else "[,;]"
                found[index] = tuple(part.strip() for part in re.split(between, cell[1:-1].strip()))
    return found


def _listed_names(cell: str) -> Labels:
    try:
        names = json.loads(cell)
    except ValueError:
        cell = re.sub(r",\s*dtype=[\w'<>.]+\)?$", "", cell)
        names = [re.sub(r"\\(.)", r"\1", name[1:-1]) for name in re.findall(_QUOTED, cell)]
    return tuple(str(name).strip() for name in names if name is not None)


def _of_label_studio(cell: str) -> str:
    """The labels of the regions or choices in a cell of Label Studio as a list in JSON; another cell as it is."""
    with suppress(ValueError):
        if (own := region_labels(json.loads(cell))) is not None:
            return json.dumps(own, ensure_ascii=False)
    return cell


def _split(cells: Sequence[str], at: re.Pattern[str], names: Collection[str]) -> tuple[list[Labels], list[str]]:
    """The labels of each cell; what was known to hold a separator, or protected by quotes, is said."""
    whole = sorted((name for name in names if at.search(name)), key=len, reverse=True)
    used: set[str] = set()
    protected: set[str] = set()
    found: list[Labels] = []
    for cell in cells:
        own: list[str] = []
        rest: str | None = cell or None
        while rest is not None:
            name = next((one for one in whole if rest.startswith(one) and _ends(rest[len(one) :], at)), None)
            quoted = None if name else _PROTECTED.match(rest)
            if name is not None:
                used.add(name)
                end = len(name)
            elif quoted and _ends(rest[quoted.end() :], at):
                name, end = quoted[1].replace('""', '"').strip(), quoted.end()
                protected.add(name)
            else:
                cut = at.search(rest)
                end = cut.start() if cut else len(rest)
                name = rest[:end].strip()
            own.append(name)
            cut = at.search(rest, end)
            rest = rest[cut.end() :].lstrip() if cut else None
        found.append(tuple(own))
    notes = []
    if used:
        notes.append(f"class names that hold a separator are read whole: {_listed(sorted(used))}")
    if protected:
        notes.append(f"quotes around names inside a cell are taken off: {_listed(sorted(protected))}")
    return found, notes


def _ends(rest: str, at: re.Pattern[str]) -> bool:
    """Whether a name may end before this."""
    rest = rest.lstrip()
    return not rest or at.match(rest) is not None
