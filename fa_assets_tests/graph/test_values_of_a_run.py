"""What a run of everything made: the numbers against scikit-learn, the notebook's files, metadata and the catalog."""

import json
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fa_assets.cli.summary import scheme_results
from fa_assets.metrics.figures import Figures
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.small_dataset import CLASSES, N_CLIPS

FNAMES = [f"{index:02}.wav" for index in range(N_CLIPS)]
FOLDS = [str(fold) for fold in range(5)]


@pytest.fixture
def storage(finished: FinishedRun) -> Path:
    return finished.settings.storage_root


@pytest.fixture
def values(storage: Path) -> ValueStore:
    return ValueStore(storage)


def folds_of(values: ValueStore) -> np.ndarray:
    return np.asarray(values.read("folds").table["fold"])


def truth_of(values: ValueStore) -> np.ndarray:
    labels = values.read("curated_clips").table["labels"].to_pylist()
    return np.array([[name in own for name in CLASSES] for own in labels])


def embeddings_of(values: ValueStore, scheme: str) -> np.ndarray:
    stacked = np.empty((N_CLIPS, 2048), np.float32)
    for fold in FOLDS:
        stacked[folds_of(values) == int(fold)] = embedding_matrix(
            values.read(f"{scheme}_embeddings", fold).table["embedding"]
        )
    return stacked


def predictions_of(values: ValueStore, scheme: str, column: str) -> np.ndarray:
    """In the order of the label CSV; they are stored fold after fold."""
    table = values.read(f"{scheme}_oof_predictions").table
    order = {fname: row for row, fname in enumerate(table["fname"].to_pylist())}
    return np.array(table[column].to_pylist())[[order[fname] for fname in FNAMES]]


