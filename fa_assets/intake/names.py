"""Names of clips in tables, beside the names of the files that are there.

A name is a path relative to the folder of clips, with `/`. Names that differ from a file's only by what other programs and
systems change on the way (`_STEPS`) are found by `NameIndex`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "snd", "caf", "w64", "rf64"),
        *(
            "m4a",
            "m4b",
            "mp4",
            "aac",
            "wma",
            "webm",
            "weba",
            "wv",
            "mka",
            "mkv",
            "mov",
            "3gp",
            "amr",
            "ac3",
            "ape",
            "tta",
            "mp2",
            "spx",
        ),
    )
)
"""How names of audio files end."""
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
"""Characters without width, which editors and web pages leave in names."""
_NOTHING = dict.fromkeys(map(ord, INVISIBLE))
SHARE = re.compile(
    r"(?<![^\W_])(?:(?P<train>train(?:ing)?)|(?P<test>test(?:ing)?)|(?P<eval>eval(?:uation)?|holdout)"
    r"|val(?:id(?:ation|ated)?)?|dev(?:elop(?:ment)?)?)(?:[ _-]?(?:set|data|audio|clips))?(?![^\W\d_])",
    re.IGNORECASE,
)
"""Names of the shares of a dataset, as validation_list.txt has one in it; which one, where it is of training or tests."""
_SHOWN = 5
_NEAR, _MOST_CANDIDATES = 0.84, 200
"""How alike names are (`difflib`) of which one may be a typing error; among how many it is looked for."""


def canonical(fname: str) -> str:
    """The one way to write a name: without `./` and `//`."""
    return str(PurePosixPath(fname)) if fname.strip() else fname


def bad_fnames(fnames: Sequence[str]) -> list[str]:
    """Names that are there twice, empty, absolute or lead out of the folder, in words."""
    offenders = [f"{name!r}: {n} rows" for name, n in Counter(fnames).items() if n > 1]
    for row, name in enumerate(fnames, start=1):
        if not name.strip():
            offenders.append(f"row {row}: an empty fname")
        elif re.fullmatch(r"\d[.,]\d+E\+\d+", name):
            offenders.append(f"row {row}, {name!r}: a number that a spreadsheet rounded; take the names from the files")
        elif _is_absolute(name):
            offenders.append(
                f"row {row}, {name!r}: an absolute path; name the clip relative to the folder, or set FA_MATCH_NAMES=loose"
            )
        elif climbs_out(name):
            offenders.append(f"row {row}, {name!r}: leads out of the folder; name the clip relative to the folder")
    return offenders


def _is_absolute(name: str) -> bool:
    return re.match(r"[/\\]|[A-Za-z]:", name) is not None


def climbs_out(name: str) -> bool:
    """Whether a name leads above where it begins."""
    return ".." in PurePosixPath(name).parts or ".." in PureWindowsPath(name).parts


def is_audio(fname: str) -> bool:
    """Whether a name ends as those of audio files do."""
    stem, dot, suffix = fname.rpartition(".")
    return f"{dot}{suffix}".lower() in AUDIO_SUFFIXES and stem[-1:] not in ("", "/")


def is_of_tests(name: str) -> bool:
    """Whether a name of a share is of test clips."""
    return any(found["test"] or found["eval"] for found in SHARE.finditer(name))


def listed(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Names for people: the first ones, in quotes, and how many there are."""
    every = list(names)
    said = ", ".join(repr(name) for name in every[:shown])
    return f"{said}, ... ({len(every)} in all)" if len(every) > shown else said


def trimmed(name: str) -> str:
    """A name without blanks and invisible characters around it."""
    return name.strip().strip(INVISIBLE).strip()


def _without_blanks(name: str) -> str:
    if name.isascii() and name.split() == [name]:  # as nearly all names are, of which there may be a million
        return name
    return "/".join(part.strip() for part in name.translate(_NOTHING).split("/"))


def _digits(name: str) -> str:
    return re.sub(r"\D", "", name.rpartition(".")[0])


def _without_extension(name: str) -> str:
    while is_audio(name):
        name = name.rpartition(".")[0]
    return name


_FOLDER = "the folder"
_QUESTION = re.compile(r"(?<=\.)(\w{2,5})\?[^/]*$")
_STEPS: Mapping[str, Callable[[str], str]] = {
    "the backslash": lambda name: name.replace("\\", "/"),
    "percent signs, or a question, as in web addresses": lambda name: unquote(_QUESTION.sub(r"\1", name)),
    "blanks": _without_blanks,
    "quotes": lambda name: name.strip("'\"`"),
    "an underscore for a blank": lambda name: name.replace("_", " "),
    "the Unicode form (NFC, NFD)": partial(unicodedata.normalize, "NFC"),
    "upper and lower case": str.casefold,
    _FOLDER: lambda name: name.rstrip("/").rpartition("/")[2],
    "what Label Studio puts before uploads": partial(re.compile(r"(?<![^/])[0-9a-f]{8}-(?=[^/]+$)").sub, ""),
    "the file extension": _without_extension,
    "what archives put before numbers (XC, ML)": partial(re.compile(r"(?<![^/])(?:xc|ml)(?=\d+$)").sub, ""),
    "zeros of a number": partial(re.compile(r"(?<!\d)0+(?=\d)|(?<=\d)\.0$").sub, ""),
}
"""What names may differ by, and what takes the difference away, in the order in which it is done."""


