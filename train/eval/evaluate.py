"""How well a model does on photos it has not seen: python -m train evaluate checkpoints/mine --data photos

Draws the photos of testA and testB, has a network that never taught (train/eval/extractors.py) look at them, and writes
metrics.json and metrics.md beside the weights. Each measure has the number of photos and a 95 % bootstrap interval;
what the untranslated photos and real photos of the target get under the same measure says how to read it.
"""

import argparse
import copy
import json
import math
import os
import platform
import random
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import chain, islice, product
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Generator, Tensor
from tqdm import tqdm

from train.config import TrainConfig
from train.data.source import DataError, find_data, list_photos, redact_path
from train.eval import metrics
from train.eval.extractors import EfficientNetLite2, Judge, Seen, WithInception
from train.eval.metrics import (
    Measured,
    Probe,
    Progress,
    fid,
    fit_probe,
    kid,
    mean_lab,
    outside,
    perceptual,
    share,
    weave,
)
from train.eval.results import Row, table
from train.parallel import device_of
from train.publish.card import write_card
from unit.hub import METRICS, load_pretrained, write_atomic
from unit.images import ImageError, load_image, pad_to_multiple, to_tensor
from unit.models.unit import UNIT, Domain
from unit.pipeline import Translator, border, memory_format

BATCH = 32
HELD_OUT = 1000  # photos of testA and of testB, at most
TRAINING = 1000  # of trainA and of trainB, at most: for the linear probe, and as real photos of the target
SAMPLED = 25  # held-out photos of each domain, at most, that are drawn again and again with noise
TEMPERATURES, GRAINS = (0.5, 1.0, 2.0), (1, 8)

Classes = Mapping[Domain, Tensor]  # numbers of ImageNet classes that count as a domain


@dataclass(frozen=True)
class Real:
    """The real photos of a domain, and what the judge saw in them."""

    photos: list[Tensor]  # held out, in batches (N, C, size, size) in [-1, 1]
    seen: list[Seen]  # of the same batches, without the maps, which are larger than the photos
    apart: Tensor  # (n,): perceptual distance of each of them to another one
    training: Tensor  # (n, D): features of photos that the model may have learnt from
    colours: Tensor  # (n, 3): mean L*a*b* of the middle of the same photos

    @property
    def features(self) -> Tensor:
        return torch.cat([seen.features for seen in self.seen])


@dataclass(frozen=True)
class Drawn:
    """What the judge saw in translations of a domain's held-out photos. The last three are empty without `back`."""

    features: Tensor  # (n, D)
    logits: Tensor  # (n, 1000)
    colours: Tensor  # (n, 3): mean L*a*b* of the middle
    weave: Tensor  # (n,): see train.eval.metrics.weave; NaN where the photo has no smooth regions
    moved: Tensor  # (n,): perceptual distance to the photo
    cycled: Tensor  # the same after there and back again
    rebuilt: Tensor  # the same of the reconstruction
    error: Tensor  # (n,): L1 of the reconstruction, where black to white is 1


