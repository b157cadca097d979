"""Looking at every photo of a data set before the first step: what can be trained on, and what is wrong."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from train.config import TrainConfig
from train.data.batches import domain_recipes
from train.data.source import DataError, find_data, list_photos
from train.data.store import Look, Recipe, look_through
from train.parallel import rank
from unit.images import SUFFIXES

FOLDERS = ("trainA", "trainB", "testA", "testB")
MIN_PHOTOS = 8  # fewer are learnt by heart at once; a discriminator then has nothing to say


def check_data(config: TrainConfig) -> str:
    """Look at every training photo before the first step, and fill the cache.

    Returns one line a domain: how many, sizes, modes, which are left out, where they are kept. Raises DataError with
    all that is wrong in one message.
    """
    source = config.data.source
    root = find_data(source)
    report = [f"{source} is revision {root.name}"] if source.startswith("hf:") else []
    problems = []
    for name, recipe in domain_recipes(config):
        if not (root / name).is_dir():
            problems.append(_no_folder(root, name))
            continue
        paths = list_photos(root / name)
        if len(paths) < MIN_PHOTOS:
            problems.append(
                f"{root / name} has {len(paths)} photos; at least {MIN_PHOTOS} are needed, better some hundreds."
                f"{_unread(root / name)}"
            )
            continue
        looks, note = look_through(paths, recipe, cache=config.data.cache, name=name)
        good = [look for look in looks if not isinstance(look, str)]
        bad = [look for look in looks if isinstance(look, str)]
        if not good or _too_many(len(bad), len(paths), config):
            problems.append(f"{_refusal(name, len(bad), len(paths))} They are: {_listed(bad)}")
            continue
        sides = sorted(look.side for look in good)
        modes = ", ".join(f"{count} {mode}" for mode, count in Counter(look.mode for look in good).most_common())
        line = f"{name}: {len(good)} photos ({modes}), short side {sides[0]} to {sides[-1]} px"
        line += _enlarging(sorted(good, key=lambda look: look.side)[len(good) // 2], recipe)
        if bad:
            line += f"; {len(bad)} left out that cannot be read: {_listed(bad)}"
        report.append(f"{line}; {note}")
    if problems:
        raise DataError(" ".join(problems))
    return "\n".join(report)


def _no_folder(root: Path, name: str) -> str:
    """What to say where a folder of photos is missing, with a guess at what was meant."""
    said = f"There is no folder {root / name}"
    here = list_photos(root)
    alike = [path.name for path in root.iterdir() if path.is_dir() and path.name.lower() == name.lower()]
    nested = root / name[:-1] / name[-1]
    if alike:
        return f"{said}, but {alike[0]}: give it the name {name}."
    if nested.is_dir():
        return f"{said}, but {nested}: move that to {root / name}."
    if root.name in FOLDERS and (root.parent / name).is_dir():
        return f"{said}; {root} holds {len(here)} pictures: did you mean --data {root.parent}?"
    return f"{said}: --data names a folder that holds trainA and trainB, with the photos of each domain."


def _unread(folder: Path) -> str:
    """A word about files that are pictures of a kind that cannot be read here, if there are any."""
    heic = sum(path.suffix.lower() in (".heic", ".heif") for path in folder.rglob("*"))
    if heic and ".heic" not in SUFFIXES:
        return f" {heic} HEIC pictures in it cannot be read: pip install pillow-heif."
    return ""


def _listed(texts: Sequence[str], most: int = 10) -> str:
    return " ".join(texts[:most]) + (f" ... and {len(texts) - most} more." if len(texts) > most else "")


def _enlarging(look: Look, recipe: Recipe) -> str:
    """What to know of crops that have fewer pixels than what is made of them: the network learns their blur."""
    area = look.side**2 * max(look.height, look.width) / min(look.height, look.width)
    share = math.ceil(100 * recipe.size**2 / area) / 100
    if look.side < recipe.size:
        return f"; most are smaller than the {recipe.size} px crops and will be enlarged"
    if share > recipe.min_crop:
        smallest = round(math.sqrt(area * recipe.min_crop))
        return (
            f"; crops of down to {smallest} px are enlarged to {recipe.size}, which blurs; not with --min-crop {share}"
        )
    return ""


class Unreadable:
    """The photos that could not be read so far. Its length is how many there are."""

    def __init__(self, config: TrainConfig):
        self.config = config
        root = find_data(config.data.source)
        self.totals = {name: len(list_photos(root / name)) for name, _ in domain_recipes(config)}
        self.names: set[str] = set()

    def __len__(self) -> int:
        return len(self.names)

    def add(self, names: Sequence[str]) -> None:
        """Raises DataError when they have become more than `max_unreadable` of a domain."""
        for name in sorted(set(names) - self.names) if rank() == 0 else ():
            tqdm.write(f"{name} cannot be read: another photo stands in for it")
        self.names.update(names)
        for domain, total in self.totals.items():
            bad = sorted(name for name in self.names if name.startswith(f"{domain}/"))
            if _too_many(len(bad), total, self.config):
                raise DataError(f"{_refusal(domain, len(bad), total)} They are: {_listed(bad)}")


def _too_many(bad: int, total: int, config: TrainConfig) -> bool:
    return bad > config.data.max_unreadable * total


def _refusal(domain: str, bad: int, total: int) -> str:
    return (
        f"{domain}: {bad} of {total} photos cannot be read. "
        "Remove or replace them, or allow for a larger share with --max-unreadable."
    )
