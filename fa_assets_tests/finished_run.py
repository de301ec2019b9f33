"""One small real run of everything, shared by all tests of what it made and of what happens next."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fa_assets.runner import RunOutcome, prepare_environment, run
from fa_assets.settings import Settings
from fa_assets_tests.small_dataset import make_small_dataset


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
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("FA_", "DAGSTER_")) and name != "FA_SHARED_DATA":
                patch.delenv(name)
        for name in (*settings.as_environment(), "DAGSTER_HOME"):
            patch.setenv(name, "")  # so that what prepare_environment sets goes away with the patch
        patch.setenv("DAGSTER_HOME", home)
        prepare_environment(settings)
        yield


def make_finished_run(folder: Path, checkpoint: Path) -> FinishedRun:
    """Make the small dataset and run everything on it."""
    make_small_dataset(folder / "dataset")
    settings = Settings(dataset=folder / "dataset", storage=folder / "storage", checkpoint=str(checkpoint))
    with environment_of(settings):
        return FinishedRun(settings, run(settings))
