"""Photos as training needs them: decoded, upright, in the channels of their domain, no larger than the crops can use.

A domain's photos are kept in one file in the user's cache folder, which any number of processes map. What is not kept
is made from its file each time, and is the same to the bit: whether there is a cache changes the speed and no picture.
"""

import contextlib
import errno
import hashlib
import itertools
import json
import math
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image
from tqdm import tqdm

from unit.checkpoint import write_atomic
from unit.images import FORMATS, ImageError, load_image
from unit.system import lock

RATIO = (4 / 5, 5 / 4)  # of a crop's width to its height
SPARE = 2**30  # bytes of the disk that are left free: checkpoints need room too
DECODER = 4  # one more whenever `load_image` or `decode` makes other pixels of a file
TOGETHER = 64  # photos in memory at once while a cache is filled


class Recipe(NamedTuple):
    """All that decides what is made of a file."""

    channels: int  # 1 grey, 3 colour
    size: int  # side of the crops
    min_crop: float  # smallest share of the area that a crop covers


class Look(NamedTuple):
    """What was found on looking at a file that can be read."""

    mode: str  # Pillow's name for how its pixels are stored
    side: int  # the shorter one, before scaling
    height: int  # after scaling
    width: int

    def shape(self, recipe: Recipe) -> tuple[int, ...]:
        return (self.height, self.width) if recipe.channels == 1 else (self.height, self.width, 3)


class Kept(NamedTuple):
    """A domain's photos in the cache."""

    pixels: Path  # the file
    looks: list[Look | str]  # what was found for each photo; a str says what is wrong with it
    offsets: list[int]  # where each begins in the file, and where the last one ends


@dataclass(frozen=True)
class Photos:
    """The photos of a domain. `photos[i]` is the i-th path: uint8 (H, W), or (H, W, 3) in colour; or ImageError."""

    paths: list[Path]
    recipe: Recipe
    kept: Kept | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> np.ndarray:
        if self.kept:
            look = self.kept.looks[i]
            if isinstance(look, str):
                raise ImageError(look)
            with contextlib.suppress(OSError, ValueError):  # somebody may have emptied the cache
                return np.memmap(self.kept.pixels, np.uint8, "r", self.kept.offsets[i], look.shape(self.recipe))
        return decode(self.paths[i], self.recipe)


