"""Blends of encoders: each as NumPy and scikit-learn make it, and chosen without a look at the fold that judges the choice."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fa_assets.models.blend import Blend, contenders, fit_blend, judge_blends
from fa_assets.models.nested import Outcome

FOLDS = np.arange(100) % 5
ENCODERS = ("cnn14", "tiny")


def made_up(seed: int, noise: tuple[float, float] = (2.0, 2.0)) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold log-odds (2, 100, 4) of two encoders with noise of their own, and labels."""
    random = np.random.default_rng(seed)
    truth = np.eye(4, dtype=bool)[random.integers(0, 4, 100)] | (random.random((100, 4)) < 0.1)
    return np.stack([4.0 * truth - 3 + one * random.normal(size=truth.shape) for one in noise]), truth


def stacked(logits: np.ndarray, truth: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=2))
    model.fit(logits[:, ~held_out].reshape(2, -1).T, truth[~held_out].ravel())
    return model.predict_proba(logits[:, held_out].reshape(2, -1).T)[:, 1].reshape(-1, 4)


EXPECTED = {
    "cnn14": lambda logits, truth, held_out: expit(logits[0, held_out]),
    "tiny": lambda logits, truth, held_out: expit(logits[1, held_out]),
    "mean": lambda logits, truth, held_out: expit(logits[:, held_out]).mean(axis=0),
    "geometric mean": lambda logits, truth, held_out: np.sqrt(expit(logits[:, held_out]).prod(axis=0)),
    "stacked": stacked,
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {one.name: one for one in judge_blends(ENCODERS, *made_up(0), FOLDS)}


@pytest.mark.parametrize("name", contenders(ENCODERS))
def test_a_blend_is_that_of_numpy_and_scikit_learn(name: str, outcomes: dict[str, Outcome]) -> None:
    (logits, truth), outcome = made_up(0), outcomes[name]
    for fold in range(5):
        held_out = fold == FOLDS
        expected = EXPECTED[name](logits, truth, held_out)
        np.testing.assert_allclose(outcome.scores[held_out], expected, rtol=1e-6)
    lwlrap = label_ranking_average_precision_score(truth, outcome.scores, sample_weight=truth.sum(axis=1))
    assert outcome.lwlrap == pytest.approx(lwlrap, abs=1e-12)
    fitted = fit_blend(name, ENCODERS, logits, truth)
    assert Blend.of({**vars(fitted), "weights": list(fitted.weights)}) == fitted
    every = EXPECTED[name](np.hstack([logits, logits]), np.vstack([truth, truth]), np.arange(200) >= 100)
    np.testing.assert_allclose(fitted.probabilities(logits), every, rtol=1e-6)


def test_no_fold_has_a_say_in_the_blend_it_is_judged_by() -> None:
    logits, truth = made_up(1)
    before = judge_blends(ENCODERS, logits, truth, FOLDS)[-1]
    for fold in (0, 3):
        shuffled = truth.copy()
        shuffled[fold == FOLDS] = np.random.default_rng(fold).permutation(truth[fold == FOLDS])
        assert judge_blends(ENCODERS, logits, shuffled, FOLDS)[-1].chosen[fold] == before.chosen[fold]


def test_two_that_err_apart_are_better_together_and_a_useless_one_does_no_harm() -> None:
    logits, truth = made_up(2)
    first, second, *_, nested = judge_blends(ENCODERS, logits, truth, FOLDS)
    assert nested.lwlrap > max(first.lwlrap, second.lwlrap) + 0.02
    assert nested.against_baseline.low > 0
    logits, truth = made_up(2, noise=(100.0, 1.0))
    _, second, *_, nested = judge_blends(ENCODERS, logits, truth, FOLDS)
    assert nested.lwlrap > second.lwlrap - 0.01
    weights = fit_blend("stacked", ENCODERS, logits, truth).weights
    assert abs(weights[0]) < 0.05 * weights[1]


def test_log_odds_out_of_the_range_of_probabilities_keep_their_order() -> None:
    blend = fit_blend("geometric mean", ENCODERS, *made_up(0))
    found = blend.probabilities(np.array([[[-300.0, -200.0, -100.0]], [[-20.0, -20.0, -20.0]]]))
    assert np.isfinite(found).all() and (np.diff(found) > 0).all()
    assert logit(found[0, 2]) == pytest.approx(-60, abs=1e-6)
