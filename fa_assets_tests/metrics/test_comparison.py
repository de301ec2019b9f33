"""A comparison sets like against like, and says where it cannot; its bootstrap is that of the predictions."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from fa_assets.errors import BadInputError
from fa_assets.metrics.bootstrap import paired_bootstrap
from fa_assets.metrics.comparison import compare
from fa_assets.metrics.figures import Figures, lwlrap
from fa_assets.metrics.predictions import Predictions


def predictions(seed: int, n: int = 60) -> Predictions:
    """Scores of the same clips, whatever the seed; class d has no positive, clip 7 no label."""
    truth = np.random.default_rng(7).random((n, 4)) < 0.4
    truth[:, 3] = False
    truth[7] = False
    logits = truth + np.random.default_rng(seed).normal(size=truth.shape)
    names = np.array([f"{index}.wav" for index in range(n)], dtype=object)
    return Predictions(names, np.arange(n) % 3, tuple("abcd"), truth, logits, 1 / (1 + np.exp(-logits)))


def figures(found: Predictions) -> Figures:
    return Figures(lwlrap(found), found.classes)


def reference(found: Predictions, rows: np.ndarray) -> float:
    truth = found.truth[rows]
    return label_ranking_average_precision_score(truth, found.logits[rows], sample_weight=truth.sum(axis=1))


def test_both_sides_and_their_difference_are_scikit_learns() -> None:
    ours, baseline = predictions(0), predictions(1)
    found = compare(figures(ours), figures(baseline))
    everything = np.ones(len(ours.fnames), bool)
    assert found.ours == pytest.approx(reference(ours, everything), abs=1e-12)
    assert found.baseline == pytest.approx(reference(baseline, everything), abs=1e-12)
    assert found.per_fold.keys == ("0", "1", "2")
    for fold in range(3):
        wanted = reference(ours, ours.fold == fold) - reference(baseline, ours.fold == fold)
        assert found.per_fold.difference[fold] == pytest.approx(wanted, abs=1e-12)
    assert found.per_class.keys == tuple("abcd")
    assert np.isnan(found.per_class.difference).tolist() == [False, False, False, True]


def test_the_bootstrap_is_that_of_the_predictions() -> None:
    ours, baseline = predictions(0), predictions(1)
    found = compare(figures(ours), figures(baseline)).gain
    wanted = paired_bootstrap(ours.truth, ours.logits, baseline.logits)
    assert (found.difference, found.low, found.high) == pytest.approx((wanted.difference, wanted.low, wanted.high))
    assert found.share_won == pytest.approx(wanted.share_won, abs=0.01)  # a tie may round to either side
    assert found.edges == pytest.approx(wanted.edges)


@pytest.mark.parametrize("what", ["clips", "labels", "folds", "nothing"])
def test_other_clips_folds_or_labels_are_refused(what: str) -> None:
    ours = predictions(0)
    other = {
        "clips": predictions(1, n=59),
        "labels": replace(ours, truth=~ours.truth),
        "folds": replace(ours, fold=ours.fold[::-1]),
        "nothing": replace(ours, truth=np.zeros_like(ours.truth)),
    }[what]
    sides = (other, other) if what == "nothing" else (ours, other)
    with pytest.raises(BadInputError, match="materialize the predictions of both again"):
        compare(*map(figures, sides))