def evaluate(
    model: UNIT,
    real: Mapping[Domain, Real],
    probe: Probe,
    judge: Judge,
    *,
    classes: Classes | None = None,
    seed: int = 0,
    show: Progress = lambda batches, _: batches,
) -> list[Row]:
    """All measures of a model, as rows {"metric", "features", "direction", "of", "value", "low", "high", "n"}.

    `of` is "untranslated" or "real" for the references, and otherwise says what was drawn. `features` is the network
    that judged, None where none did. The model draws on the device and in the precision it has (see `prepare`).
    """
    rows: list[Row] = []

    def add(metric: str, direction: str, features: str | None, **measured: Measured) -> None:
        for of, values in measured.items():
            finite = {k: v if math.isfinite(v) else None for k, v in values._asdict().items()}  # JSON knows no NaN
            rows.append({"metric": metric, "features": features, "direction": direction, "of": of} | finite)

    names: dict[Domain, str] = {"a": model.config.domain_a, "b": model.config.domain_b}
    eye = EfficientNetLite2.name  # distances and classes are Lite2's, whatever KID and FID are measured with
    apart = {domain: metrics.mean(real[domain].apart, seed=seed) for domain in real}
    for s, t in directions():
        way = f"{names[s]} → {names[t]}"
        drawn = draw_and_judge(model, real[s], s, t, judge, show=show)
        target, others = real[t].features, real[t].training[: len(drawn.features)]
        for metric, measure in (("KID", kid), ("FID", partial(fid, show=show))):
            sets = {"translated": drawn.features, "untranslated": real[s].features, "real": others}
            add(metric, way, judge.name, **{of: measure(x, target, seed=seed) for of, x in sets.items()})
        verdicts = {"translated": drawn.features, "untranslated": real[s].features, "real": target}
        taken = {of: share(probe.says(t, x), seed=seed) for of, x in verdicts.items()}
        add("success (linear probe)", way, judge.name, **taken)
        if classes:
            logits = [torch.cat([seen.logits for seen in real[domain].seen]) for domain in (s, t)]
            scores = dict(zip(("translated", "untranslated", "real"), (drawn.logits, *logits), strict=True))
            taken = {of: share(in_classes(x, classes[t]), seed=seed) for of, x in scores.items()}
            add("success (ImageNet classes)", way, eye, **taken)
        centres = {"translated": drawn.colours, **{of: torch.cat([mean_lab(x) for x in real[domain].photos])
                   for of, domain in (("untranslated", s), ("real", t))}}  # fmt: skip
        unusual = {of: share(outside(x, real[t].colours), seed=seed) for of, x in centres.items()}
        add("colours outside of 99 % of real ones", way, None, **unusual)
        patterns = {"translated": drawn.weave, **{of: torch.cat([weave(x, x) for x in real[domain].photos])
                    for of, domain in (("untranslated", s), ("real", t))}}  # fmt: skip
        found = {of: x[x.isfinite()] for of, x in patterns.items() if x.isfinite().any()}
        add("weave in smooth regions", way, None, **{of: metrics.mean(x, seed=seed) for of, x in found.items()})
        same = Measured(0.0, 0.0, 0.0, len(drawn.moved))
        moved, cycled = (metrics.mean(x, seed=seed) for x in (drawn.moved, drawn.cycled))
        add("distance to the input", way, eye, translated=moved, untranslated=same, real=apart[s])
        add("distance to the input after the cycle", way, eye, cycled=cycled, untranslated=same, real=apart[s])
        rebuilt, error = (metrics.mean(x, seed=seed) for x in (drawn.rebuilt, drawn.error))
        add("reconstruction distance", names[s], eye, reconstructed=rebuilt, real=apart[s])
        add("reconstruction error (L1)", names[s], None, reconstructed=error)
        for (temperature, grain), values in diversity(model, real[s], s, t, judge, seed=seed, show=show).items():
            metric = f"diversity at temperature {temperature:g}, grain {grain}"
            add(metric, way, eye, sampled=metrics.mean(values, seed=seed), real=apart[t])
    return rows


def directions() -> tuple[tuple[Domain, Domain], ...]:
    return ("a", "b"), ("b", "a")


def draw_and_judge(
    model: UNIT,
    real: Real,
    source: Domain,
    target: Domain,
    judge: Judge,
    *,
    back: bool = True,
    show: Progress = lambda batches, _: batches,
) -> Drawn:
    """Translate the held-out photos; with `back` also bring them back again, and reconstruct them."""
    columns: list[tuple[Tensor, ...]] = []
    empty = torch.empty(0)
    for x in show(real.photos, f"drawing test{source.upper()}"):
        seen = judge(x)
        x_ab = draw(model, x, source, target)
        there = judge(x_ab)
        cycled = rebuilt = error = empty
        if back:
            x_aa = draw(model, x, source, source)
            cycled = perceptual(seen.maps, judge(draw(model, x_ab, target, source)).maps)
            rebuilt = perceptual(seen.maps, judge(x_aa).maps)
            error = (x_aa - x).abs().mean((1, 2, 3)) / 2
        moved = perceptual(seen.maps, there.maps)
        seen_too = mean_lab(x_ab), weave(x_ab, x)
        columns.append((there.features, there.logits, *seen_too, moved, cycled, rebuilt, error))
    return Drawn(*(torch.cat(column).cpu() for column in zip(*columns, strict=True)))


def diversity(
    model: UNIT, real: Real, source: Domain, target: Domain, judge: Judge, *, seed: int, show: Progress
) -> dict[tuple[float, int], Tensor]:
    """{(temperature, grain): perceptual distance (n,) of two drawings of a photo with different noise}."""
    generator = Generator().manual_seed(seed)
    photos = torch.stack(list(islice(chain.from_iterable(real.photos), SAMPLED)))
    found = {}
    for temperature, grain in show(list(product(TEMPERATURES, GRAINS)), "drawing with noise"):
        noise = {"temperature": temperature, "grain": grain, "generator": generator}
        pairs = [[judge(draw(model, x, source, target, **noise)).maps for _ in range(2)] for x in photos.split(BATCH)]
        found[temperature, grain] = torch.cat([perceptual(*pair) for pair in pairs]).cpu()
    return found


