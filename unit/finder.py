"""Where the heads of cats and dogs are in a photo: a small convolutional network and what is read from its maps.

The first layers are those of EfficientNet-Lite0 up to a sixteenth of the resolution (Apache-2.0, trained on ImageNet),
without batch norms and trained on; what is behind them is new. `python -m train finder` trains it, and tells on what.

It knows heads from the front, upright to 30 degrees, from about a twentieth of the photo's longer side on.
docs/results.md says how many it finds.
"""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unit.checkpoint import read_tensors

WEIGHTS = Path(__file__).with_name("finder.safetensors")
STRIDE = 8  # pixels for each cell of the maps, along each side
UNIT_SIDE = 64.0  # pixels: the side of a head whose predicted size is 0
SIDES = (192, 320)  # pixels: the longer side of a photo when it is searched
SMALL_HEADS = 800  # pixels: the same where nothing was found, for heads that are small in their photo
THRESHOLD = 0.75  # least score of a head
SMALL_THRESHOLD = 0.9  # the same of small ones, which are more easily mistaken
OVERLAP = 0.45  # share of the smaller of two squares that lies in the other; from there on they are one head


class Head(NamedTuple):
    """The square around a head as training crops are cut, in pixels of the photo, and how sure the network is."""

    centre_x: float
    centre_y: float
    side: float
    score: float  # from 0 to 1


class InvertedResidual(nn.Module):
    """The block of EfficientNet-Lite: wide, depthwise, narrow; added to its input where the shapes allow."""

    def __init__(self, channels: int, out_channels: int, expand: int, kernel: int, stride: int):
        super().__init__()
        wide = channels * expand
        layers: list[nn.Module] = []
        if expand > 1:
            layers += [nn.Conv2d(channels, wide, 1), nn.ReLU6()]
        layers += [nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide), nn.ReLU6()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, out_channels, 1))
        self.residual = stride == 1 and channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class HeadFinder(nn.Module):
    """Image (N, 3, H, W) in [-1, 1], sides multiples of 16 -> (N, 4, H/8, W/8).

    The channels: the logit that a cell is near the middle of a head; where that middle is, as seen from the cell, in
    cells (x, y); and the logarithm of the head's side over UNIT_SIDE.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6())
        self.eighth = nn.Sequential(  # (N, 40, H/8, W/8)
            InvertedResidual(32, 16, 1, 3, 1),
            InvertedResidual(16, 24, 6, 3, 2), InvertedResidual(24, 24, 6, 3, 1),
            InvertedResidual(24, 40, 6, 5, 2), InvertedResidual(40, 40, 6, 5, 1),
        )  # fmt: skip
        self.sixteenth = nn.Sequential(  # (N, 112, H/16, W/16)
            InvertedResidual(40, 80, 6, 3, 2), InvertedResidual(80, 80, 6, 3, 1), InvertedResidual(80, 80, 6, 3, 1),
            InvertedResidual(80, 112, 6, 5, 1), InvertedResidual(112, 112, 6, 5, 1),
            InvertedResidual(112, 112, 6, 5, 1),
        )  # fmt: skip
        # Heads are up to 40 cells wide; what is around a cell is seen through dilated convolutions.
        self.context = nn.Sequential(
            nn.Conv2d(112, 64, 1), nn.ReLU6(),
            nn.Conv2d(64, 64, 5, padding=4, dilation=2, groups=64), nn.Conv2d(64, 64, 1), nn.ReLU6(),
            nn.Conv2d(64, 64, 5, padding=8, dilation=4, groups=64), nn.Conv2d(64, 64, 1), nn.ReLU6(),
        )  # fmt: skip
        self.detail = nn.Conv2d(40, 64, 1)
        self.out = nn.Sequential(
            nn.ReLU6(), nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 64, 1), nn.ReLU6(),
            nn.Conv2d(64, 4, 1),
        )  # fmt: skip

    def maps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the layers that began as EfficientNet-Lite0 see: (N, 40, H/8, W/8) and (N, 112, H/16, W/16)."""
        eighth = self.eighth(self.stem(x))
        return eighth, self.sixteenth(eighth)

    def forward(self, x: Tensor) -> Tensor:
        eighth, sixteenth = self.maps(x)
        coarse = F.interpolate(self.context(sixteenth), scale_factor=2.0, mode="nearest")
        return self.out(coarse + self.detail(eighth))


def find_heads(image: Image.Image) -> list[Head]:
    """The heads of cats and dogs in an RGB photo, the surest first. The same photo always gives the same ones."""
    if heads := merge([answer for side in SIDES for answer in _search(image, side, THRESHOLD)]):
        return heads
    return merge(_search(image, SMALL_HEADS, SMALL_THRESHOLD)) if max(image.size) > SIDES[-1] else []


@cache
def load_finder() -> HeadFinder:
    """The shipped network, in float32 on the CPU, once for all threads."""
    with torch.random.fork_rng(devices=[]):
        finder = HeadFinder()
    finder.load_state_dict({name: weight.float() for name, weight in read_tensors(WEIGHTS).items()})
    return finder.eval().requires_grad_(False)


@torch.inference_mode()
def _search(image: Image.Image, longest: int, threshold: float) -> list[Head]:
    """What every cell answers that is sure enough, in pixels of the photo, when that is made `longest` pixels long."""
    scale = longest / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    x = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 127.5 - 1
    x = F.pad(x, (0, -width % 16, 0, -height % 16))  # with grey
    seen = answers(load_finder()(x)[0], threshold)
    return [Head(head.centre_x / scale, head.centre_y / scale, head.side / scale, head.score) for head in seen]


def answers(maps: Tensor, threshold: float = THRESHOLD) -> list[Head]:
    """(4, h, w) of `HeadFinder` -> the heads that its cells see, in pixels of its input: several for each head."""
    score, (dx, dy), size = maps[0].sigmoid(), maps[1:3], maps[3].clamp(-4, 4)
    return [
        Head(
            (x + 0.5 + float(dx[y, x])) * STRIDE,
            (y + 0.5 + float(dy[y, x])) * STRIDE,
            UNIT_SIDE * math.exp(float(size[y, x])),
            float(score[y, x]),
        )
        for y, x in torch.nonzero(score >= threshold).tolist()
    ]


def merge(heads: list[Head]) -> list[Head]:
    """One head of all answers that overlap the surest of them: their mean, weighted by the scores. The surest first."""
    left, merged = sorted(heads, key=lambda head: -head.score), []
    while left:
        same = [head for head in left if _shared(head, left[0]) >= OVERLAP]
        weights = np.array([head.score for head in same]) ** 2
        x, y, side = np.average([(h.centre_x, h.centre_y, math.log(h.side)) for h in same], axis=0, weights=weights)
        merged.append(Head(float(x), float(y), math.exp(side), left[0].score))
        left = [head for head in left if head not in same]
    return merged


def _shared(one: Head, other: Head) -> float:
    """The share of the smaller of two squares that lies in the other."""
    return _intersection(one, other) / min(one.side, other.side) ** 2


def _intersection(one: Head, other: Head) -> float:
    across, down = (
        max(0.0, min(p + one.side / 2, q + other.side / 2) - max(p - one.side / 2, q - other.side / 2))
        for p, q in zip(one[:2], other[:2], strict=True)
    )
    return across * down


def overlap(one: Head, other: Head) -> float:
    """Intersection over union of two squares."""
    shared = _intersection(one, other)
    return shared / (one.side**2 + other.side**2 - shared)
