"""CNN14 for inference: the published network's ``embedding`` output, computed with less work.

What it keeps true: values equal to the reference model in eval mode, up to float rounding. BatchNorm is folded into the
convolutions and tensors are channels-last. In float32 the spectrogram stays a convolution with the checkpoint's own DFT
kernels, bit-equal to the reference on a CPU: a pure tone's far bins lie in that convolution's own rounding noise around the
-100 dB floor, and an FFT, which takes an eighth of its time, is off there by 0.1 dB and in the embedding by up to 1e-4 of the
largest value. In bfloat16, which is off by 6e-3 itself, it is an FFT.

On a CPU the wide convolutions of the later blocks are Winograd's (see `winograd`) where that is faster (see `ways`); cuDNN
chooses for itself. The first blocks' activations are the largest: a few crops at a time pass through
them, which keeps a tensor in the cache and memory small, and come together for the later blocks, whose weights are large.

Silence costs nothing. A crop that is zero from some sample on has a constant log-mel (-100 dB) from some frame on, and
each convolution carries the content one row further at most, each pooling halves the rows: row p of the output sees frames
32p - 126 to 32p + 157, frame t samples 320t - 512 to 320t + 511. So before every block only the rows that the content has
reached are kept, and what the block needs beyond them is taken from one stored run over an all-silent crop. That is
exact, the right border included: those rows are what a full run would have computed.

A crop's embedding does not depend on its neighbours. In a batch each crop keeps its own reach: a Winograd tile that sees
a little content rounds its silent rows otherwise than the silent run does, so what lies beyond a crop's own reach is
overwritten with the silent run's rows. The matrix products give a row the same bits whatever the other rows, from a few rows
on (see `winograd`), and the head is float64, rounded at its end. Where a library's kernels do depend on the shape of the
batch, float rounding is left.

Imports torch; import it where it is used.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from fa_assets.encoders.cnn14.architecture import (
    AT_32_KHZ,
    BATCH_NORM_EPS,
    CHANNELS,
    POWER_FLOOR,
    TOTAL_FRAMES,
    FrontEnd,
)
from fa_assets.encoders.cnn14.ways import Ways
from fa_assets.encoders.cnn14.winograd import WinogradConvolution

_FRAMES_STEP = 16
"""Frames to compute are rounded up to a multiple of this, to keep the number of tensor shapes small."""
_LEAST_FRAMES = 64
"""Frames that are computed at least: torch gives a convolution's input of up to 20480 numbers to another kernel, which
rounds otherwise, when it is a single crop's."""
_BLOCKS = len(CHANNELS) - 1
_EARLY_BLOCKS = 3
_EARLY_FRAMES = 1024
"""Frames of all crops that pass through the early blocks at once on a CPU: 16 MB a tensor, in block 1."""


