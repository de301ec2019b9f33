"""Digests of local files that are not read again while their size, times and inode are as they were.

Kept in a small JSON file, which may be lost: then files are read again. Setting back a file's time of modification (`cp
-p`, rsync, git) does not set back the time of its last change, nor its inode. A file that changed just before it was hashed may
change again within the same tick of its file system's clock: it is hashed again the next time.
"""

import json
import time
from pathlib import Path

from fa_assets.store.atomic import FileDigest, replacing
from fa_assets.store.source_files import SourceFileError, digest_source, find

_TICK_NS = 2_000_000_000
"""The slowest clock of a file system, that of FAT."""

_State = tuple[int, int, int, int]


class DigestMemory:
    """What is remembered in the file `memory`."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._before = _remembered(memory)
        self._now: dict[str, list[int | str]] = {}

    def find(self, file: Path) -> tuple[FileDigest, bool]:
        """The digest of a file, and whether it had to be read.

        Raises:
            SourceFileError: it is not there or cannot be read.
        """
        state = _state_of(file)
        known = self._now.get(str(file)) or self._before.get(str(file), [])
        if is_new := tuple(known[:4]) != state:
            sha256 = digest_source(file)
            settled = time.time_ns() - state[2] > _TICK_NS
            known = [*(state if settled else (-1, *state[1:])), sha256]
        self._now[str(file)] = known
        return FileDigest(state[0], str(known[4])), is_new

    def save(self, *, others: bool = True) -> None:
        """Write what is remembered, with or without the files that were not asked for."""
        kept = {**(self._before if others else {}), **self._now}
        if kept != self._before:
            with replacing(self._memory) as temporary:
                temporary.write_text(json.dumps(kept))
            self._before = kept


def _state_of(file: Path) -> _State:
    stat = find(file)
    if stat is None:
        raise SourceFileError(file, "no such file")
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _remembered(memory: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(memory.read_text())
        return {file: one for file, one in known.items() if isinstance(one, list) and len(one) == 5}
    except (OSError, ValueError, AttributeError):
        return {}
