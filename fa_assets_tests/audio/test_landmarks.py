"""Landmarks do not depend on how a sound is cut into blocks, nor on its level; short and silent ones have none."""

import numpy as np
import pytest

from fa_assets.audio.landmarks import RATE, LandmarkFinder, Landmarks


def found(samples: np.ndarray, rate: int = RATE, block: int = 1 << 18) -> Landmarks:
    finder = LandmarkFinder(rate)
    for start in range(0, len(samples), block):
        finder.add(samples[start : start + block].astype(np.float32))
    return finder.finish()


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("block", [1000, 70_000])
def test_blocks_and_level_do_not_matter(rate: int, block: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 40 * rate)
    whole, parts = found(samples, rate), found(samples / 4, rate, block)
    assert len(whole.hashes) > 2000
    assert np.array_equal(whole.hashes, parts.hashes)
    assert np.array_equal(whole.frames, parts.frames)
    assert whole.frames.max() > 39 * RATE // 64


@pytest.mark.parametrize("samples", [np.zeros(RATE), np.ones(100), np.empty(0)], ids=["silence", "short", "nothing"])
def test_no_landmarks(samples: np.ndarray) -> None:
    assert len(found(samples).hashes) == 0
