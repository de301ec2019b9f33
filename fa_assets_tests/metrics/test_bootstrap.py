from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, norm, t
from sklearn.metrics import label_ranking_average_precision_score

from fa_assets.metrics.bootstrap import paired_bootstrap, proportion_interval, resampled, simultaneous, verdict
from fa_assets.metrics.lwlrap import lwlrap_sums


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """60 clips, 7 classes, one clip without labels; a is better than b."""
    random = np.random.default_rng(3)
    truth = random.random((60, 7)) < 0.25
    truth[4] = False
    noise = random.normal(size=(2, 60, 7))
    return truth, truth + noise[0] * 0.6, truth + noise[1] * 1.2


def test_every_resample_is_the_lwlrap_of_the_drawn_clips(scored: tuple[np.ndarray, ...]) -> None:
    truth, a, b = scored
    found = paired_bootstrap(truth, a, b, resamples=25, seed=9)
    labelled = np.flatnonzero(truth.any(axis=1))
    drawn = np.random.default_rng(9).integers(0, len(labelled), size=(25, len(labelled)))

    def lwlrap(scores: np.ndarray, rows: np.ndarray) -> float:
        return label_ranking_average_precision_score(truth[rows], scores[rows], sample_weight=truth[rows].sum(axis=1))

    expected = [lwlrap(a, labelled[rows]) - lwlrap(b, labelled[rows]) for rows in drawn]
    counts, edges = np.histogram(expected, bins=41)
    assert (found.resamples, sum(found.counts)) == (25, 25)
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.edges, edges, atol=1e-12)
    assert found.difference == pytest.approx(lwlrap_sums(truth, a).overall - lwlrap_sums(truth, b).overall, abs=1e-12)
    assert found.share_won == np.mean(np.array(expected) > 0)
    n = len(labelled)
    tail = norm.cdf(t.ppf(0.025, n - 1) * np.sqrt(n / (n - 1)))  # Hesterberg 2015
    assert (found.low, found.high) == pytest.approx(np.quantile(expected, [tail, 1 - tail]))


