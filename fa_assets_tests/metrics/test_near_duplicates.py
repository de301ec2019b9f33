"""Near-duplicates: those that are there are found, across folds only, whatever the tiles and components."""

import numpy as np
import pytest

from fa_assets.metrics import near_duplicates
from fa_assets.metrics.near_duplicates import directions, pairs_across_folds


@pytest.mark.parametrize(("tile", "components", "sample"), [(7, 4, 20), (1024, 256, 20), (1024, 4, 4096)])
@pytest.mark.parametrize("threshold", [0.98, 0.3, -1.0])
def test_the_pairs_are_those_of_the_whole_matrix(
    monkeypatch: pytest.MonkeyPatch, tile: int, components: int, sample: int, threshold: float
) -> None:
    monkeypatch.setattr(near_duplicates, "_TILE", tile)
    monkeypatch.setattr(near_duplicates, "_COMPONENTS", components)
    monkeypatch.setattr(near_duplicates, "_SAMPLE", sample)
    random = np.random.default_rng(0)
    vectors = random.normal(5, 1, (60, 32)).astype(np.float32)  # raw, all of them point the same way
    vectors[41] = vectors[2] + random.normal(0, 0.01, 32)  # folds 1 and 2
    vectors[50] = vectors[5]  # both in fold 0
    vectors[:, 3] = 1.0  # a dead feature
    folds = [vectors[fold::5] for fold in range(5)]
    unit = directions(vectors)
    similarity = unit @ unit.T
    wanted = {
        (a, b): similarity[a, b]
        for a in range(60)
        for b in range(a)
        if a % 5 != b % 5 and similarity[a, b] >= threshold
    }
    found = pairs_across_folds(folds, threshold, most=2000)
    rows = {
        tuple(sorted((5 * row + fold for fold, row in (one.first, one.second)), reverse=True)): one.similarity
        for one in found.most_alike
    }
    assert rows == pytest.approx(wanted, abs=1e-5)
    assert found.pairs == len(wanted) == {0.98: 1, -1.0: 1440}.get(threshold, len(wanted)) > 0
    assert found.clips == len({row for pair in wanted for row in pair})
    shown = [one.similarity for one in found.most_alike]
    assert shown == sorted(shown, reverse=True)


def test_of_many_pairs_the_most_alike_are_given() -> None:
    random = np.random.default_rng(1)
    folds = [np.repeat(random.normal(size=(1, 8)), 300, axis=0), random.normal(size=(5, 8)), np.empty((0, 8))]
    folds[1] = np.concatenate([folds[1], folds[0][:200]])
    found = pairs_across_folds(folds, 0.99)
    assert (found.pairs, found.clips, len(found.most_alike)) == (60_000, 500, 100)
