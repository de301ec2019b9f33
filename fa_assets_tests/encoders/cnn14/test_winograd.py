"""Winograd's algorithms give what `conv2d` gives, in float64 nearly to the bit, whatever the shape and the silence."""

import pytest
import torch
from torch.nn import functional as F

from fa_assets.encoders.cnn14.winograd import BOTH_COLUMNS, TILE_OF_2, TILE_OF_4, Transform, WinogradConvolution

WAYS = [(TILE_OF_4, TILE_OF_4), (TILE_OF_2, TILE_OF_2), (TILE_OF_2, BOTH_COLUMNS), (TILE_OF_4, BOTH_COLUMNS)]


def example(
    rows: int, width: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Input (2, 5, rows, width), weight (7, 5, 3, 3) and bias (7,)."""
    random = torch.Generator().manual_seed(rows)
    make = lambda *shape: torch.randn(*shape, generator=random, dtype=torch.float64).to(dtype)  # noqa: E731
    return make(2, 5, rows, width), make(7, 5, 3, 3), make(7)


@pytest.mark.parametrize(("down", "across"), WAYS)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 11])
def test_equals_a_direct_convolution(down: Transform, across: Transform, rows: int) -> None:
    for width in [2] if across is BOTH_COLUMNS else [1, 2, 4, 6, 8]:
        x, weight, bias = example(rows, width)
        wanted = F.conv2d(x, weight, bias, padding=1).relu().permute(0, 2, 3, 1)
        convolution = WinogradConvolution(weight, bias, down, across, torch.float64)
        nhwc = x.permute(0, 2, 3, 1)
        for asked in {rows, max(1, rows - 3)}:
            got = convolution(nhwc, nhwc[:1], asked)
            torch.testing.assert_close(got, wanted[:, :asked], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("down", "across"), WAYS)
@pytest.mark.parametrize(("content", "asked"), [(1, 2), (3, 4), (4, 4), (4, 9), (6, 7), (9, 9)])
def test_rows_after_the_content_are_the_silent_ones(
    down: Transform, across: Transform, content: int, asked: int
) -> None:
    x, weight, bias = example(9, 2)
    silent = example(10, 2)[0][:1, :, :9]
    whole = torch.cat([x[:, :, :content], silent[:, :, content:].expand(2, -1, -1, -1)], dim=2)
    wanted = F.conv2d(whole, weight, bias, padding=1).relu().permute(0, 2, 3, 1)[:, :asked]
    convolution = WinogradConvolution(weight, bias, down, across, torch.float64)
    got = convolution(x[:, :, :content].permute(0, 2, 3, 1), silent.permute(0, 2, 3, 1), asked)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("down", "across", "dtype", "tolerance"),
    [
        (TILE_OF_4, TILE_OF_4, torch.float32, 2e-5),
        (TILE_OF_2, BOTH_COLUMNS, torch.float32, 3e-6),
        (TILE_OF_2, TILE_OF_2, torch.bfloat16, 0.03),
        (TILE_OF_2, BOTH_COLUMNS, torch.bfloat16, 0.03),
    ],
)
def test_rounds_as_stated(down: Transform, across: Transform, dtype: torch.dtype, tolerance: float) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 128, 8, 2, generator=random).relu()
    weight, bias = torch.randn(64, 128, 3, 3, generator=random), torch.zeros(64)
    wanted = F.conv2d(x.double(), weight.double(), padding=1).relu().permute(0, 2, 3, 1)
    nhwc = x.permute(0, 2, 3, 1).to(dtype)
    got = WinogradConvolution(weight, bias, down, across, dtype)(nhwc, nhwc, 8)
    assert got.dtype == dtype
    assert (got - wanted).abs().max() <= tolerance * wanted.max()
