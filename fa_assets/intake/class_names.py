"""Class names that look like mistakes of a table. They are only named: who made the table knows whether they are."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from fa_assets.intake.names import INVISIBLE

_JOINED = re.compile(r"\s*[+/&\\|]\s*|\s+and\s+")
_FEWEST = 2
"""Clips that two labels must share before they count as always together."""


def doubtful_names(labels: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Class names, in quotes, and what is odd about them.

    Args:
        labels: of each clip, in the order of its cell.
    """
    counts = Counter(label for own in labels for label in own)
    names = sorted(counts)
    found = [(ascii(name), "holds characters that cannot be seen") for name in names if _has_invisible(name)]
    found += [(repr(name), "looks like a part of a list, cut up") for name in names if _is_cut(name)]
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_as_seen(name), []).append(name)
    differ = "differ by case, blanks, underscores, Unicode form or characters that cannot be seen"
    found += [(_shown(same), differ) for same in alike.values() if len(same) > 1]
    together = Counter(pair for own in labels for pair in pairwise(own))
    alone = {own[0] for own in labels if len(own) == 1}
    for (first, second), count in sorted(together.items()):
        is_tail = first not in alone and first[:1].isupper() and second[:1].islower()  # as in "Inside, small room"
        if _FEWEST <= count == counts[second] and (count == counts[first] or is_tail):
            one = f"never stand alone: if they are one name, put {f'{first}, {second}'!r} into classes.txt"
            found.append((_shown([first, second]), one))
    for name in names:
        parts = _JOINED.split(name)
        if len(parts) > 1 and all(part in counts for part in parts):
            several = f"is made of {_shown(parts)}: separate labels by ',' or set FA_LABEL_SEPARATOR"
            found.append((repr(name), several))
    return found


def _has_invisible(name: str) -> bool:
    return any(one in INVISIBLE or (one != " " and unicodedata.category(one) in ("Zs", "Cc", "Cf")) for one in name)


def _is_cut(name: str) -> bool:
    return name[0] in "\"'" or any(name.count(one[0]) != name.count(one[1]) for one in ("()", "[]", "{}"))


def _as_seen(name: str) -> str:
    """Names that a reader takes for one are equal."""
    name = unicodedata.normalize("NFC", "".join(one for one in name if one not in INVISIBLE))
    return re.sub(r"[\s_]+", " ", name).strip().casefold()


def _shown(names: Iterable[str]) -> str:
    listed = list(names)
    looks = {unicodedata.normalize("NFC", name) for name in listed}
    return ", ".join(map(repr if len(looks) == len(listed) else ascii, listed))
