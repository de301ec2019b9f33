"""A CNN14 file of a few megabytes."""

from pathlib import Path

import pytest
import torch

from fa_assets.encoders.cnn14 import architecture


@pytest.fixture
def small_state() -> dict[str, torch.Tensor]:
    """A CNN14 state dict that passes every check, its weights zeros that share one number: 4 MB when saved."""
    state = {name: torch.zeros(()).expand(shape) for name, shape in architecture.state_shapes().items()}
    for part, kernel in zip(("real", "imag"), architecture.stft_kernels(), strict=True):
        state[f"spectrogram_extractor.stft.conv_{part}.weight"] = torch.from_numpy(kernel)
    mel = torch.zeros(architecture.AT_32_KHZ.frequency_bins, architecture.MEL_BINS)
    mel[2:449] = 1  # 62.5 to 14000 Hz
    state["logmel_extractor.melW"] = mel
    return state


@pytest.fixture
def small_checkpoint(tmp_path: Path, small_state: dict[str, torch.Tensor]) -> Path:
    """`small_state` in a file of the published format."""
    path = tmp_path / "small.pth"
    torch.save({"iteration": 600_000, "model": small_state}, path)
    return path