def decode(path: Path, recipe: Recipe) -> np.ndarray:
    """A file -> uint8 (H, W), or (H, W, 3) in colour. Raises ImageError."""
    image = load_image(path).convert("L" if recipe.channels == 1 else "RGB")
    if (scale := useful_scale(*image.size, recipe)) < 1:
        width, height = (math.ceil(scale * side) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.asarray(image)


def useful_scale(width: int, height: int, recipe: Recipe) -> float:
    """By how much a photo can be made smaller without any crop of it having to be enlarged; above 1: not at all.

    The narrowest crop is that of the smallest share of the area, with one side 4/5 of the other; of a long photo, it is
    as high as the photo.
    """
    narrowest = math.sqrt(width * height * recipe.min_crop * RATIO[0])
    return recipe.size / min(narrowest, width, height)


def look_through(paths: list[Path], recipe: Recipe, *, cache: bool, name: str) -> tuple[list[Look | str], str]:
    """Decode every photo, and with `cache` keep them; those that are kept already are not decoded again.

    Returns what was found for each path, and a note on the cache for people. Where nothing can be kept (no room, no
    permission), the note says why.
    """
    note = "read from the files each time"
    if cache:
        try:
            folder = cache_folder(paths, recipe)
            kept = _open(folder, paths, recipe)
            if kept and _mended(paths, kept, recipe):
                (folder / "index.json").unlink(missing_ok=True)
                kept = None
            kept = kept or _fill(folder, paths, recipe, name)
            return kept.looks, f"kept decoded in {folder} ({kept.offsets[-1] / 1e6:.0f} MB)"
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
            note += f", because they cannot be cached: {getattr(error, 'strerror', None) or error}"
    return [look for look, _ in _look_at(paths, recipe, name)], note


def open_photos(paths: list[Path], recipe: Recipe, *, cache: bool) -> Photos:
    """Photos, from the cache if `look_through` has left them there."""
    with contextlib.suppress(OSError, RuntimeError):
        return Photos(paths, recipe, _open(cache_folder(paths, recipe), paths, recipe) if cache else None)
    return Photos(paths, recipe)


def cache_home() -> Path:
    """Where this program may keep what it can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unit"


def cache_folder(paths: list[Path], recipe: Recipe) -> Path:
    """Where these photos are kept: elsewhere as soon as a file, its permissions, the recipe or the decoder change."""
    digest = hashlib.blake2b(repr((recipe, PIL.__version__, DECODER)).encode(), digest_size=12)
    for path in paths:
        stat = path.stat() if path.exists() else None
        found = stat and (stat.st_size, stat.st_mtime_ns, os.access(path, os.R_OK))
        digest.update(repr((str(path.absolute()), found)).encode())
    return cache_home() / "photos" / digest.hexdigest()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time is inside, where files can be locked."""
    with open(path, "a") as file:
        if not lock(file):
            tqdm.write(f"waiting for another process that is filling {path.parent}")
            lock(file, wait=True)
        yield


def need_room(folder: Path, wanted: float) -> None:
    """Raises OSError if writing that many bytes would leave the disk nearly full."""
    if (free := shutil.disk_usage(folder).free) < wanted + SPARE:
        raise OSError(
            errno.ENOSPC, f"{wanted / 1e9:.1f} GB more are needed in {folder}, and {free / 1e9:.1f} GB are free"
        )


def _fill(folder: Path, paths: list[Path], recipe: Recipe, name: str) -> Kept:
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if kept := _open(folder, paths, recipe):  # another process has done it meanwhile
            return kept
        for left in folder.glob("*.partial"):  # by a process that was killed
            left.unlink()
        looks, partial = [], folder / f"pixels.{os.getpid()}.partial"  # its own, where files cannot be locked
        try:
            with partial.open("wb") as file:
                for look, pixels in _look_at(paths, recipe, name):
                    if pixels is not None:
                        file.write(pixels.data)
                    looks.append(look)
                    if len(looks) % TOGETHER == 0:
                        need_room(folder, file.tell() / len(looks) * (len(paths) - len(looks)))
                file.flush()
                os.fsync(file.fileno())  # before there is an index that says it is whole
            partial.replace(folder / "pixels")
            write_atomic(folder / "index.json", json.dumps(looks).encode())
        finally:
            partial.unlink(missing_ok=True)
        return Kept(folder / "pixels", looks, _offsets(looks, recipe))


def _look_at(paths: list[Path], recipe: Recipe, name: str) -> Iterator[tuple[Look | str, np.ndarray | None]]:
    def look(path: Path) -> tuple[Look | str, np.ndarray | None]:
        try:
            pixels = decode(path, recipe)
            with Image.open(path, formats=FORMATS) as image:  # only the header: decode has seen to the rest
                return Look(image.mode, min(image.size), *pixels.shape[:2]), pixels
        except ImageError as error:
            return str(error), None

    threads = min(8, os.cpu_count() or 1)  # each holds a whole photo, of up to half a gigabyte
    with tqdm(total=len(paths), desc=f"checking {name}", leave=False) as bar, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), TOGETHER):
            for found in pool.map(look, paths[start : start + TOGETHER]):
                bar.update()
                yield found


def _open(folder: Path, paths: list[Path], recipe: Recipe) -> Kept | None:
    """None unless all of the photos are there."""
    try:
        rows = json.loads((folder / "index.json").read_bytes())
        looks: list[Look | str] = [row if isinstance(row, str) else Look(*row) for row in rows]
        kept = Kept(folder / "pixels", looks, _offsets(looks, recipe))
        return kept if len(looks) == len(paths) and kept.pixels.stat().st_size == kept.offsets[-1] else None
    except (OSError, ValueError, TypeError):
        return None


def _mended(paths: list[Path], kept: Kept, recipe: Recipe) -> bool:
    """Whether a photo that could not be read now can be: then the disk was at fault, and not the file."""
    for path, look in zip(paths, kept.looks, strict=True):
        if isinstance(look, str):
            with contextlib.suppress(ImageError):
                decode(path, recipe)
                return True
    return False


def _offsets(looks: list[Look | str], recipe: Recipe) -> list[int]:
    sizes = (0 if isinstance(look, str) else math.prod(look.shape(recipe)) for look in looks)
    return [0, *itertools.accumulate(sizes)]
