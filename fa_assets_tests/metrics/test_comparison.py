"""A comparison sets like against like, and says where it cannot."""

import numpy as np
import pytest

from fa_assets.errors import BadInputError
from fa_assets.metrics.comparison import compare
from fa_assets.metrics.lwlrap import LwlrapSums


def sums(precision_sum: list[float], count: list[int]) -> LwlrapSums:
    return LwlrapSums(np.array(precision_sum), np.array(count, dtype=np.int64), tied=0)


OURS = {1: sums([2.0, 0.0], [2, 0]), 0: sums([1.0, 0.5], [2, 1])}
BASELINE = {0: sums([1.5, 0.25], [2, 1]), 1: sums([1.0, 0.0], [2, 0])}


def test_compare() -> None:
    found = compare(OURS, BASELINE, recorded=0.8)
    assert found.folds == (0, 1)
    assert (found.ours, found.baseline) == pytest.approx((3.5 / 5, 2.75 / 5))
    assert found.difference == pytest.approx(0.15)
    assert found.difference_to_recorded == pytest.approx(-0.1)
    np.testing.assert_allclose(found.per_fold.ours, [1.5 / 3, 1.0])
    np.testing.assert_allclose(found.per_fold.baseline, [1.75 / 3, 0.5])
    np.testing.assert_allclose(found.per_fold.difference, [-0.25 / 3, 0.5])
    np.testing.assert_allclose(found.per_class.ours, [3 / 4, 0.5])
    np.testing.assert_allclose(found.per_class.difference, [0.5 / 4, 0.25])


def test_a_class_without_positives_stays_null() -> None:
    found = compare({0: sums([1.0, 0.0], [2, 0])}, {0: sums([2.0, 0.0], [2, 0])})
    np.testing.assert_array_equal(found.per_class.difference, [-0.5, np.nan])
    assert found.recorded is None
    assert found.difference_to_recorded is None


def test_other_clips_are_refused_fold_by_fold() -> None:
    with pytest.raises(BadInputError) as caught:
        compare({**OURS, 2: OURS[0]}, {**BASELINE, 1: sums([1.0, 0.0], [1, 0])})
    assert caught.value.offenders == ("fold 1: the positives per class differ", "fold 2: only one side has it")


def test_nothing_is_no_comparison() -> None:
    with pytest.raises(BadInputError, match="there are no folds"):
        compare({}, {})
