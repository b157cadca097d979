"""Do the presets hold, from several seeds on a small budget: python -m train stability --data FOLDER"""

import dataclasses
import statistics
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from train.checks import check_options
from train.command import Unprefixed, command
from train.config import PresetName, TrainConfig, presets
from train.data.batches import held_out_photos, reading
from train.data.check import check_data
from train.data.source import find_data
from train.eval.extractors import EfficientNetLite2
from train.eval.metrics import feature_distance
from train.parallel import device_of
from train.state import TrainState
from train.step import Diverged, train_step
from unit.losses import reconstruction
from unit.models.unit import UNIT
from unit.pipeline import Translator

COLLAPSED = 0.5  # of the spread of real photos


@dataclass(frozen=True)
class Experiment:
    """What is trained, and on how much."""

    data: str
    """Folder with trainA, trainB, testA, testB."""
    presets: tuple[PresetName, ...] = tuple(presets(""))
    """Presets to train."""
    steps: int = 400
    """Optimiser steps of each run."""
    size: int = 64
    """Side of the crops in pixels."""
    dim: int = 16
    """Width of the networks and discriminators."""
    batch_size: int = 4
    """Photos of each domain a step."""
    seeds: int = 3
    """Runs of each preset."""
    photos: int = 32
    """Held-out photos of each domain that are looked at."""
    device: str = "auto"
    """auto, cuda, mps or cpu."""

    def __post_init__(self) -> None:
        if self.photos < 2:
            raise ValueError(f"--photos is {self.photos}: it takes 2 or more to see whether they differ.")
        if self.seeds < 1:
            raise ValueError(f"--seeds is {self.seeds}: it must be 1 or more.")

    def small(self, preset: str, seed: int) -> TrainConfig:
        """The preset at the size of the experiment; losses, discriminators, rates and weights are its own."""
        _, config = presets("")[preset]
        return config.replace(
            data=self.data, model=dataclasses.replace(config.model, image_size=self.size, dim=self.dim), d_dim=self.dim,
            batch_size=self.batch_size, steps=self.steps, seed=seed, device=self.device, compile=False, ema=0.99,
        )  # fmt: skip


def spread(x: Tensor, extractor: EfficientNetLite2) -> float:
    """Mean feature distance of pictures (N, C, H, W) from one another."""
    maps = extractor(x).maps
    distances = [
        feature_distance(maps, [depth.roll(shift, 0) for depth in maps]).mean() for shift in range(1, len(x) // 2 + 1)
    ]
    return float(torch.stack(distances).mean())


def measured(model: UNIT, x_a: Tensor, x_b: Tensor, extractor: EfficientNetLite2) -> tuple[float, float, float]:
    """Spread of x_ab over that of real x_b, spread of x_ba over that of real x_a, and L1 of both reconstructions."""
    translator = Translator(model, "cpu")
    a, b = translator.domains
    x_ab, x_ba = translator.translate_batch(x_a, a, b), translator.translate_batch(x_b, b, a)
    x_aa, x_bb = translator.translate_batch(x_a, a, a), translator.translate_batch(x_b, b, b)
    recon = (reconstruction(x_aa, x_a) + reconstruction(x_bb, x_b)) / 4
    ab, ba = (spread(fake, extractor) / spread(real, extractor) for fake, real in ((x_ab, x_b), (x_ba, x_a)))
    return ab, ba, float(recon)


def run(config: TrainConfig, extractor: EfficientNetLite2, photos: int) -> tuple[float, float, float, int]:
    held_out = held_out_photos(config, photos)
    if held_out is None or len(held_out[0]) < 2:
        raise ValueError(
            f"{config.data.source} needs testA and testB, of two photos or more: they are what is looked at."
        )
    state = TrainState.build(config)
    with suppress(Diverged), reading(config, 0) as batches:  # it is counted by the steps it has skipped
        for x_a, x_b, _ in batches:
            train_step(state, x_a.to(state.device), x_b.to(state.device))
    return *measured(state.ema.cpu(), *held_out, extractor), state.skipped


def table(options: Experiment) -> None:
    """Prints a row a preset."""
    for name in options.presets:
        config = options.small(name, seed=0)
        check_options(config, device=device_of(config.engine.device))
    find_data(options.data)
    extractor = EfficientNetLite2()
    print(
        "| preset | spread a → b | spread b → a | L1 of reconstructions | skipped steps | collapsed or diverged |\n"
        "|---|---|---|---|---|---|"
    )
    for name in options.presets:
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in tqdm(range(options.seeds), desc=name, unit="seed"):
                config = options.small(name, seed).replace(run_dir=Path(folder))
                check_data(config)
                rows.append(run(config, extractor, options.photos))
        bad = sum(min(ab, ba) < COLLAPSED or steps_lost > 0 for ab, ba, _, steps_lost in rows)
        *columns, skipped = zip(*rows, strict=True)
        cells = [f"{statistics.mean(c):.2f} ({min(c):.2f} to {max(c):.2f})" for c in columns]
        print("|", " | ".join([name, *cells, str(sum(skipped)), f"{bad} of {len(rows)}"]), "|", flush=True)


@command("stability")
def main(options: Unprefixed[Experiment]) -> None:
    """Do the presets hold? Each is trained from several seeds on one small budget.

    The paper calls instability its second limit. A run has collapsed if the translations of different photos look
    alike: if their mean feature distance from one another is less than half that of real photos of the domain, either
    way. It has diverged if steps were skipped because their gradients were not finite. Prints a Markdown table.
    """
    table(options)
