"""The networks a UNIT can be made of: encoder, decoder and the block they share, each one function.

    paper        the 2017 networks of the NIPS paper, as its authors released them
    master2018   the authors' 2018 rewrite: instance norm, reflection padding, nothing shared
    compact      ours: quick on a CPU, and its output at a pixel depends only on the pixels around it
    compact8     compact with half as many latent pixels along each side: a quarter of the work for each picture pixel
    refined8     compact8 with residual blocks at 1/4 and 1/2 of the resolution, for finer eyes and fur

All have 4 * dim channels in the middle, at 1 / `downsampling` of the picture's resolution, and draw in [-1, 1].
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from unit.models.blocks import (
    InstanceResBlock,
    LayerNorm2d,
    PreNormResBlock,
    init_kaiming,
    init_normal,
)
from unit.models.folded import FoldedUpConv, FoldedUpConv5


class Layout(NamedTuple):
    encoder: Callable[[int, int], nn.Sequential]  # (channels, dim) -> image (N, channels, H, W) to (N, 4 dim, h, w)
    decoder: Callable[[int, int], nn.Sequential]  # (channels, dim) -> the way back
    block: Callable[[int], nn.Module]  # channels -> one residual block at the latent resolution
    init: Callable[[nn.Module], None]  # for Module.apply: how each layer starts
    downsampling: int = 4  # H/h and W/w: picture pixels for each latent pixel, along each side
    # How many latent pixels the encoder and the decoder, without the blocks at the latent resolution, look beyond a
    # place in all. None: a pixel that is drawn depends on the whole picture, because of normalisation over it.
    margin: int | None = None
    bytes: int = 0  # of memory for each pixel and unit of dim, where there is no margin: measured at dim 32 and 64


def _paper_encoder(channels: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, dim, 7, padding=3), nn.LeakyReLU(),
        nn.Conv2d(dim, 2 * dim, 3, stride=2, padding=1), nn.LeakyReLU(),
        nn.Conv2d(2 * dim, 4 * dim, 3, stride=2, padding=1), nn.LeakyReLU(),
    )  # fmt: skip


def _paper_decoder(channels: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(4 * dim, 2 * dim, 3, stride=2, padding=1, output_padding=1), nn.LeakyReLU(),
        nn.ConvTranspose2d(2 * dim, dim, 3, stride=2, padding=1, output_padding=1), nn.LeakyReLU(),
        nn.ConvTranspose2d(dim, channels, 1), nn.Tanh(),
    )  # fmt: skip


def _master_encoder(channels: int, dim: int) -> nn.Sequential:
    def conv(c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
        return [
            nn.Conv2d(c_in, c_out, kernel, stride, padding, padding_mode="reflect"),
            nn.InstanceNorm2d(c_out),
            nn.ReLU(),
        ]

    return nn.Sequential(*conv(channels, dim, 7, 1, 3), *conv(dim, 2 * dim, 4, 2, 1), *conv(2 * dim, 4 * dim, 4, 2, 1))


def _master_decoder(channels: int, dim: int) -> nn.Sequential:
    # GroupNorm with one group is layer normalisation with an epsilon inside the root: no NaN on flat crops.
    return nn.Sequential(
        FoldedUpConv5(4 * dim, 2 * dim), nn.GroupNorm(1, 2 * dim), nn.ReLU(),
        FoldedUpConv5(2 * dim, dim), nn.GroupNorm(1, dim), nn.ReLU(),
        nn.Conv2d(dim, channels, 7, padding=3, padding_mode="reflect"), nn.Tanh(),
    )  # fmt: skip


def _compact_encoder(channels: int, dim: int, patch: int = 2) -> nn.Sequential:
    # Full resolution is where a CPU spends its time on memory, so the first convolution already works on patches.
    to_latent = nn.Conv2d(2 * dim, 4 * dim, 4, stride=2, padding=1)
    # The posterior's noise has variance one. Means that start at about four standard deviations let the decoders see
    # the photo from the first step; from PyTorch's own start they first have to rise above the noise.
    nn.init.normal_(to_latent.weight, std=0.2)
    return nn.Sequential(
        nn.PixelUnshuffle(patch), nn.Conv2d(patch**2 * channels, 2 * dim, 3, padding=1),
        LayerNorm2d(2 * dim), nn.SiLU(), to_latent,
    )  # fmt: skip


def _compact_decoder(channels: int, dim: int) -> nn.Sequential:
    # The last resize and convolution in one: no feature map is ever as large as the picture.
    return nn.Sequential(
        FoldedUpConv(4 * dim, 2 * dim), LayerNorm2d(2 * dim), nn.SiLU(),
        FoldedUpConv(2 * dim, channels), nn.Tanh(),
    )  # fmt: skip


def _compact8_encoder(channels: int, dim: int) -> nn.Sequential:
    return _compact_encoder(channels, dim, patch=4)


def _compact8_decoder(channels: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        FoldedUpConv(4 * dim, 2 * dim), LayerNorm2d(2 * dim), nn.SiLU(),
        FoldedUpConv(2 * dim, dim), LayerNorm2d(dim), nn.SiLU(),
        FoldedUpConv(dim, channels), nn.Tanh(),
    )  # fmt: skip


def _refined8_encoder(channels: int, dim: int) -> nn.Sequential:
    unshuffle, to_features, *rest = _compact8_encoder(channels, dim)
    return nn.Sequential(unshuffle, to_features, PreNormResBlock(2 * dim), *rest)


def _refined8_decoder(channels: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        FoldedUpConv(4 * dim, 2 * dim), PreNormResBlock(2 * dim), LayerNorm2d(2 * dim), nn.SiLU(),
        FoldedUpConv(2 * dim, dim), PreNormResBlock(dim), LayerNorm2d(dim), nn.SiLU(),
        FoldedUpConv(dim, channels), nn.Tanh(),
    )  # fmt: skip


def _as_pytorch(module: nn.Module) -> None:
    """PyTorch's own start, but for what the layers themselves have set."""


LAYOUTS = {
    "paper": Layout(_paper_encoder, _paper_decoder, lambda c: InstanceResBlock(c, "zeros"), init_normal, bytes=12),
    "master2018": Layout(
        _master_encoder, _master_decoder, lambda c: InstanceResBlock(c, "reflect"), init_kaiming, bytes=28
    ),
    "compact": Layout(_compact_encoder, _compact_decoder, PreNormResBlock, _as_pytorch, 4, margin=2),
    "compact8": Layout(_compact8_encoder, _compact8_decoder, PreNormResBlock, _as_pytorch, 8, margin=2),
    "refined8": Layout(_refined8_encoder, _refined8_decoder, PreNormResBlock, _as_pytorch, 8, margin=5),
}
