"""What tests of several rooms share."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextvars import Context
from pathlib import Path

import pytest

from fa_assets.demo.weights import make_demo_checkpoint
from fa_assets.storage.roots import StoragePath, open_root
from fa_assets_tests.finished_run import FinishedRun, make_finished_run
from fa_assets_tests.local_server import Server, local_servers
from fa_assets_tests.object_store import ObjectStore, object_store


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Each test function runs in a context of its own.

    An entered Dagster instance leaves its store of definitions' state in a context variable; one that is collected
    without having been left puts the variable back to what it was before, which may be the store of an instance that is
    long gone, in the middle of another test.
    """
    names = pyfuncitem._fixtureinfo.argnames
    Context().run(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names})
    return True


@pytest.fixture(scope="session")
def demo_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated CNN14 file of 327 MB, made once per test session."""
    path = tmp_path_factory.mktemp("checkpoint") / "demo-cnn14.pth"
    make_demo_checkpoint(path)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real recordings and label files."""
    folder = os.environ.get("FA_SHARED_DATA")
    if not folder:
        pytest.skip("FA_SHARED_DATA is not set: no real recordings to test with")
    return Path(folder)


@pytest.fixture(scope="session")
def needs_ray() -> None:
    """Skips, or fails where FA_REQUIRE_CLUSTER is set, when Ray is not installed."""
    if importlib.util.find_spec("ray") is not None:
        return
    if os.environ.get("FA_REQUIRE_CLUSTER"):
        pytest.fail("Ray is not installed, and FA_REQUIRE_CLUSTER is set")
    pytest.skip("Ray is not installed: make install-cluster")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, demo_checkpoint: Path) -> FinishedRun:
    """A small run of everything; tests read its storage and work on copies."""
    return make_finished_run(tmp_path_factory.mktemp("finished"), demo_checkpoint)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """``serve(answer, ...)`` starts a server on a free port of this machine."""
    with local_servers() as start:
        yield start


@pytest.fixture(scope="session")
def s3() -> Iterator[ObjectStore]:
    """An S3-compatible server on this machine."""
    with object_store() as store:
        yield store


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> StoragePath:
    """An empty storage root of either kind."""
    if request.param == "local":
        return open_root(tmp_path / "storage")
    return open_root(request.getfixturevalue("s3").new_location())
