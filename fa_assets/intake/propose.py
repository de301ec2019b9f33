"""A label CSV for a folder of audio that has none: proposed from sub-folders or from a CSV with other column names.

Nothing is written before `write`, and no audio is ever moved or copied: where the clips do not lie in ``train_curated/``
already, that name becomes a link to the folder itself.
"""

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.kaggle import KaggleDataset
from fa_assets.store.atomic import remove_abandoned, replacing
from fa_assets.store.source_files import files_below, find, is_file, is_folder, read_bytes

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64"}
)
"""Names of files that libsndfile reads."""

_LABEL_NAMES = (
    "labels",
    "label",
    "category",
    "class",
    "class_name",
    "classes",
    "tags",
    "tag",
    "species",
    "event",
    "target",
)


@dataclass(frozen=True)
class Proposal:
    """What `train_curated.csv` would hold.

    Attributes:
        dataset: the folder.
        origin: where the labels are from, in words.
        rows: fname, relative to `train_curated/`, and the clip's labels, sorted by fname.
        unlabelled: audio files that have no label.
        missing: names in the CSV that no audio file has.
    """

    dataset: KaggleDataset
    origin: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    unlabelled: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        """Clips of each class, sorted by name."""
        return dict(sorted(Counter(label for _, labels in self.rows for label in labels).items()))

    def write(self) -> None:
        """Write the label CSV, and the link where one is needed.

        Raises:
            UserError: the link cannot be made.
        """
        clips = self.dataset.clips_folder
        if not is_folder(clips):
            try:
                clips.symlink_to(".", target_is_directory=True)
            except OSError as error:
                raise UserError(f"{clips} cannot be made a link ({error}): move the audio there by hand.") from error
        remove_abandoned(self.dataset.root)
        with replacing(self.dataset.labels_csv) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("fname", "labels"))
            writer.writerows((fname, ",".join(labels)) for fname, labels in self.rows)


def propose(
    folder: Path, *, table: Path | None = None, fname_column: str | None = None, labels_column: str | None = None
) -> Proposal:
    """Find audio and its labels in a folder.

    A CSV file counts when one of its columns names audio files (with or without folder and suffix); several labels are
    separated by ``,``, ``;`` or ``|``. Without one, the first sub-folder of a clip is its class.

    Args:
        folder: holds audio, in ``train_curated/`` or anywhere below itself; ``test/`` is left alone.
        table: the CSV to use, where there are several.
        fname_column, labels_column: its columns, where they cannot be told.

    Raises:
        UserError: no such folder, a dataset already, no audio, or no labels to be found.
        BadInputError: class names that a label CSV cannot hold; all are named.
    """
    dataset = KaggleDataset(folder)
    if not is_folder(folder):
        raise UserError(f"{folder} is not a folder.")
    if find(dataset.labels_csv) is not None:
        raise UserError(f"{dataset.labels_csv} already exists: `fa-assets run --dataset {folder}` takes it.")
    base = dataset.clips_folder if is_folder(dataset.clips_folder) else folder
    audio = [
        name
        for name in files_below(base)
        if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES and (base != folder or not name.startswith("test/"))
    ]
    if not audio:
        raise UserError(f"{base} holds no audio ({', '.join(sorted(AUDIO_SUFFIXES))}).")
    tables = [table] if table else sorted(path for path in folder.glob("*.[ct]sv") if is_file(path))
    for path in tables:
        proposal = _from_table(dataset, path, audio, fname_column, labels_column)
        if proposal is not None:
            return _checked(proposal)
        if table is not None:
            raise UserError(f"{table} has no column that names audio files in {base}; --fname-column takes one.")
    rows = tuple((name, (name.split("/")[0],)) for name in audio if "/" in name)
    if not rows:
        raise UserError(
            f"{base} has no class sub-folders and no CSV that names its audio files: sort the clips into a folder for each "
            "class, or give the labels with --csv FILE."
        )
    return _checked(Proposal(dataset, "sub-folders", rows, tuple(name for name in audio if "/" not in name)))


def _from_table(
    dataset: KaggleDataset, path: Path, audio: Sequence[str], fname_column: str | None, labels_column: str | None
) -> Proposal | None:
    header, rows = _read(path)
    named = {name: column for column in range(len(header)) if (name := header[column])}
    for wanted in (fname_column, labels_column):
        if wanted is not None and wanted not in named:
            raise UserError(f"{path} has no column {wanted!r}; it has {', '.join(header)}.")
    matches = {name: _matched([row[column] for row in rows], audio) for name, column in named.items()}
    fname = fname_column or max(matches, key=lambda name: len(matches[name]), default="")
    if not matches.get(fname):
        return None
    label = labels_column or _label_column(header, rows, fname)
    if label is None:
        raise UserError(f"{path}: which column holds the labels? --labels-column takes one of {', '.join(header)}.")
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        clip = matches[fname].get(row[named[fname]])
        if clip is not None:
            labels = (part.strip() for part in re.split("[,;|]", row[named[label]]))
            found.setdefault(clip, {}).update(dict.fromkeys(part for part in labels if part))
    return Proposal(
        dataset,
        f"{path.name}, columns {fname} and {label}",
        tuple(sorted((name, tuple(labels)) for name, labels in found.items() if labels)),
        unlabelled=tuple(name for name in audio if not found.get(name)),
        missing=tuple(dict.fromkeys(row[named[fname]] for row in rows if row[named[fname]] not in matches[fname])),
    )


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and full rows of a CSV, whatever separates its cells."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        lines = [row for row in csv.reader(text.splitlines(), delimiter=delimiter, strict=True) if row]
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file that can be read: {error}") from error
    return (lines[0], [row for row in lines[1:] if len(row) == len(lines[0])]) if lines else ([], [])


def _matched(cells: Sequence[str], audio: Sequence[str]) -> dict[str, str]:
    """The audio file that each cell names, by path, by name or by name without suffix; only where there is one."""
    known: dict[str, set[str]] = {}
    for name in audio:
        path = PurePosixPath(name)
        for key in {name, path.name, path.stem, str(path.with_suffix(""))}:
            known.setdefault(key, set()).add(name)
    named = {cell: known.get(cell) or known.get(PurePosixPath(cell.replace("\\", "/")).name, set()) for cell in cells}
    return {cell: next(iter(names)) for cell, names in named.items() if len(names) == 1}


def _label_column(header: Sequence[str], rows: Sequence[Sequence[str]], fname: str) -> str | None:
    """By its name; else the one text column that repeats itself."""
    for wanted in _LABEL_NAMES:
        for name in header:
            if name.strip().lower() == wanted and name != fname and not _numeric(header, rows, name):
                return name
    repeating = [
        name
        for name in header
        if name != fname
        and not _numeric(header, rows, name)
        and 1 < len({row[header.index(name)] for row in rows}) <= len(rows) / 2
    ]
    return repeating[0] if len(repeating) == 1 else None


def _numeric(header: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> bool:
    cells = [row[header.index(name)].strip() for row in rows]
    return all(re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?|true|false|", cell.lower()) for cell in cells)


def _checked(proposal: Proposal) -> Proposal:
    offenders = [f"{name!r}" for name in proposal.counts if re.search("[,;]", name) or name != name.strip()]
    if offenders:
        raise BadInputError(
            "Class names that a label CSV cannot hold (',', ';' or spaces around): rename them.", offenders
        )
    if not proposal.rows:
        raise UserError(f"{proposal.origin}: no clip has a label.")
    return proposal
