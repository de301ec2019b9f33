"""Large files over HTTP: whole and verified under their own name, or not there.

In the target's folder: ``<name>.part`` is what has arrived so far, ``<name>.part.validator`` the ETag or Last-Modified
it belongs to, ``<name>.lock`` keeps a second process waiting. A part is resumed only where the server confirms that it
is the same resource (If-Range); it takes its final name after its length, its checksum and the caller's own check are right.
"""

import contextlib
import hashlib
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from filelock import FileLock

from fa_assets.errors import UserError
from fa_assets.progress import ProgressCallback, no_progress

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_WAY_OUT = "Check the connection, or download it by hand."


class DownloadError(UserError):
    """A file that could not be fetched, or is not the one that was expected."""


class UnreachableError(DownloadError):
    """The server gave no good answer, however often it was asked; later it may."""

    transient = True


@dataclass(frozen=True)
class Retries:
    """How long to try: `attempts` in a row without a new byte, `stall_s` seconds of silence ending an attempt.

    Waits double from `wait_s` seconds, unless the server says how long (Retry-After); none exceeds `longest_wait_s`.
    """

    attempts: int = 5
    stall_s: float = 30.0
    wait_s: float = 1.0
    longest_wait_s: float = 60.0


DEFAULT_RETRIES = Retries()


def public_url(url: str) -> str:
    """The URL without user, password, query and fragment: what may be shown and recorded."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def file_name_for(url: str) -> str:
    """A file name for a URL's content: its own last part, with a digest that keeps equal names of other URLs apart."""
    parts = urlsplit(url)
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
    with FileLock(target.with_name(f"{target.name}.lock")):
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

    def resume_headers(self) -> dict[str, str]:
        """Ask for the rest, if the resource is still the same; for all of it where that cannot be told."""
        headers = {"Accept-Encoding": "identity"}
        if self.size and self.validator_path.is_file():
            headers |= {"Range": f"bytes={self.size}-", "If-Range": self.validator_path.read_text()}
        return headers

    def restart(self, validator: str) -> None:
        self.forget()
        if validator:
            self.validator_path.write_text(validator)

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
    while True:
        had = part.size
        try:
            _attempt(url, part, size_bytes, progress, retries.stall_s)
            return
        except _TryAgainError as error:
            failures = 1 if part.size > had else failures + 1
            if failures >= retries.attempts:
                raise UnreachableError(f"{public_url(url)}: {error}, {failures} times in a row.") from error
            wait_s = retries.wait_s * 2 ** (failures - 1) if error.wait_s is None else error.wait_s
            wait_s = min(max(wait_s, 0.0), retries.longest_wait_s)
            log.warning("%s: %s; trying again in %.0f s", public_url(url), error, wait_s)
            time.sleep(wait_s)


def _attempt(url: str, part: _Part, size_bytes: int | None, progress: ProgressCallback, stall_s: float) -> None:
    """One request: everything that is missing arrives, or `_TryAgainError`, or `DownloadError` where that would not help."""
    try:
        with requests.get(url, headers=part.resume_headers(), stream=True, timeout=stall_s) as response:
            total = _start(response, part, size_bytes)
            progress(part.size, total)
            with part.path.open("ab") as file:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    progress(file.tell(), total)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        # Its own message holds the URL with its query, and Dagster records the causes of an error with it.
        raise _TryAgainError(f"the connection failed ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise DownloadError(f"{public_url(url)}: not a usable address ({type(error).__name__}).") from None
    if total and part.size < total:
        raise _TryAgainError(f"the connection ended after {part.size:,} of {total:,} bytes")


def _start(response: requests.Response, part: _Part, size_bytes: int | None) -> int:
    """Judge the answer's head and make the part ready for its body; the size in all, 0 where it is not told."""
    name, status = public_url(response.url), response.status_code
    if status == requests.codes.requested_range_not_satisfiable:
        part.forget()
        raise _TryAgainError("the part on disk does not fit the file")
    if status == requests.codes.too_many_requests or status >= 500:
        raise _TryAgainError(f"the server answers {status}", _retry_after_s(response.headers.get("Retry-After")))
    if status not in (requests.codes.ok, requests.codes.partial_content):
        raise DownloadError(f"{name}: the server answers {status} {response.reason}.")
    length = int(response.headers.get("Content-Length", 0))
    if status == requests.codes.partial_content:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if span is None or int(span[1]) != part.size:
            part.forget()
            raise _TryAgainError("the server resumes at another place than asked for")
        total = part.size + length
    else:
        etag = response.headers.get("ETag", "")
        part.restart(response.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag)
        total = length
    if size_bytes is not None and total and total != size_bytes:
        part.forget()
        raise DownloadError(f"{name}: {total:,} bytes are offered, {size_bytes:,} are expected.")
    return total


def _retry_after_s(header: str | None) -> float | None:
    """Seconds until a Retry-After header, given in seconds or as a date; None where there is none to read."""
    if header is None:
        return None
    with contextlib.suppress(ValueError):
        return float(int(header))
    with contextlib.suppress(ValueError):
        when = parsedate_to_datetime(header)
        return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
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
