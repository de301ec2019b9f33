"""Where values, ledger and catalog lie, as a resource of the code location."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fa_assets.errors import UserError
from fa_assets.graph.display import failure
from fa_assets.graph.instance import instance_home
from fa_assets.graph.retries import wait_to_retry
from fa_assets.store.digests import DigestMemory
from fa_assets.store.roots import StoragePath, open_root
from fa_assets.store.storage_errors import as_memory_error, as_remote_error, as_storage_error
from fa_assets.store.values import ValueStore

if TYPE_CHECKING:
    from fa_assets.catalog.database import Catalog


@dataclass(frozen=True)
class Recorder:
    """The storage root, and how values are read, written and recorded there.

    `local` is the folder of what has to lie on this machine (catalog, checkpoints); where the storage is a local folder,
    that one by default. `pictures`: whether they are drawn.
    """

    storage: str
    local: str | None = None
    pictures: bool = True

    @property
    def root(self) -> StoragePath:
        return open_root(self.storage)

    @property
    def local_root(self) -> Path:
        return Path(self.storage if self.local is None else self.local)

    @property
    def values(self) -> ValueStore:
        return ValueStore(self.root)

    @property
    def digests(self) -> DigestMemory:
        """What is remembered of the files that were written."""
        return DigestMemory(self.local_root / "digests.json")

    @property
    def recordings_memory(self) -> Path:
        """The file that remembers the hashes of the source folder's clips."""
        return self.local_root / "recordings.json"

    @contextmanager
    def explained(self, attempts: int) -> Iterator[None]:
        """A `UserError` within becomes a failure that is shown without a traceback, or another attempt where it is transient;
        a storage that is full or out of reach is explained."""
        try:
            yield
        except UserError as error:
            if error.transient:
                wait_to_retry(error, attempts)
            raise failure(error) from error
        except Exception as error:
            explained = (
                as_remote_error(error, self.root)
                or as_storage_error(error, self.local_root, instance_home())
                or as_memory_error(error)
            )
            if explained is None:
                raise
            raise failure(explained) from error

    @cached_property
    def catalog(self) -> "Catalog":
        """The same one all the time, which knows which runs have waited for it."""
        from fa_assets.catalog.database import Catalog

        return Catalog.of(self.local_root, self.root)
