"""Large files over HTTP: whole and verified under their own name, or not there.

In the target's folder: ``<name>.part`` is what has arrived so far, ``<name>.part.validator`` the ETag or Last-Modified
it belongs to and, in a second line, the size in all; ``<name>.lock`` keeps a second process waiting. A part is resumed only
where the server confirms that it is the same resource (If-Range) and its answer agrees in validator, size and place; it takes
its final name after its length, its checksum and the caller's own check are right.
"""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
import urllib3

from fa_assets.errors import UserError
from fa_assets.progress import ProgressCallback, no_progress
from fa_assets.store.locks import locked
from fa_assets.store.pace import Pace

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
_LOCK_LIMIT_S = 6 * 3600.0
_WAY_OUT = "Check the connection, or download it by hand."


class DownloadError(UserError):
    """A file that could not be fetched, or is not the one that was expected."""


class UnreachableError(DownloadError):
    """The server gave no good answer, however often it was asked; later it may."""

    transient = True


@dataclass(frozen=True)
class Retries:
    """How long to try: `attempts` in a row without a new byte, `stall_s` seconds of silence ending an attempt.

    Waits double from `wait_s` seconds, unless the server says how long (Retry-After); none exceeds `longest_wait_s`. It is
    given up where `slow_s` seconds, waits included, bring fewer than `slow_bytes`, and beyond `most_bytes` in all, which
    the setting `most_setting` says, if one does.
    """

    attempts: int = 5
    stall_s: float = 30.0
    wait_s: float = 1.0
    longest_wait_s: float = 60.0
    slow_s: float = 600.0
    slow_bytes: int = 1_000_000
    most_bytes: int = 50_000_000_000
    most_setting: str = ""


DEFAULT_RETRIES = Retries()


def public_url(url: str) -> str:
    """The URL without user, password, query and fragment: what may be shown and recorded."""
    try:
        parts = urlsplit(url)
    except ValueError:  # where its secrets are cannot be told
        return f"{url.partition('://')[0]}://"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def file_name_for(url: str) -> str:
    """A file name for a URL's content: its own last part, with a digest that keeps equal names of other URLs apart.

    Raises:
        DownloadError: it is none.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DownloadError(f"{public_url(url)}: no usable address ({error}).") from None
    name = Path(re.sub(r"[^\w.=-]+", "_", unquote(parts.path).rpartition("/")[2]).lstrip(".") or "checkpoint.pth")
    identity = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    return f"{name.stem[:80]}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}{name.suffix[:20]}"


def download(
    url: str,
    target: Path,
    *,
    size_bytes: int | None = None,
    checksum: str | None = None,
    verify: Callable[[Path], None] = lambda part: None,
    progress: ProgressCallback = no_progress,
    retries: Retries = DEFAULT_RETRIES,
    way_out: str = _WAY_OUT,
) -> None:
    """Fetch `url` to `target`, unless a file of the expected size and checksum (where known) is there.

    Connection errors, stalls, 429 and 5xx are tried again, and what has arrived is kept, also for the next process.

    Args:
        url: http or https.
        target: its final name; its folder is made.
        size_bytes: what it must have, where known.
        checksum: of its bytes, where known, as ``sha1:<hex>`` or with another algorithm of hashlib's.
        verify: called with the complete part before it takes its name; raises to refuse it.
        progress: called with (bytes done, bytes in all); in all is 0 where the server does not say.
        retries: how long to try.
        way_out: what the reader of an error can do, a sentence.

    Raises:
        UnreachableError: the server gave no good answer for as long as `retries` says.
        DownloadError: it could not be fetched, or has another length or checksum. Whatever `verify` raises.
    """
    if _mismatch(target, size_bytes, checksum) is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(f"{target.name}.lock"), f"fetching {target.name}", _LOCK_LIMIT_S):
        mismatch = _mismatch(target, size_bytes, checksum)
        if mismatch is None:  # another process was faster
            return
        if target.is_file():
            log.warning("%s: %s; it is fetched again", target, mismatch)
        log.info("Downloading %s to %s", public_url(url), target)
        part = _Part(target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.validator"))
        try:
            _fetch(url, part, size_bytes, progress, retries)
        except DownloadError as error:
            raise type(error)(f"{error} {way_out}") from error
        try:
            mismatch = _mismatch(part.path, size_bytes, checksum)
            if mismatch is not None:
                raise DownloadError(f"{public_url(url)}: what arrived {mismatch}. {way_out}")
            verify(part.path)
        except Exception:
            part.forget()
            raise
        part.path.replace(target)
        part.forget()


@dataclass(frozen=True)
class _Part:
    """What has arrived of a resource, and what says which version of it that is."""

    path: Path
    validator_path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def known(self) -> tuple[str, int] | None:
        """The validator of what is here and its size in all; None where nothing can be resumed."""
        if not self.size or not self.validator_path.is_file():
            return None
        validator, _, total = self.validator_path.read_text().partition("\n")
        return (validator, int(total)) if total.isdecimal() else None

    def restart(self, validator: str, total: int) -> None:
        self.forget()
        if validator and total:
            self.validator_path.write_text(f"{validator}\n{total}")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self.validator_path.unlink(missing_ok=True)


class _TryAgainError(Exception):
    """An attempt failed in a way that may pass; `wait_s` is the server's own word on when."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def _fetch(url: str, part: _Part, size_bytes: int | None, progress: ProgressCallback, retries: Retries) -> None:
    """Complete the part, in as many attempts as it takes while each brings something."""
    failures = 0
    with Pace(retries.slow_s, retries.slow_bytes).watched() as pace:
        while True:
            had = part.size
            failed: _TryAgainError | None = None
            try:
                _attempt(url, part, size_bytes, progress, retries, pace)
            except _TryAgainError as error:
                failed = error
            if pace.too_little is not None:
                raise UnreachableError(
                    f"{public_url(url)}: too slow, {pace.too_little:,} bytes in {retries.slow_s:.0f} s."
                )
            if failed is None:
                return
            failures = 1 if part.size > had else failures + 1
            if failures >= retries.attempts:
                raise UnreachableError(f"{public_url(url)}: {failed}, {failures} times in a row.") from failed
            wait_s = retries.wait_s * 2 ** (failures - 1) if failed.wait_s is None else failed.wait_s
            wait_s = min(wait_s, retries.longest_wait_s)
            log.warning("%s: %s; trying again in %.0f s", public_url(url), failed, wait_s)
            time.sleep(wait_s)


