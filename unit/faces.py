"""A face in a photo: where it probably is, the square around it cut out, and what was drawn of it put back.

For models of aligned pictures (`UNITConfig.aligned`), which can only draw a face that fills their picture as the
faces of their training photos did.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from unit.finder import find_heads

FEATHER = 0.4  # of the way from the middle of a box to its edge: how soon a drawing fades in
SMALLEST = 16  # pixels: no face is to be seen in a smaller box


class Box(NamedTuple):
    """A square in a photo, in whole pixels. It may reach beyond the photo's borders."""

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, centre_x: float, centre_y: float, side: float, size: tuple[int, int]) -> "Box":
        """The box of about that centre and side, in pixels, which makes sense in a photo of `size` (width, height).

        Its centre is in the photo. Its side is SMALLEST or more, and at most the photo's longer side and one and a half
        times its shorter one: beyond that most of it would be mirrored.
        """
        width, height = size
        largest = min(max(size), 3 * min(size) // 2)
        side = round(min(max(side, SMALLEST), largest))
        x, y = min(max(centre_x, 0), width), min(max(centre_y, 0), height)
        return cls(round(x - side / 2), round(y - side / 2), side)

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.side / 2, self.top + self.side / 2


def centred(size: tuple[int, int]) -> Box:
    """The largest square in the middle of a photo of `size` (width, height)."""
    width, height = size
    side = min(size)
    return Box((width - side) // 2, (height - side) // 2, side)


def find_faces(image: Image.Image) -> list[Box]:
    """Squares around the heads of cats and dogs in an RGB photo, as the training photos were cropped.

    The largest comes first, unless another is much surer: a striped flank may pass for a head, but not for a sure one.
    The same photo always gets the same boxes, and threads may call at once. What finds them, and how well it does:
    `unit.finder`.
    """
    heads = sorted(find_heads(image), key=lambda head: -head.side * head.score**4)
    return [Box.around(head.centre_x, head.centre_y, head.side, image.size) for head in heads]


def find_face(image: Image.Image) -> Box:
    """A first guess where the face is in an RGB photo: the first that is found, else the square in the middle."""
    return next(iter(find_faces(image)), centred(image.size))


def crop_box(photo: Image.Image, box: Box) -> Image.Image:
    """The square of an RGB photo that lies in the box; beyond the photo's borders it is mirrored."""
    pixels = np.asarray(photo)
    rows, columns = (
        _mirrored(np.arange(first, first + box.side), length)
        for first, length in ((box.top, photo.height), (box.left, photo.width))
    )
    return Image.fromarray(pixels[rows[:, None], columns])


def paste(photo: Image.Image, drawing: Image.Image, box: Box) -> Image.Image:
    """A new picture: the photo with a drawing of `crop_box(photo, box)` where it was cut out.

    Both are RGB. A drawing of another size is scaled to the box. It fades in from an oval, and near that it takes on
    the photo's light and colours, so that there is no edge to be seen. Outside of the box the photo stays as it is.
    """
    square = (box.side, box.side)
    if drawing.size != square:
        drawing = drawing.resize(square, Image.Resampling.LANCZOS)
    mask = np.asarray(_mask().resize(square, Image.Resampling.BILINEAR), np.float32)[..., None] / 255
    there, here = (np.asarray(image, np.float32) for image in (crop_box(photo, box), drawing))
    matched = here + (1 - mask) * _at_the_rim(there - here, mask)
    blended = there + mask * (matched - there)
    result = photo.copy()
    result.paste(Image.fromarray(blended.round().clip(0, 255).astype(np.uint8)), (box.left, box.top))
    return result


def _at_the_rim(difference: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What a picture must be added to be as its surroundings at the rim of a mask, smoothly from there inwards.

    difference: (H, W, 3). mask: (H, W, 1), 0 outside to 1 inside. A mean over a wide Gaussian window, in which only the
    rim counts: where the mask is neither 0 nor 1.
    """
    weight = 4 * mask * (1 - mask) + 1e-4
    side = 32  # enough for what is this smooth
    place = np.arange(side, dtype=np.float32)
    blur = np.exp(-(((place[:, None] - place) / 4) ** 2))

    def smooth(plane: np.ndarray) -> np.ndarray:
        small = np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BOX))
        return blur @ small @ blur.T

    total = smooth(weight[..., 0])
    colours = [smooth(np.ascontiguousarray(plane)) / total for plane in np.moveaxis(difference * weight, 2, 0)]
    size = (mask.shape[1], mask.shape[0])
    return np.stack([np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BILINEAR)) for c in colours], 2)


def _mirrored(i: np.ndarray, length: int) -> np.ndarray:
    """Any whole numbers -> 0..length - 1, as if there were mirrors at both ends: -1 is 0, `length` is length - 1."""
    i = i % (2 * length)
    return np.minimum(i, 2 * length - 1 - i)


def _mask(side: int = 256) -> Image.Image:
    """How much of a drawing is shown, 0..255: all of it in the middle, nothing along the edge and in the corners."""
    x = np.abs(np.linspace(-1, 1, side, dtype=np.float32))
    radius = (x[:, None] ** 3 + x**3) ** (1 / 3)  # 1 along something between a circle and a square
    t = ((1 - radius) / FEATHER).clip(0, 1)
    return Image.fromarray((255 * t * t * (3 - 2 * t)).round().astype(np.uint8))
