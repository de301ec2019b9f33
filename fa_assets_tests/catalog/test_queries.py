"""The README's queries, on a small made-up storage."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from fa_assets.catalog.database import Catalog
from fa_assets.store.ledger import InputVersion
from fa_assets_tests.catalog.made_up import MadeUpStorage
from fa_assets_tests.test_readme import ORIGIN, SIMILAR_CLIPS, WORST_CLASSES


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Two runs: the second with other folds, another torch and a better bell."""
    storage = MadeUpStorage(tmp_path_factory.mktemp("storage"))
    storage.write_everything("run-1", bell=0.4)
    storage.write_everything("run-2", seed=7, torch="2.14.0", bell=1.0)
    storage.catalog.sync()
    return storage.catalog


def test_the_origin_of_an_lwlrap(catalog: Catalog) -> None:
    found = catalog.query(ORIGIN).sort_values("asset")
    assert found["lwlrap"].tolist() == pytest.approx([(1.0 + 0.5 + 0.5 + 0.25 + 0.9) / 5] * 2)
    assert found["asset"].tolist() == ["cnn14_checkpoint", "folds"]
    assert found["origin"].tolist() == ["demo", "multilabel-stratified"]
    assert found["data_version"].tolist() == ["abc123", "seed-7"]


def test_folds_that_go_on_from_earlier_ones_are_one_row(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    storage.write_everything("run-1")
    storage.write_everything("run-2", seed=7, folds_from="seed-42")
    storage.catalog.sync()
    rows = storage.catalog.query(ORIGIN).to_dict("records")
    assert {one["asset"]: one["data_version"] for one in rows} == {"cnn14_checkpoint": "abc123", "folds": "seed-7"}
    assert len(rows) == 2


def test_the_worst_classes(catalog: Catalog) -> None:
    found = catalog.query(WORST_CLASSES)
    assert found["class_name"].tolist() == ["gong", "rain", "bell"]
    assert found["lwlrap"].tolist() == pytest.approx([0.25, 0.7, 0.75])
    assert found["positives"].tolist() == [1, 2, 2]


def differences(catalog: Catalog, run_a: str, run_b: str) -> dict[tuple[str, str], tuple[object, object]]:
    found = catalog.query("from run_diff(?, ?)", [run_a, run_b])
    found = found.astype(object).where(found.notna(), None)
    return {(row["kind"], row["name"]): (row["a"], row["b"]) for row in found.to_dict("records")}


def test_the_difference_between_two_runs(catalog: Catalog) -> None:
    rows = differences(catalog, "run-1", "run-2")
    overall, fold_0 = rows.pop(("lwlrap", "mc5")), rows.pop(("lwlrap", "mc5 fold 0"))
    assert [float(str(value)) for value in overall] == pytest.approx([0.51, 0.63])
    assert [float(str(value)) for value in fold_0] == pytest.approx([0.45, 0.75])
    changed = (
        "folds",
        "mc5_metrics",
        "mc5_oof_predictions",
        *(f"mc5_embeddings[{k}]" for k in (0, 1)),
    )
    assert rows == {
        ("setting", "folds.seed"): ("42", "7"),
        ("environment", "torch"): ("2.13.0", "2.14.0"),
        **{("data", name): ("seed-42", "seed-7") for name in changed},
    }
    assert differences(catalog, "run-1", "run-1") == {}


def test_a_run_that_made_little_is_compared_with_all_it_stands_on(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    first = storage.write_everything("run-1")
    storage.write_predictions("center", run_id="run-1")
    (predictions,) = [
        one for one in storage.ledger.entries() if (one.asset, one.partition) == ("mc5_oof_predictions", None)
    ]
    read = [InputVersion("mc5_oof_predictions", None, "seed-42", predictions.id)]
    storage.write(
        "mc5_metrics", pa.table({"fold": [0]}), run_id="run-2", data_version="new", inputs=read, settings={"k": 1}
    )
    storage.catalog.sync()
    assert first != predictions.id
    rows = differences(storage.catalog, "run-1", "run-2")
    lwlrap = {key for key in rows if key[0] == "lwlrap"}
    assert lwlrap == {("lwlrap", "mc5"), ("lwlrap", "mc5 fold 0"), ("lwlrap", "mc5 fold 1")}
    assert {key: pair for key, pair in rows.items() if key not in lwlrap} == {
        ("setting", "mc5_metrics.k"): (None, "1"),
        ("data", "mc5_metrics"): ("seed-42", "new"),
        ("asset", "center_oof_predictions"): ("made", None),
    }


def test_labels_that_verdicts_changed_are_differences(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    rain, bell = ["rain.wav", 'a "small" bell', "add"], ["bell.wav", "bell", "remove"]
    storage.write_clips(run_id="run-1", metadata={"corrected": json.dumps([rain])})
    storage.write_clips(run_id="run-2", data_version="v2", metadata={"corrected": json.dumps([rain, bell])})
    storage.write_clips(run_id="run-3", data_version="v3", metadata={"rows": 4})
    storage.catalog.sync()
    assert differences(storage.catalog, "run-1", "run-2") == {
        ("correction", "bell.wav: bell"): (None, "remove"),
        ("data", "curated_clips"): ("v1", "v2"),
    }
    assert ("correction", 'rain.wav: a "small" bell') in differences(storage.catalog, "run-2", "run-3")


def test_a_correction_that_was_withdrawn_is_a_difference_though_the_folds_go_on_from_it(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    corrected = {"corrected": json.dumps([["rain.wav", "bell", "add"]])}
    read: list[InputVersion] = []
    for run, metadata in (("run-1", corrected), ("run-2", {"rows": 4})):
        clips = storage.write_clips(run_id=run, data_version=run, metadata=metadata)
        read.append(InputVersion("curated_clips", None, run, clips))
        folds = storage.write("folds", pa.table({"fold": [0]}), run_id=run, data_version=run, inputs=read)
        read = [InputVersion("folds", None, run, folds)]
    storage.catalog.sync()
    found = differences(storage.catalog, "run-1", "run-2")
    assert found["correction", "rain.wav: bell"] == ("add", None)


def test_the_most_similar_clips(catalog: Catalog) -> None:
    found = catalog.query(SIMILAR_CLIPS)  # to bell.wav
    assert len(found) == 3
    assert found["fname"][0] == "gong.wav"
    assert list(found["labels"][0]) == ["bell", "gong"]
    assert found["similarity"].is_monotonic_decreasing
    assert found["similarity"][0] == pytest.approx(2 / 4.25**0.5, abs=1e-6)


def test_clips_are_compared_within_one_encoder_where_folds_of_another_are_left(tmp_path: Path) -> None:
    storage = MadeUpStorage(tmp_path)
    storage.write_everything()
    table = pa.table(
        {"fname": ["bell.wav", "rain.wav"], "embedding": pa.array([[1.0, 0], [1, 1]], pa.list_(pa.float32()))}
    )
    storage.write("mc5_embeddings", table, partition="0", run_id="run-2", data_version="another")
    storage.catalog.sync()
    found = storage.catalog.query(SIMILAR_CLIPS)
    assert found["fname"].tolist() == ["rain.wav"]
    assert found["similarity"][0] == pytest.approx(0.5**0.5)
