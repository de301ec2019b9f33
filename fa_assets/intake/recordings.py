"""The state of a dataset folder as two data versions: of the curated clips with their labels, and of the test clips.

Each stands for the bytes of its clips and for what the CSV files say of them, so a change in `test/` is none of the curated
clips.

Hashes are remembered (`store.digests`), so that another scan costs a `stat` per clip. A scan may be given a time limit: what it
hashed until then is remembered, and the next look goes on from there.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fa_assets.audio.decode import BadClipError
from fa_assets.intake.clip_files import locate_clip
from fa_assets.intake.kaggle import KaggleDataset, LabelledClips, read_csv, read_labels, submission_files
from fa_assets.store.digests import DigestMemory
from fa_assets.store.source_files import Limits, SourceFileError, is_file, read_bytes, reading


@dataclass(frozen=True)
class RecordingsState:
    """What lies there of one set of clips: its data version, how many clips belong to it, how many of them are there.

    `clips` has for each clip that is there a short digest of its bytes and its labels, `unreadable` the others, each with the
    reason; `sha256` are those of the bytes.
    """

    data_version: str
    clips_named: int
    clips_present: int
    bytes_present: int
    clips: Mapping[str, str]
    unreadable: tuple[str, ...]
    sha256: frozenset[str]


@dataclass(frozen=True)
class DatasetState:
    """The curated clips, as the label CSV names them, and the test clips, as they lie in `test/`."""

    curated: RecordingsState
    test: RecordingsState

    @property
    def unreadable(self) -> tuple[str, ...]:
        """All clips that are not there or cannot be read, each with the reason."""
        return (*self.curated.unreadable, *(f"test/{one}" for one in self.test.unreadable))


@dataclass(frozen=True)
class Change:
    """The clips that were added, changed (bytes or labels) or removed between two scans, by name and sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class ScanUnfinishedError(Exception):
    """The time limit came first; `hashed` of `clips` clips are remembered, and the next scan continues."""

    def __init__(self, hashed: int, clips: int) -> None:
        self.hashed = hashed
        self.clips = clips
        super().__init__(f"{hashed} of {clips} clips hashed so far")


def scan_recordings(dataset: KaggleDataset, memory: Path, *, limit_s: float | None = None) -> DatasetState:
    """Hash what is new or changed and give the state of the folder.

    Args:
        memory: the JSON file that remembers hashes; made when missing, ignored when damaged.
        limit_s: stop after this many seconds; at least one clip is hashed.

    Raises:
        BadInputError, SourceFileError: the label CSV or the folder cannot be used.
        ScanUnfinishedError: the time limit came first.
    """
    stop_at = None if limit_s is None else time.monotonic() + limit_s
    labelled = read_labels(dataset)
    clips_folder, test_folder = (Path(os.path.realpath(one)) for one in (dataset.clips_folder, dataset.test_folder))
    curated = {
        fname: _Watched(clips_folder, fname, labels)
        for fname, labels in zip(labelled.fnames, labelled.labels, strict=True)
    }
    test = {f"/test/{fname}": _Watched(test_folder, fname) for fname in submission_files(dataset)}
    digests = DigestMemory(memory)
    found: dict[str, _Found | str] = {}
    for name, one in {**curated, **test}.items():
        found[name] = clip = _find_file(one, dataset.limits, digests)
        if stop_at is not None and isinstance(clip, _Found) and clip.is_new and time.monotonic() > stop_at:
            digests.save()
            hashed = sum(isinstance(one, _Found) for one in found.values())
            raise ScanUnfinishedError(hashed, len(curated) + len(test))
    digests.save(others=False)
    return DatasetState(
        _state(_curated_tables_digest(dataset, labelled), curated, found),
        _state(_test_tables_digest(dataset), test, found),
    )


def change_between(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    """What differs between the `clips` of two states."""
    return Change(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(sorted(name for name, digest in after.items() if before.get(name, digest) != digest)),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


@dataclass(frozen=True)
class _Watched:
    """A file that counts: its folder, resolved, its name there, and the labels it has."""

    folder: Path
    name: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A file that is there: its size and sha256; and whether it had to be read."""

    size_bytes: int
    sha256: str
    is_new: bool


def _find_file(watched: _Watched, limits: Limits, digests: DigestMemory) -> _Found | str:
    """The file, or in a word why there is none."""
    try:
        path = locate_clip(watched.folder, watched.name, limits)
        if not is_file(path):
            return "missing"
        digest, is_new = digests.find(path)
    except BadClipError as error:
        return str(error)
    except SourceFileError as error:
        return error.reason
    return _Found(digest.size_bytes, digest.sha256, is_new)


def _state(tables: str, watched: Mapping[str, _Watched], found: Mapping[str, _Found | str]) -> RecordingsState:
    version = hashlib.sha256(tables.encode())
    clips: dict[str, str] = {}
    size = 0
    for name, clip in watched.items():
        one = found[name]
        if isinstance(one, _Found):
            clips[name] = hashlib.sha256("\0".join([one.sha256, *clip.labels]).encode()).hexdigest()[:12]
            size += one.size_bytes
        version.update(f"{name}\0{one.sha256 if isinstance(one, _Found) else one}\0".encode())
    unreadable = tuple(f"{watched[name].name}: {one}" for name in watched if isinstance(one := found[name], str))
    hashes = frozenset(one.sha256 for name in clips if isinstance(one := found[name], _Found))
    return RecordingsState(version.hexdigest()[:16], len(watched), len(clips), size, clips, unreadable, hashes)


def _curated_tables_digest(dataset: KaggleDataset, labelled: LabelledClips) -> str:
    """A sha256 over what the CSV files say of the curated clips: labels, verdicts on them, folds, and the classes (the header
    of sample_submission.csv, whose rows are the test set's); and over the labels that were read, where that is not plain."""
    classes = dataset.sample_submission_csv
    header = []
    if is_file(classes):
        with reading(classes) as file:
            line = next((line for line in file if line.strip()), b"")
        table = read_csv(dataset, classes, header_only=True)
        header = [(classes.name, "\0".join(table.header).encode() if table.notes else line.strip())]
    labels = [("labels", json.dumps(labelled.labels).encode())] if labelled.notes else []
    tables = _contents(dataset, dataset.labels_csv, dataset.folds_csv, dataset.corrections_csv)
    return _digest_of([*tables, *header, *labels, *_options(dataset)])


def _test_tables_digest(dataset: KaggleDataset) -> str:
    """A sha256 over the CSV files that say what the test set is: sample_submission.csv and test.csv."""
    names = (dataset.classes_txt,) if is_file(dataset.test_csv) else ()
    tables = _contents(dataset, dataset.sample_submission_csv, dataset.test_csv, *names)
    return _digest_of([*tables, *_options(dataset)])


def _contents(dataset: KaggleDataset, *tables: Path) -> list[tuple[str, bytes]]:
    return [(path.name, read_bytes(path, dataset.limits)) for path in tables if is_file(path)]


def _options(dataset: KaggleDataset) -> list[tuple[str, bytes]]:
    """How the tables are read, where that is not the default."""
    options = (dataset.label_separator, dataset.match_names)
    return [] if options == (None, "exact") else [("options", repr(options).encode())]


def _digest_of(contents: Sequence[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()
