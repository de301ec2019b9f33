"""One small real run of everything, shared by all tests of what it made and of what happens next.

It is made once for a state of the sources, whichever test process comes first, and kept in the folder of temporary files;
each test process works on a copy of its own.
"""

import hashlib
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from unittest import mock

from filelock import FileLock

import fa_assets
from fa_assets.encoders.cnn14.checkpoint import NARROW
from fa_assets.encoders.cnn14.demo_weights import make_demo_checkpoint
from fa_assets.graph.runner import RunOutcome
from fa_assets.settings import Settings
from fa_assets_tests.runs import prepare_environment, recorder_of, run
from fa_assets_tests.small_dataset import make_small_dataset

NARROW_SEED = 15
_IN_USE_S = 3600
"""How long tests of a state of the sources may still be running: others, beside these, may have started with it."""
_SOURCES = sorted(Path(fa_assets.__file__).parent.glob("**/*.*"))
_OWN = [Path(__file__).with_name(name) for name in ("finished_run.py", "runs.py", "small_dataset.py")]


@dataclass(frozen=True)
class FinishedRun:
    """A dataset, a storage folder with everything materialized, and how the run went."""

    settings: Settings
    outcome: RunOutcome

    def copy(self, folder: Path) -> Settings:
        """Settings of a copy of dataset, storage and Dagster instance that a test may change."""
        shutil.copytree(self.settings.dataset, folder / "dataset")
        shutil.copytree(self.settings.storage_root, folder / "storage")
        return self.settings.model_copy(update={"dataset": folder / "dataset", "storage": folder / "storage"})


@contextmanager
def environment_of(settings: Settings, home: str = "") -> Iterator[None]:
    """This process sees these settings, the Dagster instance of `home` or their own, and nothing from outside."""
    with mock.patch.dict(os.environ):  # afterwards it is as it was, whatever runs set in it
        for name in list(os.environ):
            if name.startswith(("FA_", "DAGSTER_")) and name != "FA_SHARED_DATA":
                del os.environ[name]
        os.environ["DAGSTER_HOME"] = home
        prepare_environment(settings)
        yield


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """What `make` makes at the path that it is given, from the cache where the sources are the same."""
    made = _cache() / name
    with FileLock(f"{made}.lock"):
        if not made.exists():
            unfinished = made.with_name(f"{name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(made)
    return made


def checkpoint(narrow: int) -> Path:
    """Generated weights of CNN14 (1), or of a network `narrow` times narrower; that one's seed makes MC5 the better scheme."""

    def make(folder: Path) -> None:
        make_demo_checkpoint(folder / "demo-cnn14.pth", narrow=narrow, seed=14 if narrow == 1 else NARROW_SEED)

    return made_once(f"checkpoint-{narrow}", make) / "demo-cnn14.pth"


def make_finished_run(folder: Path, *, pictures: bool) -> FinishedRun:
    """The small dataset in `folder`, and a run of everything on it."""

    def make(unfinished: Path) -> None:
        make_small_dataset(unfinished / "dataset")
        settings = Settings(
            dataset=unfinished / "dataset",
            storage=unfinished / "storage",
            checkpoint=str(checkpoint(NARROW)),
            pictures="on" if pictures else "off",
            min_lwlrap=0,  # of 24 clips little can be shown
        )
        with environment_of(settings):
            outcome = run(settings)
        assert not outcome.failures, outcome
        (unfinished / "outcome").write_bytes(pickle.dumps(outcome))

    made = made_once("finished-with-pictures" if pictures else "finished", make)
    settings = Settings(
        dataset=made / "dataset",
        storage=made / "storage",
        checkpoint=str(checkpoint(NARROW)),
        pictures="off",
        min_lwlrap=0,
    )
    outcome = pickle.loads((made / "outcome").read_bytes())
    copy = FinishedRun(settings, outcome).copy(folder)
    recorder_of(copy).catalog.rebuild()  # its view of the embeddings names the folder
    return FinishedRun(copy, outcome)


@cache
def _cache() -> Path:
    """A folder for this state of the sources, the installed packages and Python.

    Of other states the last three are kept, and those that tests may still be using.
    """
    digest = hashlib.sha256(os.__file__.encode())
    for path in (*_SOURCES, *_OWN):
        if path.suffix != ".pyc" and path.is_file():
            digest.update(path.read_bytes())
    for package in sorted(f"{one.name} {one.version}" for one in distributions()):
        digest.update(package.encode())
    root = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())) / f"fa_assets_tests-{os.getuid()}"
    folder = root / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    for other in sorted(root.iterdir(), key=lambda one: one.stat().st_mtime)[:-4]:
        if time.time() - other.stat().st_mtime > _IN_USE_S:
            shutil.rmtree(other, ignore_errors=True)
    return folder
