"""Drawings as files: the formats they can have, how long a side each can hold, and how they are written."""

import contextlib
import io
import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

CHOICES = {"jpg": ".jpg", "png": ".png", "webp": ".webp"}  # what --format offers, and how such files are called
WRITABLE = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"
}  # fmt: skip
LONGEST = {"JPEG": 65_500, "WEBP": 16_383}  # pixels a side: what their encoders take; the others take any picture
QUALITY = 95  # percent: no difference can be seen, and the file is a third of a PNG
# A PNG would not bring back what these have lost, and would take several times their room.
_ALIKE = {"JPEG": ".jpg", "MPO": ".jpg", "HEIF": ".jpg", "AVIF": ".jpg", "WEBP": ".webp"}


def suffix_like(photo: Path) -> str:
    """How the drawing of a photo is called if nobody says: a JPEG's is a JPEG, and that of a lossless file a PNG."""
    return _ALIKE.get(Image.registered_extensions().get(photo.suffix.lower(), ""), ".png")


def has_quality(suffix: str) -> bool:
    """Whether such files are smaller, and worse, the lower the quality is that they are written with."""
    return WRITABLE[suffix.lower()] in ("JPEG", "WEBP")


def check_size(size: tuple[int, int], suffix: str) -> None:
    """Raise ValueError if no such file can hold a picture of (width, height): before it is drawn, not after."""
    kind = WRITABLE[suffix.lower()]
    if max(size) > (longest := LONGEST.get(kind, max(size))):
        raise ValueError(
            f"{size[0]} x {size[1]} pixels are too many for a {kind} file, which holds {longest} a side: "
            "write a PNG (--format png, or a name that ends in .png)."
        )


def encoded(image: Image.Image, suffix: str, quality: int = QUALITY, mark: bytes = b"") -> bytes:
    """A file of that kind. It ends with `mark`, if there is one, in a place that programs that edit pictures drop."""
    kind, file, chunks = WRITABLE[suffix.lower()], io.BytesIO(), PngInfo()
    if mark and kind == "PNG":  # small and capital letters of the name ask for that; 16 bytes of every PNG follow
        chunks.add(b"unIT", mark, after_idat=True)
    image.save(file, kind, quality=quality, subsampling=0, pnginfo=chunks)  # of which each format takes its own
    return file.getvalue() + (mark if kind != "PNG" else b"")  # what follows a picture's end is not looked at


def is_marked(path: Path, mark: bytes) -> bool:
    """Whether `path` is a file that `encoded` made with this mark, and is whole."""
    after = 16 if WRITABLE[path.suffix.lower()] == "PNG" else 0  # its CRC, and the chunk that ends every PNG
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(-len(mark) - after, os.SEEK_END)
        return file.read(len(mark)) == mark
    return False
