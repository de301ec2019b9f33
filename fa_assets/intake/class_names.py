"""Class names that look like mistakes of a table. They are only named: who made the table knows whether they are."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from fa_assets.intake.names import INVISIBLE, listed

_SAME_LOOK = str.maketrans("АВЕКМНОРСТХаеорсухіЅѕјΑΒΕΖΗΙΚΜΝΟΡΤΥΧο’‘‐‑–—", "ABEKMHOPCTXaeopcyxiSsjABEZHIKMNOPTYXo''----")
"""Letters of Cyrillic and Greek, apostrophes and hyphens beside those of ASCII that look the same."""
_JOINED_BY = (",", "+", "/", "&", "&&", r"\n", r"\t", "\\", "|", "~", ":", "#", " and ", " ")
_SIGN = re.compile(r"<\w+ ?/?>|\\[nt]|\s*[^\w\s]+\s*|_+|\s+(\w{1,3}\s+)?")
"""Signs, blanks or a short word between names."""
_PLACEHOLDERS = frozenset(
    (
        *(
            "nan",
            "none",
            "null",
            "nil",
            "na",
            "n/a",
            "<na>",
            "nat",
            ".",
            "#n/a",
            "#name?",
            "?",
            "??",
            "-",
            "--",
            "_",
            "unknown",
            "undefined",
        ),
        *("missing", "unlabeled", "unlabelled", "not labeled", "not labelled", "no label", "tbd", "todo", "xxx"),
    )
)
_LIKE_LATIN = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GEORGIAN", "DESERET"})
"""First words of the names of letters that look like Latin ones."""
_IS_VECTOR = re.compile(r"[01](\s+[01])+")
_FEWEST = 2
"""Clips that two labels must share before they count as always together."""


def filled(cells: Iterable[str], column: str) -> tuple[list[str], list[str]]:
    """The cells of a column without blanks around them, empty where they only stand for nothing, as NaN; and a note of those.

    Labels are never taken so: a class may be called 'None' (see `doubtful_names`).
    """
    found = [cell.strip() for cell in cells]
    nothing = [cell for cell in found if _stands_for_nothing(cell)]
    notes = (
        [f"{column!r} is taken as empty in {len(nothing)} rows, which hold {listed(sorted({*nothing}))}"]
        if nothing
        else []
    )
    return ["" if _stands_for_nothing(cell) else cell for cell in found], notes


def doubtful_names(labels: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Class names, in quotes, and what is odd about them.

    Args:
        labels: of each clip, in the order of its cell.
    """
    counts = Counter(label for own in labels for label in own)
    names = sorted(counts)
    found = [(ascii(name), "holds characters that cannot be seen") for name in names if _has_invisible(name)]
    found += [(repr(name), "looks like a part of a list or of a program") for name in names if _is_cut(name)]
    found += [
        (repr(name), "looks like what stands for a missing label: if it does, leave those rows out")
        for name in names
        if _stands_for_nothing(name)
    ]
    found += [
        (
            repr(name),
            "looks like a row of a table of 0 and 1: write the names of the classes, or a column for each class",
        )
        for name in names
        if _IS_VECTOR.fullmatch(name)
    ]
    found += [(repr(name), f"has letters of several alphabets in one word: {name!a}") for name in names if _mixes(name)]
    found += [(repr(name), "looks like UTF-8 that was read as another encoding") for name in names if _is_garbled(name)]
    found += [
        (repr(name), f"is {other!r} in GBK: if that is the name, save the table as UTF-8")
        for name in names
        if (other := _in_gbk(name))
    ]
    found += [
        (repr(name), "ends with a number: if that says how sure it is, leave it out")
        for name in names
        if re.search(r"\w\s*([:=]\s*[01]?[.,]?\d+%?|\(([01]?[.,]\d+|\d+ ?%)\))$", name)
    ]
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_as_seen(name), []).append(name)
    differ = (
        "differ by case, blanks, hyphens, dots or marks, zeros of a number, Unicode form, letters that look the same, or ones "
        "that cannot be seen"
    )
    found += [(_shown(same), differ) for same in alike.values() if len(same) > 1]
    for parts in _cut_at_commas(labels, counts):
        one = f"never stand alone: if they are one name, put {', '.join(parts)!r} into classes.txt"
        found.append((_shown(parts), one))
    joined: dict[str, str] = {}
    for separator in _JOINED_BY:
        for name, what in _joined(names, separator):
            joined.setdefault(name, what)
    found += joined.items()
    said = {name for name, _ in found}
    for name in names:
        if repr(name) not in said and (between := _between(name, counts)):
            found.append((repr(name), _is_made_of(name.split(between), between)))
    return found


def _cut_at_commas(labels: Sequence[Sequence[str]], counts: Mapping[str, int]) -> list[list[str]]:
    """Labels that follow one another and never stand alone, as the parts of one name do that was cut at its commas: always the
    two, or begun by a capital letter and gone on without, as in "Inside, small room"."""
    together = Counter(pair for own in labels for pair in pairwise(own))
    alone = {own[0] for own in labels if len(own) == 1}
    tails = {
        (first, second)
        for own in labels
        if own[:1] and own[0][:1].isupper()
        for first, second in pairwise(own)
        if second[:1].islower() and first not in alone
    }
    pairs = [
        (first, second)
        for (first, second), count in sorted(together.items())
        if count == counts[second] and ((_FEWEST <= count == counts[first]) or (first, second) in tails)
    ]
    after: dict[str, list[str]] = {}
    for first, second in pairs:
        after.setdefault(first, []).append(second)
    found, followers = [], {second for _, second in pairs}
    for first, second in pairs:
        if first not in followers or len(after[first]) > 1:
            parts = [first, second]
            while len(following := after.get(parts[-1], [])) == 1 and following[0] not in parts:
                parts += following
            found.append(parts)
    return found


