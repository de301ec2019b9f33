"""The documented queries, on a small made-up storage."""

import inspect
from pathlib import Path

import pytest

from fa_assets.catalog import queries
from fa_assets.catalog.database import Catalog
from fa_assets_tests.catalog.made_up import MadeUpStorage


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Two runs: the second with other folds, another torch and a better bell."""
    storage = MadeUpStorage(tmp_path_factory.mktemp("storage"))
    storage.write_everything("run-1", bell=0.4)
    storage.write_everything("run-2", seed=7, torch="2.14.0", bell=1.0)
    storage.catalog.sync()
    return storage.catalog


def test_the_origin_of_an_lwlrap(catalog: Catalog) -> None:
    (found,) = catalog.query(queries.LWLRAP_ORIGIN, {"scheme": "mc5"}).to_dict("records")
    assert found["lwlrap"] == pytest.approx((1.0 + 0.5 + 0.5 + 0.25 + 0.9) / 5)
    assert found["run_id"] == "run-2"
    assert (found["checkpoint_origin"], found["checkpoint_sha1"]) == ("demo", "abc123")
    assert (found["folds_origin"], found["folds_data_version"]) == ("multilabel-stratified", "seed-7")


def test_the_worst_classes(catalog: Catalog) -> None:
    found = catalog.query(queries.WORST_CLASSES, {"scheme": "mc5"})
    assert found["class_name"].tolist() == ["gong", "rain", "bell"]
    assert found["lwlrap"].tolist() == pytest.approx([0.25, 0.7, 0.75])
    assert found["positives"].tolist() == [1, 2, 2]


def test_the_difference_between_two_runs(catalog: Catalog) -> None:
    found = catalog.query(queries.RUN_DIFFERENCES, {"run_a": "run-1", "run_b": "run-2"})
    rows = {(row["kind"], row["name"]): (row["a"], row["b"]) for row in found.to_dict("records")}
    lwlrap = rows.pop(("lwlrap", "mc5"))
    assert [float(value) for value in lwlrap] == pytest.approx([0.51, 0.63])
    changed = ("folds", "mc5_embeddings[0]", "mc5_embeddings[1]", "mc5_oof_predictions[0]", "mc5_oof_predictions[1]")
    assert rows == {
        ("setting", "folds.seed"): ("42", "7"),
        ("environment", "torch"): ("2.13.0", "2.14.0"),
        **{("input", name): ("seed-42", "seed-7") for name in changed},
    }
    assert len(catalog.query(queries.RUN_DIFFERENCES, {"run_a": "run-1", "run_b": "run-1"})) == 0


@pytest.mark.parametrize(
    ("fname", "nearest", "labels"), [("bell.wav", "gong.wav", ["bell", "gong"]), ("rain.wav", "hail.wav", ["rain"])]
)
def test_the_most_similar_clips(fname: str, nearest: str, labels: list[str], catalog: Catalog) -> None:
    found = catalog.query(queries.SIMILAR_CLIPS, {"scheme": "mc5", "fname": fname})
    assert len(found) == 3
    assert found["fname"][0] == nearest
    assert list(found["labels"][0]) == labels
    assert found["similarity"].is_monotonic_decreasing
    cosine = {"bell.wav": 2 / 4.25**0.5, "rain.wav": 3 / 9.01**0.5}[fname]
    assert found["similarity"][0] == pytest.approx(cosine, abs=1e-6)


def test_every_query_has_a_test_here() -> None:
    names = [name for name in vars(queries) if name.isupper()]
    assert len(names) == 4
    here = Path(inspect.getfile(test_every_query_has_a_test_here)).read_text()
    assert [name for name in names if f"queries.{name}" not in here] == []