_WITHIN = [what for what in _STEPS if what != _FOLDER]


def _without(name: str, differences: Iterable[str] = _STEPS) -> str:
    for what in differences:
        name = _STEPS[what](name)
    return name


def _ends(path: str) -> list[str]:
    """A path, and what is left of it without the first folder, the first two, ..."""
    parts = path.split("/")
    return ["/".join(parts[n:]) for n in range(len(parts))]


def differences(name: str, other: str) -> list[str]:
    """What two names that stand for the same file differ by: as few of `_STEPS` as explain it."""
    needed = list(_STEPS)
    for what in reversed(list(_STEPS)):
        fewer = [one for one in needed if one != what]
        if _without(name, fewer) == _without(other, fewer):
            needed = fewer
    return needed


class NameIndex:
    """The names of files that are there in a folder, to be found by names that people wrote; `others` are found by nobody."""

    def __init__(self, names: Iterable[str], others: Iterable[str] = (), folder: Path | None = None) -> None:
        self.folder = folder
        self.names = frozenset(names)
        self.others = frozenset(others)
        self._alike: dict[str, list[str]] = {}
        self._by_end: dict[str, dict[str, list[str]]] = {}
        self._of_digits: dict[str, list[str]] | None = None
        for name in sorted(self.names):
            self._alike.setdefault(_without(name), []).append(name)

    @cached_property
    def folders(self) -> set[str]:
        """The names of all folders that the files lie in."""
        return {part for parent in {name.rpartition("/")[0] for name in self.names} for part in parent.split("/")}

    def find(self, name: str) -> list[str]:
        """The name itself where it is there; otherwise those that differ least, and by nothing but what `_STEPS` names.

        Of the folders one may lack those before it, and no folder stands for another, but in absolute names: those are of
        another machine.
        """
        if name in self.names or name in self.others:
            return [name] if name in self.names else []
        if "//" in name or "./" in name:
            name = canonical(name)
        alike = _without(name)
        found = self._alike.get(alike, [])
        if found and re.search(r"[/\\%]", name) and not _is_absolute(name):
            ends = self._ends_of(alike)
            first, *rest = _ends(_without(name, _WITHIN))
            found = ends.get(first, []) + [one for end in rest for one in ends.get(f"/{end}", ())]
        if not 1 < len(found) <= _MOST_CANDIDATES:
            return found
        counts = [len(differences(name, one)) for one in found]
        return [one for one, count in zip(found, counts, strict=True) if count == min(counts)]

    def _ends_of(self, alike: str) -> dict[str, list[str]]:
        """The names with this last part, by each end of their paths; by the whole path also with a `/` before it."""
        if alike not in self._by_end:
            found = self._by_end[alike] = dict[str, list[str]]()
            for name in self._alike[alike]:
                ends = _ends(_without(name, _WITHIN))
                for end in (*ends, f"/{ends[0]}"):
                    found.setdefault(end, []).append(name)
        return self._by_end[alike]

    def near(self, name: str) -> str | None:
        """A name that is there with the same digits, and of letters one or two others: a typing error."""
        if self._of_digits is None:
            self._of_digits = {}
            for one in sorted(self.names):
                self._of_digits.setdefault(_digits(one), []).append(one)
        name = re.sub(r"[?#].*", "", name)
        candidates = self._of_digits.get(_digits(name), [])
        found = get_close_matches(name, candidates, 2, _NEAR) if len(candidates) <= _MOST_CANDIDATES else []
        return found[0] if name in found[:1] or len(found) == 1 else None

    def matched(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Each name as that of the one file that it stands for, where there is one; and notes on those that were others."""
        found = [only[0] if not climbs_out(name) and len(only := self.find(name)) == 1 else name for name in names]
        changed = [(name, one) for name, one in zip(names, found, strict=True) if name != one]
        if not changed:
            return found, []
        name, one = changed[0]
        what = " and ".join(differences(name, one))
        return found, [f"{len(changed)} names are matched loosely, as {name!r} with {one!r} ({what})"]


def hint(index: NameIndex, name: str) -> str:
    """For a name that no file has: what is there that it may stand for, and the way out; nothing where there is nothing."""
    found = index.find(name)
    if not found:
        near = index.near(name)
        return (
            f"; there is {near!r}, whose name is nearly the same: if it is the clip, rename one of them" if near else ""
        )
    if len(found) > 1:
        return f"; it may stand for any of {listed(found)}: write which"
    return f"; there is {found[0]!r}, which differs by {' and '.join(differences(name, found[0]))}"
