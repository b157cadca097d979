"""Whether a model of styles follows an example: its translation against one in a random style."""

import random
from collections.abc import Sequence
from itertools import chain, islice

import torch
import torch.nn.functional as F
from torch import Tensor

from train.eval.metrics import Progress, lab
from unit.images import to_image
from unit.pipeline import Sampling, Translator

DEPTHS = 4  # scales of texture: details of 2 to 16 pixels
FAINT = 0.002  # a quarter of a grey level, in [-1, 1]: fainter texture is none


def colour(x: Tensor) -> Tensor:
    """Mean and standard deviation of L*, a* and b* over each picture: (N, C, H, W) in [-1, 1] -> (N, 6)."""
    values = lab(x).flatten(2)
    return torch.cat([values.mean(2), values.std(2, correction=0)], 1)


def texture(x: Tensor) -> Tensor:
    """How strong the details of each scale are: (N, C, H, W) in [-1, 1] -> (N, DEPTHS).

    The log of the root mean square of what halving a grey picture loses, then of what halving the half does, and so on.
    """
    grey, energies = x.cpu().double().mean(1, keepdim=True), []
    for _ in range(DEPTHS):
        half = F.avg_pool2d(grey, 2, ceil_mode=True)
        lost = grey - F.interpolate(half, scale_factor=2.0)[..., : grey.shape[-2], : grey.shape[-1]]
        energies.append((lost.square().mean((1, 2, 3)) + FAINT**2).log() / 2)
        grey = half
    return torch.stack(energies, 1)


STATISTICS = {"colour": colour, "texture": texture}


def nearer(one: Tensor, other: Tensor, example: Tensor) -> Tensor:
    """Whether rows (n, D) of `one` are nearer to those of the example than rows of `other` are: 1, or 0.5 as near. (n,)

    Each column counts in units of its standard deviation over the examples, which are real photos.
    """
    scale = example.std(0, correction=0).clamp(min=1e-6)
    here, there = (((rows - example) / scale).norm(dim=1) for rows in (one, other))
    return torch.where(here == there, 0.5, (here < there).double())


def follows_examples(
    translator: Translator,
    photos: Sequence[Tensor],
    examples: Sequence[Tensor],
    source: str,
    target: str,
    *,
    most: int,
    seed: int = 0,
    show: Progress = lambda steps, _: steps,
) -> dict[str, Tensor]:
    """For pairs of a photo x and an example y: whether x in the style of y is nearer to y than in a random style.

    Args:
        translator: Of a model that has styles.
        photos: Batches (N, C, H, W) in [-1, 1] of photos of `source`.
        examples: The same of `target`.
        source: A domain, by its name.
        target: The other one.
        most: Pairs, at most.
        seed: Of the random styles.

    Returns:
        By "colour" and "texture" (n,) of 1, 0, or 0.5 where both are as near: a model that ignores its style has 0.5
        everywhere.
    """
    seeds = random.Random(seed)
    pairs = list(islice(zip(chain.from_iterable(photos), chain.from_iterable(examples), strict=False), most))
    followed: list[Tensor] = []
    unlike: list[Tensor] = []
    for x, y in show(pairs, "following examples"):
        style, chance = translator.encode_style(to_image(y), target), translator.sample_style(seeds.getrandbits(32))
        for drawn, s in ((followed, style), (unlike, chance)):
            drawn.append(translator.translate_batch(x[None], source, target, Sampling(style=s)))
    one, other, shown = torch.cat(followed), torch.cat(unlike), torch.stack([y for _, y in pairs])
    return {name: nearer(of(one), of(other), of(shown)) for name, of in STATISTICS.items()}
