"""The files below a storage root as files on this machine."""

import contextlib
from pathlib import Path

from fa_assets.store.atomic import replacing
from fa_assets.store.roots import StoragePath


class LocalView:
    """The files below a root as files on this machine, for a library that reads no others (DuckDB).

    Below a local root they are there; of an object store those that were brought are, in `cache`.
    """

    def __init__(self, root: StoragePath, cache: Path) -> None:
        self._root = root
        self.folder = root if isinstance(root, Path) else cache

    def bring(self, name: str) -> None:
        """See to it that the file of this name (relative to the root) is below `folder`, as it is now, if it is there."""
        if self._root is self.folder:
            return
        with contextlib.suppress(FileNotFoundError):
            content = (self._root / name).read_bytes()
            with replacing(self.folder / name) as temporary:
                temporary.write_bytes(content)
