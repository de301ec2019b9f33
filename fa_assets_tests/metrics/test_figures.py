"""Every metric's figures are scikit-learn's, and survive the stored table."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    coverage_error,
    label_ranking_average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from fa_assets.graph.tables import METRICS as COLUMNS
from fa_assets.metrics.comparison import interval
from fa_assets.metrics.figures import CALIBRATION, METRICS, Figure, Figures, figures_table, lwlrap
from fa_assets.metrics.predictions import Predictions
from fa_assets.metrics.reliability import reliability


@pytest.fixture(scope="module")
def found() -> Predictions:
    """Class d has no positive, clip 7 no label, fold 2 one class alone."""
    random = np.random.default_rng(0)
    truth = random.random((40, 4)) < 0.4
    truth[:, 3] = False
    truth[7] = False
    fold = np.repeat([0, 1, 2], [20, 15, 5])
    truth[fold == 2] = [True, False, False, False]
    logits = truth + random.normal(size=truth.shape)
    names = np.array([f"{index}.wav" for index in range(40)], dtype=object)
    return Predictions(names, fold, tuple("abcd"), truth, logits, 1 / (1 + np.exp(-logits)))


def reference(found: Predictions, rows: np.ndarray) -> float:
    truth = found.truth[rows]
    return label_ranking_average_precision_score(truth, found.logits[rows], sample_weight=truth.sum(axis=1))


def test_lwlrap_overall_by_fold_and_by_clip(found: Predictions) -> None:
    figures = Figures(lwlrap(found), found.classes)
    assert figures.overall() == pytest.approx(reference(found, found.fold >= 0), abs=1e-12)
    for fold, one in figures.of("fold").items():
        assert one.value == pytest.approx(reference(found, found.fold == int(fold)), abs=1e-12)
    assert "7.wav" not in figures.of("clip")
    assert len(figures.of("clip")) == found.truth.any(axis=1).sum() < 40
    assert figures.of("clip")["3.wav"].value == pytest.approx(reference(found, np.arange(40) == 3), abs=1e-12)
    assert (figures.of("class")["d"].value, figures.of("class")["d"].weight) == (None, 0)


@pytest.mark.parametrize("scope", ["class", "clip", "fold"])
def test_lwlrap_overall_is_the_weighted_mean_of_a_scope(scope: str, found: Predictions) -> None:
    figures = Figures(lwlrap(found), found.classes)
    values, weights = figures.values(scope), figures.weights(scope)
    assert np.nansum(values * weights) / weights.sum() == pytest.approx(figures.overall(), abs=1e-12)


def test_mean_average_precision_is_the_mean_over_folds(found: Predictions) -> None:
    figures = Figures(METRICS["ranking"](found), found.classes)
    in_folds = [
        [
            average_precision_score(found.truth[found.fold == fold, one], found.logits[found.fold == fold, one])
            for one in range(4)
            if found.truth[found.fold == fold, one].any()
        ]
        for fold in range(3)
    ]
    assert figures.values("fold", "map") == pytest.approx([np.mean(own) for own in in_folds], abs=1e-12)
    assert figures.overall("map") == pytest.approx(np.mean([np.mean(own) for own in in_folds]), abs=1e-12)
    assert figures.of("class", "map")["d"].value is None


def test_a_table_holds_them_all(found: Predictions) -> None:
    def every() -> Iterator[Figure]:
        for metric in METRICS.values():
            yield from metric(found)

    table = figures_table(every(), COLUMNS)
    assert [Figure(**row) for row in table.to_pylist()] == list(every())
    assert Figures.of_table(table, found.classes).overall("map") == Figures(every(), found.classes).overall("map")


def test_classes_are_ranked_within_folds(found: Predictions) -> None:
    figures = Figures(METRICS["ranking"](found), found.classes)
    of_two = [found.fold == 0, found.fold == 1]  # fold 2 has no negatives of a, and no positives of b
    expected = np.mean([roc_auc_score(found.truth[one, 1], found.logits[one, 1]) for one in of_two])
    assert figures.of("class", "auc")["b"].value == pytest.approx(expected, abs=1e-12)
    assert figures.of("class", "dprime")["b"].value == pytest.approx(2**0.5 * NormalDist().inv_cdf(expected), abs=1e-9)
    micro = [
        average_precision_score(found.truth[found.fold == fold].ravel(), found.logits[found.fold == fold].ravel())
        for fold in range(3)
    ]
    assert figures.of("micro", "map")[""].value == pytest.approx(np.mean(micro), abs=1e-12)
    assert figures.of("class", "auc")["d"].value is None


def test_decisions_are_scikit_learns(found: Predictions) -> None:
    decided = found.logits > 0.5
    figures = Figures(METRICS["decisions"](replace(found, decided=decided)), found.classes)
    known = found.truth[:, :3], decided[:, :3]  # d has no positives: it has no figures and no part in the mean
    for scope, average in (("class", None), ("overall", "macro")):
        expected = precision_recall_fscore_support(*known, average=average)
        for metric, own in zip(("precision", "recall", "f1"), expected, strict=False):
            np.testing.assert_allclose(figures.values(scope, metric)[:3], own, atol=1e-12)
    expected = precision_recall_fscore_support(found.truth, decided, average="micro")[2]
    assert figures.of("micro", "f1")[""].value == pytest.approx(expected, abs=1e-12)
    assert not list(METRICS["decisions"](found))


def test_labels_are_ranked_within_clips(found: Predictions) -> None:
    figures = Figures(METRICS["label_ranking"](found), found.classes)
    labelled = found.truth.any(axis=1)
    expected = coverage_error(found.truth[labelled], found.logits[labelled])
    assert figures.overall("coverage_error") == pytest.approx(expected, abs=1e-12)
    first = found.logits[labelled].argmax(axis=1)
    wrong = ~found.truth[labelled][np.arange(labelled.sum()), first]
    assert figures.overall("one_error") == pytest.approx(wrong.mean(), abs=1e-12)
    tied = replace(found, logits=np.zeros_like(found.logits))
    worst = Figures(METRICS["label_ranking"](tied), found.classes)
    assert (worst.overall("coverage_error"), worst.overall("one_error")) == (4, 1)


def test_calibration_is_that_of_reliability_and_classes_average_to_it(found: Predictions) -> None:
    figures = Figures(METRICS["calibration"](found), found.classes)
    expected = reliability(found.truth, found.probabilities)
    assert [figures.overall(one) for one in CALIBRATION] == [expected.brier, expected.brier_skill, *expected.errors]
    assert figures.values("class", CALIBRATION[-1]).mean() == pytest.approx(figures.overall(CALIBRATION[-1]))
    assert figures.overall("brier") == pytest.approx(brier_score_loss(found.truth.ravel(), found.probabilities.ravel()))


def test_figures_have_intervals_where_units_are_known(found: Predictions) -> None:
    """Without them only the intervals are missing; lwlrap overall has that of the comparison."""
    with_units = replace(found, units=np.arange(40), decided=found.logits > 0.5)
    with_intervals = [one for metric in METRICS.values() for one in metric(with_units)]
    without = [one for metric in METRICS.values() for one in metric(replace(with_units, units=None))]
    assert [replace(one, low=None, high=None, units=None, unit=None) for one in with_intervals] == without
    one_class = replace(with_units, classes=("a",), truth=found.truth[:, :1], logits=found.logits[:, :1], decided=None)
    assert Figures(METRICS["label_ranking"](one_class), ("a",)).of("overall", "coverage_error")[""].low is None
    perfect = Figures(METRICS["ranking"](replace(with_units, logits=found.truth * 1.0)), found.classes)
    auc, dprime = (perfect.of("class", metric)["b"] for metric in ("auc", "dprime"))
    assert auc.low is not None and (dprime.value, dprime.low, dprime.high) == (None, None, None)  # it is infinite
    scored = {(one.metric, one.scope) for one in with_intervals if one.low is not None}
    assert scored >= {
        (metric, "overall") for metric in ("lwlrap", "map", "auc", "dprime", "f1", "coverage_error", "brier")
    }
    assert scored >= {(metric, "fold") for metric in ("lwlrap", "map", "auc", "precision_at_recall")}
    assert scored >= {(metric, "class") for metric in ("lwlrap", "map", "auc", "precision_at_recall", "recall")}
    for one in with_intervals:
        assert one.low is None or (one.value is not None and one.high is not None and one.low <= one.value <= one.high)
    figures = Figures(with_intervals, found.classes)
    own = interval(figures)
    assert (figures.of("overall")[""].low, figures.of("overall")[""].high) == (own.low, own.high)


def test_the_units_are_said_with_every_interval(found: Predictions) -> None:
    """Clips in pairs: a unit counts once, where one of its clips has a label."""
    units = np.arange(40) // 2
    paired = replace(found, units=units, decided=found.logits > 0.5)
    figures = Figures((one for metric in METRICS.values() for one in metric(paired)), found.classes)
    labelled, decided = found.truth.any(axis=1), found.logits > 0.5
    rests_on = {"precision": decided, "f1": found.truth | decided}
    for metric in ("lwlrap", "map", "auc", "dprime", "precision_at_recall", "f1", "precision", "recall"):
        of = [len({*units[own]}) for own in rests_on.get(metric, found.truth).T]
        assert [one.units for one in figures.of("class", metric).values()] == of
    for metric, scope in (("lwlrap", "overall"), ("map", "micro"), ("recall", "overall"), ("brier", "overall")):
        assert figures.of(scope, metric)[""].units == len({*units[labelled]})
    for fold, one in figures.of("fold").items():
        assert one.units == figures.of("fold", "map")[fold].units == len({*units[labelled & (found.fold == int(fold))]})
