"""A label CSV for a folder of audio that has none: proposed from tables, annotations or folders.

Nothing is written before `write`, and no audio is ever moved or copied: where the clips do not lie in ``train_curated/``
already, that name becomes a link to the folder itself.
"""

import csv
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from fa_assets.errors import UserError
from fa_assets.intake.addresses import advice_on_name
from fa_assets.intake.annotations import Found, WhichColumnError, clip_of, labels_from_files
from fa_assets.intake.class_folders import groups_of, labels_by_folder, test_folder_of
from fa_assets.intake.class_in_names import labels_by_name
from fa_assets.intake.class_names import doubtful_names
from fa_assets.intake.columns import Columns
from fa_assets.intake.kaggle import KaggleDataset, known_names
from fa_assets.intake.labels import join_labels
from fa_assets.intake.names import AUDIO_SUFFIXES, NameIndex, is_audio, is_of_tests, listed
from fa_assets.intake.unread import unread_files, unread_tables, without_storage
from fa_assets.store.atomic import remove_abandoned, replacing
from fa_assets.store.source_files import Limits, files_below, find, is_file, is_folder

_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".parquet", ".txt", ".json", ".jsonl", ".ndjson"})

_USUAL = Columns()

Rows = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Proposal:
    """What `train_curated.csv` would hold.

    Attributes:
        dataset: the folder that it is written to.
        source: the folder that holds the clips.
        test_source: that of the test clips, where there are any.
        origin: where the labels are from, in words.
        rows: fname, relative to `train_curated/`, and the clip's labels, sorted by fname.
        groups: of the clips, where there are any.
        test_rows: the same of the test set, where tables, annotations or its folders give labels.
        unlabelled: audio files that have no label.
        missing: names in the tables that no audio file has, or several have.
        left_out: files that are neither audio by their names nor tables.
        notes: what was understood on the way.
    """

    dataset: KaggleDataset
    source: Path
    origin: str
    rows: Rows
    test_source: Path | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    test_rows: Rows = ()
    unlabelled: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        """Clips of each class, sorted by name."""
        return dict(sorted(Counter(label for _, labels in self.rows for label in labels).items()))

    def write(self) -> list[Path]:
        """Write the tables, and the links where they are needed; give the tables.

        Raises:
            UserError: the folder cannot be written to.
        """
        written = []
        try:
            self.dataset.root.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.dataset.root)
            self._link(self.dataset.clips_folder, self.source)
            header = ("fname", "labels", "group") if self.groups else ("fname", "labels")
            for path, columns, rows in (
                (self.dataset.labels_csv, header, self.rows),
                (self.dataset.test_csv, ("fname", "labels"), self.test_rows),
            ):
                if rows and not path.exists():
                    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                        writer = csv.writer(file, lineterminator="\n")
                        writer.writerow(columns)
                        cells = ((name, join_labels(labels), self.groups.get(name, "")) for name, labels in rows)
                        writer.writerows(row[: len(columns)] for row in cells)
                    written.append(path)
            if self.test_source:
                self._link(self.dataset.test_folder, self.test_source)
        except OSError as error:
            raise UserError(
                f"{self.dataset.root} cannot be written to ({error.strerror}): --out DIR writes to another folder."
            ) from error
        return written

    def _link(self, place: Path, target: Path) -> None:
        if not is_folder(place):
            inside = target.resolve() == place.parent.resolve()
            place.symlink_to("." if inside else target.resolve(), target_is_directory=True)


def propose(
    folder: Path,
    *,
    table: Path | None = None,
    columns: Columns = _USUAL,
    level: int | None = None,
    in_name: str | None = None,
    out: Path | None = None,
) -> Proposal:
    """Find the clips of a folder and their labels.

    A table that names the clips in one of its columns comes first, then annotations of the clips (Raven, Audacity), then a
    table for each class; they may lie anywhere below. Without any, the folder of a clip is its class.

    Args:
        folder: holds audio, in ``train_curated/`` or anywhere below itself; ``test/`` is the test set.
        table: the file to use, where there are several.
        columns: of it, where they cannot be told; and how much of the folder is read.
        level, in_name: of the folders that are classes, from 1; a pattern that takes them from names (`class_in_names`).
        out: where to write to. Default: the folder itself.

    Raises:
        UserError: no such folder, a dataset already, no audio, or no labels to be found.
    """
    dataset = _new_dataset(folder, table, out, columns)
    base, test_name, names, own = _files(folder, columns.limits)
    audio = [name for name in own if is_audio(name)]
    tables = [table] if table else [folder / name for name in names if _may_be_table(name, test_name)]
    columns = replace(columns, classes=frozenset(known_names(KaggleDataset(folder, columns.limits))))
    left_out = tuple(name for name in own if not is_audio(name) and not _may_be_table(name, test_name))
    of_test = [name for name in names if name.startswith(f"{test_name}/")]
    found, taken = _found(folder, tables, audio, columns, level, in_name, table is not None, left_out, of_test)
    rows = tuple(sorted((name, tuple(labels)) for name, labels in found.labels.items() if labels))
    if not rows:
        raise UserError(f"{found.origin}: no clip has a label. --fname-column and --labels-column take others.")
    below = taken and max(1, taken - (base == folder))
    test, test_rows, on_test = _test_set(folder / test_name, columns, below, found, rows, in_name)
    groups, said = groups_of(found.groups, [name for name, _ in rows], taken)
    notes = [
        *dict.fromkeys([*found.notes, *said]),
        *_notes_on_clips(audio, rows, of_files=taken is None),
        *(_notes_on_tables(tables, audio, columns) if taken is not None else ()),
        *unread_files(left_out, audio),
        *_notes_on_links(base, columns),
        *on_test,
        *([f"not used, since they name no clip: {listed(path.name for path in found.unused)}"] if found.unused else ()),
    ]
    return Proposal(
        dataset,
        base,
        found.origin,
        rows,
        test_source=folder / test_name if test else None,
        groups=groups,
        test_rows=test_rows,
        unlabelled=tuple(name for name in audio if not found.labels.get(name)),
        missing=tuple(found.missing),
        left_out=left_out,
        notes=tuple(notes),
    )


