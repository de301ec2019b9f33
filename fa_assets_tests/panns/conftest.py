"""A local web server that misbehaves on demand, and a CNN14 file of a few megabytes."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from fa_assets.panns import architecture


@dataclass(frozen=True)
class Answer:
    """One answer: `body` is sent up to `cut`; `length` is what Content-Length claims (by default the truth)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    length: int | None = None
    ranges: bool = True


@dataclass
class Server:
    """Serves `answers` one after the other, the last one again and again; `requests` are the headers that came in."""

    url: str
    answers: list[Answer]
    requests: list[dict[str, str]]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """``serve(answer, ...)`` starts a server on a free port of this machine."""
    running = []

    def start(*answers: Answer) -> Server:
        server = Server("", list(answers), [])

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(dict(self.headers))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
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

            def log_message(self, *args: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(http)
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.url = f"http://127.0.0.1:{http.server_port}/records/7/Cnn14%3D1.pth"
        return server

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


@pytest.fixture
def small_state() -> dict[str, torch.Tensor]:
    """A CNN14 state dict that passes every check, its weights zeros that share one number: 4 MB when saved."""
    state = {name: torch.zeros(()).expand(shape) for name, shape in architecture.state_shapes().items()}
    for part, kernel in zip(("real", "imag"), architecture.stft_kernels(), strict=True):
        state[f"spectrogram_extractor.stft.conv_{part}.weight"] = torch.from_numpy(kernel)
    mel = torch.zeros(architecture.FREQUENCY_BINS, architecture.MEL_BINS)
    mel[2:449] = 1  # 62.5 to 14000 Hz
    state["logmel_extractor.melW"] = mel
    return state


@pytest.fixture
def small_checkpoint(tmp_path: Path, small_state: dict[str, torch.Tensor]) -> Path:
    """`small_state` in a file of the published format."""
    path = tmp_path / "small.pth"
    torch.save({"iteration": 600_000, "model": small_state}, path)
    return path