def _attempt(
    url: str, part: _Part, size_bytes: int | None, progress: ProgressCallback, retries: Retries, pace: Pace
) -> None:
    """One request: everything that is missing arrives, or `_TryAgainError`, or `DownloadError` where that would not help."""
    known = part.known()
    headers = {"Accept-Encoding": "identity"}
    if known:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": known[0]}
    try:
        with (
            pace.session() as session,
            session.get(url, headers=headers, stream=True, timeout=retries.stall_s) as response,
        ):
            total = _start(response, part, known, size_bytes)
            _require_at_most(retries, total, url, part)
            progress(part.size, total)
            with part.path.open("ab") as file:
                while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
                    _require_at_most(retries, file.tell() + len(chunk), url, part)
                    file.write(chunk)
                    progress(file.tell(), total)
                    pace.came(len(chunk))
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        # Its own message holds the URL with its query, and Dagster records the causes of an error with it.
        raise _TryAgainError(f"the connection failed ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise DownloadError(f"{public_url(url)}: no usable address, or answer ({type(error).__name__}).") from None
    if total and part.size < total:
        raise _TryAgainError(f"the connection ended after {part.size:,} of {total:,} bytes")


def _require_at_most(retries: Retries, n_bytes: int, url: str, part: _Part) -> None:
    if n_bytes > retries.most_bytes:
        part.forget()
        setting = f" ({retries.most_setting})" * bool(retries.most_setting)
        raise DownloadError(f"{public_url(url)}: larger than {retries.most_bytes:,} bytes, the limit{setting}.")


def _start(response: requests.Response, part: _Part, known: tuple[str, int] | None, size_bytes: int | None) -> int:
    """Judge the answer's head and make the part ready for its body; the size in all, 0 where it is not told."""
    name, status = public_url(response.url), response.status_code
    if status == requests.codes.requested_range_not_satisfiable:
        part.forget()
        raise _TryAgainError("the part on disk does not fit the file")
    if status == requests.codes.too_many_requests or status >= 500:
        raise _TryAgainError(f"the server answers {status}", _retry_after_s(response.headers.get("Retry-After")))
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise DownloadError(f"{name}: the server answers {status} {response.reason}.")
    if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise DownloadError(f"{name}: the server sends it encoded ({encoding}), which was not asked for.")
    etag = response.headers.get("ETag", "")
    validator = response.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag
    length = response.headers.get("Content-Length", "0")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise DownloadError(f"{name}: the server states a length that is none ({length[:40]!r}).")
    total = int(length)
    if status == requests.codes.partial_content:
        total = _resumed(response.headers.get("Content-Range", ""), validator, part, known)
    else:
        part.restart(validator, total)
    if size_bytes is not None and total and total != size_bytes:
        part.forget()
        raise DownloadError(f"{name}: {total:,} bytes are offered, {size_bytes:,} are expected.")
    return total


def _resumed(content_range: str, validator: str, part: _Part, known: tuple[str, int] | None) -> int:
    """The size in all of an answer that goes on with the part, as it was told before.

    Raises:
        _TryAgainError: it does not say that it does; the part is forgotten, and the next attempt begins again.
    """
    span = re.fullmatch(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)", content_range)
    if known and span and (int(span[1]), int(span[3])) == (part.size, known[1]) and validator in ("", known[0]):
        return known[1]
    part.forget()
    raise _TryAgainError("the server resumes something else than was asked for")


def _retry_after_s(header: str | None) -> float | None:
    """Seconds until a Retry-After header, given in seconds or as a date; None where there is none to read."""
    with contextlib.suppress(urllib3.exceptions.InvalidHeader):
        return None if header is None else urllib3.Retry().parse_retry_after(header)
    return None


def _mismatch(path: Path, size_bytes: int | None, checksum: str | None) -> str | None:
    """How a file differs from what is expected, in words; None where it does not."""
    if not path.is_file():
        return "is not there"
    size = path.stat().st_size
    if size_bytes is not None and size != size_bytes:
        return f"has {size:,} bytes, {size_bytes:,} are expected"
    if checksum is not None:
        algorithm, _, expected = checksum.partition(":")
        with path.open("rb") as file:
            got = hashlib.file_digest(file, algorithm).hexdigest()
        if got != expected.lower():
            return f"has {algorithm} {got}, {expected} is expected"
    return None
