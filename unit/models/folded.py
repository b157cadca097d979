"""Resize-convolutions, and the same ones folded: computed at the low resolution with half the multiplications."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unit.models.blocks import Padding


class Upsample2(nn.Module):
    """Nearest-neighbour x2. The same as nn.Upsample, but its compiled backward pass is twice as fast on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1)[:, :, None, :, None]  # (N, H, 1, W, 1, C)
        return x.expand(n, h, 2, w, 2, c).reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


class UpConv(nn.Sequential):
    """Resize, then a convolution: no checkerboard (distill.pub/2016/deconv-checkerboard)."""

    def __init__(self, channels: int, out_channels: int, kernel_size: int, padding_mode: Padding = "zeros"):
        super().__init__(
            Upsample2(),
            nn.Conv2d(channels, out_channels, kernel_size, padding=kernel_size // 2, padding_mode=padding_mode),
        )


class FoldedUpConv(nn.Conv2d):
    """`UpConv` with a 3x3 kernel and zero padding, computed without ever making the enlarged map.

    After a nearest-neighbour x2, the three taps of a kernel fall on two source pixels only. Which taps fall
    together depends on whether the output row (column) is even or odd, so folding the kernel gives four kernels of
    2x2, one for each output pixel of a 2x2 square, that run at the low resolution: 4/9 of the multiplications.
    """

    kernels: Tensor | None = None  # once they are folded for good, see `fuse`

    def __init__(self, channels: int, out_channels: int):
        super().__init__(channels, out_channels, 3, padding=1)

    def folded(self) -> Tensor:
        """(4 C', C, 2, 2): for the rows of the square, then its columns."""
        return fold(fold(self.weight, _THREE), _THREE).flatten(0, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        c = self.out_channels
        kernels = self.folded() if self.kernels is None else self.kernels
        bias = None if self.bias is None else self.bias.repeat(4)
        y = F.conv2d(x, kernels, bias, padding=1)  # (N, 4 C', H + 1, W + 1)
        y = y.permute(0, 2, 3, 1).reshape(n, h + 1, w + 1, 2, 2, c)
        # Even rows (columns) look at the source pixel and the one before it, odd ones at it and the one after.
        y = torch.stack([y[:, :-1, :, 0], y[:, 1:, :, 1]], 2)  # (N, H, 2, W + 1, 2, C')
        y = torch.stack([y[..., :-1, 0, :], y[..., 1:, 1, :]], 4)  # (N, H, 2, W, 2, C')
        return y.reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)

    def plain(self, x: Tensor) -> Tensor:
        """The same by its definition."""
        return super().forward(Upsample2()(x))


class FoldedUpConv5(UpConv):
    """`UpConv` with a 5x5 kernel and reflection padding, likewise: 9/25 of the multiplications.

    Its five taps fall on three source pixels, the same for even and odd rows (columns).
    """

    kernels: Tensor | None = None  # once they are folded for good, see `fuse`

    def __init__(self, channels: int, out_channels: int):
        super().__init__(channels, out_channels, 5, "reflect")

    def folded(self) -> Tensor:
        """(4 C', C, 3, 3): for the rows of the square, then its columns."""
        return fold(fold(cast(nn.Conv2d, self[1]).weight, _FIVE), _FIVE).flatten(0, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        conv = cast(nn.Conv2d, self[1])
        kernels = self.folded() if self.kernels is None else self.kernels
        bias = None if conv.bias is None else conv.bias.repeat(4)
        wide = torch.cat([x[..., :1], x, x[..., -1:]], 3)  # not F.pad, whose compiled backward pass fails on a CPU
        padded = torch.cat([wide[:, :, :1], wide, wide[:, :, -1:]], 2)  # (N, C, H + 2, W + 2)
        y = F.conv2d(padded, kernels, bias)  # (N, 4 C', H, W)
        y = y.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, -1).transpose(2, 3)  # (N, H, 2, W, 2, C')
        y = y.reshape(n, 2 * h, 2 * w, -1).permute(0, 3, 1, 2)

        # The reflection of the enlarged map is that of its repeated edge, but for the tap that reaches furthest out:
        # what that adds to the outermost rows, reflected at their ends, and to the columns, (N, C, L) -> (N, C', 2 L).
        # No lists of indices and no sums in place: their compiled backward pass goes over the whole map each time.
        def row(line: Tensor, taps: Tensor) -> Tensor:
            ends = line[..., :2].flip(-1), line[..., -2:].flip(-1)
            return F.conv1d(torch.cat([ends[0], line.repeat_interleave(2, -1), ends[1]], -1), taps)

        def column(line: Tensor, taps: Tensor) -> Tensor:
            line = torch.cat([line[..., :1], line, line[..., -1:]], -1)
            return F.conv1d(line.repeat_interleave(2, -1), taps)

        top = row(x[:, :, 1] - x[:, :, 0], conv.weight[:, :, 0])
        bottom = row(x[:, :, -2] - x[:, :, -1], conv.weight[:, :, 4])
        left = column(x[..., 1] - x[..., 0], conv.weight[..., 0])
        right = column(x[..., -2] - x[..., -1], conv.weight[..., 4])
        y = torch.cat([y[:, :, :1] + top[:, :, None], y[:, :, 1:-1], y[:, :, -1:] + bottom[:, :, None]], 2)
        return torch.cat([y[..., :1] + left[..., None], y[..., 1:-1], y[..., -1:] + right[..., None]], 3)

    def plain(self, x: Tensor) -> Tensor:
        """The same by its definition."""
        return super().forward(x)


@torch.no_grad()
def fuse(net: nn.Module) -> None:
    """Fold all kernels of a network once, instead of at each call: for inference, with weights that stay as they are.

    It is then for the device and the precision that its weights have now. Its results are the same, bit for bit.
    """
    for layer in net.modules():
        if isinstance(layer, FoldedUpConv | FoldedUpConv5):
            layer.kernels = layer.folded()


# Where the taps of a kernel begin and end that fall on one source pixel, in even positions and in odd ones.
_THREE = ((0, 1), (1, 3)), ((0, 2), (2, 3))
_FIVE = ((0, 2), (2, 4), (4, 5)), ((0, 1), (1, 3), (3, 5))


def fold(kernel: Tensor, taps: Sequence[Sequence[tuple[int, int]]]) -> Tensor:
    """Stack, in front, the kernels that even and odd positions along axis 3 see: sums of the taps that fall together.

    Applied twice: axis 3 is the columns of (C', C, rows, columns), then the rows of (2, C', C, rows, columns).
    """
    return torch.stack([torch.stack([kernel[:, :, :, a:b].sum(3) for a, b in place], 3) for place in taps])
