"""All photos of a domain on the device, where the crops of a whole batch are made at once.

The plan of the crops is the one that the readers of the disk follow (`train.data.crops`), and so are the formulas:
Pillow's antialiased bilinear resizing, OpenCV's bicubic turning. Here they are products of matrices in float32, where
the others round to 256 levels in between, so that pixels differ by about a grey level (tests/test_device_photos.py).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.data.crops import Crop
from train.data.store import Photos

LookUp = Callable[[Tensor, Tensor], Tensor]  # whole coordinates y and x of pixels -> (N, H, W, C)


class DevicePhotos:
    """The readable photos of a domain, one after another in the device's memory as uint8."""

    def __init__(self, photos: Photos, device: torch.device):
        """photos: all of them kept decoded by `look_through`. Raises ValueError for others."""
        if photos.kept is None:
            raise ValueError("only photos that are kept decoded can be put on the device")
        self.recipe, self.looks = photos.recipe, photos.kept.looks
        pixels = torch.from_numpy(np.fromfile(photos.kept.pixels, np.uint8)).to(device)
        self.pixels = pixels.view(-1, photos.recipe.channels)  # a row for each pixel, of all photos
        self.first = [offset // photos.recipe.channels for offset in photos.kept.offsets]  # row of each photo

    def crops(self, chosen: Sequence[tuple[int, Crop]]) -> Tensor:
        """Photos by number and how each is cropped -> (N, C, size, size) float32 in [-1, 1] on the device."""
        device, size = self.pixels.device, self.recipe.size
        looks = [self.looks[i] for i, _ in chosen]
        numbers = [
            (self.first[i], look.height, look.width, *crop[:4], crop.mirrored)
            for (i, crop), look in zip(chosen, looks, strict=True)
            if not isinstance(look, str)
        ]
        first, height, width, top, left, h, w, mirrored = (
            column.view(-1, 1) for column in torch.tensor(numbers, device=device).unbind(1)
        )
        degrees = torch.tensor([crop.degrees for _, crop in chosen], device=device)
        rows = torch.arange(max(crop.height for _, crop in chosen), device=device)  # H of the highest window
        columns = torch.arange(max(crop.width for _, crop in chosen), device=device)  # W of the widest

        def look_up(y: Tensor, x: Tensor) -> Tensor:
            """Pixels at whole coordinates of the photos, which are mirrored at their borders -> (N, H, W, C)."""
            y, x = (_mirror(place, side[..., None]) for place, side in ((y, height), (x, width)))
            return self.pixels[first[..., None] + y * width[..., None] + x].float()

        if degrees.any():
            windows = _turned(look_up, rows, columns, top, left, h, w, degrees)
        else:
            windows = look_up((top + rows)[..., None], (left + columns)[:, None])  # (N, H, W, C)
        down, across = _resizing(h, len(rows), size), _resizing(w, len(columns), size)  # (N, size, H), (N, size, W)
        across = torch.where(mirrored[..., None].bool(), across.flip(1), across)
        x = down[:, None] @ windows.permute(0, 3, 1, 2) @ across[:, None].mT  # (N, C, size, size) in [0, 255]
        if any(crop.light for _, crop in chosen):
            x = _relit(x, [crop for _, crop in chosen])
        return x.clamp(0, 255) / 127.5 - 1


def _mirror(place: Tensor, side: Tensor) -> Tensor:
    """Coordinates of a photo mirrored at its border pixels: -1 is 1, `side` is side - 2."""
    period = (2 * side - 2).clamp(min=1)
    place = place % period
    return torch.minimum(place, period - place).clamp(max=side - 1)


def _resizing(length: Tensor, longest: int, size: int) -> Tensor:
    """(N, size, longest): how `size` pixels are made of the first `length` (N, 1) ones, as Pillow's BILINEAR does."""
    scale = (length / size)[..., None]  # (N, 1, 1)
    here = torch.arange(longest, device=length.device)
    centre = (torch.arange(size, device=length.device)[:, None] + 0.5) * scale  # (N, size, 1)
    weight = (1 - (here + 0.5 - centre).abs() / scale.clamp(min=1)).clamp(min=0)
    return F.normalize(weight * (here < length[..., None]), p=1, dim=2)


def _turned(
    look_up: LookUp, rows: Tensor, columns: Tensor, top: Tensor, left: Tensor, h: Tensor, w: Tensor, degrees: Tensor
) -> Tensor:
    """(N, H, W, C): windows of photos that are turned about the middle of each, by bicubic interpolation."""
    angle = torch.deg2rad(degrees)[:, None, None]
    y, x = ((rows - (h - 1) / 2)[..., None], (columns - (w - 1) / 2)[:, None])  # from the middle of the window
    y, x = (  # where in the photo
        x * angle.sin() + y * angle.cos() + (top + (h - 1) / 2)[..., None],
        x * angle.cos() - y * angle.sin() + (left + (w - 1) / 2)[..., None],
    )
    above, before = y.floor(), x.floor()
    total: Tensor | float = 0.0
    for j in range(-1, 3):
        for i in range(-1, 3):
            weight = _cubic(y - above - j) * _cubic(x - before - i)
            total = total + weight[..., None] * look_up((above + j).long(), (before + i).long())
    return torch.as_tensor(total).clamp(0, 255)


def _cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    """The weight of a pixel at a distance of less than 2: Keys' kernel, with OpenCV's a."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, far)


def _relit(x: Tensor, crops: Sequence[Crop]) -> Tensor:
    """(N, C, H, W) in [0, 255] in the light of each crop: see `train.data.crops.Light`."""
    ones = (1.0,) * x.shape[1]
    lights = torch.tensor(
        [(c.light.brightness, c.light.contrast, *c.light.gains) if c.light else (1.0, 1.0, *ones) for c in crops],
        device=x.device,
    )[..., None, None]  # (N, 2 + C, 1, 1)
    brightness, contrast, gains = lights[:, :1], lights[:, 1:2], lights[:, 2:]
    middle = brightness * x.mean((1, 2, 3), keepdim=True)
    return middle + contrast * (gains * x - middle)
