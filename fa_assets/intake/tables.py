"""A table that somebody wrote: a CSV file in any usual encoding and dialect, or JSON.

Plain is UTF-8 and commas. Whatever else a file is read as is noted in `Table.notes`; a file that cannot be read is refused
with the reason and what to do.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product
from pathlib import Path

from fa_assets.errors import BadInputError
from fa_assets.intake.encodings import read_text
from fa_assets.intake.json_tables import is_json, json_table, parquet_table
from fa_assets.intake.names import is_audio, listed, trimmed
from fa_assets.store.source_files import USUAL_LIMITS, Limits, read_bytes

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NAMES = {**_SEPARATORS, " ": "blanks"}
_TITLE_LINES = 20
"""Lines among which the header is."""
_RULE = re.compile(r"(?=.*[|+])(?=.*[-=])[ \t:|+=-]+")
"""The line below the header of a table in Markdown, or above it in a drawn one."""
_DRAWN: dict[int, str | int | None] = {
    **dict.fromkeys(range(0x2500, 0x2580), "+"),
    **str.maketrans("│┃║┆─━═┄", "||||----"),
}
"""What frames are drawn with: DuckDB, rich."""


@dataclass(frozen=True)
class Table:
    """A CSV file: its header, without blanks around the names, and the cells of every row below it.

    Attributes:
        notes: what the file was read as, where it is not plain.
        uneven: rows left out, since they have more or fewer cells than the header, in words.
    """

    path: Path
    header: list[str]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()
    uneven: tuple[str, ...] = ()

    def column(self, name: str) -> list[str]:
        """The cells of a column.

        Raises:
            BadInputError: two columns have that name.
        """
        if (count := self.header.count(name)) > 1:
            raise BadInputError(f"{self.path}: {count} columns are called {name!r}; rename or remove all but one.")
        position = self.header.index(name)
        return [row[position] for row in self.rows]


def read_table(
    path: Path,
    required: Sequence[str] = (),
    *,
    limits: Limits = USUAL_LIMITS,
    header_only: bool = False,
    way_out: str = "Rename its columns.",
) -> Table:
    """Read a CSV file with a header, or a table in JSON or Parquet; rows without any content are left out.

    Args:
        required: columns that it must have.
        limits: how large it may be.
        way_out: what to do where it lacks one, a sentence for the error.

    Raises:
        SourceFileError: it cannot be read.
        BadInputError: not text, an unknown encoding, not CSV, NUL characters, a required column missing; where columns are
            required, also rows of another length. All offenders are named.
    """
    if path.suffix.lower() == ".parquet" and (content := read_bytes(path, limits)).startswith(b"PAR1"):
        header, rows, left_out = parquet_table(path, content)
        said = [f"{path.name}: columns of bytes or objects are not read: {listed(left_out)}"] * bool(left_out)
        return Table(path, header, rows, tuple(said))
    text, encoding = read_text(path, limits, json=True)
    said = [f"encoded in {encoding}"] if encoding else []
    if is_json(text):
        header, rows, what = json_table(path, text, required)
        _require(path, required, header, way_out)
        return Table(path, header, rows, (f"{path.name} is read as {' and '.join([what, *said])}",))
    text, separator, more = _begun(text, required)
    lines = _unwrapped(_lines(path, text, separator, more, header_only=header_only), separator, more)
    titles = next((n for n, line in enumerate(lines[:_TITLE_LINES]) if _may_be_header(line, required)), 0)
    if titles:
        more.append(f"beginning after {', '.join(repr(cell) for line in lines[:titles] for cell in line if cell)}")
    header, rows = ([trimmed(name) for name in lines[titles]], lines[titles + 1 :]) if lines else ([], [])
    if header[:1] and header[0].startswith("#"):
        header[0] = header[0].lstrip("# ")
    if not required:
        header, rows = _with_one_header(header, rows)
    if required and not any(header):
        raise BadInputError(
            f"{path} is empty: it needs a line that names its columns ({', '.join(required)}, ...), and one for each clip."
        )
    _require(path, required, header, way_out)
    if rows and all(len(row) == len(header) + 1 and row[0].isdigit() for row in rows) and any(map(is_audio, rows[0])):
        header = ["", *header]
        more.append("with the number of each row before it, as R writes")
    header, even, uneven = _evened(header, rows, separator)
    if required and uneven:
        in_quotes = (
            f" Put names and labels that hold {separator!r} in quotes." if max(map(len, rows)) > len(header) else ""
        )
        raise BadInputError(f"{path}: every row needs {len(header)} cells, as the header has.{in_quotes}", uneven)
    said += more
    return Table(path, header, even, (f"{path.name} is read as {' and '.join(said)}",) if said else (), tuple(uneven))


def _begun(text: str, required: Sequence[str]) -> tuple[str, str, list[str]]:
    """A table's text from its header on, what separates its cells, and in words what that says of it."""
    said = []
    text = text.removesuffix("\x1a")  # the end of a file, in DOS
    if (end := re.search("[\x85\u2028\u2029]", text)) and not re.search(r"[\r\n]", text):
        text = text.replace(end[0], "\n")
        said.append(f"lines ended by U+{ord(end[0]):04X}")
    text, of_markdown = _without_markdown(text)
    said += of_markdown
    declared = re.match(r'"?sep=(.)"?[ \t]*(?:\r\n?|\n)', text, re.IGNORECASE)
    if declared:
        text = text[declared.end() :]
    comments = re.match(r"(?:[ \t]*#(?![^\r\n]*\bfname\b)[^\r\n]*(?:\r\n?|\n))+", text)
    if comments:
        text = text[comments.end() :]
        last = comments[0].splitlines()[-1].strip(" \t#")
        following = next(csv.reader([re.split(r"[\r\n]", text[:100_000])[0]], skipinitialspace=True), [])
        has_numbers = any(re.fullmatch(r"[\d.]+", cell) for cell in following)  # as no header has
        if has_numbers and last.count(",") == len(following) - 1 > 0:  # it names the columns, as in AudioSet
            text = f"{last}\n{text}"
        said.append(f"beginning after {len(comments[0].splitlines())} lines with #")
    is_of_r = re.match(r'"[^"\r\n]*"( "[^"\r\n]*")+\r?\n', text) is not None
    separator = declared[1] if declared else " " if is_of_r else _separator(text, required)
    if declared or separator != ",":
        first_line = " (its first line)" if declared else ""
        said.insert(0, f"separated by {_NAMES.get(separator, repr(separator))}{first_line}")
    if "\r" in text and "\n" not in text:
        said.append("lines ended by CR")
    return text, separator, said


