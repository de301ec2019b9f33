"""Downloads end whole and verified or not at all, over servers that cut, refuse, stall and lie."""

import contextlib
import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from time import sleep, time

import pytest

from fa_assets.store.download import DownloadError, Retries, UnreachableError, download, file_name_for, public_url
from fa_assets_tests.local_server import Answer

BODY = bytes(range(256)) * 10_000
SHA1 = hashlib.sha1(BODY).hexdigest()
ETAG = {"ETag": '"version-1"'}
HASTY = Retries(attempts=3, wait_s=0.01, longest_wait_s=2.0)
SOON_STALLED = replace(HASTY, stall_s=0.3)


def fetch(url: str, folder: Path, retries: Retries = HASTY, **more) -> Path:
    target = folder / "weights.pth"
    download(
        url,
        target,
        size_bytes=len(BODY),
        checksum=f"sha1:{SHA1}",
        retries=retries,
        way_out="Use --checkpoint FILE.",
        **more,
    )
    return target


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_whole_file_with_progress(serve, tmp_path):
    seen = []
    target = fetch(serve(Answer(body=BODY)).url, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY)) and seen == sorted(seen)
    assert leftovers(tmp_path) == {"weights.pth"}


def test_present_file_is_not_fetched_again_and_a_wrong_one_is(serve, tmp_path):
    server = serve(Answer(body=BODY))
    target = tmp_path / "weights.pth"
    target.write_bytes(BODY[:-1] + b"!")
    fetch(server.url, tmp_path)
    fetch(server.url, tmp_path)
    assert target.read_bytes() == BODY and len(server.requests) == 1


@pytest.mark.promise(
    "A download that was cut off is resumed where the server confirms that it is the same file, else begun again.",
    "download",
)
@pytest.mark.parametrize(
    ("rest", "resumes"),
    [
        pytest.param(Answer(body=BODY, headers=ETAG), True, id="resumed"),
        pytest.param(Answer(body=BODY, headers=ETAG, ranges=False), True, id="server-ignores-ranges"),
        pytest.param(Answer(body=BODY, headers={"ETag": '"version-2"'}), True, id="resource-changed"),
    ],
)
def test_cut_off_then_the_rest(serve, tmp_path, rest, resumes):
    first = b"x" * len(BODY) if rest.headers != ETAG else BODY
    server = serve(Answer(body=first, headers=ETAG, cut=1_500_000), rest)
    assert fetch(server.url, tmp_path).read_bytes() == BODY
    assert "Range" not in server.requests[0]
    assert server.requests[1]["Range"].startswith("bytes=") and server.requests[1]["If-Range"] == ETAG["ETag"]


@pytest.mark.promise(
    "A download over a server that cuts every connection is finished, as long as each brings something.",
    "download",
    "2.6 MB over 9 connections",
)
def test_a_server_that_cuts_every_connection(serve, tmp_path):
    server = serve(Answer(body=BODY, headers=ETAG, cut=300_000))
    assert fetch(server.url, tmp_path).read_bytes() == BODY
    assert [one.get("Range") for one in server.requests] == [None, *(f"bytes={300_000 * n}-" for n in range(1, 9))]


CUT = 1_500_000


def resumed(span: str, **headers: str) -> Answer:
    """Anything but the rest of the file, as an answer to who asks for it."""
    return Answer(
        status=206, body=b"!" * (len(BODY) - CUT), headers={**ETAG, "Content-Range": span, **headers}, ranges=False
    )


@pytest.mark.promise(
    "A server whose answer does not agree in validator, size and place with what was begun is not believed.", "download"
)
@pytest.mark.parametrize(
    "lie",
    [
        resumed(f"bytes {CUT}-{len(BODY) - 1}/{len(BODY) + 1}"),
        resumed(f"bytes {CUT}-{len(BODY) - 1}/*"),
        resumed(f"bytes {CUT - 1}-{len(BODY) - 1}/{len(BODY)}"),
        resumed(f"bytes {CUT}-{len(BODY) - 1}/{len(BODY)}", ETag='"version-2"'),
        resumed(""),
    ],
    ids=["size", "no size", "place", "validator", "nothing said"],
)
def test_a_server_that_lies_about_the_rest_is_not_believed(serve, tmp_path, lie):
    server = serve(Answer(body=BODY, headers=ETAG, cut=CUT), lie, Answer(body=BODY, headers=ETAG))
    target = tmp_path / "weights.pth"
    download(server.url, target, retries=HASTY)  # nothing else says what it should be
    assert target.read_bytes() == BODY
    assert [one.get("Range") for one in server.requests] == [None, f"bytes={CUT}-", None]


