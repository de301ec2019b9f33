"""Verdicts of people on single labels: `label_corrections.csv` in the dataset folder.

    fname,class,verdict,who,when,why

One row for each verdict on one class of one clip, in the order in which they were given; rows are appended and never changed.
`add` and `remove` correct the label: the last of them counts. `keep` says that it is right as it is, with the verdicts before,
present or absent; `unsure` that it was listened to and cannot be told. `undo` withdraws the last verdict on a label that still
stands. A file that a spreadsheet saved is read too. Cells that begin as formulas do are written with a `'` before them, which
is taken off again.
"""

import csv
import errno
import getpass
import io
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.labels import Labels
from fa_assets.intake.names import bad_fnames, canonical, listed
from fa_assets.intake.tables import read_table
from fa_assets.printable import printable
from fa_assets.store.atomic import replacing
from fa_assets.store.locks import locked
from fa_assets.store.source_files import USUAL_LIMITS, Limits, find, is_file, is_folder, read_bytes

NAME = "label_corrections.csv"
COLUMNS = ("fname", "class", "verdict", "who", "when", "why")
VERDICTS = ("keep", "add", "remove", "unsure", "undo")
_HEADER = (",".join(COLUMNS) + "\n").encode()
_FORMULA = re.compile(r"'*\s*[=+\-@]")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LOCK_S = 30.0


@dataclass(frozen=True)
class Correction:
    """One verdict on one label: what was decided (one of `VERDICTS`), by whom, when (ISO 8601, UTC; '' where nobody wrote it),
    and why."""

    fname: str
    class_name: str
    verdict: str
    who: str
    when: str
    why: str


def utc_now() -> str:
    """The time as `Correction.when` has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def this_user() -> str:
    """The name as `Correction.who` has it; '' for a container's user without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def read_corrections(dataset: Path, limits: Limits = USUAL_LIMITS) -> tuple[Correction, ...]:
    """The verdicts in a dataset folder, in the order of the file; none without one.

    Raises:
        SourceFileError, BadInputError: as `read_verdicts`.
    """
    path = dataset / NAME
    found = find(path)
    return read_verdicts(path, limits) if found is not None and (found.st_size or not is_file(path)) else ()


def read_verdicts(
    path: Path, limits: Limits = USUAL_LIMITS, columns: Sequence[str] = COLUMNS, *, may_be_blank: bool = False
) -> tuple[Correction, ...]:
    """The verdicts in a table with the columns `fname`, `class` and `verdict`; `who`, `when` and `why` may be missing.

    Args:
        columns: what these are called.
        may_be_blank: whether rows without a verdict are left out rather than refused.

    Raises:
        SourceFileError: it cannot be read.
        BadInputError: as `read_table`; rows that are not verdicts, all of them named.
    """
    table = read_table(path, columns[:3], limits=limits)
    cells = [table.column(name) if name in table.header else [""] * len(table.rows) for name in columns]
    rows = [tuple(_bare(cell) for cell in row) for row in zip(*cells, strict=True)]
    found = [Correction(canonical(row[0]), row[1].strip(), row[2].strip().lower(), *row[3:]) for row in rows]
    blank = [may_be_blank and not one.verdict for one in found]
    _require_valid(
        path, [replace(one, verdict="unsure") if left else one for one, left in zip(found, blank, strict=True)]
    )
    return tuple(one for one, left in zip(found, blank, strict=True) if not left)


def append_corrections(dataset: Path, corrections: Sequence[Correction]) -> None:
    """Append verdicts to the file of a dataset folder, which is made where it is missing; they are on disk when this returns.

    A file that a spreadsheet saved in another encoding or with another separator is written plainly first.

    Raises:
        BadInputError: a verdict that `read_corrections` would refuse; or the file that is there is refused, or has columns
            of others.
        UserError: the folder cannot be written to, or another process holds the lock.
    """
    path = dataset / NAME
    _require_valid(path, corrections)
    if not corrections:
        return
    if not is_folder(dataset):
        raise UserError(f"{dataset} is not there: it is the dataset folder, which holds {NAME}.")
    try:
        with locked(dataset / f".{NAME}.lock", f"writing {path}", _LOCK_S):
            earlier = read_corrections(dataset)
            content = read_bytes(path) if is_file(path) else b""
            if content and not content.replace(b"\r\n", b"\n").startswith(_HEADER):
                _require_no_other_columns(path)
                content = _HEADER + _lines(earlier)
                with replacing(path) as temporary:
                    temporary.write_bytes(content)
            missing = b"\n" if content and not content.endswith(b"\n") else b""
            _append(path, (missing if content else _HEADER) + _lines(corrections))
    except OSError as error:
        raise UserError(
            f"{dataset} cannot be written to ({error.strerror or error}), so the verdicts on its labels are not kept: make it "
            "writable, or work on a copy that is."
        ) from error


Label = tuple[str, str]
"""Clip and class."""


def standing(corrections: Iterable[Correction]) -> dict[Label, list[Correction]]:
    """The verdicts on each label that no `undo` withdrew, where there are any."""
    found: dict[Label, list[Correction]] = {}
    for one in corrections:
        own = found.setdefault((one.fname, one.class_name), [])
        if one.verdict != "undo":
            own.append(one)
        elif own:
            own.pop()
    return {label: own for label, own in found.items() if own}


def in_force(corrections: Iterable[Correction]) -> dict[Label, Correction]:
    """The last verdict on each label that stands."""
    return {label: own[-1] for label, own in standing(corrections).items()}


