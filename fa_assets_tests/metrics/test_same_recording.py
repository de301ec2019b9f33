"""Altered copies of a clip are found by its sound, other clips are not; many copies are linked without comparing all pairs."""

from collections.abc import Callable

import numpy as np
import pytest

from fa_assets.audio.landmarks import RATE, LandmarkFinder, Landmarks
from fa_assets.metrics.same_recording import SameRecording, first_of_recording, same_recordings


def sound(seed: int, seconds: float = 5) -> np.ndarray:
    """Decaying tones that begin at random times, over noise; float64 (n,)."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    samples = random.normal(0, 0.02, len(time))
    for start, pitch in zip(random.uniform(0, seconds, 40), random.uniform(100, 3500, 40), strict=True):
        since = np.clip(time - start, 0, None)
        samples += (
            0.2 * (time >= start) * np.exp(-since / random.uniform(0.02, 0.3)) * np.sin(2 * np.pi * pitch * since)
        )
    return samples


def landmarks(samples: np.ndarray) -> Landmarks:
    finder = LandmarkFinder(RATE)
    finder.add(samples.astype(np.float32))
    return finder.finish()


def _noisy(samples: np.ndarray) -> np.ndarray:
    return samples + np.random.default_rng(9).normal(0, samples.std() / 10, len(samples))


_OTHER = sound(1000)
ALTERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda x: x,
    "12 dB quieter": lambda x: x / 4,
    "shifted by half a frame": lambda x: np.concatenate([np.zeros(10 * 64 + 32), x]),
    "half a frame cut off": lambda x: x[32:],
    "excerpt": lambda x: x[int(0.777 * RATE) : int(3.777 * RATE)],
    "noise 20 dB below": _noisy,
    "cut to 10 bits": lambda x: np.round(x * 512) / 512,
    "excerpt with noise": lambda x: _noisy(x[RATE // 3 : 4 * RATE]),
    "mixed with another": lambda x: x + _OTHER,
}


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [sound(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def heard(clips: list[np.ndarray]) -> list[Landmarks]:
    return [landmarks(one) for one in clips]


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_copies_are_found_and_others_are_not(
    name: str, clips: list[np.ndarray], heard: list[Landmarks]
) -> None:
    found = same_recordings([*heard, *(landmarks(ALTERATIONS[name](one)) for one in clips)])
    pairs = {(int(a), int(b)) for a, b in zip(found.first, found.second, strict=True)}
    wanted = {(clip, clip + 12) for clip in range(12)}
    if name == "mixed with another":  # the copies share what they are mixed with
        pairs = {pair for pair in pairs if pair[0] < 12}
    assert pairs == wanted
    assert list(found.peaks) == sorted(found.peaks, reverse=True)


def chirps(seed: int, seconds: float = 20) -> np.ndarray:
    """An insect of one species, made up: eight chirps a second of one pitch, over noise; float64 (n,)."""
    random = np.random.default_rng(seed)
    samples = random.normal(0, 0.05, int(seconds * RATE))
    time = np.arange(RATE // 20) / RATE
    pitch, period = 1100 * (1 + 0.01 * random.normal()), 0.12 * (1 + 0.03 * random.normal())
    start = random.uniform(0, period)
    while start < seconds - 0.2:
        of = pitch * (1 + 0.005 * random.normal())
        chirp = np.hanning(len(time)) * sum(np.sin(2 * np.pi * k * of * time) / k for k in (1, 2, 3))
        samples[int(start * RATE) :][: len(time)] += chirp
        start += period * (1 + 0.01 * random.normal())
    return samples


def test_few_periodic_sounds_of_one_species_are_taken_for_one_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Excerpts of each are found all the same."""
    whole = [chirps(seed) for seed in range(16)]
    every = [landmarks(one) for one in [*whole, *(_noisy(one[3 * RATE : 9 * RATE]) for one in whole)]]
    found = same_recordings(every)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs >= {(one, one + 16) for one in range(16)}
    assert len(same_recordings(every[:16]).first) <= 3
    monkeypatch.setattr("fa_assets.metrics.same_recording._TIMES", 0)
    assert len(same_recordings(every[:16]).first) > 20  # as it was


def test_a_repeated_sound_in_long_clips_is_one_place_in_time() -> None:
    """The distance is told modulo 524 s, and a copy 9 minutes into another clip is found."""
    short, long = sound(1), np.concatenate([np.zeros(540 * RATE), sound(1)])
    found = same_recordings([landmarks(long), landmarks(short)])
    assert (found.first.tolist(), found.second.tolist()) == ([0], [1])


def test_many_copies_are_linked() -> None:
    one, other = landmarks(sound(1)), landmarks(sound(2))
    clips = [other, *[one] * 300]
    found = same_recordings(clips)
    assert len(found.first) < 300 * 17
    assert first_of_recording(found, [f"{row}.wav" for row in range(301)]) == [None, *["1.wav"] * 300]


def test_what_is_known_of_the_first_clips_is_not_looked_for_again_and_links_the_others() -> None:
    """The last one holds the third's recording, of which the first's is known to be one."""
    heard = [landmarks(sound(seed)) for seed in (1, 1, 2, 3, 2)]
    names = ["a", "b", "c", "d", ""]
    found = same_recordings(heard, known=4)
    assert (found.first.tolist(), found.second.tolist()) == ([2], [4])
    assert first_of_recording(found, names, ["a", "a", "a", None]) == ["a", "a", "a", None, "a"]
    assert first_of_recording(found, names) == [None, None, "c", None, "c"]


def test_no_clips_and_clips_without_landmarks() -> None:
    nothing = Landmarks(np.empty(0, np.uint32), np.empty(0, np.uint16))
    for clips in ([], [nothing, nothing, landmarks(sound(1))]):
        assert len(same_recordings(clips).first) == 0


def test_chains_share_the_first_name() -> None:
    pairs = SameRecording(np.array([1, 3]), np.array([3, 4]), np.array([9, 8]))
    assert first_of_recording(pairs, list("abcde")) == [None, "b", None, "b", "b"]
