"""Where crops lie, and what is in them."""

import numpy as np
import pytest

from fa_assets.audio.crops import SCHEMES, Crop, cut_crops, distinct_crops

T = 320_000


@pytest.mark.parametrize(
    ("n_samples", "scheme", "expected"),
    [
        (1, "mc5", [(0, 1.0)]),
        (T, "mc5", [(0, 1.0)]),
        (T + 1, "mc5", [(0, 0.8), (1, 0.2)]),
        (T + 2, "mc5", [(0, 0.4), (1, 0.4), (2, 0.2)]),
        (T + 3, "mc5", [(0, 0.4), (1, 0.2), (3, 0.2), (2, 0.2)]),
        (3 * T, "mc5", [(0, 0.2), (T, 0.2), (2 * T, 0.2), (T // 2, 0.2), (3 * T // 2, 0.2)]),
        (T - 1, "center", [(0, 1.0)]),
        (T + 3, "center", [(1, 1.0)]),
        (0, "tiles", [(0, 1.0)]),
        (T, "tiles", [(0, 1.0)]),
        (T + 1, "tiles", [(0, 0.5), (T, 0.5)]),
        (4 * T - 1, "tiles", [(0, 0.25), (T, 0.25), (2 * T, 0.25), (3 * T, 0.25)]),
    ],
)
def test_distinct_crops(n_samples: int, scheme: str, expected: list[tuple[int, float]]) -> None:
    assert distinct_crops(n_samples, SCHEMES[scheme], T) == tuple(Crop(*crop) for crop in expected)


@pytest.mark.parametrize("n_samples", [T + 1, T + 12_345, 832_001, 10**9 + 7])
def test_mc5_is_the_recorded_formula(n_samples: int) -> None:
    slack = n_samples - T
    starts = [0, slack // 2, slack, int(0.25 * slack), int(0.75 * slack)]
    crops = distinct_crops(n_samples, SCHEMES["mc5"], T)
    assert [crop.start for crop in crops] == list(dict.fromkeys(starts))
    assert sum(crop.weight for crop in crops) == pytest.approx(1, abs=1e-15)


def test_schemes_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        SCHEMES["mc5"] = SCHEMES["center"]  # type: ignore[index]


def test_short_clip_is_padded_at_the_end() -> None:
    crops, n_samples = cut_crops([np.array([1.0, 2.0, 3.0])], [0], T)
    assert (crops.shape, crops.dtype, n_samples) == ((1, T), np.float32, 3)
    assert crops[0, :3].tolist() == [1, 2, 3]
    assert not crops[0, 3:].any()


def test_tiles_hold_the_whole_clip_and_zeros_after_it() -> None:
    samples = np.arange(1, 24, dtype=np.float32)
    starts = [crop.start for crop in distinct_crops(len(samples), SCHEMES["tiles"], 5)]
    crops, _ = cut_crops(np.split(samples, [3, 4, 17]), starts, 5)
    np.testing.assert_array_equal(crops.reshape(-1), [*samples, 0, 0])


@pytest.mark.parametrize("piece", [T + 7777, 9_999, T, 320_001])
def test_crops_are_cut_from_any_pieces(piece: int) -> None:
    samples = np.arange(T + 7777, dtype=np.float32)
    starts = [0, 10, 7777, 5000]
    crops, n_samples = cut_crops((samples[i : i + piece] for i in range(0, len(samples), piece)), starts, T)
    assert n_samples == len(samples)
    np.testing.assert_array_equal(crops, [samples[start : start + T] for start in starts])
