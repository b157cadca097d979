"""The paper's domain adaptation on digits: python -m train adapt mnist2usps --data FOLDER"""

import dataclasses
import hashlib
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from tqdm import tqdm

from train.checkpointer import Checkpointer, check_writable
from train.command import Unprefixed, command
from train.digits import (
    CHANNELS,
    FULL_FEATURES,
    FULL_WIDTH,
    CoupledVAE,
    DataSet,
    Digits,
    Discriminator,
    Name,
    Translations,
    load_digits,
    to_channels,
    to_unit,
)
from train.objective import weighted_sum
from train.parallel import catch_signals, device_of, lock_folder
from unit.checkpoint import write_atomic
from unit.losses import discriminator_gan, generator_gan
from unit.models.protocol import Domain
from unit.pipeline import memory_format

TaskName = Literal["mnist2usps", "usps2mnist", "svhn2mnist", "mnist2mnistm"]
Labels = Literal["source", "target"]


class Task(NamedTuple):
    source: Name
    target: Name
    invert: bool = False  # half of the target's training digits are shown inverted, as for SVHN, which has both kinds
    paper: float | None = None  # the target accuracy of the paper's table 3


TASKS: dict[TaskName, Task] = {
    "mnist2usps": Task("mnist", "usps", paper=0.9597),
    "usps2mnist": Task("usps", "mnist", paper=0.9358),
    "svhn2mnist": Task("svhn", "mnist", invert=True, paper=0.9053),
    "mnist2mnistm": Task("mnist", "mnistm"),
}


@dataclass(frozen=True)
class Weights:
    """What the terms of both objectives are multiplied with, as in the released code."""

    gan: float = 1.0
    """The game, for both players: translations and reconstructions are judged."""
    kl: float = 2e-4
    """KL of the posteriors against the prior, summed over the latents."""
    recon: float = 1e-3
    """Squared error of reconstructions, summed over the pixels."""
    classes: float = 10.0
    """D names the digits of the labelled domain."""
    features: float = 1e-4
    """D sees the same in both pictures of one latent: squared error of h3, summed over its values at full width."""


@dataclass(frozen=True)
class Method:
    """What is trained: all of it, a part of it, or, with `only_labels`, the classifier alone, on that domain."""

    weights: Weights = dataclasses.field(default_factory=Weights)
    shared: bool = True
    only_labels: Labels | None = None


METHODS: dict[str, Method] = {
    "UNIT": Method(),
    "source only": Method(only_labels="source"),
    "target supervised": Method(only_labels="target"),
    "without feature matching": Method(Weights(features=0)),
    "without GAN": Method(Weights(gan=0)),
    "without sharing": Method(shared=False),
}


@dataclass(frozen=True)
class AdaptConfig:
    """Options of an experiment."""

    task: tyro.conf.Positional[TaskName]
    """Source, whose digits have labels, and target, whose digits have none."""
    data: Path
    """Folder of the data sets."""
    photos: Path | None = None
    """Folder of photos that MNIST-M is made with."""
    run_dir: Path = Path("runs/adapt")
    """Folder of the runs. Those that are already there are resumed."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Rows of the table, of: UNIT, source only, target supervised, without feature matching, without GAN, without
    sharing."""
    width: int = FULL_WIDTH
    """Channels after the generator's first layer; 96 is the paper's, 22.6 million parameters."""
    steps: int = 10_000
    """Steps of each run."""
    batch_size: int = 64
    """Digits of each domain a step."""
    seeds: int = 3
    """Runs of each method."""
    first_seed: int = 0
    """The seed of the first of them, so that several programs can share the work."""
    lr: float = 2e-4
    """Adam's learning rate, of both players."""
    weight_decay: float = 5e-4
    """L2 in Adam."""
    save_every: int = 500
    """Steps between checkpoints."""
    evaluate_every: int = 500
    """Steps between looks at the target's test digits. They are reported and decide nothing."""
    device: str = "auto"
    """auto: cuda, then mps, then cpu."""

    def __post_init__(self) -> None:
        if unknown := set(self.methods) - METHODS.keys():
            raise ValueError(f"--methods {unknown.pop()!r} is unknown: choose of {', '.join(METHODS)}.")
        for name in ("width", "steps", "batch_size", "seeds", "save_every", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} is {getattr(self, name)}: it must be 1 or more.")


