"""The bricks of the layouts: residual blocks, normalisation, up- and down-sampling.

Tensors in, tensors out: (N, C, H, W) everywhere. Nothing here knows about images, devices or training.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Padding = Literal["zeros", "reflect"]


def init_normal(module: nn.Module) -> None:
    """N(0, 0.02) weights and zero biases for a convolution; for `Module.apply`. The 2017 code's choice."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        _zero_bias(module)


def init_kaiming(module: nn.Module) -> None:
    """Kaiming normal weights and zero biases for a convolution; for `Module.apply`. The 2018 code's generator."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
        _zero_bias(module)


def _zero_bias(module: nn.Conv2d | nn.ConvTranspose2d) -> None:
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel, as in ConvNeXt (arXiv:2201.03545).

    It never mixes pixels, so what the network draws at a place does not depend on how large the rest of the
    photo is: a small crop, a full photo and a tile of it agree. Instance norm, which the papers use, does not
    have this property.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (N, H, W, C): a view, and already contiguous in channels_last
        return super().forward(x).permute(0, 3, 1, 2)


class InstanceResBlock(nn.Module):
    """conv - instance norm - ReLU - conv - instance norm, added to the input (the block of both papers)."""

    def __init__(self, channels: int, padding_mode: Padding):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding_mode)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(F.instance_norm(self.conv1(x)))
        return x + F.instance_norm(self.conv2(h))


class PreNormResBlock(nn.Module):
    """Pre-activation residual block: the stream itself is never normalised, so colours pass through.

    The second convolution starts at zero, which makes a new block the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(channels), LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        _zero_bias(self.conv2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


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

    def __init__(self, channels: int, out_channels: int):
        super().__init__(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        c = self.out_channels
        kernels = self._fold(self._fold(self.weight))  # (2, 2, C', C, 2, 2): rows of the square, then its columns
        bias = None if self.bias is None else self.bias.repeat(4)
        y = F.conv2d(x, kernels.flatten(0, 2), bias, padding=1)  # (N, 4 C', H + 1, W + 1)
        y = y.permute(0, 2, 3, 1).reshape(n, h + 1, w + 1, 2, 2, c)
        # Even rows (columns) look at the source pixel and the one before it, odd ones at it and the one after.
        y = torch.stack([y[:, :-1, :, 0], y[:, 1:, :, 1]], 2)  # (N, H, 2, W + 1, 2, C')
        y = torch.stack([y[..., :-1, 0, :], y[..., 1:, 1, :]], 4)  # (N, H, 2, W, 2, C')
        return y.reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)

    @staticmethod
    def _fold(kernel: Tensor) -> Tensor:
        """Stack, in front, the two kernels of two taps that even and odd positions along axis 3 see.

        Applied twice: axis 3 is the columns of (C', C, rows, columns), then the rows of (2, C', C, rows, columns).
        """
        first, middle, last = kernel.unbind(3)
        even = torch.stack([first, middle + last], 3)
        odd = torch.stack([first + middle, last], 3)
        return torch.stack([even, odd])
