"""One small real run, shared by the tests of what it made: 24 clips, 4 classes, real CNN14 with untrained weights."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fa_assets.runner import RunOutcome, prepare_environment, run
from fa_assets.settings import Settings
from fa_assets_tests.small_dataset import make_small_dataset


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting and no instance from outside."""
    for name in list(os.environ):
        if name.startswith(("FA_", "DAGSTER_")) and name != "FA_SHARED_DATA":
            monkeypatch.delenv(name)


@pytest.fixture(scope="package")
def finished(tmp_path_factory: pytest.TempPathFactory, demo_checkpoint: Path) -> Iterator[tuple[Settings, RunOutcome]]:
    """The settings and the outcome of a run of everything; its storage is read, not written, by the tests."""
    folder = tmp_path_factory.mktemp("finished")
    make_small_dataset(folder / "dataset")
    settings = Settings(dataset=folder / "dataset", storage=folder / "storage", checkpoint=str(demo_checkpoint))
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("FA_", "DAGSTER_")):
                patch.delenv(name)
        # The variables prepare_environment sets go away with the patch.
        for name in (*settings.as_environment(), "DAGSTER_HOME"):
            patch.setenv(name, "")
        prepare_environment(settings)
        yield settings, run(settings)