@torch.no_grad()
def draw(model: UNIT, x: Tensor, source: Domain, target: Domain, **noise: Any) -> Tensor:
    """Photos (N, C, H, W) drawn in `target`, as Translator draws and saves one: same border, 256 levels. float32."""
    parameter = next(model.parameters())
    padded, (rows, columns) = pad_to_multiple(x, model.config.downsampling, border(model.config))
    padded = padded.to(parameter.device, parameter.dtype, memory_format=memory_format(parameter.device))
    drawn = model.translate(padded, source, target, **noise)[..., rows, columns]
    return drawn.float().clamp(-1, 1).add(1).mul(127.5).round().div(127.5).sub(1)


def different_photos(seen: Seen) -> Tensor:
    """Perceptual distance (n,) of each photo of a batch to another one of it; the batches are in random order."""
    return perceptual(seen.maps, [x.roll(1, 0) for x in seen.maps]).cpu()


def in_classes(logits: Tensor, classes: Tensor) -> Tensor:
    """Whether the likeliest of the 1000 classes is one of `classes`. (N, 1000) -> (N,) bool."""
    return torch.isin(logits.argmax(1).cpu(), classes)


def prepare(model: UNIT, device: torch.device | None = None) -> UNIT:
    """A copy on the device and in the precision that Translator draws with. None: the best device this machine has."""
    like = Translator(model, device)
    model = copy.deepcopy(model).eval().requires_grad_(False)
    return model.to(like.device, like.dtype).to(memory_format=memory_format(like.device))


