"""How well a model does on photos it has not seen: python -m train evaluate checkpoints/mine --data photos"""

import json
import math
import os
import platform
import random
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import partial
from itertools import chain, islice, product
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional

from train.command import Unprefixed, command
from train.config import TrainConfig
from train.data.source import DataError, find_data, list_photos, redact_path
from train.eval import metrics
from train.eval.extractors import EfficientNetLite2, FeatureExtractor, Features, WithInception
from train.eval.metrics import (
    Measured,
    Probe,
    Progress,
    feature_distance,
    fid,
    fit_probe,
    kid,
    mean_lab,
    outside,
    share,
    weave,
)
from train.eval.results import Row, table
from train.eval.styles import follows_examples
from train.parallel import device_of
from train.publish.card import write_card
from unit.checkpoint import METRICS, write_atomic
from unit.hub import load_pretrained
from unit.images import ImageError, load_image, to_tensor
from unit.models.protocol import Domain, Model
from unit.pipeline import Sampling, Translator

BATCH = 32
HELD_OUT = 1000  # photos of testA and of testB, at most
TRAINING = 1000  # of trainA and of trainB, at most: for the linear probe, and as real photos of the target
SAMPLED = 25  # held-out photos of each domain, at most, that are drawn again and again with noise
STYLED = 200  # pairs of a held-out photo and an example, at most
TEMPERATURES, GRAINS = (0.5, 1.0, 2.0), (1, 8)

Classes = Mapping[Domain, Tensor]  # numbers of ImageNet classes that count as a domain


@dataclass(frozen=True)
class Real:
    """The real photos of a domain, and their features."""

    photos: list[Tensor]  # held out, in batches (N, C, size, size) in [-1, 1]
    features: list[Features]  # of the same batches, without the maps, which are larger than the photos
    apart: Tensor  # (n,): feature distance of each of them to another one
    training: Tensor  # (n, D): pooled features of photos that the model may have learnt from
    colours: Tensor  # (n, 3): mean L*a*b* of the middle of the same photos

    @property
    def pooled(self) -> Tensor:
        return torch.cat([features.pooled for features in self.features])

    @property
    def logits(self) -> Tensor:
        return torch.cat([features.logits for features in self.features])


@dataclass(frozen=True)
class Translated:
    """What was measured of translations of a domain's held-out photos. The last three are empty without `back`."""

    pooled: Tensor  # (n, D)
    logits: Tensor  # (n, 1000)
    colours: Tensor  # (n, 3): mean L*a*b* of the middle
    weave: Tensor  # (n,): see train.eval.metrics.weave; NaN where the photo has no smooth regions
    moved: Tensor  # (n,): feature distance to the photo
    cycled: Tensor  # the same after there and back again
    rebuilt: Tensor  # the same of the reconstruction
    error: Tensor  # (n,): L1 of the reconstruction, where black to white is 1


