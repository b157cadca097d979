"""Two domains of photos -> unpaired batches that depend only on the seed and the step, and who reads them."""

import functools
import math
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import signal_handling
from tqdm import tqdm

from train.config import TrainConfig
from train.data.crops import Crop, plan_crop, take_crop
from train.data.device import DevicePhotos
from train.data.source import DataError, find_data, list_photos
from train.data.store import Recipe, open_photos
from train.parallel import CaughtSignals, rank, stop_signals, world
from unit.images import ImageError, load_image, to_tensor

AHEAD = 4  # batches that each reader makes in advance
CPU = torch.device("cpu")
MAX_SHARE = 0.25  # of a GPU's memory that the photos of both domains may take
SILENCE = 600  # seconds without a batch after which a reader that still lives is given up


class Batch(NamedTuple):
    """What a step is made of."""

    x_a: Tensor  # (rows, C, size, size) in [-1, 1]
    x_b: Tensor
    unreadable: list[str]  # photos met that could not be read, e.g. "trainA/7.jpg": others stand in for them


def domain_recipes(config: TrainConfig) -> list[tuple[str, Recipe]]:
    channels = dict(zip(("trainA", "trainB"), config.model.channels, strict=True))
    return [(name, Recipe(c, config.model.image_size, config.data.min_crop)) for name, c in channels.items()]


class UnpairedBatches(Dataset):
    """Item `step` is the Batch of that step, or of it the rows that process `rank` of `world` works on.

    Each domain is walked through in a new random order each epoch, independently of the other. Which photo a row shows
    and how it is cropped are functions of the seed and of the row's place in that walk alone: nothing has to be
    remembered to resume, and the rows are the same however many processes share them.
    """

    def __init__(self, config: TrainConfig, rank: int = 0, world: int = 1):
        self.config, self.root = config, find_data(config.data.source)
        self.rows = config.data.batch_size // world
        self.first = rank * self.rows
        self.domains = [
            open_photos(list_photos(self.root / name), recipe, cache=config.data.cache)
            for name, recipe in domain_recipes(config)
        ]

    def __getitem__(self, step: int) -> Batch:
        unreadable: list[str] = []
        x_a, x_b = (
            torch.cat([self._crop(domain, position, unreadable) for position in self.positions(step)])
            for domain in (0, 1)
        )
        return Batch(x_a, x_b, unreadable)

    def positions(self, step: int) -> range:
        """The places in each domain's walk that the rows of a step show."""
        first = step * self.config.data.batch_size + self.first
        return range(first, first + self.rows)

    def candidates(self, domain: int, position: int) -> Iterator[int]:
        """Which photo to show at a position of a domain's walk, and which ones instead if that cannot be read."""
        n = len(self.domains[domain])
        epoch, start = divmod(position, n)
        order = _order(self.config.seed_for("order", domain, epoch), n)
        return (order[(start + further) % n] for further in range(n))

    def plan(self, domain: int, position: int, height: int, width: int) -> Crop:
        """How a photo of height x width pixels is cropped at a position of a domain's walk."""
        recipe, options = self.domains[domain].recipe, self.config.data
        draw = random.Random(self.config.seed_for("crop", domain, position))
        return plan_crop(height, width, recipe, draw, options.rotate, options.jitter)

    def name(self, domain: int, photo: int) -> str:
        return self.domains[domain].paths[photo].relative_to(self.root).as_posix()

    def _crop(self, domain: int, position: int, unreadable: list[str]) -> Tensor:
        """(1, C, size, size) at a position of a domain's walk. What cannot be read adds its name to `unreadable`."""
        photos = self.domains[domain]
        for i in self.candidates(domain, position):
            try:
                photo = photos[i]
                return take_crop(photo, self.plan(domain, position, *photo.shape[:2]), photos.recipe)
            except ImageError:
                unreadable.append(self.name(domain, i))
        # Nothing is left to show, and the names that say so stop the run. A step made of this changes no weight.
        return torch.full((1, photos.recipe.channels, photos.recipe.size, photos.recipe.size), math.nan)


@functools.lru_cache(maxsize=4)
def _order(seed: int, n: int) -> list[int]:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()