def _without_markdown(text: str) -> tuple[str, list[str]]:
    """A table in Markdown without the text above it, the lines of dashes and the bars around rows, and in words what it was;
    another text as it is."""
    if "─" in text[:1000] or "━" in text[:1000]:
        text = text.translate(_DRAWN)
    if not re.search(r"[\r\n][ \t:|+=-]+([\r\n]|\Z)", text[:100_000]):
        return text, []
    lines = [line.strip() for line in re.split(r"\r\n?|\n", text) if line.strip()]
    lines = lines[_RULE.fullmatch(lines[0]) is not None :]
    above = pairwise(lines[: _TITLE_LINES + 2])
    rules = (n for n, (line, below) in enumerate(above) if "|" in line and _RULE.fullmatch(below))
    if (start := next(rules, None)) is None:
        return text, []
    rows = ["|".join(_markdown_cells(line)) for line in lines[start:] if not _RULE.fullmatch(line)]
    titles = [f"beginning after {', '.join(map(repr, lines[:start]))}"] if start else []
    return "\n".join(rows), ["a table in Markdown", *titles]


def _markdown_cells(line: str) -> list[str]:
    """The cells of a row, in quotes where they hold bars; without backquotes and asterisks around them."""
    cells = re.split(r"(?<!\\)\|", re.sub(r"(?<!\\)\|$", "", line.removeprefix("|")))
    inside = [re.sub(r"^(`+|\*+)(.+)\1$", r"\2", cell.strip()).replace(r"\|", "|") for cell in cells]
    return ['"' + cell.replace('"', '""') + '"' if "|" in cell else cell for cell in inside]


def _require(path: Path, required: Sequence[str], header: Sequence[str], way_out: str) -> None:
    """Refuse a table that lacks one of the columns."""
    if missing := [name for name in required if name not in header]:
        if any(map(is_audio, header)):
            way_out = f"It has no header: write {','.join([*required, 'labels'])} above the first row. {way_out}"
        if alike := {own: name for own in header if (name := re.sub(r"[\W_]", "", own).lower()) in missing}:
            way_out = f"Rename {', '.join(f'{own!r} to {name!r}' for own, name in alike.items())}."
        raise missing_columns(path, missing, header, _separated_by(header, required) or way_out)


def missing_columns(path: Path, missing: Sequence[str], header: Sequence[str], way_out: str) -> BadInputError:
    """The error for columns that are not there."""
    return BadInputError(f"{path}: no column {', '.join(missing)}; its columns are {', '.join(header)}. {way_out}")


def _separated_by(header: Sequence[str], required: Sequence[str]) -> str | None:
    """What to do where the columns are there, but separated by another character than those of `_SEPARATORS`."""
    found = re.search(rf"{re.escape(required[0])}(\W)", header[0]) if len(header) == 1 and required else None
    if found and found[1] == " " and "  " in header[0]:
        return "They are separated by blanks: write one comma instead of them in every row."
    return found and f"They are separated by {found[1]!r}: write sep={found[1]} into a line above them."


