"""A dataset in the Kaggle layout, and its CSV files.

    train_curated.csv          fname,labels          labels separated by ',' or ';'; optional: group (recording, uploader,
                                                     site), whose clips stay in one fold
    train_curated/             the clips
    sample_submission.csv      fname,<classes>       optional: the classes, in this order
    train_curated_folds.csv    fname,labels,fold     optional: these folds are used as they are
    test/                      optional: the clips of the test set
    test.csv                   fname,labels[,usage]  optional: their labels, and the share they belong to (Public, Private)

Row order is the files' order everywhere. Nothing is repaired silently: what does not fit is refused, every offender
named at once.
"""

import csv
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from fa_assets.audio.decode import BadClipError
from fa_assets.errors import BadInputError, UserError
from fa_assets.store.source_files import (
    USUAL_LIMITS,
    Limits,
    SourceFileError,
    files_below,
    find,
    is_file,
    is_folder,
    read_bytes,
    reading,
)

_LAYOUT = "train_curated.csv (fname,labels) and the clips in train_curated/"


@dataclass(frozen=True)
class KaggleDataset:
    """The paths of one dataset folder, and how much is read of it."""

    root: Path
    limits: Limits = USUAL_LIMITS

    @property
    def labels_csv(self) -> Path:
        return self.root / "train_curated.csv"

    @property
    def clips_folder(self) -> Path:
        return self.root / "train_curated"

    @property
    def sample_submission_csv(self) -> Path:
        return self.root / "sample_submission.csv"

    @property
    def folds_csv(self) -> Path:
        return self.root / "train_curated_folds.csv"

    @property
    def test_folder(self) -> Path:
        return self.root / "test"

    @property
    def test_csv(self) -> Path:
        return self.root / "test.csv"


@dataclass(frozen=True)
class LabelledClips:
    """The rows of the label CSV, in file order: `fnames` and, for each, its labels and, where there is such a column, its
    group ('' where the cell is empty: a clip by itself)."""

    fnames: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SubmissionClips:
    """The clips of the test set: `fnames` and, for each, its labels (None where they are not known) and its usage ("" where
    there is none; Public or Private in FSDKaggle2019)."""

    fnames: tuple[str, ...]
    labels: tuple[tuple[str, ...] | None, ...]
    usage: tuple[str, ...]


def read_labels(dataset: KaggleDataset) -> LabelledClips:
    """Read `train_curated.csv`.

    Raises:
        BadInputError: no such file, not a CSV, wrong columns, no rows; duplicate, empty or unsafe fnames (absolute, or
            climbing out of the folder); rows without labels or with a label twice. All offenders are named.
    """
    if not is_folder(dataset.root):
        raise UserError(f"{dataset.root} is not a folder. A dataset is a folder with {_LAYOUT}; set FA_DATASET.")
    table = _read_csv(dataset.labels_csv, required=("fname", "labels"), limits=dataset.limits)
    if not table.rows:
        raise BadInputError(f"{dataset.labels_csv} has no rows: it needs one for each clip.")
    fnames = table.column("fname")
    if len(fnames) > dataset.limits.files:
        raise BadInputError(
            f"{dataset.labels_csv} names {len(fnames):,} clips, more than {dataset.limits.files:,}, the limit (FA_MAX_FILES)."
        )
    labels = tuple(_split_labels(text) for text in table.column("labels"))
    offenders = _bad_fnames(fnames)
    for row, (fname, own) in enumerate(zip(fnames, labels, strict=True), start=1):
        if not own:
            offenders.append(f"row {row}, {fname!r}: no labels")
        elif "" in own:
            offenders.append(f"row {row}, {fname!r}: an empty label")
        elif len(set(own)) < len(own):
            offenders.append(f"row {row}, {fname!r}: a label twice")
    if offenders:
        raise BadInputError(f"{dataset.labels_csv} has rows that cannot be used; correct them.", offenders)
    groups = tuple(name.strip() for name in table.column("group")) if "group" in table.header else None
    return LabelledClips(tuple(fnames), labels, groups)


