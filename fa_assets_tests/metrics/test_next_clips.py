"""What to label next: uncertain clips, of different kinds."""

import numpy as np

from fa_assets.metrics.next_clips import margins, next_clips


def test_margins() -> None:
    assert margins(np.array([[0.5, 1.0], [0.9, 0.0], [0.4, 0.7]])).round(6).tolist() == [0.0, 0.8, 0.2]


def test_uncertain_clips_of_different_kinds_are_taken() -> None:
    """Seed 0: 20 kinds of 15 clips that are alike. The least certain 20 are of 3 kinds, those that are chosen of 13 or 14."""
    random = np.random.default_rng(0)
    kind = np.repeat(np.arange(20), 15)
    vectors = (random.normal(size=(20, 64))[kind] + random.normal(0, 0.05, (300, 64))).astype(np.float32)
    probabilities = np.column_stack([0.5 + 0.02 * kind + random.uniform(0, 0.01, 300), np.zeros(300)])
    probabilities[:, 1] = 1 - 1e-3
    plain = np.argsort(margins(probabilities), kind="stable")[:20]
    chosen = next_clips(probabilities, vectors, 20)
    assert len(set(kind[plain])) <= 3
    assert len(set(kind[chosen])) >= 13
    assert len(set(chosen.tolist())) == len(chosen) == 20
    assert np.all(np.diff(margins(probabilities)[chosen]) >= 0)
    assert set(kind[chosen]) <= set(range(14)), "the pool is of the 200 least certain clips"
    assert np.array_equal(chosen, next_clips(probabilities, vectors, 20))


def test_few_and_equal_clips() -> None:
    probabilities = np.array([[0.9], [0.6], [0.7]])
    assert next_clips(probabilities, np.eye(3, dtype=np.float32), 5).tolist() == [1, 2, 0]
    assert next_clips(probabilities, np.ones((3, 4), np.float32), 2).tolist() == [1, 2]
