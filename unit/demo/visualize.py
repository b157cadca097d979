"""Pictures made from drawings, for people to look at: how much two of them differ, and many of them as a film."""

import base64
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageChops, ImageOps

HOT = 64  # grey levels: a difference that is drawn as hot as it gets. Fixed, so that heat maps can be compared.
_STOPS = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]])  # dark, red, yellow


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of two pictures of one size: 0 if they are equal, 1 from black to white."""
    return float(_differences(one, other).mean()) / 255


def heat_map(one: Image.Image, other: Image.Image) -> Image.Image:
    """Where two pictures of one size differ, as an RGB picture: dark where they agree, yellow from HOT levels on."""
    heat = np.minimum(_differences(one, other) / HOT, 1)
    places = np.linspace(0, 1, len(_STOPS))
    return Image.fromarray(np.stack([np.interp(heat, places, stop) for stop in _STOPS.T], -1).astype(np.uint8))


def film(frames: Iterable[Image.Image], seconds: float) -> bytes:
    """Frames of one size as an animated WebP that repeats for ever, each time in `seconds`. At least one frame."""
    first, *others = frames
    file = io.BytesIO()
    duration = round(1000 * seconds / (1 + len(others)))
    # method 2: nearly the smallest file, in a third of the time of the default
    first.save(file, "WEBP", save_all=True, append_images=others, duration=duration, loop=0, quality=80, method=2)
    return file.getvalue()


def thumbnail(before: Image.Image, after: Image.Image, size: tuple[int, int] = (240, 144)) -> str:
    """The left half of a picture and the right half of what became of it, as a data address for a page."""
    one, other = (ImageOps.fit(picture.convert("RGB"), size) for picture in (before, after))
    middle, (width, height) = size[0] // 2, size
    one.paste(other.crop((middle, 0, width, height)), (middle, 0))
    one.paste("white", (middle - 1, 0, middle + 1, height))
    return _address(one)


def whole_thumbnail(picture: Image.Image, size: tuple[int, int] = (240, 144)) -> str:
    """A picture, small, as a data address for a page."""
    return _address(ImageOps.fit(picture.convert("RGB"), size))


def _address(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=75)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _differences(one: Image.Image, other: Image.Image) -> np.ndarray:
    """(H, W) float64 in grey levels, the mean over the colours."""
    if one.size != other.size:
        raise ValueError(f"the pictures have the sizes {one.size} and {other.size}: they must be equal")
    return np.asarray(ImageChops.difference(one.convert("RGB"), other.convert("RGB")), np.float64).mean(-1)
