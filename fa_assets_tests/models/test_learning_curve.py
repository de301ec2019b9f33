"""The learning curve: classes get their clips, no fold judges itself, and its last point is the usual out-of-fold LWLRAP."""

import numpy as np
import pytest

from fa_assets.errors import UserError
from fa_assets.metrics.folds import stratified_folds
from fa_assets.metrics.lwlrap import lwlrap_sums
from fa_assets.models import learning_curve as module
from fa_assets.models import scikit_learn
from fa_assets.models.learning_curve import draw_clips, learning_curve, parse_sizes
from fa_assets.models.one_vs_rest import OneVsRest

RANDOM = np.random.default_rng(3)
TRUTH = np.eye(4, dtype=bool)[np.arange(120) % 4] | (RANDOM.random((120, 4)) < 0.05)
FEATURES = (TRUTH @ RANDOM.normal(size=(4, 30)) + RANDOM.normal(0, 2.5, (120, 30))).astype(np.float32)
FOLDS = stratified_folds(TRUTH)


def test_sizes_are_whole_numbers_each_once_ascending() -> None:
    assert parse_sizes("16, 4,8,4") == (4, 8, 16)
    for text in ("0", "4,x", "4,,8", "-1,2", "2.5"):
        with pytest.raises(UserError, match="whole numbers of clips per class, above 0, e.g. 4,8,16"):
            parse_sizes(text)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_class_has_its_clips_or_all_there_are_and_no_more_are_drawn_than_that_takes(size: int) -> None:
    truth = np.vstack([TRUTH, np.eye(4, dtype=bool)[[0] * 50]])  # one class has many
    rows = draw_clips(truth, size, np.random.default_rng(0))
    there = truth.sum(axis=0)
    assert (truth[rows].sum(axis=0) >= np.minimum(there, size)).all()
    assert (np.diff(rows) > 0).all() and len(rows) <= np.minimum(there, size).sum()
    single = np.eye(3, dtype=bool)[np.arange(30) % 3]
    assert single[draw_clips(single, size, np.random.default_rng(0))].sum(axis=0).tolist() == [min(size, 10)] * 3


def test_more_clips_help_and_with_all_of_them_it_is_the_usual_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAWS", 2)
    fitted: list[set[tuple[float, ...]]] = []

    def fit(X: np.ndarray, Y: np.ndarray) -> OneVsRest:
        fitted.append(set(map(tuple, X.tolist())))
        return scikit_learn.fit(X, Y)

    most = max(TRUTH[fold != FOLDS].sum(axis=0).max() for fold in range(5))
    few, some, nearly, everything = learning_curve((2, 8, most - 1, most, 1000), FEATURES, TRUTH, FOLDS, fit)
    assert [one.clips_per_class for one in (few, some, nearly, everything)] == [2, 8, most - 1, None]
    assert [len(one.lwlraps) for one in (few, some, nearly, everything)] == [2, 2, 2, 1]
    assert np.mean(few.lwlraps) < np.mean(some.lwlraps) < everything.lwlraps[0]
    assert len(set(few.lwlraps)) == 2 and nearly.clips < everything.clips
    assert few.clips < some.clips < everything.clips == 96
    logits = np.empty(TRUTH.shape)
    for fold in range(5):
        held_out = fold == FOLDS
        logits[held_out] = scikit_learn.fit(FEATURES[~held_out], TRUTH[~held_out]).logits(FEATURES[held_out])
    assert everything.lwlraps == (lwlrap_sums(TRUTH, logits).overall,)
    for number, rows in enumerate(fitted):
        assert not rows & set(map(tuple, FEATURES[number % 5 == FOLDS].tolist())), "a fold judged itself"
