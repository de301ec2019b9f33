"""Verdicts on labels, given many at once: checked against the dataset before any is written; and corrections made for good, in
train_curated.csv itself."""

import csv
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.corrections import NAME, Correction, append_corrections, in_force, standing, utc_now
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, follow, known_names, read_csv, read_labels
from fa_assets.intake.labels import Labels, join_labels, split_labels
from fa_assets.intake.names import NameIndex, hint
from fa_assets.store.atomic import replacing


@dataclass(frozen=True)
class Given:
    """What became of verdicts: those that were appended, and how many were there already."""

    appended: tuple[Correction, ...]
    already: int


def give_verdicts(dataset: KaggleDataset, verdicts: Sequence[Correction]) -> Given:
    """Append verdicts to the dataset's file, but for those that are in it, or say what is in force already.

    Raises:
        BadInputError: a clip or class that there is not, a clip that no label would be left of; all are named, and nothing is
            written.
    """
    clips = read_labels(dataset)
    index, classes = NameIndex(clips.fnames), known_classes(dataset, clips)
    offenders = [
        f"{one.fname!r}: not in {dataset.labels_csv.name}{hint(index, one.fname)}"
        for one in verdicts
        if one.fname not in index.names
    ]
    offenders += [
        f"{one.class_name!r}, of {one.fname!r}: no class" for one in verdicts if one.class_name not in classes
    ]
    if offenders:
        raise BadInputError("Verdicts on what the dataset does not have; correct them.", list(dict.fromkeys(offenders)))
    rows, new = set(clips.corrections), []
    of_label: dict[tuple[str, str], list[Correction]] = defaultdict(list)
    for one in clips.corrections:
        of_label[one.fname, one.class_name].append(one)
    for one in verdicts:
        label = one.fname, one.class_name
        other = in_force(of_label[label]).get(label)
        if one not in rows and (one.verdict == "undo" or other is None or other.verdict != one.verdict):
            new.append(one)
            of_label[label].append(one)
    follow(dataset, replace(clips, labels=clips.given or clips.labels, given=None), [*clips.corrections, *new])
    append_corrections(dataset.root, new)
    return Given(tuple(new), len(verdicts) - len(new))


def verdicts_of(
    dataset: KaggleDataset,
    labels: Mapping[str, Iterable[str]],
    asked: Mapping[str, Collection[str]],
    who: str,
    why: str,
) -> list[Correction]:
    """The verdicts that labels of clips mean, beside those that the clips have now: each label that is new or gone, and keep
    for the classes that were `asked` about and stay as they are.

    Raises:
        BadInputError: clips that there are not.
    """
    clips = read_labels(dataset)
    now = dict(zip(clips.fnames, clips.labels, strict=True))
    index = NameIndex(clips.fnames)
    if unknown := [
        f"{fname!r}: not in {dataset.labels_csv.name}{hint(index, fname)}" for fname in labels if fname not in now
    ]:
        raise BadInputError("Labels of clips that the dataset does not have; correct their names.", unknown)
    when = utc_now()
    found = []
    for fname, own in labels.items():
        new, old = set(own), set(now[fname])
        found += [
            Correction(fname, name, "add" if name in new else "remove", who, when, why) for name in sorted(new ^ old)
        ]
        kept = set(asked.get(fname, ())) - (new ^ old)
        found += [Correction(fname, name, "keep", who, when, why) for name in sorted(kept)]
    return found


def known_classes(dataset: KaggleDataset, clips: LabelledClips) -> set[str]:
    """The names that a label may have."""
    return {label for own in (*clips.labels, *(clips.given or ())) for label in own} | known_names(dataset)


@dataclass(frozen=True)
class Written:
    """A train_curated.csv that was corrected: the old one beside it, and how many labels are others now."""

    backup: Path
    changes: int


def write_corrected_csv(dataset: KaggleDataset, who: str) -> Written | None:
    """Write train_curated.csv with the corrected labels, the old one beside it; None where no label is corrected.

    The verdicts on the labels that are written are withdrawn, with a `keep` after them: from then on the table counts.

    Raises:
        BadInputError: the table has no column `labels`, or cells that cannot hold the labels.
        UserError: the folder cannot be written to.
    """
    clips, path = read_labels(dataset), dataset.labels_csv
    if not clips.changes:
        return None
    table = read_csv(dataset, path, "fname")
    if "labels" not in table.header:
        raise BadInputError(f"{path} has no column 'labels': its labels stay as they are, and {NAME} corrects them.")
    position = table.header.index("labels")
    rows = [list(row) for row in table.rows]
    for row, own, given in zip(rows, clips.labels, clips.given or clips.labels, strict=True):
        if own != given:
            row[position] = _cell(dataset, row[table.header.index("fname")], own)
    now = datetime.now(UTC)
    backup = path.with_name(f"{path.stem}.before_{now:%Y%m%dT%H%M%SZ}.csv")
    try:
        with backup.open("xb") as copy:
            copy.write(path.read_bytes())
            copy.flush()
            os.fsync(copy.fileno())
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([table.header, *rows])
    except OSError as error:
        raise UserError(
            f"{dataset.root} cannot be written to ({error.strerror or error}); {path.name} is as it was."
        ) from error
    every, when = standing(clips.corrections), utc_now()
    done: list[Correction] = []
    for fname, class_name, verdict in clips.changes:
        keep = Correction(fname, class_name, "keep", who, when, f"{verdict} written to {path.name}")
        done += [*[replace(keep, verdict="undo")] * len(every[fname, class_name]), keep]
    append_corrections(dataset.root, done)
    return Written(backup, len(clips.changes))


def _cell(dataset: KaggleDataset, fname: str, labels: Labels) -> str:
    """A cell that is read as these labels."""
    separator = dataset.label_separator
    cell = separator.join(labels) if separator else join_labels(labels)
    if split_labels([cell], separator=separator, names=known_names(dataset))[0] != [labels]:
        raise BadInputError(
            f"{dataset.labels_csv.name} cannot hold the labels of {fname!r} in one cell: {', '.join(labels)}."
        )
    return cell
