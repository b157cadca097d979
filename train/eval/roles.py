"""The five models that are in a UNIT (arXiv:1703.00848, table 1), each measured at what it is for, and shown."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from tyro.conf import Positional

from train.command import Unprefixed, command
from train.config import TrainConfig
from train.data.batches import held_out_photos
from train.data.source import DataError, redact_path
from train.eval import metrics
from train.eval.evaluate import domain_names, hardware
from train.eval.extractors import EfficientNetLite2
from train.eval.metrics import Measured, feature_distance
from train.networks import build_discriminators, discriminators_from
from unit.checkpoint import DISCRIMINATORS, write_atomic
from unit.hub import load_pretrained
from unit.images import load_image, to_tensor
from unit.models.discriminator import Discriminators
from unit.models.protocol import Domain
from unit.pipeline import PRIOR, Translator

BATCH = 8  # pictures that are worked on at once
SHOWN = 6  # samples in a picture
REAL = {"hinge": 0.0, "bce": 0.0, "lsgan": 0.5}  # above it, D speaks more as of real photos than as of others
DOMAINS: tuple[Domain, Domain] = ("a", "b")
Pictures = Mapping[Domain, Tensor]  # of each domain (N, C, H, W) in [-1, 1]


class Judges:
    """The discriminators of a run, and what they look through: whether they take pictures for real photos."""

    def __init__(self, config: TrainConfig, projection: nn.Module, discriminators: Discriminators):
        self.projection, self.nets = projection.eval(), {"a": discriminators.a.eval(), "b": discriminators.b.eval()}
        self.real = REAL[config.discriminator.gan_loss]

    @classmethod
    def beside(cls, folder: Path) -> "Judges":
        """Those that `train export --with-discriminators` put beside a model. Raises ValueError if there are none."""
        if not (folder / DISCRIMINATORS).is_file():
            raise ValueError(f"{folder} has no {DISCRIMINATORS}: export the run again with --with-discriminators.")
        config = TrainConfig.from_saved(json.loads((folder / "training.json").read_text(encoding="utf-8"))["config"])
        projection, discriminators = build_discriminators(config)
        discriminators_from(str(folder), projection, discriminators)
        return cls(config, projection, discriminators)

    @torch.inference_mode()
    def accepted(self, x: Tensor, domain: Domain) -> Measured:
        """The share of pictures (N, C, H, W) whose mean output, over places and then over scales, says real."""
        outputs = [self.nets[domain](self.projection(part)) for part in x.split(BATCH)]
        scores = [torch.stack([scale.float().flatten(1).mean(1) for scale in scales]).mean(0) for scales in outputs]
        return metrics.share(torch.cat(scores) > self.real)


class Row(NamedTuple):
    """What was measured of a role: in pictures of domain a and of domain b, and what it is to be compared with."""

    role: str
    what: str
    a: Measured
    b: Measured
    reference: str


def measure(translator: Translator, judges: Judges, real: Pictures) -> list[Row]:
    """All rows of the table. `real`: held-out photos, as many of either domain."""
    names = domain_names(translator)

    def translated(source: Domain, target: Domain) -> Tensor:
        parts = real[source].split(BATCH)
        return torch.cat([translator.translate_batch(x, names[source], names[target]) for x in parts])

    recon: Pictures = {d: translated(d, d) for d in DOMAINS}
    fake: Pictures = {"a": translated("b", "a"), "b": translated("a", "b")}
    pairs = translator.sample(len(real["a"]), PRIOR)
    sampled: Pictures = {
        d: torch.cat([to_tensor(pair[i], real[d].shape[1]) for pair in pairs]) for i, d in enumerate(DOMAINS)
    }

    def accepted(pictures: Pictures) -> tuple[Measured, Measured]:
        return judges.accepted(pictures["a"], "a"), judges.accepted(pictures["b"], "b")

    blank = {d: x.mean((2, 3), keepdim=True).expand_as(x) for d, x in real.items()}
    others = {d: x.roll(1, 0) for d, x in sampled.items()}
    look = EfficientNetLite2().eval()
    one_z, two_z = apart(look, sampled["a"], sampled["b"]), apart(look, sampled["a"], others["b"])
    one_colour = [error(blank[d], real[d]).value for d in DOMAINS]
    judged = "real photos: " + numbers(*(m.value for m in accepted(real)))
    return [
        Row("VAE", "L1 of reconstructions, where black to white is 1", error(recon["a"], real["a"]),
            error(recon["b"], real["b"]), f"one colour: {numbers(*one_colour)}"),
        Row("translator", "translations that D takes for real", *accepted(fake), judged),
        Row("GAN", "samples of the prior that D takes for real", *accepted(sampled), judged),
        Row("VAE-GAN", "reconstructions that D takes for real", *accepted(recon), judged),
        Row("CoGAN", f"distance between both pictures of one z, by {look.name}", one_z, one_z,
            f"pictures of two z: {numbers(two_z.value)}"),
    ]  # fmt: skip


def error(x: Tensor, y: Tensor) -> Measured:
    """L1 of each picture, where black to white is 1."""
    return metrics.mean((x - y).abs().mean((1, 2, 3)) / 2)


@torch.inference_mode()
def apart(look: EfficientNetLite2, x: Tensor, y: Tensor) -> Measured:
    """The feature distance of each picture to its partner."""
    parts = zip(x.split(BATCH), y.split(BATCH), strict=True)
    return metrics.mean(torch.cat([feature_distance(look(one).maps, look(other).maps) for one, other in parts]))


def numbers(*values: float) -> str:
    return " and ".join(f"{value:.3f}" for value in values)


def pictures(translator: Translator, photo: Image.Image) -> dict[str, tuple[str, list[list[Image.Image]]]]:
    """File name -> what it shows, and rows of pictures. photo: of the first domain."""
    a, b = translator.domains
    x_ab, x_aba = translator.cycle(photo, a)
    pairs = translator.sample(SHOWN, PRIOR)
    return {
        "vae": (f"VAE {{E1, G1}}: {a}, and its reconstruction", [[photo, translator.reconstruct(photo, a)]]),
        "translator": (f"Translator {{E1, G2}}: {a}, as {b}, and back", [[photo, x_ab, x_aba]]),
        "gan": (f"GAN {{G1, D1}}: {a}, of the prior", [[first for first, _ in pairs]]),
        "cogan": (
            f"CoGAN {{G1, G2, D1, D2}}: above {a}, below {b}, of one z each",
            [[first for first, _ in pairs], [second for _, second in pairs]],
        ),
    }


def sheet(rows: list[list[Image.Image]], gap: int = 4) -> Image.Image:
    """Rows of pictures of one size side by side, on white."""
    width, height = rows[0][0].size
    whole = Image.new("RGB", (len(rows[0]) * (width + gap) - gap, len(rows) * (height + gap) - gap), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            whole.paste(picture, (x * (width + gap), y * (height + gap)))
    return whole


@dataclass(frozen=True)
class Options:
    """What is measured and shown."""

    checkpoint: Positional[Path]
    """Folder of a UNIT that was exported with --with-discriminators."""
    data: str
    """Folder with testA and testB: held-out photos that are measured, and not shown."""
    photo: Path
    """A photo of the first domain that is shown."""
    out: Path = Path("docs/roles.md")
    """The page. Its pictures go into a folder beside it that is called like it."""
    n: int = 50
    """Held-out photos of each domain, at most, and pairs of the prior."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"--n is {self.n}: measuring needs 2 photos or more, better 50.")


