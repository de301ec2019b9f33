"""The text of a table that somebody wrote, in whatever encoding.

Plain is UTF-8; another encoding is named, and what cannot be read is refused with the reason and what to do.
"""

import codecs
import re
import shlex
import unicodedata
from contextlib import suppress
from itertools import islice
from pathlib import Path

from fa_assets.errors import BadInputError
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
    b"PAR1": "a Parquet file: let its name end in .parquet",
    b"SQLite format 3": "an SQLite database: export the table as CSV",
    b"\x93NUMPY": "a NumPy array: write it as CSV",
    b"\x80\x04\x95": "a Python pickle: write it as CSV",
    b"%PDF": "a PDF: export the table as CSV",
    b"{\\rtf": "a text document (RTF): save it as plain text",
    b"/annex/objects/": "a git-annex pointer, not the file itself: run `git annex get`",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: run `git lfs pull`",
    b"<": "a web page or XML: the download failed, fetch the file again",
}
_JSON = {b"{": "JSON: write plain text", b"[{": "JSON: write plain text"}
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
_AS_UTF8 = "save it as UTF-8 ('CSV UTF-8' in Excel)"


def read_text(path: Path, limits: Limits = USUAL_LIMITS, *, json: bool = False) -> tuple[str, str | None]:
    """A text file, and its encoding in words where that is not UTF-8.

    Args:
        json: whether it may be JSON.

    Raises:
        SourceFileError: it cannot be read.
        BadInputError: it is not text, or not of that kind.
    """
    content = read_bytes(path, limits)
    for start, what in (_OTHER_FILES if json else {**_OTHER_FILES, **_JSON}).items():
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
            f"Save it as UTF-8, or with the right one `iconv -f ENCODING -t utf-8 {shlex.quote(str(path))} > NEW`."
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
