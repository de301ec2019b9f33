"""A local web server that misbehaves on demand."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer: `body` is sent up to `cut`; `length` is what Content-Length claims (by default the truth).

    With `stalls`, the connection stays open behind the body, and nothing more comes.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    length: int | str | None = None
    ranges: bool = True
    stalls: bool = False


@dataclass
class Server:
    """Serves `answers` one after the other, the last one again and again; `requests` are the headers that came in.

    With `site`, each path has answers of its own and any other is not found; `root` is the address without a path, and
    `paths` are those that were asked for.
    """

    url: str
    answers: list[Answer]
    requests: list[dict[str, str]]
    site: dict[str, list[Answer]]
    root: str = ""
    paths: list[str] = field(default_factory=list)


@contextmanager
def local_servers() -> Iterator[Callable[..., Server]]:
    """``serve(answer, ...)`` starts a server on a free port of this machine."""
    running = []
    over = threading.Event()

    def start(*answers: Answer, site: dict[str, list[Answer]] | None = None) -> Server:
        server = Server("", list(answers), [], site or {})

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(dict(self.headers))
                server.paths.append(self.path)
                answers = server.site.get(self.path) or server.answers or [Answer(status=404)]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                body, status, headers = answer.body, answer.status, dict(answer.headers)
                asked = self.headers.get("Range")
                if asked and answer.ranges and self.headers.get("If-Range") == headers.get("ETag"):
                    start = int(asked.removeprefix("bytes=").rstrip("-"))
                    headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                    body, status = body[start:], 206
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
                self.end_headers()
                self.wfile.write(body[: answer.cut])
                if answer.stalls:
                    self.wfile.flush()
                    over.wait()

            def log_message(self, *args: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(http)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.root = f"http://127.0.0.1:{http.server_port}"
        server.url = f"{server.root}/records/7/Cnn14%3D1.pth"
        return server

    yield start
    over.set()
    for http in running:
        http.shutdown()
        http.server_close()
