"""Where the heads of cats and dogs are in a photo: a small convolutional network and what is read from its maps.

The first layers are those of EfficientNet-Lite0 up to a sixteenth of the resolution (Apache-2.0, trained on ImageNet),
without batch norms and trained on; what is behind them is new. `python -m train finder` trains it, and tells on what.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("finder.safetensors")
STRIDE = 8  # pixels for each cell of the maps, along each side
UNIT_SIDE = 64.0  # pixels: the side of a head whose predicted size is 0
SIDES = (320, 800)  # pixels: the longer side of a photo when it is searched; the second only for small heads
THRESHOLD = 0.5  # least score of a head
OVERLAP = 0.3  # of two heads, as intersection over union; from there on they are one


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

    def forward(self, x: Tensor) -> Tensor:
        eighth = self.eighth(self.stem(x))
        coarse = F.interpolate(self.context(self.sixteenth(eighth)), scale_factor=2.0, mode="nearest")
        return self.out(coarse + self.detail(eighth))


def find_heads(image: Image.Image) -> list[Head]:
    """The heads of cats and dogs in an RGB photo, the surest first. The same photo always gives the same ones."""
    for side in SIDES:
        if heads := _search(image, side):
            return heads
        if max(image.size) <= side:
            break
    return []


@cache
def load_finder() -> HeadFinder:
    """The shipped network, in float32 on the CPU, once for all threads."""
    with torch.random.fork_rng(devices=[]):
        finder = HeadFinder()
    finder.load_state_dict({name: weight.float() for name, weight in load_file(WEIGHTS).items()})
    return finder.eval().requires_grad_(False)


@torch.inference_mode()
def _search(image: Image.Image, longest: int) -> list[Head]:
    scale = min(1.0, longest / max(image.size)) if longest > SIDES[0] else longest / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    x = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 127.5 - 1
    x = F.pad(x, (0, -width % 16, 0, -height % 16))  # with grey
    return [
        Head(h.centre_x / scale, h.centre_y / scale, h.side / scale, h.score) for h in read_heads(load_finder()(x)[0])
    ]


def read_heads(maps: Tensor, threshold: float = THRESHOLD) -> list[Head]:
    """(4, h, w) of `HeadFinder` -> heads in pixels of its input, the surest first, none of which overlap much."""
    score, (dx, dy), size = maps[0].sigmoid(), maps[1:3], maps[3]
    rows, columns = torch.nonzero(score >= threshold, as_tuple=True)
    found: list[Head] = []
    for y, x in sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda yx: -float(score[yx])):
        head = Head(
            (x + 0.5 + float(dx[y, x])) * STRIDE,
            (y + 0.5 + float(dy[y, x])) * STRIDE,
            UNIT_SIDE * float(size[y, x].clamp(-4, 4).exp()),
            float(score[y, x]),
        )
        if all(overlap(head, other) < OVERLAP for other in found):
            found.append(head)
    return found


def overlap(one: Head, other: Head) -> float:
    """Intersection over union of two squares."""
    across, down = (
        max(0.0, min(p + one.side / 2, q + other.side / 2) - max(p - one.side / 2, q - other.side / 2))
        for p, q in zip(one[:2], other[:2], strict=True)
    )
    return across * down / (one.side**2 + other.side**2 - across * down)
