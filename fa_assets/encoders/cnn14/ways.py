"""How each part of the network is computed on a CPU, by what its instruction set makes fast.

The choice follows from what the processor can do, never from a timing, so one machine always gives the same bits. In fp32 all
ways agree up to rounding; in bf16 they differ by as much as bf16 itself, so there the choice is part of the fingerprint.

``FA_CNN14_WAYS`` names another entry of `WAYS`, for measurements, or for a cluster of unlike machines.

Imports torch; import it where it is used.
"""

import os
from dataclasses import dataclass

import torch

from fa_assets.encoders.cnn14.winograd import BOTH_COLUMNS, TILE_OF_2, TILE_OF_4, Transform
from fa_assets.errors import UserError


@dataclass(frozen=True)
class Ways:
    """Of one precision.

    Attributes:
        fft: the spectrogram by FFT instead of the checkpoint's convolution.
        winograd: blocks whose convolutions are Winograd's, and the transforms along rows and columns.
    """

    fft: bool
    winograd: dict[int, tuple[Transform, Transform]]

    @property
    def fingerprint(self) -> str:
        """Blocks with the outputs of a tile: ``fft 4:2x2 6:2x2``."""
        tiles = (
            f"{block}:{len(down.outputs)}x{len(across.outputs)}" for block, (down, across) in self.winograd.items()
        )
        return " ".join(["fft" if self.fft else "convolution", *tiles])


_LAST = {6: (TILE_OF_2, BOTH_COLUMNS)}
_FP32 = Ways(False, dict.fromkeys((3, 4, 5), (TILE_OF_4, TILE_OF_4)) | _LAST)
_BF16 = Ways(True, dict.fromkeys((4, 5), (TILE_OF_2, TILE_OF_2)) | _LAST)

WAYS = {
    "amx": {"fp32": _FP32, "bf16": Ways(True, _LAST)},
    "avx512_bf16": {"fp32": _FP32, "bf16": _BF16},
    "other": {"fp32": _FP32, "bf16": _BF16},
}
"""By what the processor can do, and precision; benchmarks/README.md has the measurement behind each."""


def chosen() -> str:
    """The entry of `WAYS` for this machine.

    Raises:
        UserError: ``FA_CNN14_WAYS`` names none.
    """
    named = os.environ.get("FA_CNN14_WAYS")
    if named:
        if named not in WAYS:
            raise UserError(f"FA_CNN14_WAYS={named!r}: use one of {', '.join(WAYS)}, or leave it out.")
        return named
    able = torch.cpu.get_capabilities()
    return next(
        (name for name, what in (("amx", "amx_bf16"), ("avx512_bf16", "avx512_bf16")) if able.get(what)), "other"
    )
