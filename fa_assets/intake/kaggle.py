"""A dataset in the Kaggle layout, and its CSV files.

    train_curated.csv          fname,labels          labels separated by ',' or ';'; optional: group (recording, uploader,
                                                     site), whose clips stay in one fold
    train_curated/             the clips
    sample_submission.csv      fname,<classes>       optional: the classes, in this order
    classes.txt                                      optional: class names that hold a separator, one a line
    train_curated_folds.csv    fname,labels,fold     optional: these folds are used as they are
    label_corrections.csv                            optional: verdicts on labels (see `corrections`)
    test/                      optional: the clips of the test set
    test.csv                   fname,labels[,usage]  optional: their labels, and the share they belong to (Public, Private)

Row order is the files' order everywhere. Nothing is repaired silently: what does not fit is refused, every offender
named at once; what is read other than as it stands is noted in `notes`.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake import corrections
from fa_assets.intake.class_names import filled
from fa_assets.intake.columns import named_label_column, unnamed_columns
from fa_assets.intake.corrections import Correction, read_corrections
from fa_assets.intake.encodings import read_text
from fa_assets.intake.labels import Labels, indicator_labels, joined_labels, numbered_columns, split_labels
from fa_assets.intake.names import NameIndex, bad_fnames, canonical, hint, listed
from fa_assets.intake.tables import Table, missing_columns, read_table
from fa_assets.store.source_files import USUAL_LIMITS, Limits, files_below, is_file, is_folder

_NO_CLASSES = ("fname", "group", "fold", "usage", "split")
"""Columns of a table with a column for each class that are none."""
_LAYOUT = "train_curated.csv (fname,labels) and the clips in train_curated/"


@dataclass(frozen=True)
class KaggleDataset:
    """The paths of one dataset folder, how much is read of it, and how its tables are.

    Attributes:
        label_separator: what separates labels in a cell; None for ',', ';' and what `labels.split_labels` finds.
        match_names: whether names of clips stand for files that are called a little otherwise (see `names.NameIndex`).
    """

    root: Path
    limits: Limits = USUAL_LIMITS
    label_separator: str | None = None
    match_names: Literal["exact", "loose"] = "exact"

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
    def corrections_csv(self) -> Path:
        return self.root / corrections.NAME

    @property
    def classes_txt(self) -> Path:
        return self.root / "classes.txt"

    @property
    def test_folder(self) -> Path:
        return self.root / "test"

    @property
    def test_csv(self) -> Path:
        return self.root / "test.csv"


@dataclass(frozen=True)
class LabelledClips:
    """The rows of the label CSV, in file order: `fnames` and, for each, its labels and, where there is such a column, its
    group ('' where the cell is empty: a clip by itself); `notes` on what was read in another way than as it stands.

    Where there are verdicts on labels (`corrections`), `labels` follow them; `given` are those of the CSV.
    """

    fnames: tuple[str, ...]
    labels: tuple[Labels, ...]
    groups: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    given: tuple[Labels, ...] | None = None

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """What the verdicts changed: clip, class, and add or remove; in the order of the clips."""
        return [
            (fname, label, "add" if label in own else "remove")
            for fname, own, given in zip(self.fnames, self.labels, self.given or self.labels, strict=True)
            for label in sorted({*own} ^ {*given})
        ]


def read_labels(dataset: KaggleDataset) -> LabelledClips:
    """Read `train_curated.csv`, and follow the verdicts of `label_corrections.csv`.

    Raises:
        BadInputError: no such file, not a CSV, wrong columns, no rows; duplicate, empty or unsafe fnames (absolute, or
            climbing out of the folder); rows without labels or with a label twice; verdicts that cannot be read or followed.
            All offenders are named.
    """
    if dataset.root.is_file():
        is_named = dataset.root.name == dataset.labels_csv.name
        folder, csv = str(dataset.root.parent), str(dataset.root)
        command = ["fa-assets", "run", "--dataset", folder] if is_named else ["fa-assets", "init", folder, "--csv", csv]
        raise UserError(f"{csv} is a file. A dataset is a folder with {_LAYOUT}: `{shlex.join(command)}`.")
    if not is_folder(dataset.root):
        fetch = " An address is not read: download it first." if re.search(r"\b[a-z]\w+:/", str(dataset.root)) else ""
        raise UserError(f"{dataset.root} is not a folder. A dataset is a folder with {_LAYOUT}; set FA_DATASET.{fetch}")
    table = read_csv(dataset, dataset.labels_csv, "fname", way_out=_other_table(dataset))
    if not table.rows and "labels" in table.header:
        raise BadInputError(
            f"{dataset.labels_csv} has no rows: it needs one for each clip, as `a.wav,Bird`. Without it, {_makes(dataset)}"
        )
    if len(table.rows) > dataset.limits.files:
        raise BadInputError(
            f"{dataset.labels_csv} names {len(table.rows):,} clips, more than {dataset.limits.files:,}, the limit "
            "(FA_MAX_FILES)."
        )
    fnames, notes = fnames_of(dataset, table, dataset.clips_folder)
    labels, said = labels_of(dataset, table)
    unused = [
        name for name in table.header if "labels" in table.header and name not in ("fname", "labels", "group", "")
    ]
    if unused := [*unused, *unnamed_columns(table)]:
        notes.append(
            f"columns that are not used: {listed(unused)}; given folds belong into {dataset.folds_csv.name}, test clips into "
            "test/, and what keeps clips in one fold into a column 'group'"
        )
    named = {label for own in labels for label in own}
    if is_file(dataset.classes_txt) and (unknown := sorted(named - known_names(dataset))):
        notes.append(f"labels that are not in {dataset.classes_txt.name}: {listed(unknown)}")
    offenders = bad_fnames(fnames)
    for row, (fname, own) in enumerate(zip(fnames, labels, strict=True), start=1):
        if not own:
            offenders.append(f"row {row}, {fname!r}: no labels")
        elif "" in own:
            offenders.append(f"row {row}, {fname!r}: an empty label")
        elif len(set(own)) < len(own):
            offenders.append(f"row {row}, {fname!r}: a label twice")
    if offenders:
        joined = f" Rows of one clip are joined by: {_init(dataset)}" if len(set(fnames)) < len(fnames) else ""
        raise BadInputError(
            f"{dataset.labels_csv} has rows that cannot be used; correct them.{joined}", [*offenders, *notes, *said]
        )
    groups, of_groups = filled(table.column("group") if "group" in table.header else (), "group")
    said = [f"{table.path.name}: {note}" for note in (*notes, *said, *of_groups)]
    clips = LabelledClips(tuple(fnames), tuple(labels), tuple(groups) or None, (*table.notes, *said))
    return follow(dataset, clips, read_corrections(dataset.root, dataset.limits))


def follow(dataset: KaggleDataset, clips: LabelledClips, verdicts: Sequence[Correction]) -> LabelledClips:
    """Clips, labelled as the CSV has them, with the labels that verdicts give them; raises as `corrections.corrected`."""
    if not verdicts:
        return clips
    if dataset.match_names == "loose":
        names = NameIndex(clips.fnames).matched([one.fname for one in verdicts])[0]
        verdicts = [replace(one, fname=name) for one, name in zip(verdicts, names, strict=True)]
    labels, notes = corrections.corrected(clips.fnames, clips.labels, verdicts, known_names(dataset))
    said = (*clips.notes, *(f"{corrections.NAME}: {note}" for note in notes))
    return replace(clips, labels=tuple(labels), notes=said, corrections=tuple(verdicts), given=clips.labels)


def read_csv(dataset: KaggleDataset, path: Path, *required: str, **options: Any) -> Table:
    """A table of the dataset; see `read_table`.

    Raises:
        BadInputError: it is not there, or as `read_table`.
    """
    if not is_file(path):
        above = replace(dataset, root=dataset.root.parent)
        is_above = dataset.root == above.clips_folder and is_file(above.labels_csv)
        way_out = f"{above.root} is one: set FA_DATASET to that." if is_above else f"set FA_DATASET. {_makes(dataset)}"
        near = [one.name for one in sorted(path.parent.iterdir()) if one.name.casefold().startswith(path.stem + ".")]
        there = f" There is {listed(near)}: a CSV of that name is needed." if near else ""
        raise BadInputError(f"{path} is missing.{there} A dataset is a folder with {_LAYOUT}; {way_out}")
    return read_table(path, required, limits=dataset.limits, **options)


def _makes(dataset: KaggleDataset) -> str:
    command = shlex.join(["fa-assets", "init", str(dataset.root)])
    return f"`{command}` makes it from folders, other tables or annotations."


def _other_table(dataset: KaggleDataset) -> str:
    return (
        f"Rename its columns, of which one for each class holds 1 or 0; or see what this makes of it: {_init(dataset)}"
    )


def _init(dataset: KaggleDataset) -> str:
    table, root = str(dataset.labels_csv), str(dataset.root)
    return shlex.join(["fa-assets", "init", root, "--csv", table, "--out", f"{root}_read"])


def table_notes(dataset: KaggleDataset) -> list[str]:
    """What the tables of classes and folds are read as, where they are not plain."""
    paths = [path for path in (dataset.sample_submission_csv, dataset.folds_csv) if is_file(path)]
    return [note for path in paths for note in read_csv(dataset, path, header_only=True).notes]


def fnames_of(dataset: KaggleDataset, table: Table, there: Path | Iterable[str]) -> tuple[list[str], list[str]]:
    """The names of a table's clips, written in one way, and where they may be matched loosely, as the files' are; and notes.

    Args:
        there: the folder of the files, or their names.
    """
    written = table.column("fname")
    fnames = [canonical(name) for name in written]
    changed = [f"{a!r} is {b!r}" for a, b in zip(written, fnames, strict=True) if a != b]
    notes = [f"{len(changed)} names are read in their shortest form: {changed[0]}"] if changed else []
    if dataset.match_names == "loose":
        if isinstance(there, Path):
            there = files_below(there.resolve(), dataset.limits) if is_folder(there) else ()
        fnames, said = NameIndex(there).matched(fnames)
        notes += said
    return fnames, notes


def labels_of(dataset: KaggleDataset, table: Table) -> tuple[list[Labels], list[str]]:
    """The labels of a table's rows, and notes; from the column `labels`, several columns (label1, label2), or one for each
    class."""
    if "labels" in table.header:
        cells = table.column("labels")
        labels, notes = split_labels(cells, separator=dataset.label_separator, names=known_names(dataset))
        same = [name for name in table.header if name != "labels" and name.lower() in ("label", "labels")]
        if others := [*same, *numbered_columns(table, table.header)]:
            notes.append(f"labels are those of the column 'labels' alone, not of {', '.join(map(repr, others))}")
        return labels, notes
    if len(several := numbered_columns(table, table.header)) > 1:
        return joined_labels(table, several, separator=dataset.label_separator, names=known_names(dataset))
    if own := named_label_column(table, "fname"):
        raise missing_columns(table.path, ["labels"], table.header, f"Rename {own!r} to 'labels'.")
    found = indicator_labels(table, _NO_CLASSES)
    if found is None:
        is_own = table.path == dataset.labels_csv
        way_out = _other_table(dataset) if is_own else "Rename its columns, or move it away where no labels are known."
        raise missing_columns(table.path, ["labels"], table.header, way_out)
    return found


def known_names(dataset: KaggleDataset) -> set[str]:
    """Class names that stand in a file of their own: `sample_submission.csv`, or `classes.txt`."""
    names: set[str] = set()
    if is_file(dataset.sample_submission_csv):
        names.update(_submission_header(dataset)[1:])
    if is_file(dataset.classes_txt):
        names.update(
            line.strip().strip('"')
            for line in read_text(dataset.classes_txt, dataset.limits)[0].lstrip("\ufeff").splitlines()
        )
    return names - {""}


def _submission_header(dataset: KaggleDataset) -> list[str]:
    """The columns of `sample_submission.csv`, but for the numbers of rows that pandas writes first."""
    header = read_csv(dataset, dataset.sample_submission_csv, header_only=True).header
    return header[1:] if header[:1] in ([""], ["Unnamed: 0"]) else header


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
    header = _submission_header(dataset)
    if header[:1] != ["fname"] or len(header) < 2:
        raise BadInputError(
            f"{path}: the first column must be fname and the others the classes; it has {header[:5]}. Without this file the "
            "classes are the sorted labels: move it away, or correct it."
        )
    classes = header[1:]
    offenders = ["'fname': the name of the column of clips, which no class can have"] if "fname" in classes else []
    offenders += [f"{name!r}: {n} columns" for name, n in Counter(classes).items() if n > 1]
    offenders += [f"{name!r}: a label of {n} clips, but no class" for name, n in counts.items() if name not in classes]
    offenders += [f"{name!r}: a class that no clip has" for name in classes if name not in counts]
    if offenders:
        following = f", as {corrections.NAME} corrects them" if clips.changes else ""
        raise BadInputError(
            f"{path} (the classes) and {dataset.labels_csv.name} (the labels{following}) do not match; use the same names in "
            "both.",
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
    table = read_csv(dataset, path, "fname", "fold")
    valid = {str(fold) for fold in range(n_folds)}
    names, _ = fnames_of(dataset, table, fnames)
    given = dict(zip(names, (fold.strip().removesuffix(".0") for fold in table.column("fold")), strict=True))
    offenders = [f"{name!r}: {n} rows" for name, n in Counter(names).items() if n > 1]
    offenders += [f"{name!r}: fold {fold!r}" for name, fold in given.items() if fold not in valid]
    missing = [name for name in fnames if name not in given]
    index = NameIndex(given if missing else ())
    offenders += [f"{name!r}: no row{hint(index, name)}" for name in missing]
    offenders += [f"fold {fold}: no clip" for fold in sorted(valid - {given.get(name) for name in fnames})]
    if offenders:
        raise BadInputError(
            f"{path}: every clip needs one row with a fold from 0 to {n_folds - 1}, and every fold a clip; correct it, or "
            "move it away to have folds made.",
            offenders,
        )
    return np.array([int(given[name]) for name in fnames], np.int8)


def submission_files(dataset: KaggleDataset) -> dict[str, Path]:
    """What lies in the `test/` folder, by fname, sorted; hidden files are left out. Raises as `files_below`."""
    base = dataset.test_folder
    return files_below(base, dataset.limits) if is_folder(base) else {}
