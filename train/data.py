"""Two folders of photos -> unpaired batches that depend only on the seed and the step, and a check of the folders."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from tqdm import tqdm

from train.config import TrainConfig
from unit.images import SUFFIXES, ImageError, load_image

MIN_PHOTOS = 8  # fewer are learnt by heart at once; a discriminator then has nothing to say


class DataError(ValueError):
    """The training data cannot be used; the message says why and what to do."""


def list_photos(folder: Path) -> list[Path]:
    """Photos under `folder`, at any depth, in an order that does not depend on the file system."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def check_data(root: Path, image_size: int) -> str:
    """Look at every training photo before the first step.

    Returns one line a domain: how many, sizes, modes. Raises DataError with all that is wrong in one message.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder. --data needs a folder that holds trainA and trainB.")
    report, problems = [], []
    for name in ("trainA", "trainB"):
        paths = list_photos(root / name)
        if len(paths) < MIN_PHOTOS:
            problems.append(f"{name} has {len(paths)} photos; at least {MIN_PHOTOS} are needed, better some hundreds.")
            continue
        with ThreadPoolExecutor() as pool:
            looks = list(tqdm(pool.map(_look, paths), total=len(paths), desc=f"checking {name}", leave=False))
        bad = [(p, look) for p, look in zip(paths, looks, strict=True) if isinstance(look, str)]
        if bad:
            first, reason = bad[0]
            problems.append(
                f"{name} has {len(bad)} unreadable files; the first is {first.name}: {reason} Remove or replace them."
            )
        good = [look for look in looks if not isinstance(look, str)]
        if good:
            sides = sorted(min(size) for _, size in good)
            modes = ", ".join(f"{count} {mode}" for mode, count in Counter(mode for mode, _ in good).most_common())
            report.append(f"{name}: {len(good)} photos ({modes}), short side {sides[0]} to {sides[-1]} px")
            if sides[len(sides) // 2] < image_size:
                report[-1] += f"; most are smaller than the {image_size} px crops and will be enlarged"
    if problems:
        raise DataError(" ".join(problems))
    return "\n".join(report)


def _look(path: Path) -> tuple[str, tuple[int, int]] | str:
    """(mode, size), or what is wrong with the file."""
    try:
        size = load_image(path).size
        with Image.open(path) as image:  # only the header: load_image has seen to the rest
            return image.mode, size
    except ImageError as error:
        return str(error)


class UnpairedBatches(Dataset):
    """Item `step` is the batch of that step: x_a, x_b of shape (batch, C, size, size) in [-1, 1].

    Each domain is walked through in a new random order each epoch, independently of the other. The order and every
    crop are functions of (seed, step) alone: nothing has to be remembered to resume.
    """

    def __init__(self, config: TrainConfig):
        self.seed, self.batch_size = config.seed, config.batch_size
        self.paths = [list_photos(config.data / name) for name in ("trainA", "trainB")]
        self.modes = ["L" if c == 1 else "RGB" for c in (config.model.channels_a, config.model.channels_b)]
        self.augment = v2.Compose([
            v2.RandomResizedCrop(config.model.image_size, scale=(config.min_crop, 1.0), ratio=(4 / 5, 5 / 4)),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5], [0.5]),
        ])  # fmt: skip

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator
            torch.manual_seed(self.seed * 1_000_003 + step)
            x_a, x_b = (
                torch.stack([self.augment(load_image(p).convert(mode)) for p in self._paths(domain, step)])
                for domain, mode in enumerate(self.modes)
            )
        return x_a, x_b

    def _paths(self, domain: int, step: int) -> Iterator[Path]:
        paths = self.paths[domain]
        for position in range(step * self.batch_size, (step + 1) * self.batch_size):
            epoch, i = divmod(position, len(paths))
            order = torch.Generator().manual_seed((self.seed * 2 + domain) * 1_000_003 + epoch)
            yield paths[int(torch.randperm(len(paths), generator=order)[i])]


def batches(config: TrainConfig, first_step: int) -> DataLoader:
    """Batches of the steps from `first_step` to the end of the run."""
    steps = range(first_step, config.steps)
    return DataLoader(
        UnpairedBatches(config),
        sampler=steps,
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def held_out_photos(config: TrainConfig, n: int) -> tuple[Tensor, Tensor] | None:
    """The first n photos of testA and testB by name, centre-cropped, (n, C, size, size); None without test folders."""
    size = config.model.image_size
    fit = v2.Compose([
        v2.Resize(size), v2.CenterCrop(size), v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5], [0.5]),
    ])  # fmt: skip
    domains = []
    for name, channels in (("testA", config.model.channels_a), ("testB", config.model.channels_b)):
        paths = list_photos(config.data / name)[:n] if (config.data / name).is_dir() else []
        if not paths:
            return None
        domains.append(torch.stack([fit(load_image(p).convert("L" if channels == 1 else "RGB")) for p in paths]))
    return domains[0], domains[1]
