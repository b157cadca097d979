"""Two domains of photos -> unpaired batches that depend only on the seed and the step, and a check of the photos."""

import functools
import math
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import signal_handling
from tqdm import tqdm

from train.config import TrainConfig
from train.data.source import DataError, find_data, list_photos
from train.data.store import RATIO, Look, Recipe, look_through, open_photos
from train.parallel import CaughtSignals, rank, world
from unit.images import SUFFIXES, ImageError, load_image, to_tensor

AHEAD = 4  # batches that each reader makes in advance
SILENCE = 600  # seconds without a batch after which a reader that still lives is given up
FOLDERS = ("trainA", "trainB", "testA", "testB")
MIN_PHOTOS = 8  # fewer are learnt by heart at once; a discriminator then has nothing to say


class Batch(NamedTuple):
    """What a step is made of."""

    x_a: Tensor  # (rows, C, size, size) in [-1, 1]
    x_b: Tensor
    unreadable: list[str]  # photos met that could not be read, e.g. "trainA/7.jpg": others stand in for them


def check_data(config: TrainConfig) -> str:
    """Look at every training photo before the first step, and fill the cache.

    Returns one line a domain: how many, sizes, modes, which are left out, where they are kept. Raises DataError with
    all that is wrong in one message.
    """
    root = find_data(config.data)
    report = [f"{config.data} is revision {root.name}"] if config.data.startswith("hf:") else []
    problems = []
    for name, recipe in _domains(config):
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
        looks, note = look_through(paths, recipe, cache=config.cache, name=name)
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
        self.totals = {name: len(list_photos(find_data(config.data) / name)) for name, _ in _domains(config)}
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
    return bad > config.max_unreadable * total


def _refusal(domain: str, bad: int, total: int) -> str:
    return (
        f"{domain}: {bad} of {total} photos cannot be read. "
        "Remove or replace them, or allow for a larger share with --max-unreadable."
    )


def _domains(config: TrainConfig) -> list[tuple[str, Recipe]]:
    channels = {"trainA": config.model.channels_a, "trainB": config.model.channels_b}
    return [(name, Recipe(c, config.model.image_size, config.min_crop)) for name, c in channels.items()]


class UnpairedBatches(Dataset):
    """Item `step` is the Batch of that step, or of it the rows that process `rank` of `world` works on.

    Each domain is walked through in a new random order each epoch, independently of the other. Which photo a row shows
    and how it is cropped are functions of the seed and of the row's place in that walk alone: nothing has to be
    remembered to resume, and the rows are the same however many processes share them.
    """

    def __init__(self, config: TrainConfig, rank: int = 0, world: int = 1):
        self.config, self.root = config, find_data(config.data)
        self.rows, self.first = config.batch_size // world, rank * (config.batch_size // world)
        self.domains = [
            open_photos(list_photos(self.root / name), recipe, cache=config.cache) for name, recipe in _domains(config)
        ]

    def __getitem__(self, step: int) -> Batch:
        first = step * self.config.batch_size + self.first
        unreadable: list[str] = []
        x_a, x_b = (
            torch.cat([self._crop(domain, position, unreadable) for position in range(first, first + self.rows)])
            for domain in (0, 1)
        )
        return Batch(x_a, x_b, unreadable)

    def _crop(self, domain: int, position: int, unreadable: list[str]) -> Tensor:
        """(1, C, size, size) at a position of a domain's walk. What cannot be read adds its name to `unreadable`."""
        photos, seed_for = self.domains[domain], self.config.seed_for
        epoch, start = divmod(position, len(photos))
        order = _order(seed_for("order", domain, epoch), len(photos))
        for further in range(len(photos)):
            i = order[(start + further) % len(photos)]
            try:
                draw = random.Random(seed_for("crop", domain, position))
                return random_crop(photos[i], photos.recipe, draw, self.config.rotate, self.config.jitter)
            except ImageError:
                unreadable.append(photos.paths[i].relative_to(self.root).as_posix())
        # Nothing is left to show, and the names that say so stop the run. A step made of this changes no weight.
        return torch.full((1, photos.recipe.channels, photos.recipe.size, photos.recipe.size), math.nan)


@functools.lru_cache(maxsize=4)
def _order(seed: int, n: int) -> list[int]:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()


def random_crop(
    photo: np.ndarray, recipe: Recipe, draw: random.Random, rotate: float = 0.0, jitter: float = 0.0
) -> Tensor:
    """uint8 (H, W) or (H, W, 3) -> (1, C, size, size) in [-1, 1]: a part of the photo, resized, and mirrored or not.

    rotate: largest angle in degrees. jitter: largest share by which brightness, contrast and each channel change.
    """
    height, width = photo.shape[:2]
    window = random_window(height, width, recipe.min_crop, draw)
    image = _turned(photo, *window, draw.uniform(-rotate, rotate) if rotate else 0.0)
    image = image.resize((recipe.size, recipe.size), Image.Resampling.BILINEAR)  # with antialiasing, as Pillow's is
    if jitter:
        image = _relit(image, jitter, draw)
    return to_tensor(ImageOps.mirror(image) if draw.random() < 0.5 else image, recipe.channels)


