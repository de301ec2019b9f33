"""The platform on encoders that are named by a file or a folder: onnx:FILE, transformers:FOLDER."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from fa_assets.api import Tagger
from fa_assets.definitions import build_definitions
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import embedding_stores
from fa_assets.store.ledger import Ledger
from fa_assets_tests.encoders.extras import needs
from fa_assets_tests.encoders.networks import make_network
from fa_assets_tests.encoders.test_transformers import ast
from fa_assets_tests.finished_run import environment_of
from fa_assets_tests.runs import plan, run
from fa_assets_tests.small_dataset import make_small_dataset

pytestmark = pytest.mark.slow


def network(folder: Path) -> str:
    make_network(folder / "small.onnx")
    return f"onnx:{folder / 'small.onnx'}"


def model(folder: Path) -> str:
    for part in ast():
        part.save_pretrained(folder / "small")
    return f"transformers:{folder / 'small'}"


@pytest.mark.parametrize(
    ("make", "kind", "window"),
    [
        pytest.param(network, "onnx", "1", marks=[needs("onnx"), needs("onnxruntime")]),
        pytest.param(model, "huggingface", "0.64", marks=needs("transformers")),
    ],
)
def test_the_graph_runs_on_it_and_knows_it_again_where_it_was_moved(
    make: Callable[[Path], str], kind: str, window: str, tmp_path: Path
) -> None:
    make_small_dataset(tmp_path / "dataset")
    settings = Settings(
        dataset=tmp_path / "dataset",
        storage=tmp_path / "storage",
        encoder=make(tmp_path / "here"),
        pictures="off",
        min_lwlrap=0,
    )
    weights = f"{settings.encoder.partition(':')[0]}_small_checkpoint"
    with environment_of(settings):
        assert run(settings, select="+submission,+mc5_metrics").failures == ()
        with dg.DagsterInstance.get() as instance:
            assert {one.asset for one in plan(settings, instance)}.isdisjoint({weights, "mc5_embeddings", "submission"})
    entries = Ledger(settings.storage_root / "ledger").entries()
    facts = {one.asset: one.metadata for one in entries}
    assert facts[weights]["pooling"]
    assert facts["curated_clips"][f"clips_over_{window}_s"] == (1 if window == "1" else 11)
    kinds = {one.key.to_user_string(): one.kinds for one in build_definitions(settings).resolve_all_asset_specs()}
    assert kinds[weights] == {kind} and kinds["mc5_embeddings"] == {kind, "parquet"}
    assert len(Tagger.load(settings.storage_root).tag(settings.dataset / "test" / "t0.wav")) == 4

    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = settings.model_copy(update={"encoder": settings.encoder.replace("/here/", "/there/")})
    with environment_of(moved):
        assert run(moved, select="+center_embeddings").failures == ()
    assert len(embedding_stores(settings.storage_root)) == 1
    again = [one for one in Ledger(settings.storage_root / "ledger").entries() if one.asset == "center_embeddings"]
    assert {one.metadata["crops_computed"] for one in again[-5:]} == {0} and len(again) == 10