def test_a_part_that_was_not_asked_for_is_not_taken_for_the_whole(serve, tmp_path):
    server = serve(resumed(f"bytes 0-{len(BODY) - 1}/{len(BODY)}"), Answer(body=BODY))
    download(server.url, tmp_path / "weights.pth", retries=HASTY)
    assert (tmp_path / "weights.pth").read_bytes() == BODY


def test_credentials_are_not_sent_on_to_another_host(serve, tmp_path):
    other = serve(Answer(body=BODY))
    server = serve(Answer(status=302, headers={"Location": other.url.replace("127.0.0.1", "localhost")}))
    fetch(server.url.replace("http://", "http://me:secret@") + "?token=secret", tmp_path)
    assert "Authorization" in server.requests[0]
    assert "Authorization" not in other.requests[0] and "token" not in other.paths[0]


@pytest.mark.promise(
    "A download beyond a limit of size or slowness, or sent encoded, is refused in a sentence.", "download"
)
@pytest.mark.parametrize(
    ("answer", "retries", "message"),
    [
        (
            Answer(body=BODY),
            replace(HASTY, most_bytes=1_000_000, most_setting="FA_X"),
            r"larger than 1,000,000 bytes, the limit \(FA_X",
        ),
        (Answer(body=BODY), replace(HASTY, slow_s=0.0, slow_bytes=10**9), "too slow, .* bytes in 0 s"),
        (Answer(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}), HASTY, r"encoded \(gzip\)"),
        (Answer(body=BODY, length="many"), HASTY, "states a length that is none"),
        (Answer(body=BODY, length="-5"), HASTY, "states a length that is none"),
        (Answer(body=BODY, length="5, 7"), HASTY, "InvalidHeader"),
    ],
)
def test_what_is_refused_in_a_sentence(serve, tmp_path, answer, retries, message):
    with pytest.raises(DownloadError, match=message):
        download(serve(answer).url, tmp_path / "weights.pth", retries=retries)
    assert "weights.pth" not in leftovers(tmp_path)


def dripping(head: bytes) -> Iterator[socket.socket]:
    """A server that goes on with one byte at a time for ever, none of which is of the file."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve_one() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(head)
                while True:
                    connection.sendall(b"x")
                    sleep(0.01)

        threading.Thread(target=serve_one, daemon=True).start()
        yield server


@pytest.mark.promise(
    "A download beyond a limit of size or slowness, or sent encoded, is refused in a sentence.",
    "download",
    "6 answers, and 2 that send for ever what is not of the file",
)
@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;"],
    ids=["head", "chunk"],
)
def test_what_comes_a_byte_at_a_time_and_never_is_the_file(tmp_path, head):
    with (
        contextlib.contextmanager(dripping)(head) as server,
        pytest.raises(UnreachableError, match="too slow, 0 bytes"),
    ):
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        download(url, tmp_path / "weights.pth", retries=replace(HASTY, slow_s=0.2))
    assert "weights.pth" not in leftovers(tmp_path)


def test_an_address_that_is_none_is_said_without_its_secrets(tmp_path):
    for act in (file_name_for, lambda url: download(url, tmp_path / "x", retries=HASTY)):
        with pytest.raises(DownloadError, match="^http://: no usable address") as caught:
            act("http://me:secret@[::1/x?token=secret")
        assert "secret" not in str(caught.value)


@pytest.mark.promise(
    "A stalled download is given up after a silence (30 s) and resumed.", "download", "a stall after 1.5 of 2.6 MB"
)
def test_a_stalled_connection_is_given_up_and_the_rest_fetched(serve, tmp_path):
    server = serve(Answer(body=BODY, headers=ETAG, cut=1_500_000, stalls=True), Answer(body=BODY, headers=ETAG))
    assert fetch(server.url, tmp_path, retries=SOON_STALLED).read_bytes() == BODY
    assert server.requests[1]["Range"].startswith("bytes=") and server.requests[1]["If-Range"] == ETAG["ETag"]


def test_without_a_validator_nothing_is_resumed(serve, tmp_path):
    server = serve(Answer(body=b"x" * len(BODY), cut=1_500_000), Answer(body=BODY))
    assert fetch(server.url, tmp_path).read_bytes() == BODY
    assert "Range" not in server.requests[1]


@pytest.mark.promise(
    "Another process resumes the download that a dead one left.", "download", "a cut after 1.5 of 2.6 MB"
)
def test_another_process_resumes_what_a_dead_one_left(serve, tmp_path):
    with pytest.raises(DownloadError, match="3 times in a row"):
        fetch(serve(Answer(body=BODY, headers=ETAG, cut=1_500_000), Answer(status=503)).url, tmp_path)
    assert "weights.pth" not in leftovers(tmp_path)
    arrived = (tmp_path / "weights.pth.part").stat().st_size
    assert 0 < arrived <= 1_500_000
    server = serve(Answer(body=BODY, headers=ETAG))
    assert fetch(server.url, tmp_path).read_bytes() == BODY
    assert server.requests[0]["Range"] == f"bytes={arrived}-"


@pytest.mark.promise(
    "404, 403, a wrong size and wrong bytes are refused at once with a message; no file has the final name.", "download"
)
@pytest.mark.parametrize(
    ("answer", "message", "requests"),
    [
        pytest.param(Answer(body=BODY[:-1] + b"!"), "has sha1", 1, id="wrong-bytes"),
        pytest.param(
            Answer(body=BODY + b"!"), "2,560,001 bytes are offered, 2,560,000 are expected", 1, id="wrong-size"
        ),
        pytest.param(Answer(status=404), "answers 404", 1, id="not-found"),
        pytest.param(Answer(status=403), "answers 403", 1, id="forbidden"),
        pytest.param(Answer(status=500), "answers 500, 3 times in a row", 3, id="broken"),
        pytest.param(Answer(body=b"", length=len(BODY)), "3 times in a row", 3, id="nothing-comes"),
        pytest.param(Answer(body=b"", length=len(BODY), stalls=True), "3 times in a row", 3, id="always-stalled"),
    ],
)
def test_refused(serve, tmp_path, answer, message, requests):
    server = serve(answer)
    url = server.url.replace("http://", "http://me:secret@") + "?token=secret"
    with pytest.raises(DownloadError, match=message) as caught:
        fetch(url, tmp_path, retries=SOON_STALLED if answer.stalls else HASTY)
    assert len(server.requests) == requests
    assert server.url in str(caught.value) and "--checkpoint FILE" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "weights.pth" not in leftovers(tmp_path)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited, each time, in seconds."""
    waits: list[float] = []
    monkeypatch.setattr("fa_assets.store.download.time.sleep", waits.append)
    return waits


