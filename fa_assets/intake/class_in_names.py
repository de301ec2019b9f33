"""Classes that stand in the names of clips, as in blues.00000.wav or 1001_DFA_ANG_XX.wav: guessed, and taken by a pattern."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from fa_assets.errors import UserError
from fa_assets.intake.names import listed

_BEFORE_NUMBER = r"(.*?[^\W\d])[ _.-]*\d+"
_SEPARATORS = (" - ", "-", "_", ".")
_LOOKED_AT, _SHOWN = 10_000, 4
"""Names that a guess is made from, and guesses that are shown."""


def labels_by_name(audio: Iterable[str], pattern: str) -> dict[str, str]:
    """The class of each clip whose name, without folder and extension, a pattern fits: what its parentheses take.

    Raises:
        UserError: it is no regular expression with one pair of parentheses, or fits no name.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--label-in-name {pattern!r} is no regular expression: {error}.") from error
    if compiled.groups != 1:
        raise UserError(
            f"--label-in-name {pattern!r}: one pair of parentheses is needed, around the class, as in '(.*)_.*'."
        )
    found = {name: (fits[1] or "").strip() for name in audio if (fits := compiled.fullmatch(_stem(name)))}
    if not any(found.values()):
        raise UserError(f"--label-in-name {pattern!r} fits the name of no clip, as it is without folder and extension.")
    return {name: label for name, label in found.items() if label}


def hint_at_names(audio: Sequence[str]) -> str:
    """What patterns would make classes of the clips' names, in a sentence; nothing where no part of them recurs."""
    stems = [_stem(name) for name in islice(audio, _LOOKED_AT)]
    patterns = [_BEFORE_NUMBER]
    for separator in _SEPARATORS:
        counts = {stem.count(separator) for stem in stems}
        if len(counts) == 1 and (cuts := counts.pop()):
            parts = [[".*?"] * place + ["(.*?)"] + [".*?"] * (cuts - place) for place in range(cuts + 1)]
            patterns += [separator.replace(".", r"\.").join(own) for own in parts]
    guesses: dict[tuple[str, ...], str] = {}
    for pattern in patterns:
        taken = [fits[1].strip() for stem in stems if (fits := re.fullmatch(pattern, stem))]
        recurring = sum(count for count in Counter(taken).values() if count > 1)
        if len(taken) == len(stems) and len({*taken}) > 1 and recurring >= len(taken) / 2:
            guesses.setdefault(tuple(sorted({*taken})), pattern)
    likely = sorted(guesses.items(), key=lambda one: all(name.isdigit() for name in one[0]))[:_SHOWN]
    said = [f"--label-in-name {shlex.quote(pattern)} takes {listed(names, 3)}" for names, pattern in likely]
    return f" Where the clips' names say it: {'; '.join(said)}." if said else ""


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]
