"""Near-duplicates: those that were planted are found, across folds only, and in blocks as in one piece."""

import numpy as np
import pytest

from fa_assets.metrics import near_duplicates
from fa_assets.metrics.near_duplicates import pairs_across_folds


@pytest.mark.parametrize("block", [7, 1024])
def test_planted_pairs_are_found_across_folds_only(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(near_duplicates, "_BLOCK", block)
    random = np.random.default_rng(0)
    vectors = random.normal(5, 1, (60, 32)).astype(np.float32)  # raw, all of them point the same way
    folds = np.arange(60) % 5
    vectors[41] = vectors[2] + random.normal(0, 0.01, 32)  # folds 1 and 2
    vectors[50] = vectors[5]  # both in fold 0
    vectors[:, 3] = 1.0  # a dead feature
    found = pairs_across_folds(vectors, folds, 0.98)
    assert [(pair.first, pair.second) for pair in found] == [(2, 41)]
    assert found[0].similarity > 0.99


def test_the_most_alike_come_first() -> None:
    vectors = np.random.default_rng(1).normal(size=(30, 8))
    found = pairs_across_folds(vectors, np.arange(30) % 3, -1.0)
    assert len(found) == 300
    assert [pair.similarity for pair in found] == sorted((pair.similarity for pair in found), reverse=True)
