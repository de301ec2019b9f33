"""The test set of a dataset: the clips in `test/`, the rows of `sample_submission.csv`, and what is known of their labels."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fa_assets.errors import BadInputError
from fa_assets.intake.class_names import filled
from fa_assets.intake.kaggle import (
    KaggleDataset,
    fnames_of,
    labels_of,
    read_classes,
    read_csv,
    read_labels,
    submission_files,
)
from fa_assets.intake.labels import Labels
from fa_assets.intake.names import NameIndex, bad_fnames, hint, is_audio, listed
from fa_assets.store.source_files import is_file, is_folder


@dataclass(frozen=True)
class SubmissionClips:
    """The clips of the test set: `fnames` and, for each, its labels (None where they are not known) and its usage ("" where
    there is none; Public or Private in FSDKaggle2019); `notes` on what was left out or read in another way than as it
    stands."""

    fnames: tuple[str, ...]
    labels: tuple[Labels | None, ...]
    usage: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_submission_clips(dataset: KaggleDataset, classes: Sequence[str]) -> SubmissionClips:
    """The clips of the test set, none without a `test/` folder: the rows of `sample_submission.csv`, in order; where it has
    none, what lies in the folder, sorted.

    Raises:
        BadInputError: fnames that are unsafe, there twice or not in the folder; rows of `test.csv` that are there twice or have
            labels that are not classes. All are named.
    """
    path = dataset.sample_submission_csv
    rows = read_csv(dataset, path, "fname") if is_file(path) else None
    if not is_folder(dataset.test_folder):
        named = len(rows.rows) if rows else 0
        gone = f"but {dataset.test_folder} is not there: no submission is made"
        notes = [f"{path.name} names {named} test clips, {gone}"] if named else []
        if is_file(dataset.test_csv):
            notes.append(f"{dataset.test_csv.name} has labels of test clips, {gone}")
        return SubmissionClips((), (), (), tuple(notes))
    there = submission_files(dataset)
    fnames, notes = fnames_of(dataset, rows, there) if rows else ([], [])
    index = NameIndex(there)
    offenders = bad_fnames(fnames) or [
        f"{name!r}: not in {dataset.test_folder}{hint(index, name)}" for name in fnames if name not in there
    ]
    if offenders:
        raise BadInputError(
            f"{path} names test clips that cannot be used; correct it, or move {dataset.test_folder} away.", offenders
        )
    fnames, left_out = _submitted(fnames, there)
    notes += left_out
    known: dict[str, tuple[Labels | None, str]] = {}
    if is_file(dataset.test_csv):
        table = read_csv(dataset, dataset.test_csv, "fname")
        names, more = fnames_of(dataset, table, there)
        labels, said = labels_of(dataset, table)
        given = [own or None if "labels" in table.header else own for own in labels]
        if unknown := [name for name, own in zip(names, given, strict=True) if own is None]:
            said.append(f"rows without labels are taken as unknown: {listed(unknown)}")
        usage, of_usage = filled(table.column("usage") if "usage" in table.header else [""] * len(names), "usage")
        notes += [*table.notes, *(f"{table.path.name}: {note}" for note in (*more, *said, *of_usage))]
        known = dict(zip(names, zip(given, usage, strict=True), strict=True))
        offenders = [f"{name!r}: {n} rows" for name, n in Counter(names).items() if n > 1]
        offenders += [
            f"{name!r}: {label!r} is not a class"
            for name in known
            for label in known[name][0] or ()
            if label not in classes
        ]
        if offenders:
            raise BadInputError(f"{dataset.test_csv} has rows that cannot be used; correct it.", offenders)
        if unknown := sorted(known.keys() - set(fnames)):
            its = f"{listed(unknown)}{hint(index, unknown[0])}"
            notes.append(f"{len(unknown)} rows of {table.path.name} name no test clip: {its}")
    return SubmissionClips(
        tuple(fnames),
        tuple(known[name][0] if name in known else None for name in fnames),
        tuple(known[name][1] if name in known else "" for name in fnames),
        tuple(notes),
    )


def require_usable(dataset: KaggleDataset) -> None:
    """Read the tables of labels, classes and test clips; raises as reading them does."""
    read_submission_clips(dataset, read_classes(dataset, read_labels(dataset)))


def _submitted(fnames: list[str], there: Iterable[str]) -> tuple[list[str], list[str]]:
    """The test clips: those that have rows, or else all audio in the folder; and notes on what is left out."""
    if fnames:
        left_out, why = [name for name in there if name not in set(fnames)], "have no row in sample_submission.csv"
    else:
        fnames, left_out, why = [name for name in there if is_audio(name)], [], "are not audio by their names"
        left_out = [name for name in there if not is_audio(name)]
    return fnames, [f"{len(left_out)} files in test/ {why} and are left out: {listed(left_out)}"] if left_out else []
