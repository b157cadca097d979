"""What a discriminator is shown instead of whole, plain pictures. Differentiable: the generator learns through it."""

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


def diffaugment(x: Tensor, draws: Tensor) -> Tensor:
    """DiffAugment (Zhao et al. 2020, arXiv:2006.10738): colour, translation and cutout, anew for each picture.

    x: (N, C, H, W) in [-1, 1]; may leave that range. draws: (N, 7) in [0, 1), which decide what happens to a picture.
    Brightness moves by up to half of [0, 1], saturation by a factor of 0 to 2, contrast of 0.5 to 1.5; the picture is
    shifted by up to an eighth of its sides, black coming in, and a square of half its side is blanked.
    """
    height, width = x.shape[-2:]
    brightness, saturation, contrast = draws[:, :3].to(x).T.view(3, -1, 1, 1, 1)
    x = x + (2 * brightness - 1)  # half of [0, 1] is one of [-1, 1]
    x = torch.lerp(x.mean(1, keepdim=True), x, 2 * saturation)
    x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, 0.5 + contrast)

    down, right, top, left = draws[:, 3:].T
    # A shift is a product with a matrix that has its ones beside the diagonal, which is quick for a whole batch.
    x = _shift(height, down).to(x) @ (x + 1) @ _shift(width, right).to(x).mT  # black is 0 here
    hole = _hole(height, top)[..., None] & _hole(width, left)[..., None, :]  # (N, 1, H, W)
    return x * ~hole - 1


def _shift(side: int, draws: Tensor) -> Tensor:
    """(N, 1, side, side): row i of a picture's matrix takes pixel i - d, d up to an eighth of the side."""
    distance = ((2 * draws - 1) * side / 8).round()
    pixel = torch.arange(side, device=draws.device)
    return (pixel[:, None] - pixel == distance.view(-1, 1, 1)).unsqueeze(1)


def _hole(side: int, draws: Tensor) -> Tensor:
    """(N, 1, side): whether a pixel is among the side / 2 around the place that was drawn."""
    first = (draws * side).round().view(-1, 1, 1) - side // 4
    pixel = torch.arange(side, device=draws.device)
    return (first <= pixel) & (pixel < first + side // 2)