def evaluate(
    translator: Translator,
    real: Mapping[Domain, Real],
    probe: Probe,
    extractor: FeatureExtractor,
    *,
    classes: Classes | None = None,
    seed: int = 0,
    show: Progress = lambda batches, _: batches,
) -> list[Row]:
    """All measures of a model, as rows {"metric", "features", "direction", "of", "value", "low", "high", "n"}.

    `of` is "untranslated" or "real" for the references, and otherwise says what was drawn. `features` is the network
    whose features were compared, None where there were none.
    """
    rows: list[Row] = []

    def add(metric: str, direction: str, features: str | None, **measured: Measured) -> None:
        for of, values in measured.items():
            finite = {k: v if math.isfinite(v) else None for k, v in values._asdict().items()}  # JSON knows no NaN
            rows.append({"metric": metric, "features": features, "direction": direction, "of": of} | finite)

    names = domain_names(translator)
    eye = EfficientNetLite2.name  # distances and classes are Lite2's, whatever KID and FID are measured with
    apart = {domain: metrics.mean(real[domain].apart, seed=seed) for domain in real}
    for s, t in directions():
        way = f"{names[s]} → {names[t]}"
        drawn = translate_photos(translator, real[s], s, t, extractor, show=show)
        target, others = real[t].pooled, real[t].training[: len(drawn.pooled)]
        for metric, measure in (("KID", kid), ("FID", partial(fid, show=show))):
            sets = {"translated": drawn.pooled, "untranslated": real[s].pooled, "real": others}
            add(metric, way, extractor.name, **{of: measure(x, target, seed=seed) for of, x in sets.items()})
        verdicts = {"translated": drawn.pooled, "untranslated": real[s].pooled, "real": target}
        taken = {of: share(probe.says(t, x), seed=seed) for of, x in verdicts.items()}
        add("success (linear probe)", way, extractor.name, **taken)
        if classes:
            scores = {"translated": drawn.logits, "untranslated": real[s].logits, "real": real[t].logits}
            taken = {of: share(in_classes(x, classes[t]), seed=seed) for of, x in scores.items()}
            add("success (ImageNet classes)", way, eye, **taken)
        centres = {"translated": drawn.colours, **{of: torch.cat([mean_lab(x) for x in real[domain].photos])
                   for of, domain in (("untranslated", s), ("real", t))}}  # fmt: skip
        unusual = {of: share(outside(x, real[t].colours), seed=seed) for of, x in centres.items()}
        add("colours outside of 99 % of real ones", way, None, **unusual)
        patterns = {"translated": drawn.weave, **{of: torch.cat([weave(x, x) for x in real[domain].photos])
                    for of, domain in (("untranslated", s), ("real", t))}}  # fmt: skip
        woven = {of: x[x.isfinite()] for of, x in patterns.items() if x.isfinite().any()}
        add("weave in smooth regions", way, None, **{of: metrics.mean(x, seed=seed) for of, x in woven.items()})
        same = Measured(0.0, 0.0, 0.0, len(drawn.moved))
        moved, cycled = (metrics.mean(x, seed=seed) for x in (drawn.moved, drawn.cycled))
        add("distance to the input", way, eye, translated=moved, untranslated=same, real=apart[s])
        add("distance to the input after the cycle", way, eye, cycled=cycled, untranslated=same, real=apart[s])
        rebuilt, error = (metrics.mean(x, seed=seed) for x in (drawn.rebuilt, drawn.error))
        add("reconstruction distance", names[s], eye, reconstructed=rebuilt, real=apart[s])
        add("reconstruction error (L1)", names[s], None, reconstructed=error)
        for (temperature, grain), values in diversity(
            translator, real[s], s, t, extractor, seed=seed, show=show
        ).items():
            metric = f"diversity at temperature {temperature:g}, grain {grain}"
            add(metric, way, eye, sampled=metrics.mean(values, seed=seed), real=apart[t])
        if translator.has_styles:
            pairs = real[s].photos, real[t].photos
            followed = follows_examples(translator, *pairs, names[s], names[t], most=STYLED, seed=seed, show=show)
            for statistics, hits in followed.items():
                add(f"nearer to its example in {statistics}", way, None, styled=share(hits, seed=seed))
    return rows


def directions() -> tuple[tuple[Domain, Domain], ...]:
    return ("a", "b"), ("b", "a")


def domain_names(translator: Translator) -> dict[Domain, str]:
    a, b = translator.domains
    return {"a": a, "b": b}


def translate_photos(
    translator: Translator,
    real: Real,
    source: Domain,
    target: Domain,
    extractor: FeatureExtractor,
    *,
    back: bool = True,
    show: Progress = lambda batches, _: batches,
) -> Translated:
    """Translate the held-out photos; with `back` also bring them back again, and reconstruct them."""
    names = domain_names(translator)
    here, there = names[source], names[target]
    columns: list[tuple[Tensor, ...]] = []
    empty = torch.empty(0)
    for x in show(real.photos, f"translating test{source.upper()}"):
        of_x = extractor(x)
        x_ab = translator.translate_batch(x, here, there)
        of_x_ab = extractor(x_ab)
        cycled = rebuilt = error = empty
        if back:
            x_aa, x_aba = translator.translate_batch(x, here, here), translator.translate_batch(x_ab, there, here)
            cycled = feature_distance(of_x.maps, extractor(x_aba).maps)
            rebuilt = feature_distance(of_x.maps, extractor(x_aa).maps)
            error = (x_aa - x).abs().mean((1, 2, 3)) / 2
        moved = feature_distance(of_x.maps, of_x_ab.maps)
        of_pixels = mean_lab(x_ab), weave(x_ab, x)
        columns.append((of_x_ab.pooled, of_x_ab.logits, *of_pixels, moved, cycled, rebuilt, error))
    return Translated(*(torch.cat(column).cpu() for column in zip(*columns, strict=True)))


