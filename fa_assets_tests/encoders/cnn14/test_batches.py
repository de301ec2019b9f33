"""A crop's embedding is its own: the batch it was computed in, the lengths beside it and the threads change no more than
1e-6 of the largest value."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fa_assets.encoders.cnn14 import encoder as encoder_module
from fa_assets.encoders.cnn14.architecture import CROP_SAMPLES, SAMPLE_RATE
from fa_assets.encoders.cnn14.encoder import Cnn14Encoder
from fa_assets.encoders.cnn14.network import Cnn14Network, _WinogradBlock, content_frames
from fa_assets.intake.demo.sounds import SOUNDS

TOLERANCE = 1e-6
RATE = 32_000
SECONDS = [0.00004, 0.02, 0.3, 0.7, 1.0, 1.4, 1.6, 2.2, 3.1, 4.7, 6.3, 9.9]
"""As far as possible from equal shapes: lengths of one sample to nearly a crop."""


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """A sound of every class of the demo set, then silence: (13, 320000), in mixed order."""
    rng = np.random.default_rng(0)
    made = np.zeros((len(SECONDS) + 1, CROP_SAMPLES), np.float32)
    for row, (sound, seconds) in enumerate(zip(SOUNDS.values(), SECONDS, strict=True)):
        length = max(1, round(seconds * RATE))
        samples = sound(rng, max(length, 640), RATE)[:length]
        made[row, : len(samples)] = samples / max(1, np.abs(samples).max())
    return rng.permutation(made)


@pytest.fixture(scope="module")
def encoder(demo_checkpoint: Path) -> Cnn14Encoder:
    return Cnn14Encoder(demo_checkpoint, device="cpu")


@pytest.fixture(scope="module")
def alone(encoder: Cnn14Encoder, crops: np.ndarray) -> np.ndarray:
    """Each crop's embedding, computed with no other beside it."""
    return np.concatenate([encoder.embed(crop[None]) for crop in crops])


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def assert_same(got: np.ndarray, wanted: np.ndarray) -> None:
    """Row by row: to the tolerance of the row's largest value."""
    assert (np.abs(got - wanted).max(axis=1) <= TOLERANCE * np.abs(wanted).max(axis=1)).all()


@pytest.mark.promise(
    "A crop's embedding is the same in a batch of any size, beside crops of any length and with any number of "
    "threads, within 1e-6 of the largest value.",
    "kept",
    "1 to 32 crops",
)
@pytest.mark.parametrize("batch_size", [3, 32])
def test_batches_of_any_size(
    encoder: Cnn14Encoder, crops: np.ndarray, alone: np.ndarray, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "batch_size", batch_size)
    assert_same(encoder.embed(crops), alone)
    assert encoder.embed(crops[:0]).shape == (0, encoder.card.dimension)


@pytest.mark.promise(
    "A crop's embedding is the same in a batch of any size, beside crops of any length and with any number of "
    "threads, within 1e-6 of the largest value.",
    "kept",
    "the longest beside every fifth",
)
def test_the_longest_beside_the_shortest(
    encoder: Cnn14Encoder, crops: np.ndarray, alone: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch of everything, however much silence that computes, and pairs of a crop with the longest."""
    monkeypatch.setitem(encoder_module.SPARE_FRAMES, "cpu", 10**9)
    monkeypatch.setitem(encoder_module.BATCH_FRAMES, "cpu", 10**9)
    assert_same(encoder.embed(crops), alone)
    longest = int(np.argmax((crops != 0).sum(axis=1)))
    for row in range(0, len(crops), 5):
        assert_same(encoder.embed(crops[[row, longest]]), alone[[row, longest]])


def test_any_choice_and_order(encoder: Cnn14Encoder, crops: np.ndarray, alone: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    for size in (2, 7):
        rows = rng.permutation(len(crops))[:size]
        assert_same(encoder.embed(crops[rows]), alone[rows])


@pytest.mark.promise(
    "A crop's embedding is the same in a batch of any size, beside crops of any length and with any number of "
    "threads, within 1e-6 of the largest value.",
    "kept",
    "1, 2 and 3 threads",
)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.usefixtures("threads")
def test_any_number_of_threads(encoder: Cnn14Encoder, crops: np.ndarray, alone: np.ndarray, count: int) -> None:
    torch.set_num_threads(count)
    assert_same(encoder.embed(crops[::2]), alone[::2])


@pytest.mark.usefixtures("threads")
def test_at_full_size(full_checkpoint: Path, crops: np.ndarray) -> None:
    """The kernels that the libraries choose for the real widths do not depend on the batch or the threads either."""
    encoder = Cnn14Encoder(full_checkpoint, device="cpu")
    some = crops[np.argsort((crops != 0).sum(axis=1))[[0, 4, 8, 11]]]
    torch.set_num_threads(1)
    alone = np.concatenate([encoder.embed(crop[None]) for crop in some])
    torch.set_num_threads(2)
    assert_same(encoder.embed(some), alone)


def test_real_recordings(encoder: Cnn14Encoder, shared_data: Path) -> None:
    from fa_assets.audio.crops import cut_crops
    from fa_assets.audio.decode import stream_mono

    paths = sorted((shared_data / "esc10_kaggle/train_curated").iterdir())[::25]
    crops = np.concatenate([cut_crops(stream_mono(path, SAMPLE_RATE), [0], CROP_SAMPLES)[0] for path in paths])
    assert_same(encoder.embed(crops), np.concatenate([encoder.embed(crop[None]) for crop in crops]))


def test_rows_beyond_a_crops_content_are_the_silent_runs_to_the_bit(encoder: Cnn14Encoder, crops: np.ndarray) -> None:
    """Also where a longer crop in the batch made the network compute them: what makes the padded length irrelevant."""
    network: Cnn14Network = encoder._network
    frames = [content_frames(int(np.flatnonzero(crop).max(initial=-1)) + 1) for crop in crops]
    silent = content_frames(0)
    rows, x = frames, network._normalised_log_mel(torch.from_numpy(crops), max(frames))
    checked = 0
    with torch.inference_mode():
        for block in network._blocks:
            x, rows = block(x, rows), block.reach(rows)
            if not isinstance(block, _WinogradBlock):
                continue
            stored = block._silent[-1].permute(0, 3, 1, 2)[0]
            for crop, reached in zip(x, rows, strict=True):
                assert torch.equal(crop[:, reached:], stored[:, reached : crop.shape[1]])
                checked += crop.shape[1] - reached
    assert checked and silent in frames
