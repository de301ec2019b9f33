import numpy as np
import pyarrow as pa
import pytest

from fa_assets.metrics.comparison import compare
from fa_assets.metrics.figures import Figures, lwlrap
from fa_assets.metrics.label_ranks import rank_changes
from fa_assets_tests.report.made_up import predictions, ranks


def test_labels_have_their_rank_and_precision_and_the_mean_is_lwlrap() -> None:
    found = predictions(50, 7)
    table = ranks(found)
    figures = Figures(lwlrap(found), found.classes)
    assert np.mean(table["precision"]) == pytest.approx(figures.overall(), abs=1e-12)
    row = table.to_pylist()[0]
    clip = found.fnames.tolist().index(row["fname"])
    column = found.classes.index(row["class_name"])
    assert row["rank"] == 1 + (found.logits[clip] > found.logits[clip, column]).sum()
    assert row["probability"] == found.probabilities[clip, column]


def test_two_runs_on_the_same_clips_differ_as_the_comparison_says() -> None:
    a, b = predictions(60, 5, seed=1), predictions(60, 5, seed=2)
    found = rank_changes(ranks(a), ranks(b))
    figures = [Figures(lwlrap(one), one.classes) for one in (a, b)]
    expected = compare(figures[1], figures[0]).gain
    assert found.change is not None and found.compared == 60
    assert (found.change.difference, found.change.low, found.change.high) == pytest.approx(
        (expected.difference, expected.low, expected.high), abs=1e-12
    )
    losses = [one.b - one.a for one in found.classes]
    assert losses == sorted(losses) and sum(one.labels for one in found.classes) == a.truth.sum()
    changes = [abs(one.b - one.a) for one in found.clips]
    assert changes == sorted(changes, reverse=True) and min(changes) > 0


def test_what_the_two_do_not_share_is_named_and_not_compared() -> None:
    a = ranks(predictions(20, 4))
    rows = a.to_pylist()
    gone, new, other_bytes, relabelled = "00000.wav", "new.wav", "00002.wav", "00003.wav"
    changed = []
    for row in rows:
        if row["fname"] == gone:
            row = {**row, "fname": new}
        elif row["fname"] == other_bytes:
            row = {**row, "sha256": "other"}
        elif row["fname"] == relabelled:
            row = {**row, "class_name": "Class_00"}
        changed.append(row)
    found = rank_changes(a, pa.Table.from_pylist(changed, schema=a.schema))
    assert (found.only_a, found.only_b) == ((gone, other_bytes), (new, other_bytes))
    assert (found.relabelled, found.compared) == ((relabelled,), 17)
    assert (
        "1 clips have other labels and are left out" in found.relabelling
        and "advice would flatter" in found.relabelling
    )
    assert found.change is not None and found.change.difference == 0 and found.clips == ()


def test_runs_without_a_common_clip_have_nothing_to_compare() -> None:
    a = ranks(predictions(10, 3))
    found = rank_changes(a, ranks(predictions(10, 3), sha256="other"))
    assert (found.change, found.a, found.classes, found.compared) == (None, None, (), 0)
