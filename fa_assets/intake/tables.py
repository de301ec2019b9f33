"""A table that somebody wrote: a CSV file in any usual encoding and dialect.

Plain is UTF-8 and commas. Whatever else a file is read as is noted in `Table.notes`; a file that cannot be read is refused
with the reason and what to do.
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fa_assets.errors import BadInputError
from fa_assets.intake.names import trimmed
from fa_assets.store.source_files import USUAL_LIMITS, Limits, read_bytes

_BOMS = {  # that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive, such as an Excel workbook: export the table as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: export the table as CSV UTF-8",
    b"\x1f\x8b": "compressed: unpack it with gunzip",
    b"PAR1": "a Parquet file: export it as CSV",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: run `git lfs pull`",
    b"<": "a web page or XML: the download failed, fetch the file again",
    b"{": "JSON: export it as CSV",
    b"[{": "JSON: export it as CSV",
}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_ELSEWHERE = ("windows-1251", "windows-1253", "gb18030", "shift_jis", "euc-kr", "big5")
_LETTER = r"[À-ÖØ-öø-ÿŒœŠšŽžŸƒˆ]"
_ODD_IN_THE_WEST = re.compile(
    rf"{_LETTER}{{3}}|(?<![\w’]){_LETTER}{{2}}(?!\w)|[ƒˆ„†‡‰‹›˜¢¤¥¦¨¬¯´¸¶]|[^\x00-\x7f][°±²³¹¼½¾¿¡ªº]"
    r"|(?<![0-9A-Za-z])[±²³¹ªº]"
)
"""What Windows-1252 makes of Cyrillic, Chinese and the like: letters in a row, or alone, and signs inside of words."""
_AS_UTF8 = "save it as UTF-8 ('CSV UTF-8' in Excel)"


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
    """Read a CSV file with a header; rows without any content are left out.

    Args:
        required: columns that it must have.
        limits: how large it may be.
        way_out: what to do where it lacks one, a sentence for the error.

    Raises:
        SourceFileError: it cannot be read.
        BadInputError: not text, an unknown encoding, not CSV, NUL characters, a required column missing; where columns are
            required, also rows of another length. All offenders are named.
    """
    text, encoding = read_text(path, limits)
    said = [f"encoded in {encoding}"] if encoding else []
    declared = re.match(r'"?sep=(.)"?[ \t]*(?:\r\n?|\n)', text, re.IGNORECASE)
    if declared:
        text = text[declared.end() :]
    separator = declared[1] if declared else _separator(text, required)
    if declared or separator != ",":
        first_line = " (its first line)" if declared else ""
        said.append(f"separated by {_SEPARATORS.get(separator, repr(separator))}{first_line}")
    if "\r" in text and "\n" not in text:
        said.append("lines ended by CR")
    comments = re.match(r"(?:[ \t]*#(?![^\r\n]*\bfname\b)[^\r\n]*(?:\r\n?|\n))+", text)
    if comments:
        text = text[comments.end() :]
        last = comments[0].splitlines()[-1].strip(" \t#")
        following = next(csv.reader([text.partition("\n")[0]], skipinitialspace=True), [])
        has_numbers = any(re.fullmatch(r"[\d.]+", cell) for cell in following)  # as no header has
        if has_numbers and last.count(",") == len(following) - 1 > 0:  # it names the columns, as in AudioSet
            text = f"{last}\n{text}"
        separator = declared[1] if declared else _separator(text, required)
        said.append(f"beginning after {len(comments[0].splitlines())} lines with #")
    lines = _lines(path, text, separator, header_only=header_only)
    header, rows = ([trimmed(name) for name in lines[0]], lines[1:]) if lines else ([], [])
    if required and not any(header):
        columns = ", ".join(required)
        raise BadInputError(
            f"{path} is empty: it needs a line that names its columns ({columns}, ...), and one for each clip."
        )
    if missing := [name for name in required if name not in header]:
        raise missing_columns(path, missing, header, _separated_by(header, required) or way_out)
    header, even, uneven = _evened(header, rows)
    if required and uneven:
        raise BadInputError(
            f"{path}: every row needs {len(header)} cells, as the header has. Put labels that hold {separator!r} in quotes.",
            uneven,
        )
    return Table(path, header, even, (f"{path.name} is read as {' and '.join(said)}",) if said else (), tuple(uneven))


def missing_columns(path: Path, missing: Sequence[str], header: Sequence[str], way_out: str) -> BadInputError:
    """The error for columns that are not there."""
    return BadInputError(f"{path}: no column {', '.join(missing)}; its columns are {', '.join(header)}. {way_out}")


def _separated_by(header: Sequence[str], required: Sequence[str]) -> str | None:
    """What to do where the columns are there, but separated by another character than those of `_SEPARATORS`."""
    found = re.search(rf"{re.escape(required[0])}(\W)", header[0]) if len(header) == 1 and required else None
    if found and found[1] == " " and "  " in header[0]:
        return "They are separated by blanks: write one comma instead of them in every row."
    return found and f"They are separated by {found[1]!r}: write sep={found[1]} into a line above them."


def read_text(path: Path, limits: Limits = USUAL_LIMITS) -> tuple[str, str | None]:
    """A text file, and its encoding in words where that is not UTF-8.

    Raises:
        SourceFileError: it cannot be read.
        BadInputError: it is not text.
    """
    content = read_bytes(path, limits)
    for start, what in _OTHER_FILES.items():
        if content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(start):
            raise BadInputError(f"{path} is not a CSV file that can be read: it is {what}.")
    encoding = next((name for bom, name in _BOMS.items() if content.startswith(bom)), None)
    if encoding is None and len(content) > 1 and (content[0] == 0) != (content[1] == 0):
        encoding = "utf-16-le" if content[1] == 0 else "utf-16-be"  # of ASCII every other byte is 0
    try:
        text = content.decode(encoding or "utf-8")
        return text, None if encoding in (None, "utf-8-sig") else str(encoding).upper()
    except UnicodeError as error:
        if encoding is None and (text := _as_windows_1252(content) or ""):
            if odd := _ODD_IN_THE_WEST.search(text):
                raise _of_another_encoding(path, _word_at(text, odd.start())) from error
            sample = _word_at(text, next(place for place, letter in enumerate(text) if not letter.isascii()))
            return text, f"Windows-1252 (Latin-1), as in {sample!r}; {_AS_UTF8} if that looks wrong"
        line = content.count(b"\n", 0, error.start) + 1 if isinstance(error, UnicodeDecodeError) else 1
        raise BadInputError(
            f"{path} is not a CSV file that can be read: neither UTF-8 (line {line}) nor Latin-1, but damaged or of another "
            f"encoding; {_AS_UTF8}."
        ) from error


def _word_at(text: str, at: int) -> str:
    """What stands around a place, up to the next blank, separator or quote; of a long word 40 characters to each side."""
    before, after = (re.split(r"[\s,;|\"]", part) for part in (text[max(0, at - 40) : at], text[at : at + 40]))
    return before[-1] + after[0]


def _as_windows_1252(content: bytes) -> str | None:
    """The text, unless it holds control characters or what looks like damaged UTF-8."""
    if re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\xc2-\xf4][\x80-\xbf]", content):
        return None
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return None


def _of_another_encoding(path: Path, sample: str) -> BadInputError:
    """The error for text that makes no sense in Windows-1252: how a piece of it reads in others."""
    shown = [f"{sample!r} in Windows-1252"]
    for name in _ELSEWHERE:
        with suppress(UnicodeDecodeError):
            shown.append(f"{sample.encode('cp1252').decode(name)!r} in {name}")
    return BadInputError(
        f"{path} is not UTF-8, and which encoding it has cannot be told: {', '.join(shown)}. Save it as UTF-8, or "
        f"with the right one `iconv -f ENCODING -t utf-8 {path.name} > NEW`."
    )


def _separator(text: str, required: Sequence[str]) -> str:
    """What the header is cut at: where the required columns come out, or else most columns."""
    line = next((line for line in re.split(r"[\r\n]+", text) if line.strip()), "")
    names = {one: [name.strip(' "') for name in line.split(one)] for one in _SEPARATORS}
    fitting = [one for one in _SEPARATORS if required and set(required) <= set(names[one])]
    return (fitting or sorted(_SEPARATORS, key=lambda one: -len(names[one])))[0]


def _lines(path: Path, text: str, separator: str, *, header_only: bool) -> list[list[str]]:
    blanks = f'{separator} "' in text  # before quotes, as in the tables of AudioSet
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=blanks)
    lines: list[list[str]] = []
    begun = 1
    try:
        for line in reader:
            begun = reader.line_num + 1
            if any(cell.strip() for cell in line):
                lines.append(line)
                if header_only:
                    break
    except csv.Error as error:
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


def _evened(header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]], list[str]]:
    """Header and rows without empty columns at the end, and the rows of another length in words."""
    width = len(header)
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
