"""Variants of the classifier: each as scikit-learn fits it, and chosen without a look at the fold that judges the choice."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from fa_assets.errors import BadInputError, UserError
from fa_assets.models.experiments import STANDARD, Variant, features_of, parse_variants, run_experiments
from fa_assets.models.nested import CHOSEN

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
FOLDS = np.arange(75) % 5
NORMS = {"standardise": StandardScaler, "l2": Normalizer, "none": FunctionTransformer}


def made_up(seed: int) -> tuple[dict[float, np.ndarray], np.ndarray]:
    """Crops' embeddings and labels of 75 clips: 4 classes, 12 features."""
    random = np.random.default_rng(seed)
    truth = np.eye(4, dtype=bool)[random.integers(0, 4, 75)] | (random.random((75, 4)) < 0.1)
    clean = truth @ random.normal(size=(4, 12)) + random.normal(size=(75, 12))
    return {one: np.abs(clean + 0.5 * random.normal(size=clean.shape)).astype(np.float32) for one in FRACTIONS}, truth


def test_each_variant_is_scikit_learns() -> None:
    crops, truth = made_up(0)
    variants = parse_variants("C=0.1,pool=max tol=1e-06,norm=l2,C=20 weights=balanced,pool=mean+max norm=none,crops=3")
    baseline, *outcomes, _ = run_experiments(variants, crops, truth, FOLDS)
    assert [one.name for one in outcomes] == [variant.name for variant in variants]
    for variant, outcome in zip(variants, outcomes, strict=True):
        assert outcome.lwlrap == pytest.approx(by_scikit_learn(variant, crops, truth), abs=2e-3)  # a near tie may turn
        assert outcome.against_baseline.difference == pytest.approx(outcome.lwlrap - baseline.lwlrap, abs=1e-12)


def by_scikit_learn(variant: Variant, crops: dict[float, np.ndarray], truth: np.ndarray) -> float:
    stacked = np.stack([crops[one] for one in {1: (0.5,), 3: (0.0, 0.5, 1.0), 5: FRACTIONS}[variant.crops]])
    X = {
        "mean": stacked.mean(axis=0),
        "max": stacked.max(axis=0),
        "mean+max": np.hstack([stacked.mean(axis=0), stacked.max(axis=0)]),
    }[variant.pool]
    expected = np.empty(truth.shape)
    for fold in range(5):
        model = LogisticRegression(
            C=variant.C, tol=variant.tol, max_iter=1000, class_weight=None if variant.weights == "none" else "balanced"
        )
        fitted = OneVsRestClassifier(make_pipeline(NORMS[variant.norm](), model)).fit(
            X[fold != FOLDS], truth[fold != FOLDS].astype(int)
        )
        expected[fold == FOLDS] = fitted.decision_function(X[fold == FOLDS])
    return float(label_ranking_average_precision_score(truth, expected, sample_weight=truth.sum(axis=1)))


def test_no_fold_has_a_say_in_the_variant_it_is_judged_by() -> None:
    crops, truth = made_up(1)
    variants = parse_variants("C=0.01 crops=1")
    before = run_experiments(variants, crops, truth, FOLDS)[-1]
    assert before.name == CHOSEN and len(before.chosen) == 5
    shuffled = truth.copy()
    shuffled[FOLDS == 3] = np.random.default_rng(3).permutation(truth[FOLDS == 3])
    assert run_experiments(variants, crops, shuffled, FOLDS)[-1].chosen[3] == before.chosen[3]


def test_a_search_among_noise_gains_at_most_in_its_maximum() -> None:
    """Labels that have nothing to do with the features: the best of a table looks better than the nested choice."""
    gains = []
    for seed in range(2):
        crops, truth = made_up(seed)
        truth = np.random.default_rng(100 + seed).permutation(truth)
        outcomes = run_experiments(parse_variants("C=0.001 norm=l2 crops=1"), crops, truth, FOLDS)
        gains.append(max(one.lwlrap for one in outcomes[:-1]) - outcomes[-1].lwlrap)
    assert np.mean(gains) > 0.01


def test_with_the_baseline_alone_nothing_differs() -> None:
    crops, truth = made_up(2)
    baseline, nested = run_experiments([], crops, truth, FOLDS)
    assert (baseline.name, nested.name) == ("baseline", CHOSEN)
    assert nested.chosen == ("baseline",) * 5
    assert baseline.selected_in == (0, 1, 2, 3, 4)
    assert nested.lwlrap == baseline.lwlrap and nested.against_baseline.difference == 0


def test_variants_are_read_and_named_by_what_differs() -> None:
    assert parse_variants("") == ()
    assert parse_variants("C=2 C=0.5 C=0.5 weights=balanced,crops=1") == (
        Variant(C=0.5),
        Variant(weights="balanced", crops=1),
    )
    assert [one.name for one in parse_variants("all")] == STANDARD.replace("1e-6", "1e-06").replace(
        "norm=l2,C=200", "C=200,norm=l2"
    ).split()
    assert Variant().name == "baseline"


@pytest.mark.parametrize("text", ["D=1", "C=much", "C=-1", "C=0", "norm=max", "crops=2", "C"])
def test_what_is_no_variant_is_named(text: str) -> None:
    with pytest.raises(UserError, match=f"'{text}'"):
        parse_variants(text)


def test_embeddings_that_are_not_finite_are_refused() -> None:
    crops, truth = made_up(3)
    crops[0.5][3, 1] = np.nan
    with pytest.raises(BadInputError):
        run_experiments([], crops, truth, FOLDS)
    assert features_of(made_up(3)[0], Variant(pool="mean+max")).shape == (75, 24)
