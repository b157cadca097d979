"""Which kinds of photos a model has learnt from: python -m train familiar CHECKPOINT --data FOLDER

The page compares a visitor's photo with them (`unit.familiar`), and says where it is of another kind.
"""

import random
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional

from train.command import command
from train.data.source import DataError, find_data, list_photos
from unit.checkpoint import FAMILIAR
from unit.familiar import Familiar, features
from unit.hub import find_checkpoint
from unit.images import ImageError, load_image

FOUND = 0.98  # of photos that were kept apart are known ...
MARGIN = 1.15  # ... and so are those that are a little further away: nobody should be told off for a good photo


@command("familiar")
def main(
    checkpoint: Positional[Path], data: str, others: tuple[Path, ...] = (), photos: int = 600, kinds: int = 16,
    seed: int = 0,
) -> None:  # fmt: skip
    """Look at training photos, so that the page can say when a visitor's photo is of another kind.

    Writes familiar.safetensors into the folder of a checkpoint. Prints how many of the test photos, and of other
    photos, would be called unfamiliar.

    Args:
        checkpoint: A folder as `train export` leaves it.
        data: Folder with trainA and trainB, and perhaps testA and testB, or hf:owner/dataset.
        others: Folders of other photos, of which it is told how many are unfamiliar.
        photos: Photos of each folder that are looked at, at most.
        kinds: Kinds that are told apart.
        seed: Decides which photos, and the order of the kinds.
    """
    folder, root = find_checkpoint(checkpoint), find_data(data)
    seen = torch.cat([look(root / name, photos, seed) for name in ("trainA", "trainB")])
    known = learn(seen, kinds, seed)
    known.save(folder)
    print(f"{folder / FAMILIAR}: {kinds} kinds of {len(seen)} photos")
    for tested in (*filter(Path.is_dir, (root / "testA", root / "testB")), *others):
        far = known.distances(look(tested, photos, seed)) > known.limit
        print(f"{tested}: {int(far.sum())} of {len(far)} photos are unfamiliar")


def look(folder: Path, most: int, seed: int) -> Tensor:
    """The features of `most` photos of a folder, drawn by `seed`: (N, FEATURES). Raises DataError if none is of use."""
    paths = list_photos(folder)
    random.Random(seed).shuffle(paths)
    found = []
    for path in tqdm(paths[:most], folder.name, unit="photo"):
        try:
            found.append(features(load_image(path)))
        except ImageError as error:
            tqdm.write(f"{error} It is left out.")
    if not found:
        raise DataError(f"{folder} has no photo that can be read.")
    return torch.stack(found)


def learn(seen: Tensor, kinds: int, seed: int = 0) -> Familiar:
    """Features (N, FEATURES) of training photos -> the kinds among them. A fifth is kept apart, and sets the limit.

    Raises ValueError if there are less than five photos for each.
    """
    if kinds < 1:
        raise ValueError(f"--kinds is {kinds}: it must be 1 or more.")
    if len(seen) < 5 * kinds:
        raise ValueError(f"{len(seen)} photos are too few for {kinds} kinds: take more photos, or fewer --kinds.")
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(seen), generator=draw)
    apart, rest = seen[order[: len(seen) // 5]], seen[order[len(seen) // 5 :]]
    deviation = rest.std(0).clamp(min=1e-3)
    known = Familiar(k_means(rest / deviation, kinds), deviation, torch.tensor(torch.inf))
    return known._replace(limit=MARGIN * known.distances(apart).quantile(FOUND))


def k_means(x: Tensor, k: int, steps: int = 30) -> Tensor:
    """Lloyd's algorithm from the first k rows, which are in random order. (N, D) -> (k, D)."""
    centres = x[:k]
    for _ in range(steps):
        nearest = torch.cdist(x, centres).argmin(1)
        members = [x[nearest == i] for i in range(k)]
        centres = torch.stack([own.mean(0) if len(own) else old for own, old in zip(members, centres, strict=True)])
    return centres
