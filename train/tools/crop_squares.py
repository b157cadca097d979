"""Cut squares out of aligned photos: python -m train squares FOLDER TARGET --sides 178 158 138

Of each photo the largest centred square of these sides that is not black in its corners, as alignment leaves them. A
training photo without one is left out; of a test photo, which results are counted on, the smallest is taken then.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

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


def _file(path: Path, folder: Path, target: Path) -> Path:
    return (target / path.relative_to(folder)).with_suffix(".png")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m train squares", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder with trainA, trainB and, if there are any, testA, testB")
    parser.add_argument("target", type=Path, help="folder to write the same folders of PNG files to")
    parser.add_argument("--sides", type=int, nargs="+", required=True, help="in pixels, the one to prefer first")
    args = parser.parse_args(arguments)
    if args.target.resolve() == args.source.resolve():
        parser.error("the squares would take the place of the photos: name another folder for them")
    if min(args.sides) < 1:
        parser.error(f"--sides {min(args.sides)}: a side is 1 pixel or more")
    folders = [
        folder for folder in sorted(args.source.glob("t*")) if folder.name in ("trainA", "trainB", "testA", "testB")
    ]
    if not folders:
        parser.error(f"{args.source} has none of trainA, trainB, testA, testB")
    for folder in folders:
        target = args.target / folder.name
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"{target} cannot be made: {error.strerror}")
        paths = list_photos(folder)
        again = Counter(_file(path, folder, target) for path in paths).most_common(1)
        if again and again[0][1] > 1:
            parser.error(f"{folder} has two photos that would both become {again[0][0]}: give one another name")
        kept = 0
        for path in tqdm(paths, desc=folder.name, unit="photo"):
            try:
                photo = load_image(path)
            except ImageError as error:
                tqdm.write(f"{folder.name}: {error} It is left out.", file=sys.stderr)
                continue
            found = square(photo, args.sides)
            if found is None and folder.name.startswith("test"):
                found = square(photo, args.sides[-1:], share=1.01)
            if found is not None:
                file = _file(path, folder, target)
                try:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(file, encoded(found, ".png"))
                except OSError as error:
                    print(
                        f"{file} cannot be written ({error.strerror}). The squares before it are whole.",
                        file=sys.stderr,
                    )
                    return 1
                kept += 1
        print(f"{folder.name}: {kept} of {len(paths)} photos kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