def _turned(photo: np.ndarray, top: int, left: int, height: int, width: int, degrees: float) -> Image.Image:
    """A window of the photo turned about its middle, at the photo's resolution, the photo mirrored at its borders."""
    if not degrees:
        return Image.fromarray(photo[top : top + height, left : left + width])
    to_middle = cv2.getRotationMatrix2D((left + (width - 1) / 2, top + (height - 1) / 2), degrees, 1.0)
    to_middle[:, 2] -= left, top  # the window's corner becomes the origin
    turned = cv2.warpAffine(photo, to_middle, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return Image.fromarray(turned)


def _relit(image: Image.Image, most: float, draw: random.Random) -> Image.Image:
    """An 8-bit image in other light: brightness, contrast and half as much the gain of each channel change."""
    pixels = np.asarray(image)
    mean, bands = pixels.mean(), len(image.getbands())
    brightness, contrast = 1 + draw.uniform(-most, most), 1 + draw.uniform(-most, most)
    levels = np.arange(256)
    tables = []
    for _ in range(bands):
        gain = brightness * (1 + draw.uniform(-most, most) / 2)
        tables.append(brightness * mean + contrast * (gain * levels - brightness * mean))
    return image.point(np.concatenate(tables).round().clip(0, 255).astype(int).tolist())


def random_window(height: int, width: int, min_crop: float, draw: random.Random) -> tuple[int, int, int, int]:
    """(top, left, height, width) of at least `min_crop` of the area, in a shape from 4:5 to 5:4.

    For photos so long that ten tries do not fit, the middle of them.
    """
    for _ in range(10):
        area = height * width * draw.uniform(min_crop, 1)
        ratio = math.exp(draw.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return draw.randint(0, height - h), draw.randint(0, width - w), h, w
    h, w = min(height, round(width / RATIO[0])), min(width, round(height * RATIO[1]))
    return (height - h) // 2, (width - w) // 2, h, w


def batches(config: TrainConfig, first_step: int, rank: int = 0, world: int = 1) -> DataLoader:
    """Batches of the steps from `first_step` to the end of the run: the rows of process `rank` of `world`."""
    return DataLoader(
        UnpairedBatches(config, rank, world),
        sampler=range(first_step, config.steps),
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=AHEAD if config.workers else None,
        timeout=SILENCE if config.workers else 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_signals_to_the_trainer,
        generator=torch.Generator(),  # it seeds the workers, who have no use for it; else the global one would move on
    )


@contextmanager
def reading(config: TrainConfig, first_step: int, caught: CaughtSignals | None = None) -> Iterator[Iterator[Batch]]:
    """`batches` of this process. Its readers are gone afterwards, whatever has happened.

    Once there is a signal in `caught`, no reader is waited for any more: an empty batch comes.
    """
    _check_shared_memory(config)
    loaded: Any = iter(batches(config, first_step, rank(), world()))
    try:
        yield _awaited(loaded, CaughtSignals() if caught is None else caught)
    finally:
        if config.workers:
            _end_readers(loaded)


def _awaited(loaded: Iterator[Batch], caught: CaughtSignals) -> Iterator[Batch]:
    while True:
        batch = Batch(torch.empty(0), torch.empty(0), [])
        try:
            caught.waiting = True
            if not caught:
                batch = next(loaded)
        except StopIteration:
            return
        except KeyboardInterrupt:
            if not caught:
                raise
        except RuntimeError as error:
            if "DataLoader timed out" not in str(error):
                raise
            raise DataError(
                f"The processes that read photos have brought none for {SILENCE} s. If the disk answers, try "
                "--workers 0, which does without them; the same command goes on from the last checkpoint."
            ) from None
        finally:
            caught.waiting = False
        yield batch


def _end_readers(loaded: Any) -> None:
    """Kill them: they heed no milder signal, and a silent one would not hear that it may end.

    Left alone after an error, they would live on in its traceback, and Python would wait for them for ever. PyTorch has
    to forget them first, or it would take their end for an accident.
    """
    if loaded._worker_pids_set:
        signal_handling._remove_worker_pids(id(loaded))
        loaded._worker_pids_set = False
    for reader in loaded._workers:
        reader.kill()
    loaded._shutdown_workers()


def _check_shared_memory(config: TrainConfig, where: Path = Path("/dev/shm")) -> None:
    """Raises DataError where the readers' batches do not fit into the memory that they pass them on through.

    A reader that cannot put its batch there drops it without a word. Docker gives 64 MB if it is not told otherwise.
    """
    if not config.workers or not where.is_dir():
        return
    channels = config.model.channels_a + config.model.channels_b
    batch = 4 * channels * config.batch_size // world() * config.model.image_size**2
    needed, free = config.workers * AHEAD * batch, shutil.disk_usage(where).free
    if needed > free:
        raise DataError(
            f"{config.workers} readers need up to {needed / 1e6:.0f} MB of shared memory, and {where} has "
            f"{free / 1e6:.0f} MB free. Give more (docker run --shm-size 2g), or set --workers 0."
        )


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """Schedulers and terminals signal every process at once; readers must go on until the trainer has saved."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def held_out_photos(config: TrainConfig, n: int) -> tuple[Tensor, Tensor] | None:
    """The first n readable photos of testA and testB by name, centre-cropped, (n, C, size, size) in [-1, 1].

    As many of either as there are of both; None where there are no such photos.
    """
    root = find_data(config.data)
    x_a = _first_photos(root / "testA", n, config.model.channels_a, config.model.image_size)
    x_b = _first_photos(root / "testB", n, config.model.channels_b, config.model.image_size)
    n = min(len(x_a), len(x_b))
    return (torch.cat(x_a[:n]), torch.cat(x_b[:n])) if n else None


def _first_photos(folder: Path, n: int, channels: int, size: int) -> list[Tensor]:
    photos: list[Tensor] = []
    for path in list_photos(folder):
        if len(photos) == n:
            break
        try:
            photos.append(to_tensor(ImageOps.fit(load_image(path), (size, size), Image.Resampling.BILINEAR), channels))
        except ImageError as error:
            tqdm.write(f"{folder.name}: {error}")
    return photos