def _files(folder: Path, limits: Limits) -> tuple[Path, str, list[str], list[str]]:
    """Where the clips lie, the name of the test set's folder, all files of the folder, and those that lie with the clips.

    Raises:
        UserError: there is no audio.
    """
    base = folder / "train_curated" if is_folder(folder / "train_curated") else folder
    names = without_storage(list(files_below(folder, limits)))
    test_name = test_folder_of(names)
    beside = files_below(base, limits) if base != folder else names
    own = [name for name in beside if base != folder or not name.startswith(f"{test_name}/")]
    if not any(is_audio(name) for name in own):
        holds = f" It holds {listed(own)}: unpack archives, and give raw samples a header." if own else ""
        more = "".join(f" {one}." for one in unread_files(own, ()))
        raise UserError(f"{base} holds no audio ({', '.join(sorted(AUDIO_SUFFIXES))}).{holds}{more}")
    return base, test_name, names, own


def _new_dataset(folder: Path, table: Path | None, out: Path | None, columns: Columns) -> KaggleDataset:
    """The dataset that is to be written.

    Raises:
        UserError: there is no such folder or table, or the dataset is there already.
    """
    if folder.is_file():
        own = ["--csv", str(folder)] if _may_be_table(folder.name) else []
        command = shlex.join(["fa-assets", "init", str(folder.parent), *own])
        raise UserError(f"{folder} is a file, and a folder with audio is wanted: `{command}`.")
    if not is_folder(folder):
        raise UserError(f"There is no folder {folder}.{advice_on_name(str(folder))}")
    if table is not None and table.is_dir():
        inside = [f", as {path}" for path in sorted(table.iterdir()) if _may_be_table(path.name)]
        one = "".join(inside[:1])
        raise UserError(
            f"{table} is a folder, not a file: --csv takes one table{one}; without it, all in {folder} count."
        )
    if table is not None and not is_file(table):
        there = f": there is {folder / table}" if is_file(folder / table) else ""
        raise UserError(f"{table}: no such file; --csv takes a table{there}.")
    dataset = KaggleDataset(out or folder, limits=columns.limits)
    if find(dataset.labels_csv) is not None:
        raise UserError(f"{dataset.labels_csv} already exists: `fa-assets run --dataset {dataset.root}` takes it.")
    return dataset


def _notes_on_clips(audio: Sequence[str], rows: Rows, *, of_files: bool) -> list[str]:
    """What is odd about the clips and their labels.

    Args:
        of_files: whether tables or annotations give the labels, and not folders.
    """
    notes = [f"class names to look at: {names} {what}" for names, what in doubtful_names([own for _, own in rows])]
    notes = [note.replace("set FA_LABEL_SEPARATOR to", "give --label-separator") for note in notes]
    if of_files and len(rows) < len(audio) / 2 and all("/" in name for name in audio):
        notes.append("most clips have no label there: --level 1 takes the folders as classes instead")
    folders = {name: [*filter(is_of_tests, name.split("/")[:-1])] for name, _ in rows}
    if inside := [name for name, of_test in folders.items() if of_test]:
        called = listed(sorted({one for of_test in folders.values() for one in of_test}))
        notes.append(
            f"{len(inside)} clips lie in folders called {called} and are taken as training clips; a test set belongs into "
            f"test/: {listed(inside)}"
        )
    formats = Counter(PurePosixPath(name).suffix.lower() for name in audio)
    if len(formats) > 1:
        notes.append("formats: " + ", ".join(f"{count} {suffix}" for suffix, count in formats.most_common()))
    return notes


def _notes_on_tables(tables: Sequence[Path], audio: Sequence[str], columns: Columns) -> list[str]:
    """What is to be said of tables where the folders give the labels."""
    names = f"not used, as no source of labels: {listed(path.name for path in tables)}"
    return [names, *unread_tables(tables, audio, columns.limits)] if tables else []


