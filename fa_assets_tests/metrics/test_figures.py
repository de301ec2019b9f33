"""Every metric's figures are scikit-learn's, and survive the stored table."""

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

from fa_assets.graph.tables import METRICS as COLUMNS
from fa_assets.metrics.figures import METRICS, Figure, Figures, figures_table, lwlrap
from fa_assets.metrics.predictions import Predictions


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
    figures = Figures(METRICS["map"](found), found.classes)
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
