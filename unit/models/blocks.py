"""The bricks of the layouts: residual blocks and normalisation. What enlarges maps is in `unit.models.folded`.

Tensors in, tensors out: (N, C, H, W) everywhere. Nothing here knows about images, devices or training.
"""

from typing import Literal

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
