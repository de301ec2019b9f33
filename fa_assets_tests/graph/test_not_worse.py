"""A run is held against the run before and the best so far, on common clips; the error rates of that are simulated."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fa_assets.graph.checks_not_worse import REPORT, is_loss
from fa_assets.metrics.bootstrap import resampled
from fa_assets.metrics.label_ranks import RankChanges
from fa_assets.report.ranks import ranks_file, read_ranks
from fa_assets.settings import Settings
from fa_assets.store.ledger import Ledger
from fa_assets_tests.finished_run import FinishedRun
from fa_assets_tests.graph.test_checks import evaluate


def put_before(settings: Settings, run_id: str, lwlrap: float, ranks: pa.Table) -> None:
    """An earlier run with a report: its metrics and its table of ranks."""
    ledger = Ledger(settings.storage_root / "ledger")
    report, metrics = next(ledger.newest_of(REPORT)), next(ledger.newest_of("mc5_metrics"))
    inputs = tuple(replace(one, data_version=run_id) if one.asset == "mc5_metrics" else one for one in report.inputs)
    id = f"20200101T00000000000{run_id[-1]}Z"
    ledger.append(replace(report, id=f"{id}-0", run_id=run_id, inputs=inputs))
    score = {**metrics.metadata, "lwlrap": lwlrap}
    ledger.append(replace(metrics, id=f"{id}-1", run_id=run_id, data_version=run_id, metadata=score))
    pq.write_table(ranks, ranks_file(settings.storage_root, run_id))


def with_precision(ranks: pa.Table, change: float) -> pa.Table:
    position = ranks.schema.get_field_index("precision")
    moved = np.clip(ranks["precision"].to_numpy() + change, 0, 1)
    return ranks.set_column(position, ranks.schema.field(position), pa.array(moved, ranks.schema.field(position).type))


def test_the_best_counts_as_well_as_the_run_before(settings: Settings, finished: FinishedRun) -> None:
    now = read_ranks(settings.storage_root, next(Ledger(settings.storage_root / "ledger").newest_of(REPORT)).run_id)
    assert now is not None
    put_before(settings, "run2", 0.1, with_precision(now, 0))
    same = evaluate(settings, "mc5_not_worse")
    assert same and same.passed
    put_before(settings, "run1", 0.99, with_precision(now, 0.3))
    told = evaluate(settings, "mc5_not_worse")
    assert told and not told.passed
    assert "(+0.0000, 95% interval +0.0000 to +0.0000)" in str(told.description)
    assert "lower than the best so far. See what differs" in str(told.description)


def test_clips_with_other_labels_are_left_out(settings: Settings, finished: FinishedRun) -> None:
    now = read_ranks(settings.storage_root, next(Ledger(settings.storage_root / "ledger").newest_of(REPORT)).run_id)
    assert now is not None
    better = with_precision(now, 1)
    names = better["class_name"].to_pylist()
    spoilt = better.set_column(better.schema.get_field_index("class_name"), "class_name", pa.array(["x"] * len(names)))
    put_before(settings, "run1", 0.99, spoilt)
    assert evaluate(settings, "mc5_not_worse") is None


@pytest.mark.parametrize(("loss", "low", "high"), [(0.0, 0.0, 0.05), (0.064, 0.95, 1.0)])
def test_error_rates(loss: float, low: float, high: float) -> None:
    """Seed 0, 400 clips, spread 0.25, 200 trials: without a loss a warning in 2.5% (here at most 5%), of 0.064 in 95%."""
    random = np.random.default_rng(0)
    told = 0
    for trial in range(200):
        change = resampled(random.normal(-loss, 0.25, 400), np.ones(400, np.int64), 400, trial)
        told += is_loss(RankChanges(400, (), (), (), 0.5, 0.5, change, (), ()), 0.01)
    assert low <= told / 200 <= high
