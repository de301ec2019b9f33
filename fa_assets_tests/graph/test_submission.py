"""The test stage of a small run: the submission against scikit-learn, its gate, and the figures where labels are known."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from fa_assets.errors import UserError
from fa_assets.graph.recorder import Recorder
from fa_assets.graph.submission import scopes_of, write_submission
from fa_assets.metrics.calibration import fit_calibration
from fa_assets.metrics.figures import Figures
from fa_assets.metrics.predictions import predictions_of
from fa_assets.models.classifier_file import load_classifier, load_final
from fa_assets.report.classes import CLASS_COLUMNS, class_rows
from fa_assets.settings import Settings
from fa_assets.store.embedding_store import embedding_matrix
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.graph.test_values_of_a_run import embeddings_of, figures_of, folds_of, reference, truth_of
from fa_assets_tests.runs import run
from fa_assets_tests.small_dataset import CLASSES, TEST_FNAMES

pytestmark = pytest.mark.slow


@pytest.fixture
def storage(finished: FinishedRun) -> Path:
    return finished.settings.storage_root


@pytest.fixture
def values(storage: Path) -> ValueStore:
    return ValueStore(storage)


def read_submission(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    return header, [row[0] for row in rows], np.array([[float(cell) for cell in row[1:]] for row in rows])


def unseen_embeddings(values: ValueStore) -> np.ndarray:
    table = values.read("test_embeddings").table
    assert table["fname"].to_pylist() == list(TEST_FNAMES)
    return embedding_matrix(table["embedding"])


def test_the_submission_is_scikit_learns_on_all_curated_clips(values: ValueStore, storage: Path) -> None:
    header, fnames, probabilities = read_submission(storage / "submission" / "submission.csv")
    assert header == ["fname", *CLASSES] and fnames == list(TEST_FNAMES)
    expected = reference(embeddings_of(values, "mc5"), truth_of(values), unseen_embeddings(values))
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)


def test_the_alternative_is_the_mean_of_the_fold_models(values: ValueStore, storage: Path) -> None:
    header, fnames, probabilities = read_submission(storage / "submission" / "submission_fold_mean.csv")
    assert header == ["fname", *CLASSES] and fnames == list(TEST_FNAMES)
    X, Y, folds, unseen = embeddings_of(values, "mc5"), truth_of(values), folds_of(values), unseen_embeddings(values)
    expected = np.mean([reference(X[folds != fold], Y[folds != fold], unseen) for fold in range(5)], axis=0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert not np.allclose(probabilities, read_submission(storage / "submission" / "submission.csv")[2], atol=1e-6)


def test_the_files_hold_what_the_value_holds_to_the_last_digit(values: ValueStore, storage: Path) -> None:
    table = values.read("submission").table
    for model, name in (("final", "submission.csv"), ("fold_mean", "submission_fold_mean.csv")):
        own = np.array([row["probability"] for row in table.to_pylist() if row["model"] == model])
        np.testing.assert_array_equal(read_submission(storage / "submission" / name)[2], own)


def test_what_no_submission_may_hold_is_not_written(tmp_path: Path) -> None:
    path, whole = tmp_path / "submission.csv", np.full((2, 2), 0.5)
    for wrong in (np.nan, np.inf, -0.1, 1.1):
        with pytest.raises(UserError, match=r"not probabilities: b\."):
            write_submission(path, ["a", "b"], ["x", "y"], np.array([[0.5, 0.5], [0.5, wrong]]))
    with pytest.raises(UserError, match="A test clip is there twice"):
        write_submission(path, ["a", "a"], ["x", "y"], whole)
    assert not path.exists()


def test_test_metrics_are_scikit_learns_where_labels_are_known(values: ValueStore, storage: Path) -> None:
    table = values.read("test_metrics").table
    rows = {(row["model"], row["scope"], row["metric"]): row for row in table.to_pylist()}
    scored = {(model, scope) for model in ("final", "fold_mean") for scope in ("all", "Public", "Private")}
    scored.add(("out_of_fold", "curated"))
    assert {
        (*one, metric) for one in scored for metric in ("lwlrap", "map", "map_micro", "coverage_error")
    } <= rows.keys()
    assert {one[:2] for one in rows if one[2] == "f1_micro"} == {one for one in scored if one[0] == "final"}
    truth = {"t1.wav": ["Tone"], "t0.wav": ["Noise", "Tone"]}
    _, fnames, probabilities = read_submission(storage / "submission" / "submission.csv")
    for scope, chosen in (("all", ["t1.wav", "t0.wav"]), ("Public", ["t1.wav"]), ("Private", ["t0.wav"])):
        Y = np.array([[name in truth[fname] for name in CLASSES] for fname in chosen])
        scores = probabilities[[fnames.index(fname) for fname in chosen]]
        lwlrap, mean_average_precision = (rows["final", scope, metric] for metric in ("lwlrap", "map"))
        assert lwlrap["clips"] == lwlrap["units"] == mean_average_precision["units"] == len(chosen)
        expected = label_ranking_average_precision_score(Y, scores, sample_weight=Y.sum(axis=1))
        assert lwlrap["value"] == pytest.approx(expected, abs=1e-12)
        present = Y.any(axis=0)
        expected = average_precision_score(Y[:, present], scores[:, present])
        assert mean_average_precision["value"] == pytest.approx(expected, abs=1e-12)
    figures = figures_of(values, "mc5")
    assert rows["out_of_fold", "curated", "lwlrap"]["value"] == figures.overall()
    assert rows["out_of_fold", "curated", "map"]["value"] == figures.overall("map")


def test_test_clips_that_are_curated_ones_are_also_left_out() -> None:
    columns = {"labels": [["a"], ["b"], None], "same_as": ["x.wav", None, None], "usage": [""] * 3}
    found = scopes_of(pa.table(columns))
    assert {name: own.tolist() for name, own in found.items()} == {
        "all": [True, True, False],
        "new": [False, True, False],
    }
    assert list(scopes_of(pa.table({**columns, "same_as": pa.nulls(3, pa.string())}))) == ["all"]
    by_sound = scopes_of(pa.table({**columns, "same_recording": [None, "y.wav", None]}))
    assert by_sound["new"].tolist() == [False, False, False]


def test_the_final_classifier_says_what_it_belongs_to(values: ValueStore, storage: Path) -> None:
    stored = load_classifier(storage / "classifiers" / "final.npz")
    assert stored.classes == CLASSES
    assert stored.origin.data_version == values.read("final_classifier").header.data_version
    assert stored.origin.settings == {"scheme": "mc5", "classifier": "scikit-learn", "C": 2.0, "max_iter": 1000}
    assert stored.origin.encoder_fingerprint == next((storage / "embedding_store").iterdir()).name
    assert stored.origin.versions["scikit-learn"]
    table = values.read("final_classifier").table
    assert table["class_name"].to_pylist() == list(CLASSES)
    assert table["positives"].to_pylist() == truth_of(values).sum(axis=0).tolist()


def test_calibrated_the_submission_stays_and_another_one_holds_the_calibrated_probabilities(
    finished: FinishedRun, tmp_path: Path
) -> None:
    settings = finished.copy(tmp_path).model_copy(update={"calibration": "platt"})
    before = load_final(finished.settings.storage_root / "classifiers")
    with environment_of(settings):
        outcome = run(settings, select="+test_metrics")
    assert not outcome.failures
    root = settings.storage_root
    value = ValueStore(root).read("mc5_oof_predictions")
    found = predictions_of(value.table, value.header.details["classes"])
    expected = fit_calibration(found.truth, found.probabilities)
    final = load_final(root / "classifiers")
    assert final.calibration is not None
    np.testing.assert_array_equal(final.calibration.scale, expected.scale)
    plain, calibrated = (
        read_submission(root / "submission" / name)[2] for name in ("submission.csv", "submission_calibrated.csv")
    )
    np.testing.assert_array_equal(
        plain, read_submission(finished.settings.storage_root / "submission" / "submission.csv")[2]
    )
    np.testing.assert_allclose(calibrated, expected.apply(plain), rtol=1e-12)
    for threshold, given, scale, offset in zip(
        final.thresholds, before.thresholds, expected.scale, expected.offset, strict=True
    ):
        wanted = None if given is None or scale == 0 else expit(scale * logit(given) + offset)
        assert threshold == (wanted if wanted is None else pytest.approx(wanted))
    figures = Figures.of_table(ValueStore(root).read("mc5_metrics").table, found.classes)
    at = CLASS_COLUMNS.index("threshold")
    shown = {row[0]: row[at] for row in class_rows(figures)}
    assert [shown[name] for name in found.classes] == pytest.approx(final.thresholds)
    scored = ValueStore(root).read("test_metrics").table.to_pylist()
    assert {row["model"] for row in scored} == {"final", "fold_mean", "calibrated", "out_of_fold"}
    assert {row["model"] for row in scored if row["metric"] == "f1_micro"} == {"calibrated"}  # as labels are given
    (facts,) = Recorder(storage=str(root)).catalog.query(
        "select metadata ->> 'calibrated_brier_skill' as skill from materializations where asset = 'mc5_metrics' "
        "order by id desc limit 1"
    )["skill"]
    assert float(facts) <= 1


def test_without_a_threshold_chance_and_the_baseline_are_the_measure(settings: Settings) -> None:
    labels = (
        settings.dataset / "train_curated.csv"
    )  # without the clip that has more than one crop, by which the schemes differ
    labels.write_text("".join(line for line in labels.read_text().splitlines(True) if not line.startswith("07.wav")))
    asked = settings.model_copy(update={"min_lwlrap": None})
    assert run(asked, select="+comparison").failures == ()
    values = ValueStore(settings.storage_root)
    chance = values.read("mc5_metrics").header.details["lwlrap_without_knowledge"]
    gate = values.read("comparison").header.details
    assert gate["gate_passed"] and gate["gate"].endswith("above chance, and the predictions are the baseline's")
    assert f"{chance:.4f} without knowledge of the sound" in gate["gate"]


def test_below_the_threshold_no_submission_is_made_and_the_reason_is_said(
    finished: FinishedRun, tmp_path: Path
) -> None:
    settings = finished.copy(tmp_path).model_copy(update={"min_lwlrap": 1.0})
    assert any((settings.storage_root / "submission").iterdir())
    with environment_of(settings):
        gated = run(settings, select="comparison,report,submission")
        (failure,) = gated.failures
        assert failure.startswith("submission: No submission is made: LWLRAP 0.") and "below FA_MIN_LWLRAP=1" in failure
        assert any("check submission_gate: No submission is made: LWLRAP 0." in line for line in gated.warnings)
        assert not any((settings.storage_root / "submission").iterdir()), "that of the run before is gone"
        again = settings.model_copy(update={"min_lwlrap": 0.1})
    with environment_of(again):
        assert run(again, select="comparison,submission").failures == ()
    assert (settings.storage_root / "submission" / "submission.csv").exists()


def test_without_a_test_folder_there_is_a_classifier_and_no_submission(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path).model_copy(update={"min_lwlrap": 1.0})
    shutil.rmtree(settings.dataset / "test")
    with environment_of(settings):
        outcome = run(settings)
    assert outcome.failures == (), "what is below the threshold matters to a submission alone"
    store = ValueStore(settings.storage_root)
    for asset in ("test_clips", "test_embeddings", "submission", "test_metrics"):
        assert store.read(asset).table.num_rows == 0
    assert not any((settings.storage_root / "submission").iterdir())
    assert (settings.storage_root / "classifiers" / "final.npz").exists()
