"""A table that somebody wrote: a CSV file in any usual encoding and dialect.

Plain is UTF-8 and commas. Whatever else a file is read as is noted in `Table.notes`; a file that cannot be read is refused
with the reason and what to do.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

from fa_assets.errors import BadInputError
from fa_assets.intake.names import is_audio, trimmed
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
    b"SQLite format 3": "an SQLite database: export the table as CSV",
    b"\x93NUMPY": "a NumPy array: write it as CSV",
    b"\x80\x04\x95": "a Python pickle: write it as CSV",
    b"%PDF": "a PDF: export the table as CSV",
    b"{\\rtf": "a text document (RTF): save it as plain text",
    b"/annex/objects/": "a git-annex pointer, not the file itself: run `git annex get`",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: run `git lfs pull`",
    b"<": "a web page or XML: the download failed, fetch the file again",
    b"{": "JSON: export it as CSV",
    b"[{": "JSON: export it as CSV",
}
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_ELSEWHERE = (
    *("windows-1250", "windows-1251", "windows-1253", "windows-1254", "iso8859-15", "mac-roman", "cp850"),
    *("gb18030", "shift_jis", "euc-kr", "euc-jp", "big5"),
)
_LETTER = r"[À-ÖØ-öø-ÿŒœŠšŽžŸƒˆ]"
_ODD_IN_THE_WEST = re.compile(
    rf"{_LETTER}{{3}}|(?<![\w’]){_LETTER}{{2}}(?!\w)|[ƒˆ„†‡‰‹›˜¢¤¥¦¨¬¯´¸¶]|[^\x00-\x7f][°±²³¹¼½¾¿¡ªº]"
    r"|(?<![0-9A-Za-z])[±²³¹ªº]|[a-z][À-ÖØ-ÞŒŠŽŸ¼½¾]|[A-Za-z]{3}[²³¹]|[£¼½¾][A-Za-zœ]|µ[a-z]{3}"
)
"""What Windows-1252 makes of Cyrillic, Chinese and the like: letters in a row, or alone, and signs inside of words."""
_UNUSUAL = re.compile(r"[^\x00-\x7fäöüÄÖÜßéèêàâçñáíóúå’]")
"""What may be another letter in the encodings of Eastern Europe and Turkey."""
_DAMAGED = re.compile(rb"[\xc2-\xf4][\x80-\xbf]|[\x81\x8d\x8f\x90\x9d]")
"""What looks like damaged UTF-8, and what is not in Windows-1252."""
_TITLE_LINES = 20
"""Lines among which the header is."""
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
    text, separator, more = _begun(text, required)
    lines = _lines(path, text, separator, more, header_only=header_only)
    whole = [
        n
        for n, line in enumerate(lines)
        if len(line) == 1 and separator in line[0] and not re.search(r"[\r\n]", line[0])
    ]
    if whole and (whole[0] == 0 or len(lines[0]) > 1):
        more.append(f"made of rows in quotes as a whole ({len(whole)})")
        for n in whole:
            lines[n] = next(csv.reader(lines[n], delimiter=separator))
    titles = next((n for n, line in enumerate(lines[:_TITLE_LINES]) if _may_be_header(line, required)), 0)
    if titles:
        more.append(f"beginning after {', '.join(repr(cell) for line in lines[:titles] for cell in line if cell)}")
    header, rows = ([trimmed(name) for name in lines[titles]], lines[titles + 1 :]) if lines else ([], [])
    if header[:1] and header[0].startswith("#"):
        header[0] = header[0].lstrip("# ")
    if not required:
        header, rows = _with_one_header(header, rows)
    if required and not any(header):
        columns = ", ".join(required)
        raise BadInputError(
            f"{path} is empty: it needs a line that names its columns ({columns}, ...), and one for each clip."
        )
    if missing := [name for name in required if name not in header]:
        if any(map(is_audio, header)):
            way_out = f"It has no header: write {','.join([*required, 'labels'])} above the first row. {way_out}"
        raise missing_columns(path, missing, header, _separated_by(header, required) or way_out)
    header, even, uneven = _evened(header, rows, separator)
    if required and uneven:
        in_quotes = f" Put labels that hold {separator!r} in quotes." if max(map(len, rows)) > len(header) else ""
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
    separator = declared[1] if declared else _separator(text, required)
    if declared or separator != ",":
        first_line = " (its first line)" if declared else ""
        said.insert(0, f"separated by {_SEPARATORS.get(separator, repr(separator))}{first_line}")
    if "\r" in text and "\n" not in text:
        said.append("lines ended by CR")
    return text, separator, said


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
    if encoding is None and len(content) > 3 and 0 in content[:4]:  # of ASCII the other bytes are 0
        encoding = {b"\0\0\0": "utf-32-be", b"\0": "utf-16-be"}.get(content[: 1 if content[1] else 3])
        encoding = encoding or ("utf-32-le" if content[1:4] == b"\0\0\0" else "utf-16-le" if content[1] == 0 else None)
    try:
        text = content.decode(encoding or "utf-8")
        return text, None if encoding in (None, "utf-8-sig") else str(encoding).upper()
    except UnicodeError as error:
        begin = error.start if isinstance(error, UnicodeDecodeError) else 0
        if encoding is None and not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", content):
            return _of_windows_1252(path, content, begin)
        raise _damaged(path, content, begin) from error


def _damaged(path: Path, content: bytes, begin: int, readings: str = "") -> BadInputError:
    return BadInputError(
        f"{path} is not a CSV file that can be read: neither UTF-8 (line {content.count(bytes([10]), 0, begin) + 1}) nor "
        f"Latin-1, but damaged or of another encoding{readings}; {_AS_UTF8}."
    )


def _of_windows_1252(path: Path, content: bytes, begin: int) -> tuple[str, str]:
    """The text and its encoding in words, with how its odd words read in others.

    Args:
        begin: where it is not UTF-8.

    Raises:
        BadInputError: it is damaged, or makes no sense in Windows-1252.
    """
    if _DAMAGED.search(content):
        raise _damaged(path, content, begin, f": {_readings(_word_at(content, begin))}")
    text = content.decode("cp1252")
    if odd := _ODD_IN_THE_WEST.search(text):
        raise BadInputError(
            f"{path} is not UTF-8, and which encoding it has cannot be told: {_readings(_word_at(content, odd.start()))}. "
            f"Save it as UTF-8, or with the right one `iconv -f ENCODING -t utf-8 {path.name} > NEW`."
        )
    places = (found.start() for found in re.finditer(r"[^\x00-\x7f]+", text))
    words = sorted({_word_at(content, place): None for place in islice(places, 1000)}, key=_is_usual)
    sample = b" ".join(words[:3])
    others = "".join(f", or {other}" for other in _readings(sample).split(" in Windows-1252, ")[1:])
    return text, f"Windows-1252 (Latin-1), as in {sample.decode('cp1252')!r}{others} (if that looks wrong, {_AS_UTF8})"


def _is_usual(word: bytes) -> bool:
    return not _UNUSUAL.search(word.decode("cp1252"))


def _word_at(text: bytes, at: int) -> bytes:
    """What stands around a place, up to the next blank, separator or quote; of a long word 40 bytes to each side."""
    before, after = (re.split(rb"[\s,;|\"]", part) for part in (text[max(0, at - 40) : at], text[at : at + 40]))
    return before[-1] + after[0]


def _readings(word: bytes) -> str:
    """How a word reads in Windows-1252, and in the encodings in which it looks like one."""
    shown = {word.decode("cp1252", "replace"): "Windows-1252"}
    for name in _ELSEWHERE:
        with suppress(UnicodeDecodeError):
            text = word.decode(name)
            others = [one for one in text if not one.isascii()]
            is_latin = all(unicodedata.name(one, "").startswith("LATIN") for one in others)
            is_mixed = re.search(r"[A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]", text)
            if all(map(str.isalpha, others)) and (is_latin or not is_mixed):
                shown.setdefault(text, name)
    return ", ".join(f"{text!r} in {name}" for text, name in shown.items())


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
