"""Latent noise for pictures of any size: one map, of which only the windows that are asked for need be there."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from unit.drawing import Window, cut
from unit.unit import interpolation

LIMIT = 2**27  # values drawn at once, 512 MB: the noise of 16 million pixels in a network of dim 32
BLOCK = 64  # latent pixels: the side of the squares that larger maps are drawn in


def noise_map(
    channels: int, height: int, width: int, generator: Generator, grain: int = 1
) -> Callable[[Window], Tensor]:
    """eta ~ N(0, 1), smooth over about `grain` latent pixels: a function from (rows, columns) to (1, channels, h, w).

    The windows are those of what `latent_noise` draws with the same generator, which is on the CPU. Where it would draw
    more than LIMIT values, this is other noise: each square of it has its own seed, so a window takes no more memory
    than it is large. Which of the two it is depends on size and grain alone; coarse noise, whose grid is small, is
    hardly ever that large. Raises ValueError for a grain below 1.
    """
    if grain < 1:
        raise ValueError(f"grain is {grain}: it counts latent pixels, so it must be 1 or more")
    if grain == 1:
        return _independent(channels, height, width, generator)
    grid = _independent(channels, -(-height // grain) + 1, -(-width // grain) + 1, generator)

    def eta(window: Window) -> Tensor:
        above, beside = (slice(s.start // grain, (s.stop - 1) // grain + 2) for s in window)
        rows, columns = interpolation(window[0], above, grain), interpolation(window[1], beside, grain)
        return rows @ grid((above, beside)) @ columns.T

    return eta


def _independent(channels: int, height: int, width: int, generator: Generator) -> Callable[[Window], Tensor]:
    if channels * height * width <= LIMIT:
        whole = torch.randn(1, channels, height, width, generator=generator)
        return lambda window: cut(whole, window)

    # 32 bits are what PyTorch's generator on the CPU takes of a seed.
    seeds = torch.randint(2**32, (-(-height // BLOCK), -(-width // BLOCK)), generator=generator)

    def eta(window: Window) -> Tensor:
        above, beside = (slice(s.start // BLOCK, (s.stop - 1) // BLOCK + 1) for s in window)
        rows, columns = (
            slice(s.start - b.start * BLOCK, s.stop - b.start * BLOCK)
            for s, b in zip(window, (above, beside), strict=True)
        )
        squares = [[_square(channels, int(seed)) for seed in row] for row in seeds[above, beside]]
        return torch.cat([torch.cat(row, 3) for row in squares], 2)[..., rows, columns]

    return eta


def _square(channels: int, seed: int) -> Tensor:
    return torch.randn(1, channels, BLOCK, BLOCK, generator=Generator().manual_seed(seed))
