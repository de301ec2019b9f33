"""The state of a dataset folder as one data version: its CSV files, the bytes of every clip they name, and the test clips.

Hashes are remembered by (name, size, mtime in ns) in a small JSON file, so that looking again costs a `stat` per clip.
A look may be given a time limit: what it hashed until then is remembered, and the next look goes on from there.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fa_assets.audio.decode import BadClipError
from fa_assets.dataset.kaggle import (
    KaggleDataset,
    LabelledClips,
    locate_clip,
    read_labels,
    submission_files,
    tables_digest,
)
from fa_assets.storage.atomic import digest_file, replacing


@dataclass(frozen=True)
class RecordingsState:
    """What lies in a dataset folder: its data version, how many clips its CSV names, how many of them are there.

    `clips` has for each clip that is there a short digest of its bytes and its labels.
    """

    data_version: str
    clips_named: int
    clips_present: int
    bytes_present: int
    clips: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """How many clips came, changed (bytes or labels) or went between two looks."""

    added: int
    changed: int
    removed: int


class ScanUnfinishedError(Exception):
    """The time limit came first; `hashed` of `clips` clips are remembered, and the next look goes on."""

    def __init__(self, hashed: int, clips: int) -> None:
        self.hashed = hashed
        self.clips = clips
        super().__init__(f"{hashed} of {clips} clips hashed so far")


def scan_recordings(dataset: KaggleDataset, memory: Path, *, limit_s: float | None = None) -> RecordingsState:
    """Hash what is new or changed and give the state of the folder.

    Args:
        memory: the JSON file that remembers hashes; made when missing, ignored when damaged.
        limit_s: stop after this many seconds; at least one clip is hashed.

    Raises:
        BadInputError: the label CSV cannot be used.
        ScanUnfinishedError: the time limit came first.
    """
    stop_at = None if limit_s is None else time.monotonic() + limit_s
    labelled = read_labels(dataset)
    known = _remembered(memory)
    seen: dict[str, list[str | int]] = {}
    clips: dict[str, str] = {}
    version = hashlib.sha256(tables_digest(dataset).encode())
    size = 0
    labels_of = dict(zip(labelled.fnames, labelled.labels, strict=True))
    watched = list(_watched(dataset, labelled))
    for fname, folder, name in watched:
        labels = labels_of.get(fname, ())
        try:
            path = locate_clip(folder, name)
        except BadClipError as error:
            version.update(f"{fname}\0{error}\0".encode())
            continue
        if not path.is_file():
            version.update(f"{fname}\0missing\0".encode())
            continue
        stat = path.stat()
        key: list[str | int] = [str(path), stat.st_size, stat.st_mtime_ns]
        remembered = known.get(fname, [])
        if remembered[:3] == key:
            sha256 = str(remembered[3])
        else:
            sha256 = digest_file(path).sha256
            if stop_at is not None and time.monotonic() > stop_at:
                _remember({**known, **seen, fname: [*key, sha256]}, memory)
                raise ScanUnfinishedError(len(seen) + 1, len(watched))
        seen[fname] = [*key, sha256]
        clips[fname] = hashlib.sha256("\0".join([sha256, *labels]).encode()).hexdigest()[:12]
        size += stat.st_size
        version.update(f"{fname}\0{sha256}\0".encode())
    if seen != known:
        _remember(seen, memory)
    return RecordingsState(
        version.hexdigest()[:16], len(labelled.fnames), sum(name in seen for name in labelled.fnames), size, clips
    )


def change_between(before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    """What differs between the `clips` of two states."""
    return Change(
        added=len(after.keys() - before.keys()),
        changed=sum(before[fname] != digest for fname, digest in after.items() if fname in before),
        removed=len(before.keys() - after.keys()),
    )


def _watched(dataset: KaggleDataset, labelled: LabelledClips) -> Iterator[tuple[str, Path, str]]:
    """Every file that counts: the clips that the CSV names, and what lies in `test/` under a name that no clip has.

    Each as the name it is known by, its folder (resolved) and its name there.
    """
    folder = dataset.clips_folder.resolve()
    yield from ((fname, folder, fname) for fname in labelled.fnames)
    folder = dataset.test_folder.resolve()
    yield from ((f"/test/{fname}", folder, fname) for fname in submission_files(dataset))


def _remembered(memory: Path) -> dict[str, list[str | int]]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(seen: Mapping[str, list[str | int]], memory: Path) -> None:
    with replacing(memory) as temporary:
        temporary.write_text(json.dumps(seen))
