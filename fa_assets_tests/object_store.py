"""A real S3-compatible server on this machine (moto), for tests of everything that is stored."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
import pytest

from fa_assets_tests.ports import free_port

BUCKET = "fa-assets-tests"


@dataclass(frozen=True)
class ObjectStore:
    """The server's address and the keys to it, as environment variables."""

    environment: dict[str, str]

    def new_location(self) -> str:
        """A prefix that nothing was written to yet."""
        return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """The server, with a bucket in it; this process has its address and keys in the environment.

    It is a process of its own, whose coverage nobody asks for.
    """
    port = free_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIASECRETKEYOFTESTS",
        "AWS_SECRET_ACCESS_KEY": "secret/of/the+object+store",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    server = subprocess.Popen(command, env=untraced, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            while not _listens(port):
                assert server.poll() is None, "moto ended"
                time.sleep(0.05)
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            yield ObjectStore(environment)
        finally:
            server.terminate()
            server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