def diversity(
    translator: Translator,
    real: Real,
    source: Domain,
    target: Domain,
    extractor: FeatureExtractor,
    *,
    seed: int,
    show: Progress,
) -> dict[tuple[float, int], Tensor]:
    """{(temperature, grain): feature distance (n,) of two drawings of a photo with different noise}."""
    names, seeds = domain_names(translator), random.Random(seed)
    photos = torch.stack(list(islice(chain.from_iterable(real.photos), SAMPLED)))

    def drawn(x: Tensor, temperature: float, grain: int) -> list[Tensor]:
        sampling = Sampling(temperature, grain, seed=seeds.getrandbits(32))
        return extractor(translator.translate_batch(x, names[source], names[target], sampling)).maps

    found = {}
    for noise in show(list(product(TEMPERATURES, GRAINS)), "translating with noise"):
        distances = [feature_distance(drawn(x, *noise), drawn(x, *noise)) for x in photos.split(BATCH)]
        found[noise] = torch.cat(distances).cpu()
    return found


def different_photos(features: Features) -> Tensor:
    """Feature distance (n,) of each photo of a batch to another one of it; the batches are in random order."""
    return feature_distance(features.maps, [x.roll(1, 0) for x in features.maps]).cpu()


def in_classes(logits: Tensor, classes: Tensor) -> Tensor:
    """Whether the likeliest of the 1000 classes is one of `classes`. (N, 1000) -> (N,) bool."""
    return torch.isin(logits.argmax(1).cpu(), classes)


