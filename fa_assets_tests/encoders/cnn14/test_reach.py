"""Silence that is left out changes nothing, at every length from one sample to 10 s.

The rows that the content reaches depend on its length alone, not on the channels; so a CNN14 of three channels a block is
swept, which costs little. FA_WHOLE_SWEEP=1 takes every number of frames (minutes).
"""

import os

import numpy as np
import pytest
import torch

from fa_assets.encoders.cnn14.architecture import BATCH_NORM_EPS, MEL_BINS, stft_kernels
from fa_assets.encoders.cnn14.network import TOTAL_FRAMES, Cnn14Network, content_frames
from fa_assets.encoders.cnn14.ways import WAYS

CROP = 320_000
CHANNELS = 3
OUTPUT_ROWS = 31


@pytest.fixture(scope="module")
def small_state() -> dict[str, torch.Tensor]:
    """CNN14's layers with three channels each and random weights."""
    random = torch.Generator().manual_seed(1)
    real, imaginary = (torch.from_numpy(kernel) for kernel in stft_kernels())
    state = {
        "spectrogram_extractor.stft.conv_real.weight": real,
        "spectrogram_extractor.stft.conv_imag.weight": imaginary,
        "logmel_extractor.melW": torch.rand(513, MEL_BINS, generator=random),
        "fc1.weight": torch.randn(8, CHANNELS, generator=random),
        "fc1.bias": torch.ones(8),
    }
    norms = {"bn0": MEL_BINS}
    for block in range(1, 7):
        for layer in (1, 2):
            before = 1 if (block, layer) == (1, 1) else CHANNELS
            weight = torch.randn(CHANNELS, before, 3, 3, generator=random) / (before * 4.5) ** 0.5
            state[f"conv_block{block}.conv{layer}.weight"] = weight
            norms[f"conv_block{block}.bn{layer}"] = CHANNELS
    for name, channels in norms.items():
        values = {"weight": 1.0, "bias": 0.2, "running_mean": 0.0, "running_var": 1.0 - BATCH_NORM_EPS}
        state |= {f"{name}.{kind}": torch.full((channels,), value) for kind, value in values.items()}
    return state


@pytest.fixture(params=["winograd", "direct"])
def small(small_state: dict[str, torch.Tensor], request: pytest.FixtureRequest) -> Cnn14Network:
    return Cnn14Network(small_state, "cpu", ways=WAYS["other"]["fp32"] if request.param == "winograd" else None)


def lengths() -> list[int]:
    """Content lengths in samples: the first or the last of a number of frames, for some or all numbers of frames."""
    by_frames: dict[int, list[int]] = {}
    for length in [*range(0, 1_300), *range(1_300, CROP, 16), *range(CROP - 1_300, CROP + 1)]:
        by_frames.setdefault(content_frames(length), []).append(length)
    if os.environ.get("FA_WHOLE_SWEEP"):
        return [length for own in by_frames.values() for length in dict.fromkeys((own[0], own[-1]))]
    ends = [by_frames[frames] for frames in (2, 3, 4, 997, 998, 999, TOTAL_FRAMES)]
    between = [own[-(frames % 2)] for frames, own in by_frames.items() if frames % 97 in (0, 2)]
    return sorted({*between, *(length for own in ends for length in (own[0], own[-1]))})


@pytest.mark.slow
def test_every_length_gives_what_a_whole_run_gives(small: Cnn14Network) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(CROP).astype(np.float32))
    for length in lengths():
        crop = torch.where(torch.arange(CROP) < length, noise, 0.0)[None]
        whole = small.embed(crop, [TOTAL_FRAMES])
        torch.testing.assert_close(
            small.embed(crop, [content_frames(length)]), whole, rtol=1e-5, atol=1e-5, msg=str(length)
        )


def test_the_reach_is_no_larger_than_it_is_said_to_be(small: Cnn14Network) -> None:
    """Row p of the output sees frames 32p - 126 to 32p + 157: a change of frame t changes those rows and no others."""
    spectrogram = torch.randn(1, 1, TOTAL_FRAMES, MEL_BINS, generator=torch.Generator().manual_seed(0))

    def output(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            for block in small._blocks:
                block.hear_silence(x)
                x = block(x, [x.shape[2]])
        return x[0]

    before = output(spectrogram)
    assert before.shape[1] == OUTPUT_ROWS
    for frame in (0, 126, 127, 500, 517, 991):
        changed = spectrogram.clone()
        changed[:, :, frame] += 100
        rows = set((output(changed) - before).abs().amax(dim=(0, 2)).gt(1e-3).nonzero().flatten().tolist())
        assert rows <= {p for p in range(OUTPUT_ROWS) if 32 * p - 126 <= frame <= 32 * p + 157}, frame
        assert rows
