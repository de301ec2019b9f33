"""Files beside the clips that give no labels: what they are, and what to do to have them read."""

import re
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path, PurePosixPath

from fa_assets.errors import BadInputError
from fa_assets.intake.class_folders import is_share
from fa_assets.intake.columns import is_timed
from fa_assets.intake.names import NameIndex, hint, is_audio, listed
from fa_assets.intake.tables import read_table
from fa_assets.store.source_files import Limits

_KALDI = frozenset({"wav.scp", "text", "utt2spk", "spk2utt", "segments", "feats.scp"})
_KINDS = {
    **dict.fromkeys((".gz", ".bz2", ".xz", ".zip", ".tar", ".7z", ".rar"), "are packed: unpack them"),
    ".textgrid": "are of Praat: 'Down to Table...' there and 'Save as comma-separated file', as a.csv for a.wav",
    ".eaf": "are of ELAN: 'Export As', 'Tab-delimited Text' with begin, end and annotation, as a.txt for a.wav",
    ".jams": "are of JAMS: write their labels as a CSV of file names and labels",
    ".mid": "are scores, and no labels",
}
_OTHER_TABLES = frozenset(
    (".xlsx", ".xlsm", ".xls", ".ods", ".numbers", ".docx", ".xml", ".yaml", ".yml", ".srt", ".vtt", ".sqlite")
) | {".feather", ".arrow", ".pkl", ".rds", ".rdata", ".mat"}
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".pdf", ".npy", ".npz", ".pt"})
_ROWS, _TABLES = 5, 50
"""Rows of a table, and tables, that are looked at."""


def without_storage(names: list[str]) -> list[str]:
    """The files that do not lie in a storage folder, with the results of runs."""
    there = {*names}
    above = [name.removesuffix("settings.json") for name in names if name.endswith("/settings.json")]
    storage = tuple(one for one in above if f"{one}catalog.duckdb" in there)
    return [name for name in names if not name.startswith(storage)] if storage else names


def unread_files(others: Sequence[str], audio: Iterable[str]) -> list[str]:
    """Lines on files that are neither audio nor CSV and may hold labels, by their names.

    Args:
        others: the names of such files.
        audio: the names of the clips.
    """
    said = []
    stems = {PurePosixPath(name).stem for name in audio}
    if kaldi := [name for name in others if PurePosixPath(name).name in _KALDI]:
        said.append(f"{listed(kaldi)} are lists of Kaldi: write a CSV of the paths in wav.scp and their labels")
    for suffix, what in _KINDS.items():
        if its := [name for name in others if _suffix(name) == suffix]:
            said.append(f"{listed(its)} {what}")
    if tables := [name for name in others if _suffix(name) in _OTHER_TABLES]:
        which = listed(tables)
        said.append(
            f"not read, since only CSV, JSON and Parquet are: {which}; if the labels are there, export them as CSV"
        )
    if parquet := [name for name in others if _suffix(name) == ".parquet"]:
        said.append(f"if the sound is in {listed(parquet)}, save each audio['bytes'] as a file")
    known = {*kaldi, *tables} | {name for name in others if _suffix(name) in {*_KINDS, *_PICTURES}}
    if beside := [name for name in others if PurePosixPath(name).stem in stems and name not in known]:
        said.append(
            f"{listed(beside)} are called as clips are: if they hold times and labels with tabs between, call them a.txt for "
            "a.wav"
        )
    return said


