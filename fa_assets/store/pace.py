"""Whether enough of a download comes: a watch over all its attempts, which ends what only pretends to go on.

A server may send headers, or the heads of chunks, one byte at a time for ever. Each byte ends a wait for the next, so that no
limit of a single wait helps; the connection is cut from outside.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_AGAIN_S = 1.0


class Pace:
    """Counts what `came`, and cuts the connections of its sessions for good where so many seconds bring too little.

    Attributes:
        too_little: the bytes of the time that brought too little; None as long as none did.
    """

    def __init__(self, seconds: float, least_bytes: int) -> None:
        self.too_little: int | None = None
        self._seconds, self._least_bytes = seconds, least_bytes
        self._arrived = 0
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()

    def came(self, n_bytes: int) -> None:
        """So many bytes came."""
        self._arrived += n_bytes

    @contextmanager
    def watched(self) -> Iterator["Pace"]:
        """Watch for as long as the context lasts."""
        threading.Thread(target=self._watch, name="pace of a download", daemon=True).start()
        try:
            yield self
        finally:
            self._over.set()

    def session(self) -> requests.Session:
        """A session whose connections can be cut."""
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Noted(self._sockets))
        return session

    def _watch(self) -> None:
        before = 0
        while not self._over.wait(self._seconds if self.too_little is None else _AGAIN_S):
            arrived = self._arrived
            if self.too_little is None and arrived - before < self._least_bytes:
                self.too_little = arrived - before
            before = arrived
            for one in self._sockets if self.too_little is not None else ():
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)


class _Noted(HTTPAdapter):
    """Notes the socket of each connection."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        super().__init__()

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        sockets = self._sockets

        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        pool.ConnectionCls = Connection
        return pool
