"""Pictures in, tensors out, and back: PIL images on one side, (1, C, H, W) in [-1, 1] on the other.

Everything odd about files ends here: beyond this module a picture is upright, opaque, 8 bits deep and bare of metadata.
"""

import contextlib
import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin
from torch import Tensor

from unit.messages import MessageError

MAX_PIXELS = 100_000_000
MAX_METADATA = 2**26  # bytes, unpacked: of text and colour profiles in a PNG. Editing histories are often 2 MB.
SYSTEM_FOLDERS = frozenset({"@eadir", "__macosx", "$recycle.bin", "system volume information"})  # thumbnails, remains
Photo = str | Path | Image.Image | np.ndarray | bytes | IO[bytes]  # whatever `load_image` takes

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_METADATA
# Pillow warns of pictures that it fears are bombs. `load_image` refuses those by MAX_PIXELS, before they are decoded.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# It also warns, in the words of a programmer, of metadata that nobody asked for in photos that it reads all the same.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow's own reader of TIFF takes 16-bit colours that are stored plane by plane for 8-bit ones; libtiff does not.
TiffImagePlugin.READ_LIBTIFF = True

with contextlib.suppress(ImportError):  # the pictures of some phones, for whoever has installed the reader
    import pillow_heif

    pillow_heif.register_heif_opener()

# Named, so that a file from a stranger never reaches Pillow's rarer readers (one of which runs Ghostscript).
# Pillow may be built without some of them.
Image.init()
_KNOWN = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF", "PPM")
FORMATS = tuple(f for f in _KNOWN if f in Image.OPEN)
SUFFIXES = frozenset(s for s, f in Image.registered_extensions().items() if f in FORMATS)  # ".jpg", ".png", ...


TOO_LARGE = "{name} is too large: at most {millions} million pixels are taken, so make it smaller."
DAMAGED = "{name} is damaged or cut short: try another copy of it."


class ImageError(MessageError):
    """A picture cannot be used. The message is one sentence for the person who chose it, without folder names."""


def is_photo_folder(name: str) -> bool:
    """Whether a folder may hold somebody's photos: not if it is hidden, or a system keeps its thumbnails there."""
    return not name.startswith(".") and name.lower() not in SYSTEM_FOLDERS


