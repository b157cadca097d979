"""Squares without black corners out of aligned photos: python -m train squares FOLDER TARGET --sides 178 158 138"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm
from tyro.conf import Positional

from train.command import command
from train.data.check import FOLDERS
from train.data.source import list_photos
from unit.checkpoint import write_atomic
from unit.formats import encoded
from unit.images import ImageError, load_image

BLACK = 10  # grey levels: below it in all colours, a pixel is black
SHARE = 0.02  # of a square that may be


def square(photo: Image.Image, sides: Sequence[int], share: float = SHARE) -> Image.Image | None:
    """The first of the centred squares with `sides` of which less than `share` is black; None if there is none."""
    for side in sides:
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        if left < 0 or top < 0:
            continue
        found = photo.crop((left, top, left + side, top + side))
        if (np.asarray(found).max(-1) < BLACK).mean() < share:
            return found
    return None


@command("squares")
def main(source: Positional[Path], target: Positional[Path], *, sides: list[int]) -> None:
    """Cut squares out of aligned photos.

    Of each photo the largest centred square of these sides that is not black in its corners, as alignment leaves them.
    A training photo without one is left out; of a test photo, which results are counted on, the smallest is taken then.

    Args:
        source: Folder with trainA, trainB and, if there are any, testA, testB.
        target: Folder to write the same folders of PNG files to.
        sides: In pixels, the one to prefer first, for example 178 158 138.
    """
    if target.resolve() == source.resolve():
        raise ValueError("the squares would take the place of the photos: name another folder for them")
    if not sides or min(sides) < 1:
        raise ValueError(f"--sides {min(sides, default='is empty')}: a side is 1 pixel or more")
    folders = [folder for folder in sorted(source.glob("t*")) if folder.name in FOLDERS]
    if not folders:
        raise ValueError(f"{source} has none of trainA, trainB, testA, testB")
    for folder in folders:
        kept, of = cut_folder(folder, target / folder.name, sides)
        print(f"{folder.name}: {kept} of {of} photos kept")


def cut_folder(folder: Path, target: Path, sides: Sequence[int]) -> tuple[int, int]:
    """Write the squares of a folder's photos. Returns how many were kept, and of how many.

    Raises ValueError, with what to do, for two photos that would become one file and for what cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{target} cannot be made: {error.strerror}") from None
    paths = list_photos(folder)
    files = {path: (target / path.relative_to(folder)).with_suffix(".png") for path in paths}
    again = Counter(files.values()).most_common(1)
    if again and again[0][1] > 1:
        raise ValueError(f"{folder} has two photos that would both become {again[0][0]}: give one another name")
    kept = 0
    for path, file in tqdm(files.items(), desc=folder.name, unit="photo"):
        try:
            photo = load_image(path)
        except ImageError as error:
            tqdm.write(f"{folder.name}: {error} It is left out.", file=sys.stderr)
            continue
        found = square(photo, sides)
        if found is None and folder.name.startswith("test"):
            found = square(photo, sides[-1:], share=1.01)
        if found is not None:
            write_square(file, found)
            kept += 1
    return kept, len(paths)


def write_square(file: Path, found: Image.Image) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, encoded(found, ".png"))
    except OSError as error:
        raise ValueError(f"{file} cannot be written ({error.strerror}). The squares before it are whole.") from None
