"""A scheme is held against the run before and the best so far, on common clips; the error rates of that are simulated."""

import pyarrow as pa
import pytest

from benchmarks.statistics import told_worse
from fa_assets.settings import Settings
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.graph.test_checks import evaluate
from fa_assets_tests.recorded import put_before, ranks_of, with_precision


@pytest.mark.parametrize("scheme", ["mc5", "center"])
def test_the_best_counts_as_well_as_the_run_before(scheme: str, settings: Settings, finished: FinishedRun) -> None:
    root, metrics = settings.storage_root, f"{scheme}_metrics"
    now = ranks_of(root, metrics)
    assert evaluate(settings, f"{scheme}_not_worse") is None
    put_before(root, "run2", 0.1, now, metrics)
    same = evaluate(settings, f"{scheme}_not_worse")
    assert same and same.passed
    put_before(root, "run1", 0.99, with_precision(now, 0.3), metrics)
    told = evaluate(settings, f"{scheme}_not_worse")
    assert told and not told.passed
    assert "(+0.0000, 95% interval +0.0000 to +0.0000, 24 independent clips or groups)" in str(told.description)
    assert "lower than the best so far. See what differs" in str(told.description)


def test_clips_with_other_labels_are_left_out(settings: Settings, finished: FinishedRun) -> None:
    better = with_precision(ranks_of(settings.storage_root), 1)
    names = pa.array(["x"] * len(better))
    put_before(settings.storage_root, "run1", 0.99, better.set_column(4, "class_name", names))
    assert evaluate(settings, "mc5_not_worse") is None


def test_the_best_is_chosen_among_the_runs_with_common_clips(settings: Settings, finished: FinishedRun) -> None:
    now = ranks_of(settings.storage_root)
    put_before(settings.storage_root, "run3", 0.1, now)
    put_before(settings.storage_root, "run2", 0.8, with_precision(now, 1))
    others = pa.array([f"other {name}" for name in now["fname"].to_pylist()])
    put_before(settings.storage_root, "run1", 0.99, now.set_column(0, "fname", others))
    told = evaluate(settings, "mc5_not_worse")
    assert told and not told.passed and "of the best so far" in str(told.description)


@pytest.mark.parametrize(("loss", "low", "high"), [(0.0, 0.0, 0.05), (0.064, 0.95, 1.0)])
def test_error_rates(loss: float, low: float, high: float) -> None:
    """400 clips, 200 trials: without a loss a warning in 2.5% (here at most 5%), of 0.064 in 95%."""
    assert low <= told_worse(400, loss, trials=200, resamples=400) <= high