def read_real(
    root: Path,
    letter: str,
    channels: int,
    size: int,
    extractor: FeatureExtractor,
    *,
    held_out: int = HELD_OUT,
    training: int = TRAINING,
    seed: int = 0,
    show: Progress = lambda batches, _: batches,
) -> Real:
    """The real photos of domain `letter`, in an order decided by `seed`. Raises DataError if there are not enough."""
    device = next(extractor.parameters()).device

    def read(folder: str, most: int) -> list[Tensor]:
        paths = list_photos(root / folder)
        random.Random(seed).shuffle(paths)
        readable, steps = read_photos(paths, size), range(min(most, len(paths)))
        photos = [photo for _ in show(steps, f"reading {folder}") if (photo := next(readable, None))]
        if len(photos) < 2:
            raise DataError(f"{folder} has {len(photos)} photos that can be read; measuring needs some, better 100.")
        parts = torch.arange(len(photos)).tensor_split(-(-len(photos) // BATCH))  # no batch of one: different_photos
        return [torch.cat([to_tensor(photos[i], channels) for i in part]).to(device) for part in parts]

    photos = read(f"test{letter}", held_out)
    features, apart = [], []
    for x in show(photos, f"looking at test{letter}"):
        of_x = extractor(x)
        apart.append(different_photos(of_x))
        features.append(of_x._replace(maps=[]))
    learnt = read(f"train{letter}", training)
    pooled = [extractor(x).pooled for x in show(learnt, f"looking at train{letter}")]
    colours = torch.cat([mean_lab(x) for x in learnt])
    return Real(photos, features, torch.cat(apart), torch.cat(pooled), colours)


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
        root, model = find_data(config.data.source), config.model
        self.extractor = EfficientNetLite2().to(device_of(config.engine.device))
        channels: dict[Domain, int] = {"a": model.channels_a, "b": model.channels_b}
        self.real: dict[Domain, Real] = {
            domain: read_real(root, domain.upper(), c, model.image_size, self.extractor, held_out=n, training=4 * n)
            for domain, c in channels.items()
        }
        self.probe = fit_probe(self.real["a"].training, self.real["b"].training)

    def __call__(self, model: Model) -> dict[str, float]:
        """{"kid_ab", "success_ab", "content_ab", and the same of "ba"}; content is the distance to the input."""
        translator = Translator(model, next(model.parameters()).device)
        values = {}
        for s, t in directions():
            drawn = translate_photos(translator, self.real[s], s, t, self.extractor, back=False)
            values[f"kid_{s}{t}"] = kid(drawn.pooled, self.real[t].pooled, resamples=0).value
            values[f"success_{s}{t}"] = self.probe.says(t, drawn.pooled).float().mean().item()
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


@dataclass(frozen=True)
class Options:
    """What is measured."""

    checkpoint: Positional[str]
    """Folder of an exported model, or owner/name on the Hugging Face Hub."""
    data: str
    """Folder with trainA, trainB, testA, testB, or hf:owner/dataset."""
    size: int | None = None
    """Side of the pictures; that of the training crops if it is left out."""
    n: int = HELD_OUT
    """Held-out photos of each domain."""
    features: Literal["lite2", "inception"] = "lite2"
    """For KID, FID and the probe. inception: as in papers, needs torch-fidelity and a network."""
    classes_a: str | None = None
    """ImageNet classes that are domain a, for example 281-285 for cats ..."""
    classes_b: str | None = None
    """... and domain b, for example 151-275 for dogs."""
    seed: int = 0
    """Of noise, resamples and choices."""
    out: Path | None = None
    """Folder for metrics.json and metrics.md; the checkpoint if it is left out."""

    def __post_init__(self) -> None:
        if (self.classes_a is None) != (self.classes_b is None):
            raise ValueError("--classes-a and --classes-b belong together: give both, or neither.")
        if self.n < 2:
            raise ValueError(f"--n is {self.n}: measuring needs 2 photos or more, better 100.")
        if self.size is not None and not 4 <= self.size <= 4096:
            raise ValueError(f"--size is {self.size}: it must be from 4 to 4096 pixels.")

    def words(self) -> str:
        """The command that measures the same, without folders of this machine."""
        said = ["python -m train evaluate", shlex.quote(redact_path(self.checkpoint))]
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name not in ("checkpoint", "out") and value != f.default:
                text = redact_path(value) if f.name == "data" else str(value)
                said += [f"--{f.name.replace('_', '-')}", shlex.quote(text)]
        return " ".join(said)


@command("evaluate")
def main(options: Unprefixed[Options]) -> None:
    """How well a model does on photos it has not seen.

    Translates the photos of testA and testB, compares features of a network that never taught (see
    train/eval/extractors.py), and writes metrics.json and metrics.md beside the weights. Each measure has the number of
    photos and a 95 % bootstrap interval; what the untranslated photos and real photos of the target get under the same
    measure says how to read it.
    """
    results = run(options)
    out = options.out or Path(options.checkpoint)
    try:
        write_atomic(out / METRICS, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())
        write_atomic(out / "metrics.md", (table(results) + "\n").encode())
        write_card(out)  # if there is one that this program wrote
    finally:
        print(table(results))  # in any case: should the disk be full, it is not lost


def run(options: Options) -> dict[str, Any]:
    """Measure. Returns what `main` writes into metrics.json."""
    classes: Classes | None = None
    if options.classes_a and options.classes_b:
        classes = {"a": class_numbers(options.classes_a), "b": class_numbers(options.classes_b)}
    translator = Translator(load_pretrained(options.checkpoint))
    if options.out is None and not Path(options.checkpoint).is_dir():
        raise ValueError(f"{options.checkpoint} is on the Hub: say with --out which folder the measures go to.")
    out = options.out or Path(options.checkpoint)
    out.mkdir(parents=True, exist_ok=True)  # now, and not when all is measured
    config, device = translator.config, translator.device
    if config.aligned and options.size not in (None, config.image_size):
        raise ValueError(f"this model draws all pictures at {config.image_size} px: leave --size out.")
    size = options.size or config.image_size
    root = find_data(options.data)
    extractor = (WithInception() if options.features == "inception" else EfficientNetLite2()).to(device)

    def show(steps: Iterable[Any], what: str) -> Iterable[Any]:
        return tqdm(steps, desc=what, leave=False)

    channels: dict[Domain, int] = dict(zip(("a", "b"), config.channels, strict=True))
    real: dict[Domain, Real] = {
        domain: read_real(root, domain.upper(), c, size, extractor, held_out=options.n, seed=options.seed, show=show)
        for domain, c in channels.items()
    }
    probe = fit_probe(real["a"].training, real["b"].training)
    return {
        "checkpoint": redact_path(options.checkpoint),
        "data": redact_path(options.data),
        "date": date.today().isoformat(),
        "command": options.words(),
        "features": extractor.name,
        "size": size,
        "seed": options.seed,
        "hardware": f"{hardware(device)}, computed in {str(translator.dtype).removeprefix('torch.')}",
        "rows": evaluate(translator, real, probe, extractor, classes=classes, seed=options.seed, show=show),
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