def reference(X: np.ndarray, Y: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """The probabilities of the notebook's own classifier, whose workers have one BLAS thread."""
    model = OneVsRestClassifier(
        make_pipeline(StandardScaler(), LogisticRegression(solver="lbfgs", C=2.0, max_iter=1000))
    )
    with threadpool_limits(1):
        return model.fit(X, Y.astype(int)).predict_proba(unseen)


def figures_of(values: ValueStore, scheme: str) -> Figures:
    value = values.read(f"{scheme}_metrics")
    return Figures.of_table(value.table, value.header.details["classes"])


def test_the_run_made_everything_and_warned_of_the_weights(finished: FinishedRun) -> None:
    outcome = finished.outcome
    assert outcome.failures == ()
    assert any("weights_trained: Untrained weights" in line for line in outcome.warnings)
    assert {one.asset for one in outcome.planned} >= {"notebook_artifacts", "comparison", "curated_clips"}
    assert sum(one.asset == "mc5_embeddings" for one in outcome.planned) == 5


def test_clips_and_classes_keep_the_files_order(values: ValueStore) -> None:
    for asset in ("curated_clips", "folds", "mc5_oof_predictions", "mc5_metrics", "final_classifier", "submission"):
        assert values.read(asset).header.details["classes"] == list(CLASSES)
    assert values.read("curated_clips").table["fname"].to_pylist() == FNAMES
    assert values.read("folds").table["fname"].to_pylist() == FNAMES


def test_every_fold_holds_its_clips_in_order(values: ValueStore) -> None:
    for fold in FOLDS:
        own = [fname for fname, one in zip(FNAMES, folds_of(values), strict=True) if one == int(fold)]
        assert values.read("mc5_embeddings", fold).table["fname"].to_pylist() == own


def test_short_clips_have_the_same_embedding_under_both_schemes(values: ValueStore) -> None:
    mc5, center = embeddings_of(values, "mc5"), embeddings_of(values, "center")
    same = (mc5 == center).all(axis=1)
    assert [fname for fname, equal in zip(FNAMES, same, strict=True) if not equal] == ["07.wav"]  # the one over 10 s


@pytest.mark.parametrize("scheme", ["mc5", "center"])
def test_predictions_are_scikit_learns_on_the_other_folds(values: ValueStore, scheme: str) -> None:
    embeddings, truth, folds = embeddings_of(values, scheme), truth_of(values), folds_of(values)
    expected = np.empty(truth.shape)
    for fold in range(5):
        expected[folds == fold] = reference(embeddings[folds != fold], truth[folds != fold], embeddings[folds == fold])
    np.testing.assert_allclose(predictions_of(values, scheme, "probability"), expected, rtol=0, atol=0)
    np.testing.assert_array_equal(predictions_of(values, scheme, "truth").astype(bool), truth)


@pytest.mark.parametrize("scheme", ["mc5", "center"])
def test_metrics_are_scikit_learns_overall_and_per_fold(values: ValueStore, scheme: str) -> None:
    truth, logits, folds = truth_of(values), predictions_of(values, scheme, "logit"), folds_of(values)

    def lwlrap(rows: np.ndarray) -> float:
        return label_ranking_average_precision_score(truth[rows], logits[rows], sample_weight=truth[rows].sum(axis=1))

    figures = figures_of(values, scheme)
    assert figures.overall() == pytest.approx(lwlrap(folds >= 0), abs=1e-12)
    for fold in range(5):
        assert figures.of("fold")[str(fold)].value == pytest.approx(lwlrap(folds == fold), abs=1e-12)
    for fname, one in figures.of("clip").items():
        row = FNAMES.index(fname)
        assert one.value == pytest.approx(lwlrap(np.arange(N_CLIPS) == row), abs=1e-12)
        assert one.weight == truth[row].sum()
    assert tuple(figures.of("class")) == CLASSES
    np.testing.assert_array_equal(figures.weights("class"), truth.sum(axis=0))
    average = [
        np.mean(
            [
                average_precision_score(truth[folds == fold, one], logits[folds == fold, one])
                for one in np.flatnonzero(truth[folds == fold].any(axis=0))
            ]
        )
        for fold in range(5)
    ]
    assert figures.overall("map") == pytest.approx(np.mean(average), abs=1e-12)


def test_the_comparison_is_of_the_two_metrics(values: ValueStore, storage: Path) -> None:
    frame = values.read("comparison").table.to_pandas().set_index(["scope", "key"])
    results = scheme_results(storage)
    assert frame.loc[("overall", ""), "lwlrap"] == pytest.approx(results["mc5"].overall, abs=1e-15)
    assert frame.loc[("overall", ""), "baseline"] == pytest.approx(results["center"].overall, abs=1e-15)
    for fold in range(5):
        assert frame.loc[("fold", str(fold)), "lwlrap"] == pytest.approx(results["mc5"].per_fold[fold], abs=1e-15)
    np.testing.assert_allclose(frame["difference"], frame["lwlrap"] - frame["baseline"])
    assert {name for scope, name in frame.index if scope == "class"} == set(CLASSES)


def test_the_notebooks_files_have_its_keys_shapes_and_order(values: ValueStore, finished: FinishedRun) -> None:
    folder = finished.settings.storage_root / "notebook"
    embeddings = np.load(folder / "embeddings_curated_mc5.npy")
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, embeddings_of(values, "mc5"))
    oof = np.load(folder / "oof_tta.npy")
    assert oof.dtype == np.float32
    np.testing.assert_array_equal(oof, predictions_of(values, "mc5", "probability").astype(np.float32))

    metadata = json.loads((folder / "metadata_c3a.json").read_text())
    assert set(metadata) == {"tta", "sr", "T_sec", "T", "crops", "aggregation", "stage", "versions", "checkpoint"}
    assert set(metadata["checkpoint"]) == {"path", "size_bytes", "sha1"}
    assert (metadata["sr"], metadata["T_sec"], metadata["T"], len(metadata["crops"])) == (32_000, 10, 320_000, 5)
    assert Path(metadata["checkpoint"]["path"]).stat().st_size == metadata["checkpoint"]["size_bytes"]
    assert all(metadata["versions"].values())

    metrics = json.loads((folder / "metrics_c3a_curated.json").read_text())
    assert set(metrics) == {
        "stage",
        "oof_lwlrap",
        "per_fold_lwlrap",
        "delta_vs_c2_baseline",
        "tta_scheme",
        "checkpoint_sha1",
    }
    summary = scheme_results(finished.settings.storage_root)["mc5"]
    assert metrics["oof_lwlrap"] == pytest.approx(summary.overall)
    assert metrics["per_fold_lwlrap"] == pytest.approx(summary.per_fold)
    assert metrics["delta_vs_c2_baseline"] == pytest.approx(summary.overall - 0.8001)
    assert metrics["checkpoint_sha1"] == metadata["checkpoint"]["sha1"]

    folds = pd.read_csv(folder / "train_curated_folds.csv")
    original = pd.read_csv(finished.settings.dataset / "train_curated.csv")
    assert list(folds.columns) == ["fname", "labels", "fold"]
    assert folds["fname"].tolist() == FNAMES
    assert folds["labels"].tolist() == original["labels"].tolist()
    np.testing.assert_array_equal(folds["fold"], folds_of(values))


def test_every_materialization_carries_rows_columns_versions_and_time(
    finished: FinishedRun,
) -> None:
    with environment_of(finished.settings), dg.DagsterInstance.get() as instance:
        for asset in {one.asset for one in finished.outcome.planned}:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert event is not None and event.asset_materialization is not None
            metadata = event.asset_materialization.metadata
            rows = (
                "dagster/partition_row_count"
                if asset.endswith(("mc5_embeddings", "center_embeddings"))
                else "dagster/row_count"
            )
            assert {rows, "dagster/column_schema", "seconds", "file"} <= set(metadata), asset
            tags = event.asset_materialization.tags or {}
            assert tags["dagster/data_version_is_user_provided"] == "true", asset
