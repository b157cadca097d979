"""The noise of the latent space: of a batch in training, or of one picture of any size, window by window.

`latent_noise` draws all of it at once. `noise_map` gives the same noise to those who cut a large picture into tiles:
one map, of which only the windows that are asked for need to exist.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

Window = tuple[slice, slice]  # rows and columns of a picture, or of its latent map

LIMIT = 2**27  # values drawn at once, 512 MB: the noise of 16 million pixels in a network of dim 32
BLOCK = 64  # latent pixels: the side of the squares that larger maps are drawn in


def slice_window(x: Tensor, window: Window) -> Tensor:
    """The window of a tensor (..., rows, columns)."""
    rows, columns = window
    return x[..., rows, columns]


@dataclass(frozen=True)
class BatchRows:
    """Randomness for some rows of a larger batch: they get what they would get if the whole batch was drawn at once.

    So the noise of a photo does not depend on how a batch is spread over processes, and is one draw all the same.
    """

    generator: Generator
    first: int  # the first of these rows in the whole batch
    total: int  # rows of the whole batch


Randomness = Generator | BatchRows | None  # None: PyTorch's global generator


def latent_noise(like: Tensor, *, generator: Randomness = None, grain: int = 1) -> Tensor:
    """eta ~ N(0, 1) of the shape of `like` (N, C, h, w), smooth over about `grain` latent pixels.

    grain 1 is the paper's independent noise. Coarser noise is drawn on a grid `grain` times smaller and interpolated,
    which the decoder cannot average away, so it changes the look of whole regions. Every value has unit variance
    whatever the grain. The draw is made on the generator's device, so a seed means the same picture on every machine.
    """
    if isinstance(generator, BatchRows):
        whole = like.new_empty((1, 1, 1, 1)).expand(generator.total, *like.shape[1:])  # a shape, without memory
        drawn = latent_noise(whole, generator=generator.generator, grain=grain)
        return drawn[generator.first : generator.first + len(like)]
    if grain < 1:
        raise ValueError(f"grain is {grain}: it counts latent pixels, so it must be 1 or more")
    n, c, h, w = like.shape
    device = generator.device if generator is not None else like.device
    if grain == 1:
        return torch.randn(n, c, h, w, generator=generator, device=device).to(like)
    spans = ((slice(0, side), slice(0, -(-side // grain) + 1)) for side in (h, w))
    rows, columns = (interpolation(*span, grain).to(device) for span in spans)  # (h, h'), (w, w')
    coarse = torch.randn(n, c, rows.shape[1], columns.shape[1], generator=generator, device=device)
    return (rows @ coarse @ columns.T).to(like)


def interpolation(points: slice, knots: slice, grain: int) -> Tensor:
    """(points, knots): linear interpolation between knots that are `grain` points apart.

    Its rows have norm one, so that it keeps the variance.
    """
    position = torch.arange(points.start, points.stop) / grain
    distance = (position[:, None] - torch.arange(knots.start, knots.stop)).abs()
    return torch.nn.functional.normalize((1 - distance).clamp(min=0), dim=1)


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
        return lambda window: slice_window(whole, window)

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