class Batch(NamedTuple):
    """What a step sees: digits of the source with labels, and digits of the target."""

    x_a: Tensor
    y_a: Tensor
    x_b: Tensor


# The objectives -------------------------------------------------------------------------------------------------------


def generator_terms(discriminator: Discriminator, batch: Batch, out: Translations, kl: Tensor) -> dict[str, Tensor]:
    """What encoders and decoders minimise, unweighted, summed over the domains."""
    fakes = judged(discriminator, [[out.x_aa, out.x_ba], [out.x_bb, out.x_ab]])
    recon = squared_error(out.x_aa, batch.x_a) + squared_error(out.x_bb, batch.x_b)
    gan = torch.stack([2 * generator_gan(fake, "bce") for fake in fakes]).sum()  # the mean of two, twice
    return {"gan": gan, "kl": kl, "recon": recon}


def discriminator_terms(discriminator: Discriminator, batch: Batch, out: Translations) -> dict[str, Tensor]:
    """What the discriminator minimises, unweighted, summed over the domains. `out` is detached."""
    seen_a = discriminator.features(torch.cat([batch.x_a, out.x_aa, out.x_ba]), "a").chunk(3)
    seen_b = discriminator.features(torch.cat([batch.x_b, out.x_bb, out.x_ab]), "b").chunk(3)
    gan = torch.zeros((), device=batch.x_a.device)
    for real, *fakes in ([discriminator.realness(h) for h in seen] for seen in (seen_a, seen_b)):
        gan = gan + discriminator_gan([real, real], fakes, "bce")  # real, and half of each kind of fake
    classes = F.cross_entropy(discriminator.classify(seen_a[0]), batch.y_a)
    return {"gan": gan, "classes": classes, "features": feature_matching(discriminator, out)}


