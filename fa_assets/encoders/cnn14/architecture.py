"""What CNN14 is, in numbers: the published configuration, and the one for 16 kHz, which has another front end.

Free of torch, so that fingerprints and file checks cost nothing. Everything here is from Kong et al., "PANNs:
Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition" (IEEE/ACM TASLP 2020), and from the code
published with it, https://github.com/qiuqiangkong/audioset_tagging_cnn (pytorch/models.py, classes ``Cnn14`` and
``Cnn14_16k``).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SAMPLE_RATE = 32_000
"""Hz."""
CROP_SECONDS = 10
"""The length it was trained on."""
CROP_SAMPLES = CROP_SECONDS * SAMPLE_RATE
WINDOW_SAMPLES = 1024
"""Length of the STFT window and of the FFT."""
HOP_SAMPLES = 320
MEL_BINS = 64
FMIN_HZ = 50
FMAX_HZ = 14_000
POWER_FLOOR = 1e-10
"""Mel power below this is taken to be this: -100 dB, which is what silence gives."""
BATCH_NORM_EPS = 1e-5
"""torch.nn.BatchNorm2d's default, which the published code uses."""
CHANNELS = (1, 64, 128, 256, 512, 1024, 2048)
"""Channels before the first block and after each of the six."""
EMBEDDING_SIZE = 2048
CLASSES = 527
"""AudioSet's."""

TOTAL_FRAMES = CROP_SAMPLES // HOP_SAMPLES + 1
"""Of a crop; the same at either rate."""


@dataclass(frozen=True)
class FrontEnd:
    """From samples to frames, in Hz and samples; window and hop are as long at either rate, in seconds."""

    sample_rate: int = SAMPLE_RATE
    window: int = WINDOW_SAMPLES
    hop: int = HOP_SAMPLES
    fmax: int = FMAX_HZ

    @property
    def crop_samples(self) -> int:
        return CROP_SECONDS * self.sample_rate

    @property
    def frequency_bins(self) -> int:
        return self.window // 2 + 1


AT_32_KHZ = FrontEnd()
AT_16_KHZ = FrontEnd(16_000, 512, 160, 8_000)


def hann_window(length: int = WINDOW_SAMPLES) -> np.ndarray:
    """The periodic Hann window: (length,) float64; equals ``scipy.signal.get_window("hann", length)``."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def stft_kernels(length: int = WINDOW_SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of the windowed DFT as the checkpoint holds it: two (513, 1, 1024) float32 arrays, for 1024."""
    turns = np.outer(np.arange(length // 2 + 1), np.arange(length)) % length / length
    angle = 2 * np.pi * turns
    window = hann_window(length)
    real, imaginary = np.cos(angle) * window, -np.sin(angle) * window
    return real[:, None].astype(np.float32), imaginary[:, None].astype(np.float32)


def channels_of(narrow: int) -> tuple[int, ...]:
    """`CHANNELS` of a network that is `narrow` times narrower, for tests; 1 is CNN14."""
    return (1, *(channels // narrow for channels in CHANNELS[1:]))


def state_shapes(channels: tuple[int, ...] = CHANNELS, front: FrontEnd = AT_32_KHZ) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in CNN14's state dict, in the published order."""
    shapes: dict[str, tuple[int, ...]] = {
        "spectrogram_extractor.stft.conv_real.weight": (front.frequency_bins, 1, front.window),
        "spectrogram_extractor.stft.conv_imag.weight": (front.frequency_bins, 1, front.window),
        "logmel_extractor.melW": (front.frequency_bins, MEL_BINS),
        **_batch_norm("bn0", MEL_BINS),
    }
    for block, (before, after) in enumerate(pairwise(channels), start=1):
        name = f"conv_block{block}"
        shapes[f"{name}.conv1.weight"] = (after, before, 3, 3)
        shapes[f"{name}.conv2.weight"] = (after, after, 3, 3)
        shapes |= _batch_norm(f"{name}.bn1", after) | _batch_norm(f"{name}.bn2", after)
    shapes["fc1.weight"] = (EMBEDDING_SIZE, channels[-1])
    shapes["fc1.bias"] = (EMBEDDING_SIZE,)
    shapes["fc_audioset.weight"] = (CLASSES, EMBEDDING_SIZE)
    shapes["fc_audioset.bias"] = (CLASSES,)
    return shapes


def _batch_norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    per_channel = {f"{name}.{kind}": (channels,) for kind in ("weight", "bias", "running_mean", "running_var")}
    return {**per_channel, f"{name}.num_batches_tracked": ()}
