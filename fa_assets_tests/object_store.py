"""A real S3-compatible server on this machine (moto), for tests of everything that is stored."""

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
import pytest
from moto.server import ThreadedMotoServer

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
    """The server, with a bucket in it; this process has its address and keys in the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIASECRETKEYOFTESTS",
        "AWS_SECRET_ACCESS_KEY": "secret/of/the+object+store",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        try:
            yield ObjectStore(environment)
        finally:
            server.stop()