def load_image(source: Photo, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A file or an image of any mode -> a new RGB image: upright, on white where it was transparent, no metadata.

    source: a path, a PIL image, an array of uint8 (H, W), (H, W, 3) or (H, W, 4), or the bytes of a picture file, also
    as an open file.

    Colours become sRGB where a colour profile, or the gamma of a PNG, says that they are others. Of an animation the
    first frame is taken, on white where it does not reach. 16-bit grey (0..65535) is divided by 257; of 16-bit colour,
    which Pillow has no mode for, the upper byte is left, at most a level from that. The modes I and F declare no range:
    values of F within 0..1 are shares of white, those within 0..255 are taken as they are, and others are stretched
    from their minimum and maximum.

    Raises ImageError for what is missing, empty, damaged, not a picture, or over `max_pixels`; and MemoryError.
    """
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        return _upright_rgb(source, "The picture", max_pixels)
    name = (Path(source).name if isinstance(source, str | Path) else "") or "The picture"
    try:
        with Image.open(_file(source, name), formats=FORMATS) as image:
            if getattr(image, "default_image", False):  # what a PNG shows to programs that know no animations
                image.seek(1)
            return _upright_rgb(image, name, max_pixels)
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(TOO_LARGE, name=name, millions=max_pixels // 1_000_000) from error
    except Image.UnidentifiedImageError as error:
        raise ImageError("{name} is not a picture this program can read: try a JPEG or PNG file.", name=name) from error
    except FileNotFoundError as error:
        raise ImageError("There is no file {name}.", name=name) from error
    except PermissionError as error:
        raise ImageError("{name} may not be read: check its permissions.", name=name) from error
    except Exception as error:  # Pillow's readers raise nearly anything when the header of a file lies
        raise ImageError(DAMAGED, name=name) from error


def _from_array(pixels: np.ndarray) -> Image.Image:
    channels = pixels.shape[2:] or (1,)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or channels[0] not in (1, 3, 4) or 0 in pixels.shape:
        raise ImageError(
            "An array of {dtype} with shape {shape} is no picture: "
            "give uint8 with shape (H, W), (H, W, 3) or (H, W, 4).",
            dtype=pixels.dtype,
            shape=pixels.shape,
        )
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and channels[0] == 1 else pixels)


def _file(source: object, name: str) -> Path | IO[bytes]:
    """What Pillow opens. Raises ImageError for what is no file, and OSError."""
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            raise ImageError("{name} is a folder, not a picture.", name=name)
        if path.stat().st_size == 0:
            raise ImageError("{name} is empty.", name=name)
        return path
    if isinstance(source, bytes | bytearray | memoryview):
        if not len(source):
            raise ImageError("{name} is empty.", name=name)
        return io.BytesIO(source)
    if hasattr(source, "read") and hasattr(source, "seek"):
        return source  # type: ignore[return-value]
    raise ImageError("{name} is no picture: give a path, a PIL image, an array or a file.", name=type(source).__name__)


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
    levels = to_levels(x.detach().reshape(x.shape[-3:]).cpu())
    pixels = levels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def to_levels(x: Tensor) -> Tensor:
    """[-1, 1] -> the nearest of the whole numbers 0 to 255, as float32 of the same shape. What lies outside is clamped.

    What is not a number stays so.
    """
    return x.float().add(1).mul_(127.5).round_().clamp_(0, 255)


def quantize(x: Tensor) -> Tensor:
    """Pictures of any shape in [-1, 1] as they come back from a file of 8 bits: float32, one of 256 levels each."""
    return to_levels(x).div_(127.5).sub_(1)


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
        raise ImageError(TOO_LARGE, name=name, millions=max_pixels // 1_000_000)
    if image.width * image.height == 0:
        raise ImageError("{name} has no pixels.", name=name)
    tiles = getattr(image, "tile", None)  # of a file that is not decoded yet
    stored = _stored(tiles[0][3]) if tiles else ""
    covered = tiles[0][1] if tiles and image.format == "GIF" else None  # whose frames may be smaller than the picture
    negative = image.format == "TIFF" and image.mode[0] in "IF" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise ImageError(DAMAGED, name=name) from error
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")  # a 16-bit PGM
    if covered and covered != (0, 0, *image.size):
        image = _with_nothing_around(image, covered)
    try:
        rgb = _rgb(_upright(image), sixteen, stored, negative)
    except ValueError as error:
        raise ImageError(
            "{name} has the colour mode {mode}, which cannot be read as RGB.", name=name, mode=image.mode
        ) from error
    rgb.info = {}  # no EXIF, no place, no comment: nothing of it can reach a file made from this picture
    return rgb


def _stored(arguments: object) -> str:
    """How the pixels of a file are, as Pillow's decoder is told: "RGB;16B"."""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _with_nothing_around(image: Image.Image, covered: tuple[int, int, int, int]) -> Image.Image:
    """The part of the picture that its frame covers. Pillow fills the rest with the palette's first colour."""
    whole = Image.new("RGBA", image.size)
    whole.paste(image.crop(covered).convert("RGBA"), covered)
    return whole


_TURNS = {  # by the EXIF orientation, from 2 to 8
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def _upright(image: Image.Image) -> Image.Image:
    """As it is meant to be seen. Only the orientation is read: Pillow's own function also writes the metadata anew,
    and would leave a photo on its side because of another entry that cannot be written.
    """
    turn = None
    with contextlib.suppress(Exception):  # EXIF that cannot be read is no reason to refuse a photo
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image, sixteen: bool, stored: str, negative: bool) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        grey = _eight_bit(image, sixteen, unsigned=stored.startswith("I;32N"))
        if negative:
            grey = Image.fromarray(255 - np.asarray(grey))
        grey.info = dict(image.info)  # for its colour profile
        rgb = _srgb(grey).convert("RGB")
        see_through = image.info.get("transparency")
        if isinstance(see_through, int):
            rgb.paste("white", mask=Image.fromarray(np.asarray(image) == see_through))
        return rgb
    if image.has_transparency_data:
        _scale_transparency(image, stored)
        image = _srgb(image.convert("RGBA"))
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return _srgb(image.convert("RGB") if image.mode == "P" else image).convert("RGB")


def _scale_transparency(image: Image.Image, stored: str) -> None:
    """A PNG names its transparent colour in the depth of its file; Pillow's pixels are 8 bits deep."""
    colour = image.info.get("transparency")
    if stored.endswith("16B") and isinstance(colour, tuple):  # a colour whose lower byte alone differs goes with it
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    if image.mode in ("1", "L") and isinstance(colour, int) and stored in ("1", "L;2", "L;4"):
        image.info["transparency"] = colour * {"1": 255, "L;2": 85, "L;4": 17}[stored]


def _srgb(image: Image.Image) -> Image.Image:
    """The colours that the profile in it means, which phones and cameras write; as they are, where that is none."""
    if not (profile := image.info.get("icc_profile")):
        return _from_gamma(image)
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # no reason to refuse a photo
        meant = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode in ("RGB", "RGBA") and _changes_little(meant):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        image = ImageCms.profileToProfile(image, meant, ImageCms.createProfile("sRGB"), outputMode=mode) or image
    return image


def _from_gamma(image: Image.Image) -> Image.Image:
    """The colours that the gamma of a PNG means. Programs that render write 1, and without it all is too dark.

    About 1 / 2.2 is what programs write that mean sRGB, as it is.
    """
    gamma = image.info.get("gamma", 0)
    if image.mode not in ("L", "RGB", "RGBA") or "srgb" in image.info or not gamma > 0.01 or 0.43 < gamma < 0.48:
        return image
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    levels = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    table = levels.round().astype(int).tolist()
    return image.point(table * min(len(image.getbands()), 3) + list(range(256)) * (image.mode == "RGBA"))


def _changes_little(profile: ImageCms.ImageCmsProfile) -> bool:
    """Whether a profile of colours is sRGB's own, whatever it is called: no colour moves by more than two levels."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    seen = ImageCms.profileToProfile(
        Image.fromarray(colours), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return seen is not None and int(np.abs(np.asarray(seen, int) - colours).max()) <= 2


def _eight_bit(image: Image.Image, sixteen: bool, unsigned: bool) -> Image.Image:
    values = np.asarray(image)
    if unsigned:  # which Pillow has no mode for: it takes large values for negative ones
        values = values.view(np.uint32)
    if sixteen:
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))  # to the nearest
    values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)  # F may hold anything
    low, high = values.min(), values.max()
    if image.mode == "F" and low >= 0 and high <= 1:
        values = values * 255
    elif low < 0 or high > 255:
        values = (values - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