def read_classes(dataset: KaggleDataset, clips: LabelledClips) -> tuple[str, ...]:
    """The classes: the columns of `sample_submission.csv` after fname, in order; without it the sorted set of labels.

    Raises:
        BadInputError: a label that is not a class, a class that no clip has, a class named twice; all are named.
    """
    counts = Counter(label for own in clips.labels for label in own)
    path = dataset.sample_submission_csv
    if not is_file(path):
        if "fname" in counts:  # a column of this name is that of the clips, in every table
            raise BadInputError(f"{dataset.labels_csv} has a label 'fname', which no class can be called; rename it.")
        return tuple(sorted(counts))
    header = _read_csv(path, required=(), limits=dataset.limits).header
    if header[:1] != ["fname"] or len(header) < 2:
        raise BadInputError(f"{path}: the first column must be fname and the others the classes; it has {header[:5]}.")
    classes = header[1:]
    offenders = ["'fname': the name of the column of clips, which no class can have"] if "fname" in classes else []
    offenders += [f"{name!r}: {n} columns" for name, n in Counter(classes).items() if n > 1]
    offenders += [f"{name!r}: a label of {n} clips, but no class" for name, n in counts.items() if name not in classes]
    offenders += [f"{name!r}: a class that no clip has" for name in classes if name not in counts]
    if offenders:
        raise BadInputError(
            f"{path} (the classes) and {dataset.labels_csv.name} (the labels) do not match; use the same names in both.",
            offenders,
        )
    return tuple(classes)


def read_given_folds(dataset: KaggleDataset, fnames: Sequence[str], n_folds: int) -> np.ndarray | None:
    """The folds of `train_curated_folds.csv` for these clips, (len(fnames),) int8; None when there is no such file.

    Raises:
        BadInputError: a clip without a fold or with two, a fold that is not a whole number from 0 to n_folds - 1, an
            empty fold; all are named.
    """
    path = dataset.folds_csv
    if not is_file(path):
        return None
    table = _read_csv(path, required=("fname", "fold"), limits=dataset.limits)
    valid = {str(fold) for fold in range(n_folds)}
    given = dict(zip(table.column("fname"), table.column("fold"), strict=True))
    offenders = [f"{name!r}: {n} rows" for name, n in Counter(table.column("fname")).items() if n > 1]
    offenders += [f"{name!r}: fold {fold!r}" for name, fold in given.items() if fold not in valid]
    offenders += [f"{name!r}: no row" for name in fnames if name not in given]
    offenders += [f"fold {fold}: no clip" for fold in sorted(valid - {given.get(name) for name in fnames})]
    if offenders:
        raise BadInputError(
            f"{path}: every clip needs one row with a fold from 0 to {n_folds - 1}, and every fold a clip; correct it, or "
            "move it away to have folds made.",
            offenders,
        )
    return np.array([int(given[name]) for name in fnames], np.int8)


def locate_clip(folder: Path, fname: str, limits: Limits = USUAL_LIMITS) -> Path:
    """Where a clip lies, whether or not it is there.

    The folder of clips may itself be a link, made by the dataset's author; from there on no link leads out.

    Args:
        folder: the folder of clips, resolved.
        fname: as checked by `read_labels`.

    Raises:
        BadClipError: a link that leads out of the folder, in a circle or to nothing; what cannot be looked at; a clip that is
            too large.
    """
    path = folder / fname
    if not Path(os.path.realpath(path)).is_relative_to(folder):
        raise BadClipError("a link that leads out of the folder of clips")
    try:
        found = find(path)
    except SourceFileError as error:
        raise BadClipError(error.reason) from error
    if found is not None and found.st_size > limits.clip_bytes:
        raise BadClipError(
            f"{found.st_size / 1e9:.3g} GB; up to {limits.clip_bytes / 1e9:g} are read (FA_MAX_CLIP_GB): cut it into pieces"
        )
    return path


def read_submission_clips(dataset: KaggleDataset, classes: Sequence[str]) -> SubmissionClips:
    """The clips of the test set, none without a `test/` folder: the rows of `sample_submission.csv`, in order; where it has
    none, what lies in the folder, sorted.

    Raises:
        BadInputError: fnames that are unsafe, twice there or not in the folder; rows of `test.csv` that are twice there or have
            labels that are no classes. All are named.
    """
    if not is_folder(dataset.test_folder):
        return SubmissionClips((), (), ())
    there = submission_files(dataset)
    path = dataset.sample_submission_csv
    fnames = _read_csv(path, required=("fname",), limits=dataset.limits).column("fname") if is_file(path) else []
    offenders = _bad_fnames(fnames) or [
        f"{name!r}: not in {dataset.test_folder}" for name in fnames if name not in there
    ]
    if offenders:
        raise BadInputError(
            f"{path} names test clips that cannot be used; correct it, or move {dataset.test_folder} away.", offenders
        )
    fnames = fnames or list(there)
    known: dict[str, tuple[tuple[str, ...], str]] = {}
    if is_file(dataset.test_csv):
        table = _read_csv(dataset.test_csv, required=("fname", "labels"), limits=dataset.limits)
        names = table.column("fname")
        labels = [_split_labels(text) for text in table.column("labels")]
        usage = table.column("usage") if "usage" in table.header else [""] * len(names)
        known = dict(zip(names, zip(labels, usage, strict=True), strict=True))
        offenders = [f"{name!r}: {n} rows" for name, n in Counter(names).items() if n > 1]
        offenders += [
            f"{name!r}: {label!r} is not a class" for name in known for label in known[name][0] if label not in classes
        ]
        if offenders:
            raise BadInputError(f"{dataset.test_csv} has rows that cannot be used; correct it.", offenders)
    return SubmissionClips(
        tuple(fnames),
        tuple(known[name][0] if name in known else None for name in fnames),
        tuple(known[name][1] if name in known else "" for name in fnames),
    )


