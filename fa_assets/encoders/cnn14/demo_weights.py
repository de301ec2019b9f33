"""Stand-in weights: CNN14 at full size, random but useful, for demos and tests that must not need a download.

What it keeps true: the file has the published format and says inside itself that it is untrained; the same seed,
generator version and torch version give the same values; a file is whole or not there.

Random convolutions make fair features as long as every layer's output stays in the range where ReLU bends. So, as in
training, each BatchNorm's running statistics are measured on audio, layer by layer, here on generated sounds. Twelve
random layers also magnify rounding errors; shifting each of them up before its ReLU, so that it bends for a fifteenth of
its inputs instead of half, keeps that small at little cost in what the features tell.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fa_assets.encoders.base import CheckpointError
from fa_assets.encoders.cnn14 import architecture
from fa_assets.encoders.cnn14.architecture import FrontEnd
from fa_assets.encoders.cnn14.checkpoint import MARKER, read_checkpoint
from fa_assets.encoders.cnn14.definition import ENCODER, Cnn14
from fa_assets.store.atomic import replacing
from fa_assets.store.locks import locked

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

GENERATOR = "fa_assets demo weights 1"
"""Raised when the same seed gives other values."""
_SHIFT = 1.5
"""Added after each block's BatchNorms, in deviations."""
_SOUNDS = 16
_SOUND_SECONDS = 2


def make_demo_checkpoint(path: Path, network: Cnn14 = ENCODER, *, seed: int = 14, narrow: int = 1) -> None:
    """Write seeded random CNN14 weights to `path`, unless they are there already.

    The file holds ``{"model": state_dict, "fa_assets": {"trained": False, "seed": seed, "made_by": GENERATOR}}``.

    Args:
        network: whose.
        narrow: `checkpoint.NARROW` for a network with that many times fewer channels, for tests (12 MB,
            made in a second); the file then holds ``"narrow"`` beside ``"seed"``.
    """
    marker = {"trained": False, "seed": seed, "made_by": GENERATOR, **({"narrow": narrow} if narrow > 1 else {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock"), "making the demo weights", 600):
        if path.is_file():
            try:
                if read_checkpoint(path, network)[1] == marker:
                    return
            except CheckpointError as error:
                log.warning("Making the demo weights again: %s", error)
        import torch

        state = _random_state(seed, architecture.channels_of(narrow), network.front)
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save({"model": state, MARKER: marker}, file)  # given a path, its name would become part of the bytes


def _random_state(seed: int, channels: tuple[int, ...], front: FrontEnd) -> "dict[str, torch.Tensor]":
    """He-initialised weights, and BatchNorm statistics measured with them."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}
    for name, shape in architecture.state_shapes(channels, front).items():
        kind = name.rpartition(".")[2]
        if kind == "num_batches_tracked":
            state[name] = torch.ones((), dtype=torch.int64)
        elif len(shape) == 1:
            state[name] = torch.ones(shape) if kind in ("weight", "running_var") else torch.zeros(shape)
            if kind == "bias" and name.startswith("conv_block"):
                state[name] += _SHIFT
        else:
            fan_in = int(np.prod(shape[1:]))
            state[name] = torch.randn(shape, generator=generator).mul_((2 / fan_in) ** 0.5)
    _set_front_end(state, front)
    with torch.inference_mode():
        _measure(state, torch.from_numpy(_sounds(seed, front.sample_rate)), front)
    return state


def _set_front_end(state: "dict[str, torch.Tensor]", front: FrontEnd) -> None:
    import librosa
    import torch

    kernels = architecture.stft_kernels(front.window)
    for part, kernel in zip(("real", "imag"), kernels, strict=True):
        state[f"spectrogram_extractor.stft.conv_{part}.weight"] = torch.from_numpy(kernel)
    mel = librosa.filters.mel(
        sr=front.sample_rate,
        n_fft=front.window,
        n_mels=architecture.MEL_BINS,
        fmin=architecture.FMIN_HZ,
        fmax=front.fmax,
    )
    state["logmel_extractor.melW"] = torch.from_numpy(np.ascontiguousarray(mel.T, dtype=np.float32))


def _measure(state: "dict[str, torch.Tensor]", audio: "torch.Tensor", front: FrontEnd) -> None:
    """Run the audio through the network, setting each layer's statistics from what arrives there."""
    import torch
    from torch.nn import functional as F

    window = torch.from_numpy(architecture.hann_window(front.window)).float()
    spectrum = torch.stft(
        audio,
        front.window,
        front.hop,
        window=window,
        pad_mode="reflect",
        return_complex=True,
    )
    mel = spectrum.abs().square().transpose(1, 2) @ state["logmel_extractor.melW"]
    log_mel = 10 * mel.clamp(min=architecture.POWER_FLOOR).log10()
    x = _normalise(state, "bn0", log_mel.permute(0, 2, 1)[..., None]).permute(0, 3, 2, 1)
    x = x.contiguous(memory_format=torch.channels_last)
    for block in range(1, len(architecture.CHANNELS)):
        for layer in (1, 2):
            weight = state[f"conv_block{block}.conv{layer}.weight"].contiguous(memory_format=torch.channels_last)
            x = _normalise(state, f"conv_block{block}.bn{layer}", F.conv2d(x, weight, padding=1)).relu_()
        if block < len(architecture.CHANNELS) - 1:
            x = F.avg_pool2d(x, 2)


def _normalise(state: "dict[str, torch.Tensor]", name: str, x: "torch.Tensor") -> "torch.Tensor":
    """Set a BatchNorm's statistics to those of `x` (n, channels, h, w) and apply it."""
    import torch

    variance, mean = torch.var_mean(x, dim=(0, 2, 3))
    state[f"{name}.running_mean"], state[f"{name}.running_var"] = mean, variance
    scale, shift = state[f"{name}.weight"], state[f"{name}.bias"]
    return torch.nn.functional.batch_norm(x, mean, variance, scale, shift, eps=architecture.BATCH_NORM_EPS)


def _sounds(seed: int, rate: int = architecture.SAMPLE_RATE) -> np.ndarray:
    """Tones, chirps, noises and click trains of many levels, most followed by silence: (16, 2 * rate) float32."""
    random = np.random.default_rng(seed)
    samples = _SOUND_SECONDS * rate
    seconds = np.arange(samples) / rate
    sounds = []
    for number in range(_SOUNDS):
        low, high = np.sort(np.exp(random.uniform(np.log(60), np.log(12_000), size=2)))
        match number % 4:
            case 0:  # harmonics of one pitch, dying away
                sound = sum(np.sin(2 * np.pi * low * k * seconds) / k for k in range(1, 9) if low * k < 15_000)
                sound *= np.exp(-seconds * random.uniform(0.5, 8))
            case 1:  # chirp from one pitch to the other
                sound = np.sin(2 * np.pi * (low * seconds + (high - low) * seconds**2 / 4))
            case 2:  # noise in a band
                spectrum = np.fft.rfft(random.standard_normal(samples))
                hz = np.fft.rfftfreq(samples, 1 / rate)
                sound = np.fft.irfft(spectrum * ((hz >= low) & (hz <= high + 200)), samples)
            case _:  # clicks
                sound = (random.random(samples) < random.uniform(2, 200) / rate) * 1.0
        sound = sound / np.abs(sound).max(initial=1e-9) * 10 ** random.uniform(-2, 0)
        sound += random.standard_normal(samples) * 10 ** random.uniform(-5, -3)
        sound[int(samples * random.uniform(0.3, 1.3)) :] = 0
        sounds.append(sound)
    return np.stack(sounds).astype(np.float32)