class DeviceBatches:
    """The batches of `UnpairedBatches`, from photos that lie on the device. Iterable once, from a step on."""

    def __init__(self, plan: UnpairedBatches, device: torch.device, steps: range):
        self.plan, self.steps = plan, iter(steps)
        self.photos = [DevicePhotos(domain, device) for domain in plan.domains]

    def __iter__(self) -> "DeviceBatches":
        return self

    def __next__(self) -> Batch:
        step, unreadable = next(self.steps), list[str]()
        x_a, x_b = (
            photos.crops([self._choose(domain, position, unreadable) for position in self.plan.positions(step)])
            for domain, photos in enumerate(self.photos)
        )
        return Batch(x_a, x_b, unreadable)

    def _choose(self, domain: int, position: int, unreadable: list[str]) -> tuple[int, Crop]:
        """The photo shown at a position, and its crop. `check_data` has seen that there are some that can be read."""
        for i in self.plan.candidates(domain, position):
            look = self.photos[domain].looks[i]
            if not isinstance(look, str):
                return i, self.plan.plan(domain, position, look.height, look.width)
            unreadable.append(self.plan.name(domain, i))
        raise RuntimeError("no photo of this domain can be read")


def fit_on(device: torch.device, plan: UnpairedBatches) -> bool:
    """Whether `device` is a GPU with room for all photos, and these are kept decoded."""
    if device.type != "cuda" or any(photos.kept is None for photos in plan.domains):
        return False
    needed = sum(photos.kept.offsets[-1] for photos in plan.domains if photos.kept)
    return needed <= MAX_SHARE * torch.cuda.get_device_properties(device).total_memory


def batches(config: TrainConfig, first_step: int, rank: int = 0, world: int = 1) -> DataLoader:
    """Batches of the steps from `first_step` to the end of the run: the rows of process `rank` of `world`."""
    workers = config.data.workers
    return DataLoader(
        UnpairedBatches(config, rank, world),
        sampler=range(first_step, config.optim.steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        timeout=SILENCE if workers else 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_the_end_to_the_trainer,
        generator=torch.Generator(),  # it seeds the workers, who have no use for it; else the global one would move on
    )


@contextmanager
def reading(
    config: TrainConfig, first_step: int, caught: CaughtSignals | None = None, device: torch.device = CPU
) -> Iterator[Iterator[Batch]]:
    """The batches of this process, from a step on. Its readers are gone afterwards, whatever has happened.

    Photos that fit on `device` are put there, and are not read again. Once there is a signal in `caught`, no reader is
    waited for any more: an empty batch comes.
    """
    plan = UnpairedBatches(config, rank(), world())
    if fit_on(device, plan):
        yield DeviceBatches(plan, device, range(first_step, config.optim.steps))
        return
    _check_shared_memory(config)
    loaded: Any = iter(batches(config, first_step, rank(), world()))
    try:
        yield _awaited(loaded, CaughtSignals() if caught is None else caught)
    finally:
        if config.data.workers:
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
    workers = config.data.workers
    if not workers or not where.is_dir():
        return
    channels = sum(config.model.channels)
    batch = 4 * channels * config.data.batch_size // world() * config.model.image_size**2
    needed, free = workers * AHEAD * batch, shutil.disk_usage(where).free
    if needed > free:
        raise DataError(
            f"{workers} readers need up to {needed / 1e6:.0f} MB of shared memory, and {where} has "
            f"{free / 1e6:.0f} MB free. Give more (docker run --shm-size 2g), or set --workers 0."
        )


def _leave_the_end_to_the_trainer(_worker: int) -> None:
    """Schedulers and terminals signal every process at once; readers must go on until the trainer has saved."""
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)
    sys.excepthook = _unless_the_trainer_has_gone


def _unless_the_trainer_has_gone(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback on stderr, but not of a batch that was on its way when the trainer ended: nobody misses it."""
    unanswered = isinstance(error, RuntimeError) and "did not receive acknowledgement" in str(error)
    if not (unanswered or issubclass(kind, ConnectionError | EOFError)):
        sys.__excepthook__(kind, error, trace)


def held_out_photos(config: TrainConfig, n: int) -> tuple[Tensor, Tensor] | None:
    """The first n readable photos of testA and testB by name, centre-cropped, (n, C, size, size) in [-1, 1].

    As many of either as there are of both; None where there are no such photos.
    """
    root = find_data(config.data.source)
    x_a, x_b = (
        _first_photos(root / folder, n, channels, config.model.image_size)
        for folder, channels in zip(("testA", "testB"), config.model.channels, strict=True)
    )
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