def feature_matching(discriminator: Discriminator, out: Translations) -> Tensor:
    """Squared error between h3 of both pictures of a latent, summed over the values at full width and the domains."""
    h_aa, h_ba = discriminator.features(torch.cat([out.x_aa, out.x_ba]), "a", dropout=False).chunk(2)
    h_bb, h_ab = discriminator.features(torch.cat([out.x_bb, out.x_ab]), "b", dropout=False).chunk(2)
    return FULL_FEATURES * (F.mse_loss(h_ab, h_aa) + F.mse_loss(h_ba, h_bb))


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Summed over a picture, averaged over the batch: minus the log-likelihood of a Gaussian p(x|z), but for scale."""
    return (x_hat - x).square().flatten(1).sum(1).mean()


def judged(discriminator: Discriminator, pictures: list[list[Tensor]]) -> list[list[Tensor]]:
    """Log-odds of being real, of lists of pictures of domain a and of domain b."""
    domains: tuple[Domain, Domain] = ("a", "b")
    seen = (discriminator.features(torch.cat(x), domain) for x, domain in zip(pictures, domains, strict=True))
    return [list(discriminator.realness(h).chunk(2)) for h in seen]


def weighted(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    return weighted_sum(terms, {name: getattr(weights, name) for name in terms})


# A run ----------------------------------------------------------------------------------------------------------------


class Run:
    """Both networks, their optimisers, the step and the accuracies that were seen: all that a checkpoint holds."""

    def __init__(self, config: AdaptConfig, method: str, seed: int):
        self.config, self.task, self.method, self.seed = config, TASKS[config.task], METHODS[method], seed
        self.folder = config.run_dir / config.task / f"{method.replace(' ', '-')}-{seed}"
        self.device = device_of(config.device)
        torch.manual_seed(seed)
        channels = CHANNELS[self.task.source], CHANNELS[self.task.target]
        self.generator = CoupledVAE(channels, config.width, self.method.shared)
        self.discriminator = Discriminator(channels, config.width)
        for net in (self.generator, self.discriminator):
            net.to(self.device).to(memory_format=memory_format(self.device))
        self.opt_g, self.opt_d = self._adam(self.generator), self._adam(self.discriminator)
        self.step = 0
        self.curve: list[tuple[int, float]] = []  # steps, and the accuracies on the target's test digits after them

    def _adam(self, net: nn.Module) -> Adam:
        return Adam(net.parameters(), self.config.lr, (0.5, 0.999), weight_decay=self.config.weight_decay, fused=True)

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        return {"opt_g": self.opt_g, "opt_d": self.opt_d}

    def save(self) -> None:
        extra = {"curve": json.dumps(self.curve), "options": self.options()}
        Checkpointer(self.folder).save(self.step, self.modules, self.optimizers, extra)

    def resume(self) -> None:
        """Go on from the newest checkpoint. Raises ValueError if it was made with other options."""
        if newest := Checkpointer(self.folder).load_newest():
            if newest.extra["options"] != self.options():
                raise ValueError(f"{self.folder} holds a run with other options: choose another --run-dir.")
            newest.load(self.modules, self.optimizers)
            Checkpointer(self.folder).set_aside_after(newest.path)
            self.step, self.curve = int(newest.extra["step"]), [(s, a) for s, a in json.loads(newest.extra["curve"])]

    def options(self) -> str:
        """What decides the weights; a run may be made longer."""
        options = {name: getattr(self.config, name) for name in ("task", "width", "batch_size", "lr", "weight_decay")}
        return json.dumps(options | {"method": dataclasses.asdict(self.method)})

    def train_step(self, batch: Batch) -> None:
        """One step of both players; one pass of the generator serves both."""
        self.generator.train(), self.discriminator.train()
        out, kl = self.generator(batch.x_a, batch.x_b)
        self.opt_d.zero_grad()
        weighted(discriminator_terms(self.discriminator, batch, out.detach()), self.method.weights).backward()
        self.opt_d.step()

        self.discriminator.requires_grad_(False)
        self.opt_g.zero_grad()
        weighted(generator_terms(self.discriminator, batch, out, kl), self.method.weights).backward()
        self.opt_g.step()
        self.discriminator.requires_grad_(True)

    def classifier_step(self, x: Tensor, y: Tensor, domain: Domain) -> None:
        """A step of the classifier alone."""
        self.discriminator.train()
        self.opt_d.zero_grad()
        F.cross_entropy(self.discriminator.classify(self.discriminator.features(x, domain)), y).backward()
        self.opt_d.step()

    @torch.no_grad()
    def accuracy(self, test: Digits) -> float:
        """The share of the target's test digits that are read right.

        By the target's own first layer, but by the source's where no step has trained it.
        """
        self.discriminator.eval()
        by: Domain = "a" if self.method.only_labels == "source" else "b"
        right = 0
        for images, labels in zip(test.images.split(500), test.labels.split(500), strict=True):
            x = to_unit(images.to(self.device))
            x = to_channels(x, CHANNELS[self.task.source]) if by == "a" else x
            found = self.discriminator.classify(self.discriminator.features(x, by)).argmax(1)
            right += int((found.cpu() == labels).sum())
        return right / len(test.labels)


def train_run(run: Run, source: Digits, target: DataSet) -> bool:
    """Train until the last step, or until a signal says to stop. Returns whether the run is complete.

    The target's training labels are read by "target supervised" alone, and its test labels to report on.
    """
    config = run.config
    check_writable(run.folder)
    with lock_folder(run.folder), catch_signals() as caught:
        run.resume()
        unlabelled = target.train.images
        for step in tqdm(range(run.step, config.steps), str(run.folder), initial=run.step, total=config.steps):
            torch.manual_seed(seed_for(run.seed, step))  # of rows, noise and dropout: so a resumed run is the same run
            rows_a, rows_b = (torch.randint(len(of), (config.batch_size,)) for of in (source.labels, unlabelled))
            batch = Batch(
                to_unit(source.images[rows_a].to(run.device)),
                source.labels[rows_a].to(run.device),
                shown(unlabelled[rows_b].to(run.device), run.task.invert),
            )
            match run.method.only_labels:
                case None:
                    run.train_step(batch)
                case "source":
                    run.classifier_step(batch.x_a, batch.y_a, "a")
                case "target":
                    run.classifier_step(batch.x_b, target.train.labels[rows_b].to(run.device), "b")
            run.step = step + 1
            if run.step % config.evaluate_every == 0 or run.step == config.steps:
                run.curve.append((run.step, run.accuracy(target.test)))
                tqdm.write(f"{run.folder} step {run.step}: target accuracy {run.curve[-1][1]:.4f}")
            if run.step % config.save_every == 0 or run.step == config.steps or caught:
                run.save()
            if caught:
                break
    return run.step >= config.steps


def shown(images: Tensor, invert: bool) -> Tensor:
    """Digits of the target as they are trained on: with `invert`, half of a batch as negatives."""
    x = to_unit(images)
    return torch.cat([x[: len(x) // 2], -x[len(x) // 2 :]]) if invert else x


def seed_for(seed: int, step: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed} {step}".encode(), digest_size=4).digest(), "big")


# The table ------------------------------------------------------------------------------------------------------------


def experiment(config: AdaptConfig) -> None:
    """All runs of a task, one after the other; after each the table is written again."""
    task = TASKS[config.task]
    source = load_digits(task.source, config.data, config.photos).train
    target = load_digits(task.target, config.data, config.photos)
    for seed in range(config.first_seed, config.first_seed + config.seeds):
        for method in config.methods:
            run = Run(config, method, seed)
            if not train_run(run, source, target):
                raise KeyboardInterrupt
            best_step, best = max(run.curve, key=lambda point: point[1])
            result = {"method": method, "seed": seed, "steps": run.step, "last": run.curve[-1][1], "best": best}
            result |= {"best_step": best_step, "curve": run.curve}
            write_atomic(run.folder / "result.json", json.dumps(result).encode())
            write_results(config)
    print(write_results(config))


def write_results(config: AdaptConfig) -> str:
    """results.json and results.md of all runs of a task that have ended. Returns the table."""
    folder = config.run_dir / config.task
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))]
    device = device_of(config.device)
    facts = {
        "task": config.task, "width": config.width, "batch_size": config.batch_size, "date": str(date.today()),
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "paper": TASKS[config.task].paper,
    }  # fmt: skip
    write_atomic(folder / "results.json", json.dumps(facts | {"runs": results}, indent=1).encode())
    table = results_table(config.task, results)
    write_atomic(folder / "results.md", table.encode())
    return table


def results_table(task: TaskName, results: Sequence[Mapping]) -> str:
    """The results of runs as Markdown: a row a method, with mean and spread over its seeds."""
    paper = "" if TASKS[task].paper is None else f" The paper's UNIT: {TASKS[task].paper:.4f}."
    lines = [
        f"Accuracy on the test digits of the target, {task.replace('2', ' → ')}.{paper}",
        "",
        "| method | last step (mean ± standard deviation) | of each seed | best on test, not a result | steps |",
        "|---|---|---|---|---|",
    ]
    for method in METHODS:
        if runs := [r for r in results if r["method"] == method]:
            last = [r["last"] for r in runs]
            spread = f" ± {statistics.stdev(last):.4f}" if len(last) > 1 else ""
            steps = "/".join(str(steps) for steps in sorted({r["steps"] for r in runs}))
            best = statistics.mean(r["best"] for r in runs)
            seeds = ", ".join(f"{value:.4f}" for value in last)
            lines.append(f"| {method} | {statistics.mean(last):.4f}{spread} | {seeds} | {best:.4f} | {steps} |")
    return "\n".join([*lines, ""])


@command("adapt")
def main(config: Unprefixed[AdaptConfig]) -> None:
    """The paper's domain adaptation on digits: a table of accuracies.

    Trains coupled VAE-GANs and reads digits of the target with their discriminator, which has seen labels of the source
    alone; beside them the same classifier without adaptation and with the target's labels, and what each part
    contributes. Prints a table, and writes it as results.md and results.json into the run folder. The same command goes
    on where it stopped.

    A folder of data holds mnist.npz and usps.npz (x_train, y_train, x_test, y_test), or what torchvision.datasets
    leaves; for SVHN its .mat files; for MNIST-M mnist and --photos. Nothing is downloaded.
    """
    experiment(config)