@pytest.mark.promise(
    "A download is tried again after 429, 500, 502 and 503, with growing waits.", "download", "4 statuses"
)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_tried_again_after_what_may_pass(serve, tmp_path, waits, status):
    server = serve(Answer(status=status), Answer(status=status), Answer(body=BODY))
    assert fetch(server.url, tmp_path).read_bytes() == BODY
    assert len(server.requests) == 3
    assert waits == [0.01, 0.02]


@pytest.mark.promise("A server's Retry-After is respected, within bounds.", "download")
@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("1", 1, 1), ("3600", 2, 2), ("-5", 0.01, 0.01), ("soon", 0.01, 0.01), ("date", 1000, 3600)],
)
def test_retry_after_is_heeded_within_bounds(serve, tmp_path, waits, retry_after, least, most):
    value = formatdate(time() + 3600, usegmt=True) if retry_after == "date" else retry_after
    server = serve(Answer(status=429, headers={"Retry-After": value}), Answer(body=BODY))
    fetch(server.url, tmp_path, retries=replace(HASTY, longest_wait_s=7200) if retry_after == "date" else HASTY)
    (waited,) = waits
    assert least <= waited <= most


def test_nobody_answers(tmp_path):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/x: the connection failed"):
        fetch("http://u:secret@127.0.0.1:9/x?secret", tmp_path)


def test_a_refusal_by_the_caller_leaves_nothing(serve, tmp_path):
    def refuse(part: Path) -> None:
        assert part.read_bytes() == BODY
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        fetch(serve(Answer(body=BODY)).url, tmp_path, verify=refuse)
    assert leftovers(tmp_path) == set()


def test_two_at_once_fetch_once(serve, tmp_path):
    server = serve(Answer(body=BODY))
    threads = [threading.Thread(target=fetch, args=(server.url, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "weights.pth").read_bytes() == BODY and len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.org/x%3D1.pth", "https://a.org/x%3D1.pth"),
        ("https://me:pw@a.org:8080/x.pth?key=1#top", "https://a.org:8080/x.pth"),
    ],
)
def test_public_url(url, shown):
    assert public_url(url) == shown


def test_file_names_are_plain_and_distinct():
    urls = [
        "https://a.org/x.pth",
        "https://b.org/x.pth",
        "https://a.org/x.pth?v=2",
        "https://a.org/",
        "https://a.org/..",
    ]
    names = [file_name_for(url) for url in urls]
    assert len(set(names)) == len(urls)
    assert all("/" not in name and not name.startswith(".") for name in names)
    assert file_name_for("https://me:pw@a.org/x.pth") == names[0]
