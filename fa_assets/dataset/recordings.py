"""The state of a dataset folder as one data version: its CSV files and the bytes of every clip they name.

Hashes are remembered by (name, size, mtime in ns) in a small JSON file, so that looking again costs a `stat` per clip.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fa_assets.audio.decode import BadClipError
from fa_assets.dataset.kaggle import KaggleDataset, locate_clip, read_labels, tables_digest
from fa_assets.storage.atomic import digest_file, replacing


@dataclass(frozen=True)
class RecordingsState:
    """What lies in a dataset folder: its data version, how many clips its CSV names, how many of them are there."""

    data_version: str
    clips_named: int
    clips_present: int
    bytes_present: int


def scan_recordings(dataset: KaggleDataset, memory: Path) -> RecordingsState:
    """Hash what is new or changed and give the state of the folder.

    Args:
        memory: the JSON file that remembers hashes; made when missing, ignored when damaged.

    Raises:
        BadInputError: the label CSV cannot be used.
    """
    labelled = read_labels(dataset)
    known = _remembered(memory)
    seen: dict[str, list[str | int]] = {}
    version = hashlib.sha256(tables_digest(dataset).encode())
    size = 0
    folder = dataset.clips_folder.resolve()
    for fname in labelled.fnames:
        try:
            path = locate_clip(folder, fname)
        except BadClipError as error:
            version.update(f"{fname}\0{error}\0".encode())
            continue
        if not path.is_file():
            version.update(f"{fname}\0missing\0".encode())
            continue
        stat = path.stat()
        key: list[str | int] = [str(path), stat.st_size, stat.st_mtime_ns]
        remembered = known.get(fname, [])
        sha256 = str(remembered[3]) if remembered[:3] == key else digest_file(path).sha256
        seen[fname] = [*key, sha256]
        size += stat.st_size
        version.update(f"{fname}\0{sha256}\0".encode())
    if seen != known:
        with replacing(memory) as temporary:
            temporary.write_text(json.dumps(seen))
    return RecordingsState(version.hexdigest()[:16], len(labelled.fnames), len(seen), size)


def _remembered(memory: Path) -> dict[str, list[str | int]]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