def correcting(corrections: Iterable[Correction]) -> dict[Label, Correction]:
    """The verdict that each label follows: the last that stands and is `add` or `remove`; a later `keep` agrees with it."""
    found = standing(corrections).items()
    said = ((label, [one for one in own if one.verdict in ("add", "remove")]) for label, own in found)
    return {label: own[-1] for label, own in said if own}


def given_now(corrections: Sequence[Correction]) -> dict[Label, bool]:
    """Whether each label that was ever corrected is one of its clip's; as `correcting` says, or, where every correction was
    undone, as before the first."""
    before = {
        (one.fname, one.class_name): one.verdict == "remove"
        for one in reversed(corrections)
        if one.verdict in ("add", "remove")
    }
    return before | {label: one.verdict == "add" for label, one in correcting(corrections).items()}


def corrected(
    fnames: Sequence[str], labels: Sequence[Labels], corrections: Iterable[Correction], classes: Collection[str]
) -> tuple[list[Labels], list[str]]:
    """The labels of clips with the verdicts in force, a label that is added being the last; and notes.

    Args:
        fnames, labels: as train_curated.csv has them.
        classes: that a label may be of, besides those of `labels`.

    Raises:
        BadInputError: a class to be added that there is not, a clip that no label is left of; all are named.
    """
    known = {label for own in labels for label in own}.union(classes)
    found = dict(zip(fnames, labels, strict=True))
    counts = {"add": 0, "remove": 0}
    lost, unknown, offenders = [], [], []
    for (fname, class_name), one in correcting(corrections).items():
        own = found.get(fname)
        if own is None:
            lost.append(fname)
        elif class_name not in known and one.verdict == "add":
            offenders.append(f"{fname!r}: {class_name!r}, to be added, is not a class")
        elif class_name not in known:
            unknown.append(class_name)
        elif (class_name in own) != (one.verdict == "add"):
            counts[one.verdict] += 1
            added = (class_name,) if one.verdict == "add" else ()
            found[fname] = (*(label for label in own if label != class_name), *added)
    offenders += [f"{fname!r}: no label is left" for fname, own in found.items() if not own]
    if offenders:
        raise BadInputError(
            f"{NAME} has verdicts that cannot be followed: append the same rows with the verdict undo, add another label to a "
            "clip that has none left, or take it out of train_curated.csv.",
            offenders,
        )
    notes = [f"labels added: {counts['add']}, removed: {counts['remove']}"] if any(counts.values()) else []
    if gone := {label for own in labels for label in own}.difference(*found.values()):
        notes.append(f"no clip is left of {listed(sorted(gone))}")
    if lost:
        notes.append(f"verdicts on clips that train_curated.csv does not name: {listed(dict.fromkeys(lost))}")
    if unknown:
        notes.append(f"verdicts on what is no class: {listed(dict.fromkeys(unknown))}")
    return list(found.values()), notes


def as_shown(corrections: Sequence[Correction], one: Correction, *, present: bool) -> list[Correction]:
    """A verdict on a label that was shown as present or absent; before a `keep` or `unsure` the `undo`s that withdraw what was
    said otherwise since, and before a `keep` the correction again that was undone since."""
    own = [was for was in corrections if (was.fname, was.class_name) == (one.fname, one.class_name)]
    otherwise, before = "remove" if present else "add", []
    while one.verdict in ("keep", "unsure") and [was.verdict for was in correcting(own).values()] == [otherwise]:
        before.append(replace(one, verdict="undo"))
        own.append(before[-1])
    if one.verdict == "keep" and (not present) in given_now(own).values():
        before.append(replace(one, verdict="add" if present else "remove"))
    return [*before, one]


def _require_valid(path: Path, corrections: Sequence[Correction]) -> None:
    offenders = [f"row {row}, {why}" for row, one in enumerate(corrections, start=1) for why in _wrong(one)]
    if offenders:
        raise BadInputError(
            f"{path} has rows that are not verdicts on labels; correct or delete them (docs/corrections.md).", offenders
        )


def _wrong(one: Correction) -> list[str]:
    wrong = [problem.partition(", ")[2] or "an empty fname" for problem in bad_fnames([one.fname])]
    if not one.class_name:
        wrong.append(f"{one.fname!r}: an empty class")
    if _CONTROL.search(one.fname + one.class_name):
        wrong.append(f"{one.fname!r}, {one.class_name!r}: control characters in a name")
    if one.verdict not in VERDICTS:
        wrong.append(f"{one.fname!r}: {one.verdict!r} is none of {', '.join(VERDICTS)}")
    try:
        if one.when:
            datetime.fromisoformat(one.when.strip())
    except ValueError:
        wrong.append(f"{one.fname!r}: {one.when!r} is not a time such as {utc_now()}")
    return wrong


def _require_no_other_columns(path: Path) -> None:
    if others := [name for name in read_table(path, COLUMNS[:3]).header if name not in COLUMNS]:
        raise BadInputError(f"{path} has columns that no verdict has ({', '.join(others)}): remove them, or rename it.")


def _lines(corrections: Iterable[Correction]) -> bytes:
    text = io.StringIO()
    rows = (astuple(one) for one in corrections)
    csv.writer(text, lineterminator="\n").writerows(
        [*map(_protected, (*row[:3], *(printable(cell) for cell in row[3:])))] for row in rows
    )
    return text.getvalue().encode()


def _append(path: Path, lines: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        before = os.fstat(descriptor).st_size
        try:
            if file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise


def _protected(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _bare(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
