"""From a corpus's name to a dataset folder: archives fetched and checked, unpacked, and laid out.

In the dataset folder, ``.archives/`` holds what is on its way: the archives (removed once unpacked, unless they are to be
kept) and, for each unpacked one, ``<name>.unpacked`` with its checksum. So the same command again fetches only what is
missing, also after it was stopped anywhere.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from fa_assets.errors import BadInputError, UserError
from fa_assets.intake.corpora.interface import Archive, Corpus, Layout
from fa_assets.intake.corpora.layout import write_layout, write_source
from fa_assets.intake.corpora.unpack import USUAL_LIMITS, Limits, unpack
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.atomic import remove_abandoned, replacing
from fa_assets.store.download import DEFAULT_RETRIES, DownloadError, Retries, download, public_url
from fa_assets.store.locks import locked

log = logging.getLogger(__name__)

ZENODO = "https://zenodo.org"
_LOCK_LIMIT_S = 24 * 3600.0
_LISTING_BYTES = 10_000_000
_WAY_OUT = "Check the connection and give the same command again; it goes on from there."


@dataclass(frozen=True)
class Published:
    """What a record's listing says of a file: its size in bytes, and its checksum as ``md5:<hex>``."""

    size_bytes: int
    checksum: str


@dataclass(frozen=True)
class Fetched:
    """What `fetch` made: the parts in the folder, and how many clips its tables name."""

    folder: Path
    parts: frozenset[str]
    clips: int
    classes: int
    test_clips: int


def no_task(task: str) -> ProgressCallback:
    """Watch nothing."""
    return no_progress


def fetch(
    corpus: Corpus,
    folder: Path,
    *,
    parts: Sequence[str] | None = None,
    kaggle_order: bool = True,
    mirror: str | None = None,
    keep_archives: bool = False,
    zenodo: str = ZENODO,
    limits: Limits = USUAL_LIMITS,
    retries: Retries = DEFAULT_RETRIES,
    progress: Callable[[str], ProgressCallback] = no_task,
) -> Fetched:
    """Fetch a corpus, or parts of it, into a dataset folder.

    Args:
        parts: names out of `corpus.parts`; those that the tables need are always fetched. Default: all.
        kaggle_order: see `Corpus.layout`.
        mirror: an address that has the archives under their own names, to be used in place of the corpus's own. They are
            held to Zenodo's sizes and checksums all the same, where Zenodo answers.
        keep_archives: do not remove them once they are unpacked.
        zenodo: where Zenodo is.
        progress: gives the callback of a task, for a name such as "fetch x.zip"; it is called with bytes.

    Raises:
        UserError: an unknown part. DownloadError, ArchiveError, BadInputError: as they say.
    """
    unknown = sorted(set(parts or ()) - set(corpus.parts))
    if unknown:
        raise UserError(f"{corpus.name} has no part {', '.join(map(repr, unknown))}; it has {', '.join(corpus.parts)}.")
    wanted = corpus.needed | set(parts or corpus.parts)
    archives = folder / ".archives"
    archives.mkdir(parents=True, exist_ok=True)
    with locked(archives / "lock", f"fetching {corpus.name}", _LOCK_LIMIT_S):
        remove_abandoned(folder, deep=True)
        listing = _listing(corpus, zenodo, archives / "record.json", retries)
        for archive in corpus.archives:
            if archive.part not in wanted or _is_unpacked(archives, archive, listing):
                continue
            files = [archives / name for name in archive.files]
            for file in files:
                address, published = _address(corpus, archive, file.name, mirror, zenodo), listing.get(file.name)
                _download(address, file, published, retries=retries, progress=progress(f"fetch {file.name}"))
            unpack(files, folder, corpus.place, limits=limits, progress=progress(f"unpack {archive.name}"))
            with replacing(_stamp(archives, archive)) as temporary:
                temporary.write_text(json.dumps({name: _checksum(listing, name) for name in archive.files}))
            for file in files:
                if not keep_archives:
                    file.unlink()
                file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
        have = frozenset(
            part
            for part in corpus.parts
            if all(_stamp(archives, archive).is_file() for archive in corpus.archives if archive.part == part)
        )
        layout = _layout(corpus, folder, have, kaggle_order)
        write_layout(folder, layout)
        write_source(folder, corpus)
    return Fetched(folder, have, len(layout.clips), len(layout.classes), len(layout.test))


def _layout(corpus: Corpus, folder: Path, have: frozenset[str], kaggle_order: bool) -> Layout:
    try:
        return corpus.layout(folder, have, kaggle_order=kaggle_order)
    except ValueError as error:  # words where numbers should be
        raise BadInputError(f"{folder / 'meta'}: its tables are not as published ({error}).") from error


def _listing(corpus: Corpus, zenodo: str, target: Path, retries: Retries) -> Mapping[str, Published]:
    """Sizes and checksums of the record's files, by way of `target`; empty, with a warning, where they cannot be had."""
    if corpus.zenodo_record is None:
        log.warning("%s: its host lists no checksums; archives are checked by their own.", corpus.title)
        return {}
    url = f"{zenodo}/api/records/{corpus.zenodo_record}"
    try:
        target.unlink(missing_ok=True)
        download(url, target, retries=replace(retries, attempts=1, most_bytes=_LISTING_BYTES, slow_s=retries.stall_s))
        listed = json.loads(target.read_bytes())["files"]
        found = {file["key"]: Published(int(file["size"]), str(file["checksum"])) for file in listed}
        for one in found.values():
            hashlib.new(one.checksum.partition(":")[0])
        return found
    except (DownloadError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        log.warning(
            "%s does not list sizes and checksums (%s); archives are checked by their own.",
            public_url(url),
            type(error).__name__,
        )
        return {}


def _address(corpus: Corpus, archive: Archive, name: str, mirror: str | None, zenodo: str) -> str:
    if mirror is not None:
        return f"{mirror.rstrip('/')}/{quote(name)}"
    return archive.url or f"{zenodo}/records/{corpus.zenodo_record}/files/{quote(name)}?download=1"


def _download(
    address: str, file: Path, published: Published | None, *, retries: Retries, progress: ProgressCallback
) -> None:
    download(
        address,
        file,
        size_bytes=published.size_bytes if published else None,
        checksum=published.checksum if published else None,
        retries=retries,
        progress=progress,
        way_out=_WAY_OUT,
    )


def _stamp(archives: Path, archive: Archive) -> Path:
    return archives / f"{archive.name}.unpacked"


def _checksum(listing: Mapping[str, Published], name: str) -> str | None:
    return listing[name].checksum if name in listing else None


def _is_unpacked(archives: Path, archive: Archive, listing: Mapping[str, Published]) -> bool:
    """Whether it was unpacked, and is still the published one as far as both are known."""
    try:
        unpacked = json.loads(_stamp(archives, archive).read_text())
    except (OSError, ValueError):
        return False
    return all(
        None in (unpacked.get(name), _checksum(listing, name)) or unpacked[name] == _checksum(listing, name)
        for name in archive.files
    )
