"""What corrected labels did to LWLRAP, against scikit-learn's figure of the same rows."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from benchmarks.statistics import doubts_accepted
from fa_assets.metrics.bootstrap import paired_bootstrap
from fa_assets.metrics.corrections import CORRECTED_LABELS, OWN_LABELS, UNTOUCHED, effects_of_corrections

N, C = 60, 4


def made_up(touched: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels as given, corrected in the first rows, and the logits of two models."""
    random = np.random.default_rng(3)
    given = np.eye(C, dtype=bool)[random.integers(0, C, N)]
    corrected = given.copy()
    corrected[:touched] = ~given[:touched]
    before, after = (random.normal(size=(N, C)) + bonus * corrected for bonus in (0.2, 1.5))
    return given, corrected, before, after


def lwlrap(truth: np.ndarray, logits: np.ndarray) -> float:
    return float(label_ranking_average_precision_score(truth, logits, sample_weight=truth.sum(axis=1)))


def test_each_row_is_of_its_clips_and_labels() -> None:
    given, corrected, before, after = made_up(touched=7)
    units = np.arange(N) // 2
    own, by_corrected, untouched = effects_of_corrections(given, corrected, before, after, units)
    assert (own.on, own.clips, own.low, own.high) == (OWN_LABELS, N, None, None)
    assert (own.before, own.after) == pytest.approx((lwlrap(given, before), lwlrap(corrected, after)))
    assert (by_corrected.on, by_corrected.clips) == (CORRECTED_LABELS, N)
    assert by_corrected.before == pytest.approx(lwlrap(corrected, before))
    assert (untouched.on, untouched.clips) == (UNTOUCHED, N - 7)
    assert (untouched.before, untouched.after) == pytest.approx(
        (lwlrap(given[7:], before[7:]), lwlrap(given[7:], after[7:]))
    )
    expected = paired_bootstrap(given[7:], after[7:], before[7:], units=units[7:])
    assert (untouched.low, untouched.high) == (expected.low, expected.high)
    assert untouched.after - untouched.before == pytest.approx(expected.difference)


def test_without_an_untouched_clip_there_is_no_such_row() -> None:
    assert [one.on for one in effects_of_corrections(*made_up(touched=N), np.arange(N))] == [
        OWN_LABELS,
        CORRECTED_LABELS,
    ]


def test_accepting_the_doubts_on_right_labels_flatters_and_untouched_clips_tell() -> None:
    on_all, untouched = doubts_accepted(trials=1)
    assert on_all > 0.02
    assert untouched == 0
