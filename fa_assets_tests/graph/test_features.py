"""Above FA_FIT_IN_MEMORY_GB torch fits from a file: the same predictions, and it is recorded; scikit-learn refuses."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fa_assets.cli.summary import scheme_results
from fa_assets.definitions import _fit
from fa_assets.graph.features import FROM_FILE, IN_MEMORY
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models.classifier_file import load_classifier
from fa_assets.models.classifiers import CLASSIFIERS
from fa_assets.models.torch_lbfgs import fit
from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger, LedgerEntry
from fa_assets.store.values import ValueStore
from fa_assets_tests.finished_run import FinishedRun, environment_of
from fa_assets_tests.graph.test_values_of_a_run import embeddings_of, folds_of, predictions_of, truth_of
from fa_assets_tests.recorded import put
from fa_assets_tests.runs import run
from fa_assets_tests.small_dataset import CLASSES
from fa_assets_tests.store.test_row_file import open_files

pytestmark = pytest.mark.slow

TORCH_FROM_FILE = {"classifier": "torch", "fit_in_memory_gb": 0.0}
SELECTION = "mc5_oof_predictions,mc5_metrics,final_classifier"


TOLERANCE = 1e-7
"""At the default tolerance rounding decides where the fits of so few clips end."""


@pytest.fixture(scope="module")
def from_file(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the finished run whose classifiers are fitted again, to the optimum, from a file."""
    settings = finished.copy(tmp_path_factory.mktemp("fitted")).model_copy(update=TORCH_FROM_FILE)
    with environment_of(settings), pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASSIFIERS, "torch", replace(CLASSIFIERS["torch"], fit=partial(fit, tolerance=TOLERANCE)))
        outcome = run(settings, select=SELECTION, force=True)
    assert outcome.failures == ()
    assert {one.asset for one in outcome.planned} == set(SELECTION.split(","))
    return settings


def newest(settings: Settings, asset: str, partition: str | None = None) -> LedgerEntry:
    entries = Ledger(settings.storage_root / "ledger").entries()
    return max(
        (one for one in entries if (one.asset, one.partition) == (asset, partition)), key=lambda one: one.finished_at
    )


def test_predictions_and_metrics_are_those_in_memory(finished: FinishedRun, from_file: Settings) -> None:
    before, store = (ValueStore(one.storage_root) for one in (finished.settings, from_file))
    X, truth, folds = embeddings_of(store, "mc5"), truth_of(store), folds_of(store)
    logits = np.empty(truth.shape)
    for fold in range(5):
        model = fit(X[folds != fold], truth[folds != fold], tolerance=TOLERANCE)
        logits[folds == fold] = model.logits(X[folds == fold])
    found = predictions_of(store, "mc5", "probability")
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=0, atol=1e-3)
    np.testing.assert_array_equal(predictions_of(store, "mc5", "truth").astype(bool), truth)
    tables = [values.read("mc5_oof_predictions").table for values in (before, store)]
    assert tables[0].select(["fname", "fold"]).equals(tables[1].select(["fname", "fold"]))
    told = scheme_results(from_file.storage_root)["mc5"]
    assert told.overall == pytest.approx(lwlrap_sums(truth, logits).overall, abs=1e-12)
    for fold in range(5):
        wanted = lwlrap_sums(truth[folds == fold], logits[folds == fold]).overall
        assert told.per_fold[fold] == pytest.approx(wanted, abs=1e-12)


def test_the_final_classifier_is_that_in_memory(from_file: Settings) -> None:
    store = ValueStore(from_file.storage_root)
    found = load_classifier(from_file.storage_root / "classifiers" / "final.npz")
    wanted = fit(embeddings_of(store, "mc5"), truth_of(store), tolerance=TOLERANCE)
    assert found.classes == CLASSES
    np.testing.assert_allclose(found.model.coef, wanted.coef, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.model.positives, wanted.positives)


def test_which_way_was_taken_is_recorded(finished: FinishedRun, from_file: Settings) -> None:
    for asset in ("mc5_oof_predictions", "final_classifier"):
        in_memory, on_disk = (newest(one, asset) for one in (finished.settings, from_file))
        assert (in_memory.metadata["fit"], on_disk.metadata["fit"]) == (IN_MEMORY, FROM_FILE)
        assert "fit_in_memory_gb" not in in_memory.settings
        assert on_disk.settings["fit_in_memory_gb"] == 0.0
        read = [[(part.asset, part.partition) for part in one.inputs] for one in (in_memory, on_disk)]
        assert read[0] == read[1]
        assert set(in_memory.timings) == set(on_disk.timings) >= {"fit", "write"}


def test_only_a_limit_that_was_set_is_part_of_the_recipe() -> None:
    default = {"classifier": "scikit-learn", "C": 2.0, "max_iter": 1000}
    assert _fit(Settings()).settings == _fit(Settings(fit_in_memory_gb=8)).settings == default
    with_torch = {**default, "classifier": "torch"}
    assert _fit(Settings(classifier="torch")).settings == with_torch
    assert _fit(Settings(classifier="torch", fit_in_memory_gb=8)).settings == {**with_torch, "fit_in_memory_gb": 8.0}


def test_scikit_learn_refuses_before_any_fit_and_names_the_way_out(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path).model_copy(update={"fit_in_memory_gb": 0.0})
    with environment_of(settings):
        outcome = run(settings, select="final_classifier", force=True)
    assert any("set FA_CLASSIFIER=torch" in line and "raise FA_FIT_IN_MEMORY_GB" in line for line in outcome.failures)


def test_after_a_failure_nothing_is_left_on_the_disk(from_file: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def failing(*_: object, **__: object) -> None:
        seen.append(open_files(from_file.storage_root))
        raise RuntimeError("in the middle of the fit")

    before = {path.name for path in from_file.storage_root.iterdir()}
    monkeypatch.setitem(CLASSIFIERS, "torch", replace(CLASSIFIERS["torch"], fit=failing))
    with environment_of(from_file):
        outcome = run(from_file, select="final_classifier", force=True)
    assert any("in the middle of the fit" in line for line in outcome.failures)
    assert any("(deleted)" in file for file in seen[0])
    assert not any("(deleted)" in file for file in open_files(from_file.storage_root))
    assert {path.name for path in from_file.storage_root.iterdir()} == before


def test_embeddings_of_other_clips_are_refused(finished: FinishedRun, tmp_path: Path) -> None:
    settings = finished.copy(tmp_path).model_copy(update=TORCH_FROM_FILE)
    value = ValueStore(settings.storage_root).read("mc5_embeddings", "2")
    put(settings.storage_root, value.table.slice(1), value.header)
    with environment_of(settings):
        outcome = run(settings, select="mc5_oof_predictions")
    assert any("mc5_embeddings, fold 2, was made for other clips" in line for line in outcome.failures)
