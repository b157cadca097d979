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
    """Kaiming normal weights and zero biases for a layer; for `Module.apply`. The 2018 code's generator."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        _zero_bias(module)


def _zero_bias(module: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
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


class AdaINResBlock(InstanceResBlock):
    """`InstanceResBlock` whose normalised maps are scaled and shifted as the style says (arXiv:1703.06868).

    Scale and shift are what the layer `affine` makes of the style, with nothing added to them, as in MUNIT.
    """

    def __init__(self, channels: int, mlp_dim: int):
        super().__init__(channels, "reflect")
        self.affine = nn.Linear(mlp_dim, 4 * channels)

    def forward(self, x: Tensor, followed: Tensor) -> Tensor:  # type: ignore[override]
        """x: (N, C, H, W); followed: (N or 1, mlp_dim), what the MLP makes of the style -> (N, C, H, W)."""
        scale1, shift1, scale2, shift2 = self.affine(followed)[..., None, None].chunk(4, 1)
        h = F.relu(scale1 * F.instance_norm(self.conv1(x)) + shift1)
        return x + scale2 * F.instance_norm(self.conv2(h)) + shift2


class StyledPreNormResBlock(PreNormResBlock):
    """`PreNormResBlock` whose normalised maps are scaled and shifted as the style says.

    As `affine` starts at zero and one is added to the scale, it starts as a block that heeds no style: weights of a
    `PreNormResBlock` go on in it. It never mixes pixels either, so tiles of one style agree.
    """

    def __init__(self, channels: int, mlp_dim: int):
        super().__init__(channels)
        self.affine = nn.Linear(mlp_dim, 4 * channels)
        nn.init.zeros_(self.affine.weight)
        _zero_bias(self.affine)

    def forward(self, x: Tensor, followed: Tensor) -> Tensor:  # type: ignore[override]
        """x: (N, C, H, W); followed: (N or 1, mlp_dim), what the MLP makes of the style -> (N, C, H, W)."""
        scale1, shift1, scale2, shift2 = self.affine(followed)[..., None, None].chunk(4, 1)
        h = self.conv1(F.silu((1 + scale1) * self.norm1(x) + shift1))
        return x + self.conv2(F.silu((1 + scale2) * self.norm2(h) + shift2))


class StyledSequential(nn.Sequential):
    """Layers one after the other, of which some follow a style."""

    def forward(self, x: Tensor, followed: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, followed) if isinstance(layer, AdaINResBlock | StyledPreNormResBlock) else layer(x)
        return x
