"""What each part of UNIT contributes, after the paper's figure 5: python -m train ablate --data maps"""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from train.checkpointer import check_writable
from train.command import Unprefixed, command
from train.config import TrainConfig, UNITWeights, presets
from train.data.batches import held_out_photos
from train.data.source import DataError, find_data, list_photos
from train.loop import train
from train.state import TrainState
from unit.checkpoint import write_atomic
from unit.images import to_levels
from unit.pipeline import Translator

NEAR = 16  # of 256 levels: a pixel that differs by less is right
BLOCKS = 4  # residual blocks of each encoder and decoder, shared ones included: their number is the same in all rows
DEEP, SHALLOW = 5, 2  # layers of the discriminator; five are the paper's choice


@dataclass(frozen=True)
class Variant:
    """What is different from the full model, which shares one block."""

    shared: int = 1
    cycle: bool = True
    d_layers: int = DEEP


VARIANTS: dict[str, Variant] = {
    "full": Variant(),
    "no sharing": Variant(shared=0),
    "no cycle": Variant(cycle=False),
    "shallow discriminator": Variant(d_layers=SHALLOW),
    "2 shared": Variant(shared=2),
    "3 shared": Variant(shared=3),
    "4 shared": Variant(shared=4),
}


@dataclass(frozen=True)
class AblateConfig:
    """Options of an experiment."""

    data: str
    """Folder with trainA, trainB, testA, testB: aerial photos and maps."""
    run_dir: Path = Path("runs/ablate")
    """Folder of the runs. Those that are already there are resumed."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Rows of the table, of: full, no sharing, no cycle, shallow discriminator, 2 shared, 3 shared, 4 shared."""
    size: int = 64
    """Side in pixels of crops and of the pictures that are measured."""
    dim: int = 16
    """Width of the networks and discriminators; 64 in the paper."""
    steps: int = 2_000
    """Steps of each run."""
    batch_size: int = 4
    """Photos of each domain a step."""
    seeds: int = 3
    """Runs of each variant."""
    first_seed: int = 0
    """The seed of the first of them, so that several programs can share the work."""
    pairs: int = 200
    """Pairs of testA and testB that are measured, at most."""
    save_every: int = 200
    """Steps between checkpoints."""
    device: str = "auto"
    """auto: cuda, then mps, then cpu."""
    compile: bool = False
    """torch.compile the networks, which pays in long runs."""

    def __post_init__(self) -> None:
        if unknown := set(self.variants) - VARIANTS.keys():
            raise ValueError(f"--variants {unknown.pop()!r} is unknown: choose of {', '.join(VARIANTS)}.")
        for name in ("seeds", "pairs"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is {getattr(self, name)}: it must be 1 or more.")


def run_config(options: AblateConfig, name: str, seed: int) -> TrainConfig:
    """The preset `paper` at the size of the experiment, without the parts that the variant lacks."""
    variant, (_, paper) = VARIANTS[name], presets(options.data)["paper"]
    model = dataclasses.replace(
        paper.model, image_size=options.size, dim=options.dim, n_res=BLOCKS - variant.shared,
        n_res_shared=variant.shared,
    )  # fmt: skip
    weights = UNITWeights() if variant.cycle else UNITWeights(cycle=0.0, cycle_kl=0.0)  # its defaults are the paper's
    return paper.replace(
        model=model, weights=weights, d_dim=options.dim, d_layers=variant.d_layers, steps=options.steps,
        batch_size=options.batch_size, seed=seed, run_dir=options.run_dir / f"{name.replace(' ', '-')}-{seed}",
        min_crop=0.75, precision="fp32", compile=options.compile, device=options.device,
        save_every=options.save_every, sample_every=options.steps,
    )  # fmt: skip


def pixel_accuracy(x_hat: Tensor, x: Tensor) -> float:
    """The share of pixels of which each channel differs by less than 16 of 256 levels.

    Args:
        x_hat, x: pictures (N, C, H, W) in [-1, 1].
    """
    near = (to_levels(x_hat) - to_levels(x)).abs() < NEAR
    return float(near.all(1).float().mean())


def check_pairs(data: str) -> None:
    """Raises DataError unless testA and testB hold pictures of the same names."""
    root = find_data(data)
    names = [[path.stem for path in list_photos(root / folder)] for folder in ("testA", "testB")]
    if not names[0] or names[0] != names[1]:
        raise DataError(f"{data} needs testA and testB with pairs: a photo and its map under one name.")


def measure(model: torch.nn.Module, x_a: Tensor, x_b: Tensor) -> float:
    """Pixel accuracy of x_a translated, against x_b, which shows the same places."""
    translator = Translator(model, "cpu")  # type: ignore[arg-type]
    parts = zip(x_a.split(16), x_b.split(16), strict=True)
    right = [pixel_accuracy(translator.translate_batch(a, *translator.domains), b) * len(a) for a, b in parts]
    return sum(right) / len(x_a)


def experiment(options: AblateConfig) -> None:
    """All runs, one after the other; after each the table is written again."""
    check_pairs(options.data)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name in options.variants:
            config = run_config(options, name, seed)
            if not (config.run_dir / "result.json").is_file():
                accuracy = train_and_measure(config, options.pairs)
                result = {"variant": name, "seed": seed, "steps": config.optim.steps, "accuracy": accuracy}
                write_atomic(config.run_dir / "result.json", json.dumps(result).encode())
            write_results(options)
    print(write_results(options))


def train_and_measure(config: TrainConfig, pairs: int) -> float:
    """Train, or go on with, a run, and measure its averaged weights. Raises KeyboardInterrupt if told to stop."""
    check_writable(config.run_dir)
    train(config)
    state = TrainState.build(config.replace(device="cpu"))
    state.resume()
    if state.step < config.optim.steps:
        raise KeyboardInterrupt
    photos = held_out_photos(config, pairs)
    assert photos is not None  # check_pairs has found some
    return measure(state.ema, *photos)


def write_results(options: AblateConfig) -> str:
    """results.json and results.md of all runs that have ended. Returns the table."""
    results = [json.loads(path.read_text()) for path in sorted(options.run_dir.glob("*/result.json"))]
    facts = {name: getattr(options, name) for name in ("data", "size", "dim", "batch_size", "pairs")}
    write_atomic(options.run_dir / "results.json", json.dumps(facts | {"runs": results}, indent=1).encode())
    table = results_table(results)
    write_atomic(options.run_dir / "results.md", table.encode())
    return table


def results_table(results: Sequence[Mapping]) -> str:
    """The results of runs as Markdown: a row a variant, with mean and spread over its seeds."""
    lines = ["| variant | pixel accuracy (mean ± standard deviation) | of each seed | steps |", "|---|---|---|---|"]
    for name in VARIANTS:
        if runs := [r for r in results if r["variant"] == name]:
            values = [r["accuracy"] for r in runs]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            steps = "/".join(str(steps) for steps in sorted({r["steps"] for r in runs}))
            seeds = ", ".join(f"{value:.4f}" for value in values)
            lines.append(f"| {name} | {statistics.mean(values):.4f}{spread} | {seeds} | {steps} |")
    return "\n".join([*lines, ""])


@command("ablate")
def main(options: Unprefixed[AblateConfig]) -> None:
    """What each part of UNIT contributes: variants of the model, on one budget and several seeds.

    They are measured on pairs, which no training sees: the share of pixels of translated aerial photos that differ by
    less than 16 of 256 from the map (arXiv:1703.00848, section 4). Prints a table, and writes it as results.md and
    results.json into the run folder. The same command goes on where it stopped.

    The folder of data holds trainA, trainB, testA and testB, of which the last two hold pairs by file name.
    """
    experiment(options)
