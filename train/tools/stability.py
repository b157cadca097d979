"""Do the presets hold? Each trained from several seeds on one small budget: python -m train stability --data FOLDER

The paper calls instability its second limit. A run has collapsed if the translations of different photos look alike: if
their mean feature distance from one another is less than half that of real photos of the domain, either way. It has
diverged if steps were skipped because their gradients were not finite. Prints a Markdown table.
"""

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from train.checks import check_options
from train.command import one_sentence
from train.config import TrainConfig, presets
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


def small(config: TrainConfig, args: argparse.Namespace, seed: int) -> TrainConfig:
    """The preset at the size of the experiment; losses, discriminators, rates and weights are its own."""
    model = dataclasses.replace(config.model, image_size=args.size, dim=args.dim)
    return config.replace(
data=args.data, model=model, d_dim=args.dim, batch_size=args.batch_size, steps=args.steps, seed=seed,
        device=args.device, compile=False, ema=0.99,
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


def table(args: argparse.Namespace) -> None:
    """Prints a row a preset."""
    if args.photos < 2:
        raise ValueError(f"--photos is {args.photos}: it takes 2 or more to see whether they differ.")
    if args.seeds < 1:
        raise ValueError(f"--seeds is {args.seeds}: it must be 1 or more.")
    for name in args.presets:
        config = small(presets(args.data)[name][1], args, seed=0)
        check_options(config, device=device_of(config.engine.device))
    find_data(args.data)
    extractor = EfficientNetLite2()
    print(
        "| preset | spread a → b | spread b → a | L1 of reconstructions | skipped steps | collapsed or diverged |\n"
        "|---|---|---|---|---|---|"
    )
    for name in args.presets:
        _, preset = presets(args.data)[name]
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in tqdm(range(args.seeds), desc=name, unit="seed"):
                config = small(preset, args, seed).replace(run_dir=Path(folder))
                check_data(config)
                rows.append(run(config, extractor, args.photos))
        bad = sum(min(ab, ba) < COLLAPSED or steps_lost > 0 for ab, ba, _, steps_lost in rows)
        *columns, skipped = zip(*rows, strict=True)
        cells = [f"{statistics.mean(c):.2f} ({min(c):.2f} to {max(c):.2f})" for c in columns]
        print("|", " | ".join([name, *cells, str(sum(skipped)), f"{bad} of {len(rows)}"]), "|", flush=True)


@one_sentence
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m train stability", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder with trainA, trainB, testA, testB")
    parser.add_argument("--presets", nargs="+", choices=presets(""), default=list(presets("")))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--size", type=int, default=64, help="side of the crops in pixels")
    parser.add_argument("--dim", type=int, default=16, help="width of the networks and discriminators")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=32, help="held-out photos of each domain that are looked at")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(arguments)
    table(args)
    return 0