def submission_files(dataset: KaggleDataset) -> dict[str, Path]:
    """What lies in the `test/` folder, by fname, sorted; hidden files are left out. Raises as `files_below`."""
    base = dataset.test_folder
    return files_below(base, dataset.limits) if is_folder(base) else {}


def clip_paths(folder: Path, fnames: Sequence[str], limits: Limits = USUAL_LIMITS) -> list[Path]:
    """Where the clips of a folder lie; `fnames` as checked by `read_labels` or `read_submission_clips`.

    Raises:
        BadInputError: clips that `locate_clip` refuses, all of them named.
    """
    base = Path(os.path.realpath(folder))
    paths: list[Path] = []
    offenders: list[str] = []
    for fname in fnames:
        try:
            paths.append(locate_clip(base, fname, limits))
        except BadClipError as error:
            offenders.append(f"{fname}: {error}")
    if offenders:
        raise BadInputError(f"Clips in {folder} that cannot be read; fix or remove them.", offenders)
    return paths


def curated_tables_digest(dataset: KaggleDataset) -> str:
    """A sha256 over what the CSV files say of the curated clips: labels, folds, and the classes (the header of
    sample_submission.csv, whose rows are the test set's)."""
    classes, header = dataset.sample_submission_csv, None
    if is_file(classes):
        with reading(classes) as file:
            header = next((line for line in file if line.strip()), b"").strip()
    tables = _contents(dataset, dataset.labels_csv, dataset.folds_csv)
    return _digest_of([*tables, *([] if header is None else [(classes.name, header)])])


def test_tables_digest(dataset: KaggleDataset) -> str:
    """A sha256 over the CSV files that say what the test set is: sample_submission.csv and test.csv."""
    return _digest_of(_contents(dataset, dataset.sample_submission_csv, dataset.test_csv))


def _contents(dataset: KaggleDataset, *tables: Path) -> list[tuple[str, bytes]]:
    return [(path.name, read_bytes(path, dataset.limits)) for path in tables if is_file(path)]


def _digest_of(contents: Sequence[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _split_labels(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in re.split("[,;]", text)) if text.strip() else ()


def _bad_fnames(fnames: Sequence[str]) -> list[str]:
    offenders = [f"{name!r}: {n} rows" for name, n in Counter(fnames).items() if n > 1]
    for row, name in enumerate(fnames, start=1):
        if not name.strip():
            offenders.append(f"row {row}: an empty fname")
        elif PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
            offenders.append(f"row {row}, {name!r}: an absolute path; name the clip relative to the folder")
        elif ".." in PurePosixPath(name).parts or ".." in PureWindowsPath(name).parts or "\0" in name:
            offenders.append(f"row {row}, {name!r}: leads out of the folder")
    return offenders


@dataclass(frozen=True)
class _Table:
    """A CSV file: its header, and the cells of every row below it."""

    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        position = self.header.index(name)
        return [row[position] for row in self.rows]


def _read_csv(path: Path, required: Sequence[str], limits: Limits) -> _Table:
    """Read a CSV file with a header; blank lines are left out.

    Raises:
        BadInputError: no such file, not UTF-8, not CSV, a required column missing, rows of another length (all named).
        SourceFileError: it cannot be read.
    """
    if not is_file(path):
        raise BadInputError(f"{path} is missing. A dataset is a folder with {_LAYOUT}; set FA_DATASET.")
    try:
        text = read_bytes(path, limits).decode("utf-8-sig")
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (ValueError, csv.Error) as error:
        raise BadInputError(f"{path} is not a CSV file that can be read: {error}") from error
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    missing = [name for name in required if name not in header]
    if missing:
        raise BadInputError(f"{path}: no column {', '.join(missing)}; its columns are {', '.join(header) or 'none'}.")
    uneven = [f"row {n}, {row[0]!r}: {len(row)} cells" for n, row in enumerate(rows, 1) if len(row) != len(header)]
    if uneven:
        raise BadInputError(
            f"{path}: every row needs {len(header)} cells, as the header has. Put labels that hold commas in quotes.",
            uneven,
        )
    return _Table(header, rows)