def _separator(text: str, required: Sequence[str]) -> str:
    """What the header is cut at: where the required columns come out, or else most columns."""
    lines = [found[0] for found in islice(re.finditer(r"[^\r\n]*[^\s][^\r\n]*", text), _TITLE_LINES)] or [""]
    for line, one in product(lines if required else (), _SEPARATORS):
        if {*required} <= {name.strip(' "#') for name in line.split(one)}:
            return one
    return max(_SEPARATORS, key=lambda one: lines[0].count(one))


def _lines(path: Path, text: str, separator: str, said: list[str], *, header_only: bool) -> list[list[str]]:
    """The rows that hold anything; what they are read as is added to `said`."""
    blanks = f'{separator} "' in text  # before quotes, as in the tables of AudioSet
    header = next((line.strip() for line in text[:100_000].splitlines() if line.strip()), "")
    quote = "'" if re.fullmatch(rf"'[^']*'({re.escape(separator)}'[^']*')+", header) else '"'
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, strict=True, skipinitialspace=blanks
    )
    lines: list[list[str]] = []
    begun = 1
    try:
        for line in reader:
            if separator == "\t" and any("\t" in cell and "\n" in cell for cell in line):
                raise csv.Error("quotes join lines")
            begun = reader.line_num + 1
            if any(cell.strip() for cell in line):
                lines.append(line)
                if header_only:
                    break
    except csv.Error as error:
        if separator == "\t":  # quotes in sentences, as in Common Voice
            said.append("with quotes as parts of the cells")
            return [line.split(separator) for line in re.split(r"\r\n?|\n", text) if line.strip()]
        reason = 'a quote (") is opened and not closed' if "end of data" in str(error) else str(error)
        raise BadInputError(
            f"{path} is not a CSV file that can be read: from line {begun} on, {reason}. Correct that line; a quote inside "
            'quotes is written twice ("").'
        ) from error
    if damaged := [f"row {n}, {line[0]!r}" for n, line in enumerate(lines) if "\0" in "".join(line)]:
        raise BadInputError(
            f"{path} is not a CSV file that can be read: NUL characters, as in a file that was not written to its end. "
            "Remove them, or export the table again.",
            damaged,
        )
    return lines


def _unwrapped(lines: list[list[str]], separator: str, said: list[str]) -> list[list[str]]:
    """The rows without what some programs write around them or their cells; what that is is added to `said`."""
    whole = [
        n
        for n, line in enumerate(lines)
        if len(line) == 1 and separator in line[0] and not re.search(r"[\r\n]", line[0])
    ]
    if whole and (whole[0] == 0 or len(lines[0]) > 1):
        said.append(f"made of rows in quotes as a whole ({len(whole)})")
        for n in whole:
            lines[n] = next(csv.reader(lines[n], delimiter=separator))
    if any(cell.startswith('="') for line in lines[:2] for cell in line):
        said.append('made of formulas, ="..."')
        lines = [[re.sub(r'^="(.*)"$', r"\1", cell) for cell in line] for line in lines]
    if lines and all(len(line) == 1 and is_audio(line[0].split(" ")[0]) and " " in line[0].strip() for line in lines):
        said.append("separated by the first blank")
        lines = [line[0].strip().split(None, 1) for line in lines]
    return lines


def _may_be_header(line: Sequence[str], required: Sequence[str]) -> bool:
    return {*required} <= {*map(trimmed, line)} if required else sum(map(bool, map(str.strip, line))) > 1


def _with_one_header(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows where the header has several rows, as pandas writes them and FMA has them."""
    last = next((n for n, row in enumerate(rows[:4]) if row[0]), 0)
    if not last or header[0] or any(rows[last][1:]):
        return header, rows
    names = zip(header, *rows[: last + 1], strict=False)
    return [" ".join(filter(None, parts)) for parts in names], rows[last + 1 :]


def _evened(header: list[str], rows: list[list[str]], separator: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Header and rows without empty columns at the end, and the rows of another length in words.

    What follows the last column is also of it where that is of labels and tabs are between, as in MTG-Jamendo.
    """
    width = len(header)
    if separator == "\t" and re.fullmatch(r"labels?|tags?", header[-1] if header else "", re.IGNORECASE):
        rows = [
            [*row[: width - 1], "\t".join(row[width - 1 :]).rstrip("\t")] if len(row) > width else row for row in rows
        ]
    while width and not header[width - 1] and not any("".join(row[width - 1 :]).strip() for row in rows):
        width -= 1
    padded = width < len(header) or all(len(row) > width for row in rows)
    even, uneven = [], []
    for number, row in enumerate(rows, start=1):
        if len(row) == width or (padded and len(row) > width and not "".join(row[width:]).strip()):
            even.append(row[:width])
        else:
            uneven.append(f"row {number}, {row[0]!r}: {len(row)} cells")
    return header[:width], even, uneven
