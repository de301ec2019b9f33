"""A storage folder that version 0.1.0 wrote, before the graph was rebuilt: nothing is lost, no crop is embedded again."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import NARROW, checkpoint, environment_of
from fa_assets_tests.runs import recorder_of, run
from fa_assets_tests.small_dataset import make_small_dataset

pytestmark = pytest.mark.slow

OLD = Path(__file__).with_name("storage_of_0_1.zip")
"""What a run on the small dataset left: ledger, crop store, and the values other than embeddings."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    make_small_dataset(tmp_path / "dataset")
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(tmp_path / "storage")
    settings = Settings(
        dataset=tmp_path / "dataset",
        storage=tmp_path / "storage",
        checkpoint=str(checkpoint(NARROW)),
        pictures="off",
        min_lwlrap=0,
    )
    with environment_of(settings):
        yield settings


def folds_of(settings: Settings) -> dict[str, int]:
    table = ValueStore(settings.storage_root).read("folds").table
    return dict(zip(table["fname"].to_pylist(), table["fold"].to_pylist(), strict=True))


def test_it_is_gone_on_with(settings: Settings) -> None:
    ledger, catalog = Ledger(settings.storage_root / "ledger"), recorder_of(settings).catalog
    before, folds = ledger.ids(), folds_of(settings)
    assert catalog.sync() == len(before)
    outcome = run(settings)
    assert outcome.failures == ()
    assert folds_of(settings) == folds
    new = list(ledger.entries(skip=before))
    embeddings = [one for one in new if one.asset.endswith("_embeddings")]
    assert {one.asset for one in embeddings} == {"mc5_embeddings", "center_embeddings", "test_embeddings"}
    assert {one.metadata["crops_computed"] for one in embeddings} == {0}
    assert set(before) < set(ledger.ids())
    assert len(catalog.query("from runs")) == 2
    old, now = catalog.query("select lwlrap from lwlrap where scheme = 'mc5' and scope = 'overall' order by all")[
        "lwlrap"
    ]
    assert now == pytest.approx(old, abs=0.02), (
        "the same embeddings and folds, and a solver that goes to the same place"
    )
    assert run(settings).planned == ()
