"""Ports for the servers that tests start."""

import socket

_HELD: list[socket.socket] = []
"""Sockets that are bound, and on which nobody listens; they go when this process ends."""


def free_port() -> int:
    """One of 127.0.0.1 that nothing listens on, and that from now on nobody else is given.

    It stays bound here. Anyone who asks the kernel for a port gets another one, whereas a server that is told this number may
    listen on it, as Linux lets it where both sockets have SO_REUSEADDR (asyncio and gRPC set it).
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return int(held.getsockname()[1])
