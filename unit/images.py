"""Pictures in, tensors out, and back: PIL images on one side, (1, C, H, W) in [-1, 1] on the other.

Everything odd about files ends here: beyond this module a picture is upright, opaque, 8 bits deep and bare of metadata.
"""

import contextlib
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

MAX_PIXELS = 100_000_000

with contextlib.suppress(ImportError):  # the pictures of some phones, for whoever has installed the reader
    import pillow_heif

    pillow_heif.register_heif_opener()

# Named, so that a file from a stranger never reaches Pillow's rarer readers (one of which runs Ghostscript).
# Pillow may be built without some of them.
Image.init()
_KNOWN = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF", "PPM")
FORMATS = tuple(f for f in _KNOWN if f in Image.OPEN)
SUFFIXES = frozenset(s for s, f in Image.registered_extensions().items() if f in FORMATS)  # ".jpg", ".png", ...


class ImageError(ValueError):
    """A picture cannot be used. The message is one sentence for the person who chose it, without folder names."""


def load_image(source: str | Path | Image.Image, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A file or an image of any mode -> a new RGB image: upright, on white where it was transparent, no metadata.

    Colours become sRGB where a colour profile says that they are others. Of an animation the first frame is taken.
    16-bit grey (0..65535) is divided by 257; of 16-bit colour, which Pillow has no mode for, the upper byte is left, at
    most a level from that. The modes I and F declare no range: their values are taken as they are within 0..255, and
    otherwise stretched from their minimum and maximum.

    Raises ImageError for what is missing, empty, damaged, not a picture, or over `max_pixels`; and MemoryError.
    """
    if isinstance(source, Image.Image):
        return _upright_rgb(source, "The picture", max_pixels)
    path = Path(source)
    name = path.name or "The picture"
    try:
        if path.is_dir():
            raise ImageError(f"{name} is a folder, not a picture.")
        if path.stat().st_size == 0:
            raise ImageError(f"{name} is empty.")
        with Image.open(path, formats=FORMATS) as image:
            return _upright_rgb(image, name, max_pixels)
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large(name, max_pixels)) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a picture this program can read: try a JPEG or PNG file.") from error
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {name}.") from error
    except PermissionError as error:
        raise ImageError(f"{name} may not be read: check its permissions.") from error
    except Exception as error:  # Pillow's readers raise nearly anything when the header of a file lies
        raise ImageError(_damaged(name)) from error


def to_tensor(image: Image.Image, channels: int) -> Tensor:
    """An image of any 8-bit mode -> (1, channels, H, W) float32 in [-1, 1], on the CPU. channels: 1 grey, 3 colour."""
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}: it must be 1 (grey) or 3 (colour)")
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
    x = torch.from_numpy(pixels).view(image.height, image.width, channels).permute(2, 0, 1)[None]
    return x.float().div_(127.5).sub_(1)


def to_image(x: Tensor) -> Image.Image:
    """(C, H, W) or (1, C, H, W), 1 or 3 channels, in [-1, 1] -> an L or RGB image. What lies outside is clamped.

    The inverse of `to_tensor` for all 256 values, and never a contrast stretch: colours are the network's own.
    """
    x = x.detach().reshape(x.shape[-3:]).to("cpu", torch.float32)
    pixels = x.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def pad_to_multiple(x: Tensor, multiple: int, margin: int = 0) -> tuple[Tensor, tuple[slice, slice]]:
    """Grow (N, C, H, W) by `margin` pixels all round, and more below and right until the sides divide by `multiple`.

    The picture is mirrored at its edges; where it is too small to mirror, its edge is repeated. Give a margin that is
    itself a multiple, and the picture keeps its place on the grid of latent pixels. A margin of some pixels keeps the
    zeros with which convolutions pad away from the picture.

    Returns the padded tensor and the two slices that cut the picture out again: `padded[..., rows, columns]`.
    """
    height, width = x.shape[-2:]
    rows, columns = (_mirror(side, multiple, margin).to(x.device) for side in (height, width))
    padded = x.index_select(-2, rows).index_select(-1, columns)
    return padded, (slice(margin, margin + height), slice(margin, margin + width))


class Padded:
    """A photo as `pad_to_multiple` would make it, of which only the windows that are asked for become floats."""

    def __init__(self, image: Image.Image, channels: int, multiple: int, margin: int = 0):
        """image: of any 8-bit mode, not copied. channels: 1 grey, 3 colour."""
        self._image, self._channels = image, channels
        self._rows, self._columns = (_mirror(side, multiple, margin) for side in (image.height, image.width))
        self.shape = len(self._rows), len(self._columns)  # height, width
        self.crop = slice(margin, margin + image.height), slice(margin, margin + image.width)  # where the photo is

    def __getitem__(self, window: tuple[slice, slice]) -> Tensor:
        """Rows and columns -> (1, channels, rows, columns), float32 in [-1, 1]."""
        rows, columns = self._rows[window[0]], self._columns[window[1]]
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        x = to_tensor(self._image.crop((int(left), int(top), int(right), int(bottom))), self._channels)
        return x.index_select(-2, rows - top).index_select(-1, columns - left)


def _mirror(length: int, multiple: int, margin: int) -> Tensor:
    """Which of `length` pixels is at each place of the side that `pad_to_multiple` makes of them."""
    after = margin + -(length + 2 * margin) % multiple
    place = torch.arange(-margin, length + after)
    if after < length:
        return length - 1 - (length - 1 - place.abs()).abs()
    return place.clamp(0, length - 1)


def _upright_rgb(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    if image.width * image.height > max_pixels:
        raise ImageError(_too_large(name, max_pixels))
    if image.width * image.height == 0:
        raise ImageError(f"{name} has no pixels.")
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageError(_damaged(name)) from error
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")  # a 16-bit PGM
    with contextlib.suppress(Exception):  # EXIF that cannot be read is no reason to refuse a photo
        image = ImageOps.exif_transpose(image)
    try:
        rgb = _rgb(image, sixteen)
    except ValueError as error:
        raise ImageError(f"{name} has the colour mode {image.mode}, which cannot be read as RGB.") from error
    rgb.info = {}  # no EXIF, no place, no comment: nothing of it can reach a file made from this picture
    return rgb


def _rgb(image: Image.Image, sixteen: bool) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _eight_bit(image, sixteen).convert("RGB")
    if image.has_transparency_data:
        image = _srgb(image.convert("RGBA"))
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return _srgb(image.convert("RGB") if image.mode == "P" else image).convert("RGB")


def _srgb(image: Image.Image) -> Image.Image:
    """The colours that the profile in it means, which phones and cameras write; as they are, where that is none."""
    if not (profile := image.info.get("icc_profile")):
        return image
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # no reason to refuse a photo
        meant = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(meant):
            mode = "RGBA" if image.mode == "RGBA" else "RGB"
            image = ImageCms.profileToProfile(image, meant, ImageCms.createProfile("sRGB"), outputMode=mode) or image
    return image


def _eight_bit(image: Image.Image, sixteen: bool) -> Image.Image:
    values = np.asarray(image)
    if sixteen:
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))  # to the nearest
    values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)  # F may hold anything
    low, high = values.min(), values.max()
    if low < 0 or high > 255:
        values = (values - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _too_large(name: str, max_pixels: int) -> str:
    return f"{name} is too large: at most {max_pixels // 1_000_000} million pixels are taken, so make it smaller."


def _damaged(name: str) -> str:
    return f"{name} is damaged or cut short: try another copy of it."
