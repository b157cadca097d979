"""Random crops: planned by pure functions of a seed, so that whatever makes them makes the same."""

import math
import random
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from train.data.store import RATIO, Recipe
from unit.images import to_tensor


class Light(NamedTuple):
    """Other light: pixels become brightness * mean + contrast * (gain * pixels - brightness * mean)."""

    brightness: float
    contrast: float
    gains: tuple[float, ...]  # of each channel, times the brightness


class Crop(NamedTuple):
    """What is shown of a photo, and how. Stores on the disk and on the device make the same pixels of the same plan."""

    top: int  # the window, in pixels of the photo
    left: int
    height: int
    width: int
    degrees: float  # by which the photo is turned about the middle of the window
    light: Light | None  # None: as it is
    mirrored: bool


def plan_crop(
    height: int, width: int, recipe: Recipe, draw: random.Random, rotate: float = 0.0, jitter: float = 0.0
) -> Crop:
    """A random crop of a photo of height x width pixels.

    rotate: largest angle in degrees. jitter: largest share by which brightness, contrast and each channel change.
    """
    window = random_window(height, width, recipe.min_crop, draw)
    degrees = draw.uniform(-rotate, rotate) if rotate else 0.0
    light = None
    if jitter:
        brightness, contrast = 1 + draw.uniform(-jitter, jitter), 1 + draw.uniform(-jitter, jitter)
        gains = tuple(brightness * (1 + draw.uniform(-jitter, jitter) / 2) for _ in range(recipe.channels))
        light = Light(brightness, contrast, gains)
    return Crop(*window, degrees, light, mirrored=draw.random() < 0.5)


def take_crop(photo: np.ndarray, crop: Crop, recipe: Recipe) -> Tensor:
    """uint8 (H, W) or (H, W, 3) -> (1, C, size, size) in [-1, 1]: the window, turned, resized, relit and mirrored."""
    image = _turned(photo, *crop[:5])
    image = image.resize((recipe.size, recipe.size), Image.Resampling.BILINEAR)  # with antialiasing, as Pillow's is
    if crop.light:
        image = _relit(image, crop.light)
    return to_tensor(ImageOps.mirror(image) if crop.mirrored else image, recipe.channels)


def _turned(photo: np.ndarray, top: int, left: int, height: int, width: int, degrees: float) -> Image.Image:
    """A window of the photo turned about its middle, at the photo's resolution, the photo mirrored at its borders."""
    if not degrees:
        return Image.fromarray(photo[top : top + height, left : left + width])
    to_middle = cv2.getRotationMatrix2D((left + (width - 1) / 2, top + (height - 1) / 2), degrees, 1.0)
    to_middle[:, 2] -= left, top  # the window's corner becomes the origin
    turned = cv2.warpAffine(photo, to_middle, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return Image.fromarray(turned)


def _relit(image: Image.Image, light: Light) -> Image.Image:
    """An 8-bit image in other light, channel by channel through a table of its 256 levels."""
    middle, levels = light.brightness * np.asarray(image).mean(), np.arange(256)
    tables = [middle + light.contrast * (gain * levels - middle) for gain in light.gains]
    return image.point(np.concatenate(tables).round().clip(0, 255).astype(int).tolist())


def random_window(height: int, width: int, min_crop: float, draw: random.Random) -> tuple[int, int, int, int]:
    """(top, left, height, width) of at least `min_crop` of the area, in a shape from 4:5 to 5:4.

    For photos so long that ten tries do not fit, the middle of them.
    """
    for _ in range(10):
        area = height * width * draw.uniform(min_crop, 1)
        ratio = math.exp(draw.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return draw.randint(0, height - h), draw.randint(0, width - w), h, w
    h, w = min(height, round(width / RATIO[0])), min(width, round(height * RATIO[1]))
    return (height - h) // 2, (width - w) // 2, h, w