@command("roles")
def main(options: Unprefixed[Options]) -> None:
    """The five models that are in a UNIT, each measured at what it is for, and shown: a page in Markdown.

    UNIT is a VAE, a translator, a GAN, a VAE-GAN and a CoGAN at once (arXiv:1703.00848, table 1). The pictures show the
    photo that is named and samples, and no photo of the data.
    """
    model: Any = load_pretrained(str(options.checkpoint))
    if model.config.model != "unit":
        raise ValueError(f"{options.checkpoint} is a {model.config.model}: the five roles are those of a unit.")
    translator, judges = Translator(model, "cpu"), Judges.beside(options.checkpoint)
    photos = held_out_photos(dataclasses.replace(TrainConfig.of(data=options.data), model=model.config), options.n)
    if photos is None:
        raise DataError(f"{options.data} needs testA and testB with photos: they are what is measured.")
    photo = load_image(options.photo)
    photo.thumbnail((256, 256))
    shown = pictures(translator, photo)
    folder = options.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, rows) in shown.items():
        sheet(rows).save(folder / f"{name}.jpg", quality=85)
    table = measure(translator, judges, dict(zip(DOMAINS, photos, strict=True)))
    text = page(options, translator, table, {f"{folder.name}/{name}.jpg": what for name, (what, _) in shown.items()})
    write_atomic(options.out, text.encode())
    print(options.out)


def page(options: Options, translator: Translator, rows: list[Row], shown: Mapping[str, str]) -> str:
    """Markdown of the table and of the pictures by their files."""
    a, b = translator.domains
    data = redact_path(options.data)
    words = ["python -m train roles", *map(str, (options.checkpoint, "--data", data, "--photo", options.photo))]
    told = "\n\n".join(f"**{what}**\n\n![{what}]({file})" for file, what in shown.items())
    lines = [f"| {row.role} | {row.what} | {cell(row.a)} | {cell(row.b)} | {row.reference} |" for row in rows]
    return PAGE.format(
        checkpoint=options.checkpoint, data=data, command=f"{' '.join(words)} --n {options.n}", date=date.today(),
        hardware=hardware(translator.device), a=a, b=b, rows="\n".join(lines), pictures=told,
    )  # fmt: skip


def cell(m: Measured) -> str:
    return f"{m.value:.3f} [{m.low:.3f}, {m.high:.3f}] n={m.n}"


PAGE = """\
# The five models in one

UNIT is a VAE, a translator, a GAN, a VAE-GAN and a CoGAN at once
([arXiv:1703.00848](https://arxiv.org/abs/1703.00848), table 1). This is what each of them does in
`{checkpoint}`, on held-out photos of `{data}` ({date}, {hardware}):

```
{command}
```

| role | measured | {a} | {b} | to compare with |
|---|---|---|---|---|
{rows}

- Columns: the domain that the pictures are in. In brackets: 95 % bootstrap intervals; n: the number of pictures.
- **Takes for real**: the mean output of the discriminator, over places and scales, is nearer to what it was taught to
  say of photos. These are the discriminators that taught this model, as they were at the end. They tell how the game
  stood, and not how good the pictures are: [results.md](results.md) does.
- **Distance**: 1 - cosine between feature maps, 0 for equal pictures. If one z means one scene in both domains, its two
  pictures are nearer to each other than pictures of two z.
- **Samples**: the prior draws each place of a latent by itself, and a convolutional decoder joins near places only. So
  what it makes of the prior are textures of its domain rather than scenes or faces.

{pictures}
"""