def _joined(names: Sequence[str], separator: str) -> list[tuple[str, str]]:
    """Names that look like several labels with a separator between: each part is a name, or a part of other names too."""
    joined = (name for name in names if separator in name and not _IS_VECTOR.fullmatch(name))
    every = {name: [part.strip() for part in name.strip(separator).split(separator)] for name in joined}
    parts_of = {name: parts for name, parts in every.items() if len(parts) > 1 and "" not in parts}
    places: dict[str, dict[str, int]] = {}
    for name, parts in parts_of.items():
        for place, part in enumerate(parts):
            places.setdefault(part, {})[name] = place
    found, held, phrases = [], [], []
    for name, parts in parts_of.items():
        are_names = all(part in names for part in parts) or (
            separator[0] in "+/&\\|~" and any(part in names for part in parts)
        )
        recur = all(len(places[part]) > 1 for part in parts)
        move = any(len(set(places[part].values())) > 1 for part in parts)  # as words of a name do not
        if recur and not are_names and separator == " " and move and not set(parts) & set(names):
            phrases.append((repr(name), _is_made_of(parts, separator)))
        elif are_names or (recur and separator != " "):
            found.append((repr(name), _is_made_of(parts, separator)))
        elif separator in ":#" and all(re.fullmatch(r"\w[\w ]{2,}", part) for part in parts):
            held.append(name)
    if 2 * len(phrases) > len(parts_of):  # a few are names as 'Electric guitar' beside 'Bass guitar', 'Electric piano'
        found += phrases
    if held:
        if_so = f"if that separates labels, set FA_LABEL_SEPARATOR to {separator!r}"
        found.append((listed(held), f"hold {separator!r}: {if_so}"))
    return found


def _is_made_of(parts: Sequence[str], separator: str) -> str:
    return f"is made of {_shown(parts)}: separate labels by ',', or set FA_LABEL_SEPARATOR to '{separator}'"


def _between(name: str, names: Collection[str]) -> str | None:
    """What stands between the other names that a name is made of; None where it is not made of such."""
    for end in range(1, len(name)) if not re.fullmatch(r"[-+]?\d+[.,]\d+", name) else ():
        sign = _SIGN.match(name, end) if name[:end] in names else None
        if sign and all(part in names for part in name.split(sign[0])):
            return sign[0]
    return None


def _has_invisible(name: str) -> bool:
    return any(
        _is_invisible(one) or (one != " " and unicodedata.category(one) in ("Zs", "Zl", "Zp", "Cc")) for one in name
    )


def _is_invisible(letter: str) -> bool:
    return letter in INVISIBLE or unicodedata.category(letter) == "Cf"


def _mixes(name: str) -> bool:
    """Whether a word has Latin letters and such of an alphabet that is not written beside them."""
    alphabets = [{unicodedata.name(one, "").split(" ")[0] for one in word} for word in re.findall(r"[^\W\d_]+", name)]
    return any("LATIN" in own and own & _LIKE_LATIN for own in alphabets)


def _is_garbled(name: str) -> bool:
    if "\ufffd" in name:
        return True
    try:
        if re.search(r"\+[A-Za-z0-9/]{2,}-", name):
            return not name.encode().decode("utf-7").isascii()
        return not name.isascii() and bool(name.encode("cp1252").decode())
    except UnicodeError:
        return False


def _in_gbk(name: str) -> str | None:
    """What a name of one or two letters with accents is, where the table was no UTF-8 and looked like it."""
    if not re.fullmatch(r"[À-ÖØ-öø-ÿ]{1,2}", name):
        return None
    try:
        return name.encode().decode("gbk")
    except UnicodeError:
        return None


def _is_cut(name: str) -> bool:
    is_code = re.match(r"[bru]?[\"'\u201c\u201d\u201e\u2018\u00ab]|[\[{].*[\"']", name) is not None
    is_code = (
        is_code or re.search(r"&(amp|lt|gt|quot|apos|nbsp|#\d+)$", name) is not None
    )  # of HTML, cut at its semicolon
    return is_code or any(name.count(one[0]) != name.count(one[1]) for one in ("()", "[]", "{}"))


def _as_seen(name: str) -> str:
    """Names that a reader takes for one are equal."""
    name = unicodedata.normalize("NFKC", "".join(one for one in name if not _is_invisible(one))).translate(_SAME_LOOK)
    if re.fullmatch(r"0*\d+(\.0+)?", name):
        return name.partition(".")[0].lstrip("0")
    return re.sub(r"[\s_.?!*-]+", " ", name).strip().casefold()


def _shown(names: Iterable[str]) -> str:
    listed = list(names)
    looks = {unicodedata.normalize("NFC", name) for name in listed}
    return ", ".join(map(repr if len(looks) == len(listed) else ascii, listed))


def _stands_for_nothing(cell: str) -> bool:
    return cell.casefold() in _PLACEHOLDERS or re.fullmatch(r"#[A-Z0-9/]+[!?]", cell) is not None
