"""What a corpus says of itself: its archives, where their members go, and what its tables mean.

The work that all share (download, checks, unpacking, writing the Kaggle layout) is in `fetch`, `unpack` and `layout`.
"""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from fa_assets.errors import BadInputError
from fa_assets.store.source_files import is_file, read_bytes


@dataclass(frozen=True)
class Archive:
    """One zip archive of a corpus.

    Attributes:
        part: the part of the corpus that it belongs to.
        files: its file names; several for an archive that was split (.z01, .z02, ..., .zip), in that order.
        url: where its one file is; None for a file of the corpus's Zenodo record.
    """

    part: str
    files: tuple[str, ...]
    url: str | None = None

    @property
    def name(self) -> str:
        """The name of the file that the archive is opened by."""
        return self.files[-1]


@dataclass(frozen=True)
class LabelledClip:
    """A clip with its classes; `usage` is the share of the test set it belongs to (Public, Private), where there is one."""

    fname: str
    labels: tuple[str, ...]
    usage: str = ""


@dataclass(frozen=True)
class Layout:
    """A corpus as the tables of the Kaggle layout.

    Attributes:
        clips: those to learn from, in the order of the rows.
        classes: in the order of the columns.
        folds: the corpus's own fold of each clip, counted from 0; None where it defines none and they are to be made.
        test: the clips of the test set, in the order of the rows.
    """

    clips: Sequence[LabelledClip]
    classes: Sequence[str]
    folds: Sequence[int] | None = None
    test: Sequence[LabelledClip] = ()


class Corpus(ABC):
    """A published corpus. A subclass gives facts and one or two methods."""

    name: ClassVar[str]
    title: ClassVar[str]
    page: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    archives: ClassVar[tuple[Archive, ...]]
    zenodo_record: ClassVar[str | None] = None
    part_of: ClassVar[tuple[str, ...]] = ()
    """Titles of larger collections that its clips were taken from, or that hold them too."""
    needed: ClassVar[frozenset[str]] = frozenset()
    """Parts that the tables are made from: always fetched."""
    folders: ClassVar[Mapping[str, str]] = {}
    """Where the files of a folder in an archive go, by the folder's name: train_curated, test, meta, doc."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts there are, in the order of the archives."""
        return tuple(dict.fromkeys(archive.part for archive in self.archives))

    def place(self, member: str) -> str | None:
        """Where a member of an archive goes, as a path in the dataset folder; None for what is not needed.

        As `folders` says; a corpus of another shape says it itself.
        """
        path = PurePosixPath(member)
        folder = self.folders.get(path.parent.name)
        return None if folder is None else f"{folder}/{path.name}"

    @abstractmethod
    def layout(self, folder: Path, parts: frozenset[str], *, kaggle_order: bool = True) -> Layout:
        """The tables, read from what `place` put into the folder.

        Args:
            folder: the dataset folder.
            parts: the parts that are unpacked there.
            kaggle_order: sort the rows by fname, as Kaggle's CSV files are; otherwise keep the order of the corpus's own.

        Raises:
            BadInputError: a table is missing or not as published.
        """


def read_table(path: Path, columns: Sequence[str], *, header: bool = True) -> list[dict[str, str]]:
    """The rows of a CSV file.

    Args:
        columns: those it must have; without a header, the names of its first columns.

    Raises:
        BadInputError: no such file, or a column is missing.
    """
    if not is_file(path):
        raise BadInputError(f"{path} is missing: fetch the part of the corpus that holds it.")
    try:
        text = read_bytes(path).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), None if header else columns)
        rows = list(reader)
    except (ValueError, csv.Error) as error:
        raise BadInputError(f"{path} is not as published: {error}") from error
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing or any(row[name] is None for row in rows for name in columns):
        raise BadInputError(f"{path} is not as published: it needs the columns {', '.join(columns)} in every row.")
    return rows