def content_frames(content_samples: int, front: FrontEnd = AT_32_KHZ) -> int:
    """How many STFT frames of a crop the content touches, when only its first `content_samples` samples are not zero.

    At 32 kHz frame t sees samples 320t - 512 to 320t + 511, mirrored at both ends of the crop.
    """
    if content_samples > front.crop_samples - front.window:  # seen in the mirror at the right end
        return TOTAL_FRAMES
    return (content_samples + front.window // 2 - 1) // front.hop + 1


class Cnn14Network:
    """The folded network on one device, in one precision.

    Args:
        state: a checked CNN14 state dict (`fa_assets.encoders.cnn14.checkpoint.load_state_dict`).
        device: a torch device name.
        trunk_dtype: type of the convolutional trunk; the front end is always float32, the head float64.
        ways: how it is computed; None is direct everywhere.
        front: the state's.
    """

    def __init__(
        self,
        state: dict[str, torch.Tensor],
        device: str,
        trunk_dtype: torch.dtype = torch.float32,
        ways: Ways | None = None,
        front: FrontEnd = AT_32_KHZ,
    ) -> None:
        self._front = front
        self._device = torch.device(device)
        self._dtype = trunk_dtype
        self._ways = ways or Ways(False, {})
        self._stft = [
            state[f"spectrogram_extractor.stft.conv_{part}.weight"].to(self._device) for part in ("real", "imag")
        ]
        self._window = self._stft[0][0, 0]  # the real part's kernel for the mean is the window itself
        self._mel = state["logmel_extractor.melW"].float().to(self._device)
        self._mel_scale, self._mel_shift = (t.float().to(self._device) for t in _scale_and_shift(state, "bn0"))
        self._blocks = [self._block(state, block) for block in range(1, _BLOCKS + 1)]
        head = torch.device("cpu") if self._device.type == "mps" else self._device  # where there is float64
        self._fc1 = tuple(state[f"fc1.{kind}"].double().to(head) for kind in ("weight", "bias"))
        self._silent_output = self._silent_run()

    @torch.inference_mode()
    def embed(self, crops: torch.Tensor, frames: Sequence[int]) -> torch.Tensor:
        """Embeddings of crops.

        Args:
            crops: (n, crop_samples) float32, on any device; n at least 1.
            frames: of each crop, how many of its first frames its content touches at most (see `content_frames`), 2 to
                1001; 1001 is always right.

        Returns:
            (n, 2048) float32 on the device of the head: the network's, or the CPU beside MPS.
        """
        crops = crops.to(self._device)
        computed = min(-(-max(_LEAST_FRAMES, *frames) // _FRAMES_STEP) * _FRAMES_STEP, TOTAL_FRAMES)
        at_once = max(1, _EARLY_FRAMES // computed) if self._device.type == "cpu" else len(crops)
        x = torch.cat(
            [
                self._early(crops[i : i + at_once], frames[i : i + at_once], computed)
                for i in range(0, len(crops), at_once)
            ]
        )
        reached = frames
        for block in self._blocks[:_EARLY_BLOCKS]:
            reached = block.reach(reached)
        for block in self._blocks[_EARLY_BLOCKS:]:
            x = block(x, reached)
            reached = block.reach(reached)
        x = _continued(x, self._silent_output, self._silent_output.shape[2])
        x = x.to(self._fc1[0].device).double().mean(dim=3)
        x = x.amax(dim=2) + x.mean(dim=2)
        return F.linear(x, *self._fc1).relu_().float()

    def _early(self, crops: torch.Tensor, frames: Sequence[int], computed: int) -> torch.Tensor:
        x = self._normalised_log_mel(crops, computed)
        reached = frames
        for block in self._blocks[:_EARLY_BLOCKS]:
            x = block(x, reached)
            reached = block.reach(reached)
        return x

    def _normalised_log_mel(self, crops: torch.Tensor, frames: int) -> torch.Tensor:
        """The first `frames` rows of the trunk's input: (n, 1, frames, 64), BatchNorm 0 applied."""
        half, window, hop = self._front.window // 2, self._front.window, self._front.hop
        seen = (frames - 1) * hop + half
        right = max(0, seen - self._front.crop_samples)  # mirrored at the end of the crop
        padded = F.pad(crops[:, None, :seen], (half, right), mode="reflect")
        if self._ways.fft:
            spectrum = torch.fft.rfft(padded[:, 0].unfold(1, window, hop) * self._window)
            power = spectrum.real.square() + spectrum.imag.square()
        else:
            real, imaginary = (F.conv1d(padded, kernel, stride=hop) for kernel in self._stft)
            power = (real.square_() + imaginary.square_()).transpose(1, 2)
        log_mel = 10 * (power @ self._mel).clamp_(min=POWER_FLOOR).log10_()
        return (log_mel * self._mel_scale + self._mel_shift)[:, None]

    @torch.inference_mode()
    def _silent_run(self) -> torch.Tensor:
        """The trunk's output for an all-silent crop, (1, c, rows, m); every block keeps what it needs of this run."""
        x = self._normalised_log_mel(torch.zeros(1, self._front.crop_samples, device=self._device), TOTAL_FRAMES)
        for block in self._blocks:
            x = block.hear_silence(x)
        return x

    def _block(self, state: dict[str, torch.Tensor], block: int) -> "_DirectBlock | _WinogradBlock":
        layers = [_folded(state, f"conv_block{block}", layer) for layer in (1, 2)]
        ways = self._ways.winograd.get(block)
        pooled = block < _BLOCKS
        if ways is None:
            return _DirectBlock(layers, self._device, self._dtype, pooled)
        return _WinogradBlock([WinogradConvolution(*layer, *ways, self._dtype) for layer in layers], pooled)


class _DirectBlock:
    """Two 3 x 3 convolutions with ReLU and, except in the last block, 2 x 2 average pooling."""

    def __init__(
        self,
        layers: list[tuple[torch.Tensor, torch.Tensor]],
        device: torch.device,
        dtype: torch.dtype,
        pooled: bool,
    ) -> None:
        # The spectrogram is not rounded: silence would be off by the same everywhere, which no later layer averages out.
        dtypes = [torch.float32 if weight.shape[1] == 1 else dtype for weight, _ in layers]
        self._layers = [
            (weight.to(device, own).contiguous(memory_format=torch.channels_last), bias.to(device, own))
            for (weight, bias), own in zip(layers, dtypes, strict=True)
        ]
        self._dtype = dtype
        self._pooled = pooled
        self._silent: torch.Tensor

    def hear_silence(self, x: torch.Tensor) -> torch.Tensor:
        """Keep a silent run's input, (1, c, rows, m), and give its output."""
        self._silent = x
        return self(x, [x.shape[2]])

    def reach(self, rows: Sequence[int]) -> list[int]:
        """The rows of the output that each crop's content reaches, when it fills so many of the input."""
        return _reach(rows, self._silent.shape[2], self._pooled)

    def __call__(self, x: torch.Tensor, reached: Sequence[int]) -> torch.Tensor:
        """(n, c, rows, m) of content in, the rows of the output that differ from a silent run's out.

        Two rows more than the content come out of the two convolutions. Four more go in, because the zero padding at
        the end of the rows spoils the last two. Pooling wants an even number. What each crop's own content has `reached`
        makes no difference here: the silent rows of a direct convolution are the same bits whatever lies above them.
        """
        total = self._silent.shape[2]
        rows = x.shape[2] + x.shape[2] % 2
        needed, valid = (rows + 4, rows + 2) if rows + 4 < total else (total, total)
        x = _continued(x, self._silent, needed)
        for weight, bias in self._layers:
            x = _single_channel(x, weight, bias) if weight.shape[1] == 1 else F.conv2d(x, weight, bias, padding=1)
            x = x.relu_().to(self._dtype)
        if self._pooled:
            x = F.avg_pool2d(x, 2)
            valid //= 2
        return x[:, :, :valid]


class _WinogradBlock:
    """The same by Winograd's convolutions, which compute just the rows that are asked for."""

    def __init__(self, layers: list[WinogradConvolution], pooled: bool) -> None:
        self._first, self._second = layers
        self._pooled = pooled
        self._silent: list[torch.Tensor]

    def hear_silence(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the inputs of both convolutions in a silent run, and give its output."""
        x = x.permute(0, 2, 3, 1)
        self._silent = [x, self._first(x, x, x.shape[1])]
        output = self(x.permute(0, 3, 1, 2), [x.shape[1]])
        self._silent.append(output.permute(0, 2, 3, 1))
        return output

    def reach(self, rows: Sequence[int]) -> list[int]:
        """The rows of the output that each crop's content reaches, when it fills so many of the input."""
        return _reach(rows, self._silent[0].shape[1], self._pooled)

    def __call__(self, x: torch.Tensor, reached: Sequence[int]) -> torch.Tensor:
        """(n, c, rows, m) of content in, the rows of the output that differ from a silent run's out.

        Each convolution carries the content one row further. `reached`: the rows that are not silent, of each crop.
        """
        total = self._silent[0].shape[1]
        rows = x.shape[2]
        x = self._first(x.permute(0, 2, 3, 1), self._silent[0], min(rows + 1, total))
        self._overwrite_silence(x, [rows + 1 for rows in reached], 1)
        rows = min(rows + 2, total)
        if self._pooled:
            rows = min(rows + rows % 2, total - total % 2)
        x = self._second(x, self._silent[1], rows).permute(0, 3, 1, 2)
        if self._pooled:
            x = F.avg_pool2d(x, 2)
        self._overwrite_silence(x.permute(0, 2, 3, 1), self.reach(reached), 2)
        return x

    def _overwrite_silence(self, x: torch.Tensor, reached: Sequence[int], stage: int) -> None:
        """Put the silent run's rows, of that stage, in place of what follows each crop's own content; (n, rows, m, c)."""
        for crop, rows in zip(x, reached, strict=True):
            if rows < len(crop):
                crop[rows:] = self._silent[stage][0, rows : len(crop)]


def _reach(rows: Sequence[int], total: int, pooled: bool) -> list[int]:
    """The rows of a block's output that content reaches: each of the two convolutions carries it one row further."""
    further = [min(reached + 2, total) for reached in rows]
    return [min(-(-reached // 2), total // 2) for reached in further] if pooled else further


def _single_channel(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """``conv2d(x, weight, bias, padding=1)`` of one channel, as a matrix product: torch's own takes ten times as long."""
    n, _, rows, width = x.shape
    padded = F.pad(x[:, 0], (1, 1, 1, 1))
    by_image, by_row, by_column = padded.stride()
    patches = padded.as_strided((n, rows, width, 3, 3), (by_image, by_row, by_column, by_row, by_column))
    out = torch.addmm(bias, patches.reshape(-1, 9), weight.reshape(-1, 9).t())
    return out.view(n, rows, width, -1).permute(0, 3, 1, 2)


def _folded(state: dict[str, torch.Tensor], block: str, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the convolution that equals the layer's convolution followed by its BatchNorm."""
    scale, shift = _scale_and_shift(state, f"{block}.bn{layer}")
    return state[f"{block}.conv{layer}.weight"] * scale[:, None, None, None].float(), shift


def _scale_and_shift(state: dict[str, torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A BatchNorm in eval mode as ``x * scale + shift``, in float64."""
    weight, bias, mean, variance = (
        state[f"{name}.{kind}"].double() for kind in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / torch.sqrt(variance + BATCH_NORM_EPS)
    return scale, bias - mean * scale


def _continued(x: torch.Tensor, silent: torch.Tensor, rows: int) -> torch.Tensor:
    """`x` with its rows continued, up to `rows` of them, by those of the silent run; channels-last."""
    if x.shape[2] < rows:
        x = torch.cat([x, silent[:, :, x.shape[2] : rows].expand(len(x), -1, -1, -1)], dim=2)
    return x.contiguous(memory_format=torch.channels_last)