def look_at(
    root: Path,
    letter: str,
    channels: int,
    size: int,
    judge: Judge,
    *,
    held_out: int = HELD_OUT,
    training: int = TRAINING,
    seed: int = 0,
    show: Progress = lambda batches, _: batches,
) -> Real:
    """The real photos of domain `letter`, in an order decided by `seed`. Raises DataError if there are not enough."""
    device = next(judge.parameters()).device

    def read(folder: str, most: int) -> list[Tensor]:
        paths = list_photos(root / folder)
        random.Random(seed).shuffle(paths)
        readable, steps = read_photos(paths, size), range(min(most, len(paths)))
        photos = [photo for _ in show(steps, f"reading {folder}") if (photo := next(readable, None))]
        if len(photos) < 2:
            raise DataError(f"{folder} has {len(photos)} photos that can be read; measuring needs some, better 100.")
        parts = torch.arange(len(photos)).tensor_split(
            -(-len(photos) // BATCH)
        )  # no batch of one: see different_photos
        return [torch.cat([to_tensor(photos[i], channels) for i in part]).to(device) for part in parts]

    photos = read(f"test{letter}", held_out)
    seen, apart = [], []
    for x in show(photos, f"looking at test{letter}"):
        saw = judge(x)
        apart.append(different_photos(saw))
        seen.append(saw._replace(maps=[]))
    learnt = read(f"train{letter}", training)
    features = [judge(x).features for x in show(learnt, f"looking at train{letter}")]
    return Real(photos, seen, torch.cat(apart), torch.cat(features), torch.cat([mean_lab(x) for x in learnt]))


def read_photos(paths: Iterable[Path], size: int) -> Iterator[Image.Image]:
    """The photos that can be read, centre-cropped, in 8 bit: a quarter of what they take as tensors."""
    for path in paths:
        try:
            yield ImageOps.fit(load_image(path), (size, size), Image.Resampling.BILINEAR)
        except ImageError as error:
            tqdm.write(f"{path.parent.name}: {error}", file=sys.stderr)


class Measure:
    """The main measures during training, on `n` held-out photos of each domain. What is real is looked at once.

    Raises DataError where the run's data has no testA or testB.
    """

    def __init__(self, config: TrainConfig, n: int = 64):
        root, model = find_data(config.data), config.model
        self.judge = EfficientNetLite2().to(device_of(config.device))
        channels: dict[Domain, int] = {"a": model.channels_a, "b": model.channels_b}
        self.real: dict[Domain, Real] = {
            domain: look_at(root, domain.upper(), c, model.image_size, self.judge, held_out=n, training=4 * n)
            for domain, c in channels.items()
        }
        self.probe = fit_probe(self.real["a"].training, self.real["b"].training)

    def __call__(self, model: UNIT) -> dict[str, float]:
        """{"kid_ab", "success_ab", "content_ab", and the same of "ba"}; content is the distance to the input."""
        model = prepare(model, next(model.parameters()).device)
        values = {}
        for s, t in directions():
            drawn = draw_and_judge(model, self.real[s], s, t, self.judge, back=False)
            values[f"kid_{s}{t}"] = kid(drawn.features, self.real[t].features, resamples=0).value
            values[f"success_{s}{t}"] = self.probe.says(t, drawn.features).float().mean().item()
            values[f"content_{s}{t}"] = drawn.moved.mean().item()
        return values


def hardware(device: torch.device) -> str:
    """What a number was measured on, without anything that tells one machine from its like."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, PyTorch {torch.__version__}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m train evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="folder of an exported model, or owner/name on the Hugging Face Hub")
    parser.add_argument("--data", required=True, help="folder with trainA, trainB, testA, testB, or hf:owner/dataset")
    parser.add_argument("--size", type=int, help="side of the pictures (default: that of the training crops)")
    parser.add_argument("--n", type=int, default=HELD_OUT, help="held-out photos of each domain (default: %(default)s)")
    parser.add_argument(
        "--features",
        choices=("lite2", "inception"),
        default="lite2",
        help="for KID, FID and the probe. inception: as in papers, needs torch-fidelity and a network",
    )
    parser.add_argument("--classes-a", help='ImageNet classes that are domain a, for example "281-285" for cats')
    parser.add_argument("--classes-b", help='and domain b, for example "151-275" for dogs')
    parser.add_argument("--seed", type=int, default=0, help="of noise, resamples and choices (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for metrics.json and metrics.md (default: the checkpoint)")
    args = parser.parse_args(arguments)
    try:
        results = run(args)
        out = args.out or Path(args.checkpoint)
        try:
            write_atomic(out / METRICS, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())
            write_atomic(out / "metrics.md", (table(results) + "\n").encode())
            write_card(out)  # if there is one that this program wrote
        finally:
            print(table(results))  # in any case: should the disk be full, it is not lost
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(args: argparse.Namespace) -> dict[str, Any]:
    """What `main` does with its arguments: what it writes into metrics.json."""
    if (args.classes_a is None) != (args.classes_b is None):
        raise ValueError("--classes-a and --classes-b belong together: give both, or neither.")
    if args.n < 2:
        raise ValueError(f"--n is {args.n}: measuring needs 2 photos or more, better 100.")
    if args.size is not None and not 4 <= args.size <= 4096:
        raise ValueError(f"--size is {args.size}: it must be from 4 to 4096 pixels.")
    classes: Classes | None = None
    if args.classes_a is not None:
        classes = {"a": class_numbers(args.classes_a), "b": class_numbers(args.classes_b)}
    model = prepare(load_pretrained(args.checkpoint))
    if args.out is None and not Path(args.checkpoint).is_dir():
        raise ValueError(f"{args.checkpoint} is on the Hub: say with --out which folder the measures go to.")
    out = args.out or Path(args.checkpoint)
    out.mkdir(parents=True, exist_ok=True)  # now, and not when all is measured
    config, device = model.config, next(model.parameters()).device
    if config.whole and args.size not in (None, config.image_size):
        raise ValueError(f"this model draws all pictures at {config.image_size} px: leave --size out.")
    size = args.size or config.image_size
    root = find_data(args.data)
    judge = (WithInception() if args.features == "inception" else EfficientNetLite2()).to(device)

    def show(steps: Iterable[Any], what: str) -> Iterable[Any]:
        return tqdm(steps, desc=what, leave=False)

    channels: dict[Domain, int] = {"a": config.channels_a, "b": config.channels_b}
    real: dict[Domain, Real] = {
        domain: look_at(root, domain.upper(), c, size, judge, held_out=args.n, seed=args.seed, show=show)
        for domain, c in channels.items()
    }
    probe = fit_probe(real["a"].training, real["b"].training)
    return {
        "checkpoint": redact_path(args.checkpoint),
        "data": redact_path(args.data),
        "date": date.today().isoformat(),
        "command": _command(args),
        "features": judge.name,
        "size": size,
        "seed": args.seed,
        "hardware": f"{hardware(device)}, drawn in {str(next(model.parameters()).dtype).removeprefix('torch.')}",
        "rows": evaluate(model, real, probe, judge, classes=classes, seed=args.seed, show=show),
    }


def class_numbers(text: str) -> Tensor:
    """ "281-285,287" -> tensor([281, 282, 283, 284, 285, 287]). Raises ValueError."""
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or max(numbers) > 999:
        raise ValueError(f"{text!r} is no list of ImageNet classes: write numbers from 0 to 999, like 281-285,287.")
    return torch.tensor(numbers)


def _command(args: argparse.Namespace) -> str:
    words = ["python -m train evaluate", shlex.quote(redact_path(args.checkpoint))]
    given = {"data": redact_path(args.data)} | {k: v for k, v in vars(args).items() if k not in ("checkpoint", "data")}
    for name, value in given.items():
        default = {"n": HELD_OUT, "features": "lite2", "seed": 0}.get(name)
        if value not in (None, default) and name != "out":
            words += [f"--{name.replace('_', '-')}", shlex.quote(str(value))]
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