def test_the_seed_decides_and_chunks_do_not(scored: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = paired_bootstrap(*scored, resamples=50, seed=1)
    assert whole == paired_bootstrap(*scored, resamples=50, seed=1)
    assert whole != paired_bootstrap(*scored, resamples=50, seed=2)
    monkeypatch.setattr("fa_assets.metrics.bootstrap._CHUNK_CELLS", 60 * 7)
    chunked = paired_bootstrap(*scored, resamples=50, seed=1)
    assert chunked.at_least == pytest.approx(whole.at_least)
    assert replace(chunked, at_least=whole.at_least) == whole


def test_a_unit_is_drawn_whole(scored: tuple[np.ndarray, ...]) -> None:
    """Each clip three times, as a unit: the intervals of the clips alone."""
    once = paired_bootstrap(*scored, resamples=300, seed=4)
    three = paired_bootstrap(*(np.repeat(one, 3, axis=0) for one in scored), 300, 4, np.repeat(np.arange(60)[::-1], 3))
    assert (three.low, three.high, three.difference) == pytest.approx((once.low, once.high, once.difference), abs=1e-12)
    assert once.units == three.units == scored[0].any(axis=1).sum()  # clips without a label are not drawn
    assert not once.warning
    few = paired_bootstrap(*scored, 300, 4, np.arange(60) % 12)
    assert few.units == 12 and "rests on 12 independent clips or groups" in verdict(few, "A", "B")
    fewest = paired_bootstrap(*scored, 300, 4, np.arange(60) % 5)
    assert fewest.low > 0 and "So few do not show a real difference" in verdict(fewest, "A", "B")


def test_swapping_the_sides_swaps_the_answer(scored: tuple[np.ndarray, ...]) -> None:
    truth, a, b = scored
    forth, back = paired_bootstrap(truth, a, b, 400, 0), paired_bootstrap(truth, b, a, 400, 0)
    assert (forth.difference, forth.low, forth.high) == pytest.approx((-back.difference, -back.high, -back.low))
    assert "A is better than B: +" in verdict(forth, "A", "B")
    assert "B is worse than A: -" in verdict(back, "B", "A")


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    """Two equally good scorers: the interval holds 0 in about 95 of 100 sets of clips."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        truth = np.eye(5, dtype=bool)[random.integers(0, 5, 120)]
        noise = random.normal(size=(2, *truth.shape))
        found = paired_bootstrap(truth, truth + noise[0], truth + noise[1], 300, 0)
        covered += found.low <= 0 <= found.high
    assert 88 <= covered <= 100


def test_equal_scores_and_small_differences_are_said_to_be_so(scored: tuple[np.ndarray, ...]) -> None:
    truth, a, _ = scored
    same = paired_bootstrap(truth, a, a, 100, 0)
    assert (same.difference, same.low, same.high, same.share_won) == (0, 0, 0, 0)
    assert "no difference" in verdict(same, "A", "B")
    close = paired_bootstrap(truth, a, a + np.random.default_rng(1).normal(size=a.shape) * 0.3, 400, 0)
    assert close.low < 0 < close.high
    assert "do not show a real difference" in verdict(close, "A", "B")
    assert "-0.0000" not in verdict(close, "A", "B")


@pytest.mark.parametrize("worse", [0, 1, 5])
def test_the_lower_bound_is_that_of_clopper_and_pearson_where_units_lose_all_or_nothing(worse: int) -> None:
    gain = -2.0 * (np.arange(50) < worse)
    found = resampled(gain, np.full(50, 2), 20_000)
    assert found.at_least == pytest.approx(-beta.ppf(0.975, worse + 1, 50 - worse), abs=0.004)
    copies = resampled(np.repeat(gain, 3), np.full(150, 2), 20_000, units=np.repeat(np.arange(50), 3))
    assert copies.at_least == pytest.approx(found.at_least)


def test_beside_a_shown_gain_the_unseen_loss_is_of_a_mean_unit_and_else_may_be_of_a_large_one() -> None:
    labels = np.append(np.ones(99), 51)
    for gain, size in ((0.2 * labels, labels.mean()), (0 * labels, (labels**2).sum() / labels.sum())):
        drawn = np.random.default_rng(1).standard_exponential((20_000, 101))
        losses = (drawn[:, :100] @ gain - drawn[:, 100] * size) / (drawn[:, :100] @ labels + drawn[:, 100] * size)
        assert resampled(gain, labels, 20_000).at_least == pytest.approx(np.quantile(losses, 0.025), abs=0.006)


def test_where_only_rounding_varies_the_interval_is_for_the_units() -> None:
    assert proportion_interval(1 / 3, 1e-16, 30) == proportion_interval(1 / 3, 0, 30)


def test_every_clip_may_gain_the_same() -> None:
    labels = np.arange(1, 50)
    found = resampled(0.02 * labels, labels, 500)
    assert (found.low, found.high, sum(found.counts)) == (pytest.approx(0.02), pytest.approx(0.02), 500)


def test_without_labels_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no clip has a label"):
        paired_bootstrap(np.zeros((3, 2), bool), np.zeros((3, 2)), np.zeros((3, 2)), 10, 0)


def test_intervals_that_hold_at_once_are_wider_and_around_the_difference() -> None:
    random = np.random.default_rng(0)
    gains, positives = random.normal(0.1, 0.5, (6, 60)), random.integers(0, 3, 60)
    gains[:, positives == 0] = 0
    gains[5] = 0
    ends = simultaneous(gains, positives, 500)
    for gain, (low, high) in zip(gains[:5], ends, strict=False):
        alone = resampled(gain, positives, 500)
        assert (low + high) / 2 == pytest.approx(alone.difference, abs=1e-12)
        assert high - low > alone.high - alone.low
    assert ends[5].tolist() == [0, 0]