def unread_tables(files: Iterable[Path], audio: Sequence[str], limits: Limits) -> list[str]:
    """Lines on tables that give no labels: their names nearly fit, or are parts of the names, or the layout is another."""
    index = NameIndex(PurePosixPath(name).name for name in audio)
    said = []
    timed, blank, lists, beside, strange = [], [], [], [], []
    stems = {PurePosixPath(name).stem for name in audio}
    stems |= {stem.split(".")[0] for stem in stems}
    for path in islice(files, _TABLES):
        with suppress(BadInputError):
            table = read_table(path, limits=limits)
            rows = [table.header, *table.rows[:_ROWS]]
            of_clips = [
                name for row in rows[1:] for name, cell in zip(table.header, row, strict=False) if index.find(cell)
            ]
            words = rows[-1][0].split() if rows[-1] else []
            if {"annotations", "data"} <= {*table.header}:
                said.append(f"{path.name} is the whole export of Label Studio: export JSON-MIN or CSV there")
            elif line := _on_names(path.name, rows, of_clips, index, audio):
                said.append(line)
            elif path.name.split(".")[0] in stems:
                beside.append(path.name)
            elif is_timed(table):
                timed.append(path.name)
            elif len(table.header) == 1 and words and index.find(rows[-1][0]):
                lists.append(path.name)
            elif len(table.header) == 1 and any(map(index.find, words)):
                blank.append(path.name)
            elif len(table.header) == 1 and (by := next((by for by in "&^~#:" if _are_cells(rows, by, index)), None)):
                said.append(f"{path.name} is separated by {by!r}: write sep={by} into a line above its rows")
            elif len(table.header) > 1 and path.suffix.lower() != ".txt" and not of_clips:
                strange.append(path.name)
    said += _on_lists(lists, blank)
    if beside:
        said.append(
            f"{listed(beside)} are called as clips are, and hold no labels that are told as such: lines of begin, end and "
            "label with tabs between, or a column called label"
        )
    if strange and audio:
        said.append(
            f"{listed(strange)} name no clip in any column, as {audio[0]!r} is called, or not below their first line"
        )
    if timed:
        said.append(
            f"{listed(timed)} hold times, as annotations of clips do, and are called as no clip is: call them a.csv for a.wav"
        )
    return said


def _on_names(
    table: str, rows: Sequence[Sequence[str]], of_clips: Sequence[str], index: NameIndex, audio: Sequence[str]
) -> str | None:
    """What is odd about the names of clips in a table's first rows; None where nothing is.

    Args:
        of_clips: the columns that name any.
        index: of the clips' names without folders.
    """
    cells = [cell for row in rows[:2] for cell in row]
    if there := next((one for cell in cells if not index.find(cell) and (one := index.near(cell))), None):
        return f"The first row of {table} names a clip that is nearly called {there!r}: use the same names"
    if not of_clips and (part := _part_of_names(rows, audio)):
        cell, name = part
        return f"{table} has parts of the names of clips, as {cell!r} of {name!r}: add a column with their names as they are"
    whole = NameIndex(audio) if of_clips else index
    if of_clips and (twice := next((one for one in chain(*rows) if len(whole.find(one)) > 1), None)):
        return f"{table}: {twice!r}{hint(whole, twice)}, with its folder"
    if of_clips and any(is_audio(cell) and not index.find(cell) for cell in rows[-1]):
        which = f"--fname-column {shlex.quote(of_clips[0])} takes it for their names"
        return f"{table} names clips in its column {of_clips[0]!r}, and other files elsewhere: {which}"
    return None


def _are_cells(rows: Sequence[Sequence[str]], separator: str, index: NameIndex) -> bool:
    """Whether the rows of one column are several with this between, of which one names a clip."""
    return any(index.find(cell) for row in rows for cell in row[0].split(separator) if separator in row[0])


def _on_lists(lists: Sequence[str], blank: Sequence[str]) -> list[str]:
    """Lines on tables of one column: the names of clips alone, or more with blanks between."""
    said = []
    if shares := [name for name in lists if is_share(PurePosixPath(name).stem)]:
        said.append(
            f"{listed(shares)} list clips of a share of the dataset by their names, and no labels; test clips belong into "
            "test/"
        )
    if classes := [name for name in lists if name not in shares]:
        said.append(f"{listed(classes)} list clips: if each is a class of its own, let their names end in .csv")
    if blank:
        way_out = f"`tr -s ' ' ',' < {shlex.quote(blank[0])} > NEW.csv`"
        said.append(f"{listed(blank)} have blanks between their columns: write commas, as with {way_out}")
    return said


def _part_of_names(rows: Sequence[Sequence[str]], audio: Sequence[str]) -> tuple[str, str] | None:
    """A cell and the one clip whose name holds it, with no letter or digit beside it; where another row has one too."""
    found = []
    text = "\n".join(audio)
    for row in rows:
        likely = sorted({*row[:3], *row[-2:]}, key=len, reverse=True)
        for cell in (one for one in likely if re.search(r"[\w-]{3}", one)):
            is_part = re.compile(
                (r"(?<!\d)" if cell[0].isdigit() else r"(?<![^\W\d_Y])" if cell[0].isalpha() else "")
                + re.escape(cell)
                + (r"(?!\d)" if cell[-1].isdigit() else r"(?![^\W\d_])")
                + r"(?=[^/\n]*$)",
                re.MULTILINE,
            )
            places = [part.start() for part in islice(is_part.finditer(text), 2)]
            if len(places) == 1:
                found.append((cell, audio[text.count("\n", 0, places[0])]))
                break
    return found[0] if len({name for _, name in found}) > 1 else None


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
