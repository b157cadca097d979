"""What a discriminator is shown instead of whole, plain pictures. Differentiable: the generator learns through it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def zoom(least: float, *images: Tensor, generator: Generator | None = None) -> list[Tensor]:
    """One random crop of all images, at least `least` of their side, enlarged to their size.

    The strides of a discriminator pull at every second, fourth, ... pixel. While they always meet the same ones, the
    generator answers with a weave of that period; crops at any place and scale leave it no grid to draw on.
    """
    if least == 1:
        return list(images)
    height, width = images[0].shape[-2:]
    share, top, left = torch.rand(3, generator=generator).tolist()
    share = least + (1 - least) * share
    h, w = round(share * height), round(share * width)
    y, x = round(top * (height - h)), round(left * (width - w))
    crops = [image[..., y : y + h, x : x + w] for image in images]
    return [F.interpolate(crop, size=(height, width), mode="bilinear", align_corners=False) for crop in crops]


def diffaugment(x: Tensor, generators: Sequence[Generator]) -> Tensor:
    """DiffAugment (Zhao et al. 2020, arXiv:2006.10738): colour, translation and cutout, anew for each picture.

    x: (N, C, H, W) in [-1, 1]; may leave that range. generators: one a picture, on any device. Brightness moves by up
    to half of [0, 1], saturation by a factor of 0 to 2, contrast of 0.5 to 1.5; the picture is shifted by up to an
    eighth of its sides, black coming in, and a square of half its side is blanked.
    """
    n, _, height, width = x.shape
    draws = torch.stack([torch.rand(7, generator=g, device=g.device) for g in generators])  # (N, 7) in [0, 1)
    brightness, saturation, contrast = draws[:, :3].to(x).T.view(3, n, 1, 1, 1)
    x = x + (2 * brightness - 1)  # half of [0, 1] is one of [-1, 1]
    x = torch.lerp(x.mean(1, keepdim=True), x, 2 * saturation)
    x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, 0.5 + contrast)

    places = draws[:, 3:].tolist()
    pictures = []
    for picture, (down, right, top, left) in zip(x, places, strict=True):
        dy, dx = round((2 * down - 1) * height / 8), round((2 * right - 1) * width / 8)
        picture = F.pad(picture, (dx, -dx, dy, -dy), value=-1.0)  # a negative padding cuts off
        y, z = round(top * height) - height // 4, round(left * width) - width // 4
        hole = torch.ones(height, width, dtype=x.dtype, device=x.device)
        hole[max(y, 0) : max(y + height // 2, 0), max(z, 0) : max(z + width // 2, 0)] = 0
        pictures.append((picture + 1) * hole - 1)
    return torch.stack(pictures)