def _notes_on_links(base: Path, columns: Columns) -> list[str]:
    if columns.limits.follow_links:
        return []
    followed = files_below(base, replace(columns.limits, follow_links=True))
    more = sorted({*followed} - {*files_below(base, columns.limits)})
    return [f"files behind links to folders, left out since FA_LINKS is refuse: {listed(more)}"] if more else []


def _test_set(
    folder: Path, columns: Columns, level: int | None, found: Found, curated: Rows, in_name: str | None
) -> tuple[list[str], Rows, list[str]]:
    """The test clips, their labels and notes: of the rows in `found` that name no training clip, or else of their names, of the
    tables and annotations in the folder, or of its folders at a level."""
    files = files_below(folder, columns.limits) if is_folder(folder) else {}
    test = [name for name in files if is_audio(name)]
    index = NameIndex(test)
    labels: dict[str, dict[str, None]] = {}
    said = []
    for name in [*found.missing] if test else ():
        if (clip := clip_of(index, name)) is not None:
            labels.setdefault(clip, {}).update(found.missing.pop(name))
    tables = [path for name, path in files.items() if PurePosixPath(name).suffix.lower() in _TABLE_SUFFIXES]
    tables += [folder.parent / "test.csv"] if is_file(folder.parent / "test.csv") else found.unused
    if test and not labels:
        labels = {name: {name.split("/")[level - 1]: None} for name in test if level and name.count("/") >= level}
        try:
            if in_name is not None:
                labels = {name: {label: None} for name, label in labels_by_name(test, in_name).items()}
            elif level is None and (own := labels_from_files(folder, tables, test, columns, explicit=False)):
                labels = own.labels
                found.unused = [path for path in found.unused if path not in tables or path in own.unused]
        except UserError as error:
            said.append(f"not used for test.csv: {error}")
    rows = [(name, tuple(own)) for name, own in sorted(labels.items()) if own]
    classes = {label for _, own in curated for label in own}
    others = {name: None for name, own in rows if not classes >= {*own}}
    if test:
        labelled = len(rows) - len(others)
        said.append(f"{folder.name}/ ({len(test)} clips) is the test set; {labelled} of them have a label for test.csv")
    if others:
        said.append(f"test clips with labels that no training clip has get none: {listed(others)}")
    return test, tuple(row for row in rows if row[0] not in others), said


def _may_be_table(name: str, test_name: str = "test") -> bool:
    is_of_test = name in ("sample_submission.csv", "test.csv") or name.startswith(f"{test_name}/")
    return PurePosixPath(name).suffix.lower() in _TABLE_SUFFIXES and not is_of_test


def _has_class_folders(audio: Sequence[str]) -> bool:
    try:
        return labels_by_folder(audio).are_sounds
    except UserError:
        return False


def _found(
    folder: Path,
    files: Sequence[Path],
    audio: Sequence[str],
    columns: Columns,
    level: int | None,
    in_name: str | None,
    explicit: bool,
    others: Sequence[str],
    test: Sequence[str],
) -> tuple[Found, int | None]:
    """The labels from names, where a pattern is given, from files, or else from folders, of which also the level."""
    if in_name is not None:
        if level or explicit or columns != Columns(classes=columns.classes, limits=columns.limits):
            raise UserError(
                "--label-in-name takes the labels from the clips' names: leave out --level, --csv and columns."
            )
        of_names = {name: dict[str, None]({label: None}) for name, label in labels_by_name(audio, in_name).items()}
        return Found(f"the clips' names, {in_name!r}", of_names), None
    unclear: UserError | None = None
    if level is not None and (explicit or columns.fname or columns.labels):
        raise UserError("--level takes the labels from folders, --csv and columns from a table: give one of them.")
    if level is None:
        try:
            found = labels_from_files(folder, files, audio, columns, explicit=explicit, others=test)
            if found is not None and not (found.guess and not explicit and _has_class_folders(audio)):
                found.notes[:0] = [f"a guess, by the cells: {found.guess}"] * bool(found.guess)
                return found, None
            unclear = UserError(found.guess) if found else None
        except UserError as error:
            if explicit or columns.fname or columns.labels or isinstance(error, WhichColumnError):
                raise
            unclear = error
        if explicit:
            raise UserError(f"{files[0]} has no column that names audio files in {folder}; --fname-column takes one.")
    if columns.separator is not None:
        raise UserError("--label-separator is for the cells of tables, and here folders give the labels: leave it out.")
    try:
        by_folder = labels_by_folder(audio, level)
    except UserError as error:
        unused = [*(path.name for path in files), *others]
        beside = [f"Not used: {listed(unused)}"] if unused else []
        beside += [*unread_tables(files, audio, columns.limits), *unread_files(others, audio)]
        raise unclear or UserError(" ".join([str(error), *(f"{one}." for one in beside)])) from None
    found = Found("folders", notes=[*by_folder.notes, *([f"not used: {unclear}"] if unclear else [])])
    for name, labels in by_folder.rows:
        found.add(name, labels)
    return found, by_folder.level
