"""One difference has one interval, wherever it stands."""

import numpy as np
import pytest

from fa_assets.metrics.comparison import compare
from fa_assets.metrics.figures import Figures, lwlrap
from fa_assets.metrics.predictions import Predictions
from fa_assets.models.nested import judge_nested


def test_contenders_and_comparison_draw_the_same_units() -> None:
    random = np.random.default_rng(0)
    truth, fold = random.random((90, 4)) < 0.4, random.permutation(np.arange(90) % 5)
    truth[5] = False
    units = random.integers(0, 50, 90)
    baseline, ours = truth + random.normal(size=(2, 90, 4))
    scorers = (lambda held_out, one=one: one[held_out] for one in (baseline, ours))
    judged = judge_nested(["baseline", "ours"], scorers, truth, fold, units=units)[1].against_baseline

    def figures(scores: np.ndarray) -> Figures:
        by_fold = np.argsort(fold, kind="stable")
        names = np.arange(90).astype(str).astype(object)
        columns = (one[by_fold] for one in (truth, scores, scores))
        return Figures(
            lwlrap(Predictions(names[by_fold], fold[by_fold], tuple("abcd"), *columns, units[by_fold])), "abcd"
        )

    compared = compare(figures(ours), figures(baseline)).gain
    assert (judged.low, judged.high) == pytest.approx((compared.low, compared.high), abs=1e-12)
    assert judged.units == compared.units
