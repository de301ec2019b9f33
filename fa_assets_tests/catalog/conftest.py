"""Made-up storage folders, empty and with runs."""

from pathlib import Path

import pyarrow as pa
import pytest

from fa_assets_tests.catalog.made_up import MadeUpStorage


@pytest.fixture
def storage(tmp_path: Path) -> MadeUpStorage:
    return MadeUpStorage(tmp_path / "storage")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> MadeUpStorage:
    """For tests that only read: "run-1" and "run-2" of everything, of other seeds, and "run-3" of a few assets."""
    storage = MadeUpStorage(tmp_path_factory.mktemp("runs") / "storage")
    storage.catalog.sync()
    storage.write_everything("run-1")
    storage.write_everything("run-2", seed=7)
    storage.write_predictions("center", logit=2.0, run_id="run-3")
    for sha1 in ("abc123", "ffffff"):
        storage.write("cnn14_checkpoint", pa.table({"sha1": [sha1]}), run_id="run-3", data_version=sha1)
    storage.catalog.sync()
    return storage
