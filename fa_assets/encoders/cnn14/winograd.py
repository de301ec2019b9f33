"""3 x 3 convolutions in fewer multiplications: Winograd's minimal filtering, as matrix products.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016, https://arxiv.org/abs/1509.09308). A tile
of input is transformed, multiplied channel by channel with the transformed kernel, and transformed back; in two dimensions
the transforms are those of the rows and the columns, one inside the other. Everything but one copy is a matrix product.

What it keeps true: the result of `torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()`, up to rounding. Transforms
with larger tiles save more and round worse: of the largest output, `TILE_OF_4` both ways in float32 differs by 6e-6,
`TILE_OF_2` by 1e-6; in bfloat16 only the latter is usable.

Imports torch; import it where it is used.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Transform:
    """One dimension of an algorithm: a tile of outputs is ``outputs @ ((kernel @ k) * (inputs @ x))``.

    Attributes:
        padding: rows of zeros that the algorithm wants to see on either side of the input.
        inputs: (products, inputs of a tile).
        kernel: (products, 3).
        outputs: (outputs of a tile, products).
    """

    padding: int
    inputs: torch.Tensor
    kernel: torch.Tensor
    outputs: torch.Tensor


def _transform(
    padding: int, inputs: list[list[float]], kernel: list[list[float]], outputs: list[list[float]]
) -> Transform:
    return Transform(padding, *(torch.tensor(rows, dtype=torch.float64) for rows in (inputs, kernel, outputs)))


TILE_OF_4 = _transform(
    1,
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
)  # fmt: skip
"""F(4, 3): 4 outputs in 6 products instead of 12."""

TILE_OF_2 = _transform(
    1,
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
    [[1, 1, 1, 0], [0, 1, -1, -1]],
)
"""F(2, 3): 2 outputs in 4 products instead of 6."""

BOTH_COLUMNS = _transform(
    0,
    [[1, 1], [0, 1], [1, 0]],
    [[0, 1, 0], [0, -1, 1], [1, -1, 0]],
    [[1, 1, 0], [1, 0, 1]],
)
"""A map of two columns: both outputs in 3 products instead of 6 (two of which would be with the zeros around the map).

out0 = k1 x0 + k2 x1 = k1 (x0 + x1) + (k2 - k1) x1, and out1 = k0 x0 + k1 x1 = k1 (x0 + x1) + (k0 - k1) x0.
"""


_LEAST_TILES = 8
"""From so many rows on a matrix product gives each row the same bits, whatever the other rows: fewer than four, and MKL
takes other kernels."""


class WinogradConvolution:
    """One 3 x 3 convolution, padded by 1, and the ReLU after it.

    Args:
        weight: (c_out, c_in, 3, 3).
        bias: (c_out,).
        rows, columns: the transform along each dimension.
        dtype: of the products.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor, rows: Transform, columns: Transform, dtype: torch.dtype
    ) -> None:
        self._rows, self._columns = rows, columns
        products = len(rows.inputs) * len(columns.inputs)
        self._kernel = torch.empty(products, weight.shape[1], weight.shape[0], dtype=dtype)
        parts = zip(torch.split(weight, 128), torch.split(self._kernel, 128, dim=2), strict=True)
        for part, into in parts:  # one at a time, to save memory
            kernel = torch.einsum("ai,bj,oqij->abqo", rows.kernel, columns.kernel, part.double())
            into.copy_(kernel.flatten(0, 1))
        self._inputs = torch.kron(rows.inputs, columns.inputs).to(dtype)
        self._outputs = torch.kron(rows.outputs, columns.outputs).to(dtype)
        self._bias = bias.to(dtype)

    def __call__(self, x: torch.Tensor, silent: torch.Tensor, rows: int) -> torch.Tensor:
        """The first `rows` rows of the output.

        Args:
            x: (n, h, w, c_in), the first h rows of the input.
            silent: (1, H, w, c_in), H >= h; the input's rows from h on are these rows. After row H come zeros.
            rows: 1 to H.

        Returns:
            (n, rows, w, c_out).
        """
        n, _, width, channels = x.shape
        down, across = (-(-size // len(way.outputs)) for size, way in ((rows, self._rows), (width, self._columns)))
        down = max(down, -(-_LEAST_TILES // (n * across)))
        tiles = self._tiles(_padded(x, silent, down, across, self._rows, self._columns), down, across)
        transformed = (self._inputs @ tiles).view(len(self._inputs), n * down * across, channels)
        products = torch.bmm(transformed, self._kernel).view(len(self._inputs), -1)
        outputs = (self._outputs @ products).view(-1, n * down * across, self._kernel.shape[2])
        outputs = outputs.add_(self._bias).relu_()
        outputs = outputs.view(len(self._rows.outputs), len(self._columns.outputs), n, down, across, -1)
        return outputs.permute(2, 3, 0, 4, 1, 5).flatten(3, 4).flatten(1, 2)[:, :rows, :width]

    def _tiles(self, padded: torch.Tensor, down: int, across: int) -> torch.Tensor:
        """Every input of every tile: (inputs of a tile, n * down * across * c)."""
        n, _, _, channels = padded.shape
        by_image, by_row, by_column, by_channel = padded.stride()
        size = (self._rows.inputs.shape[1], self._columns.inputs.shape[1], n, down, across, channels)
        tile_down, tile_across = len(self._rows.outputs) * by_row, len(self._columns.outputs) * by_column
        view = padded.as_strided(size, (by_row, by_column, by_image, tile_down, tile_across, by_channel))
        return view.reshape(size[0] * size[1], -1)


def _padded(
    x: torch.Tensor, silent: torch.Tensor, down: int, across: int, by_row: Transform, by_column: Transform
) -> torch.Tensor:
    """`x`, continued by the silent rows, inside zeros that fill the last tiles: (n, height, width, c)."""
    n, rows, width, channels = x.shape
    height_of_tiles = (down - 1) * len(by_row.outputs) + by_row.inputs.shape[1]
    width_of_tiles = (across - 1) * len(by_column.outputs) + by_column.inputs.shape[1]
    padded = x.new_zeros(n, height_of_tiles, width_of_tiles, channels)
    inside = padded[:, by_row.padding :, by_column.padding : by_column.padding + width]
    rows = min(rows, inside.shape[1])
    inside[:, :rows] = x[:, :rows]
    more = silent[:, rows : inside.shape[1]]
    inside[:, rows : rows + more.shape[1]] = more
    return padded
