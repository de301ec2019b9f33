"""Ports for the servers that tests start."""

import socket


def free_port() -> int:
    """One that nothing on this machine listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
