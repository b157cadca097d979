"""What a run is: frozen dataclasses that check themselves, and the presets. The command line is derived from them.

Each group of options is a dataclass of its own, and its fields are options without its name before them: `--lr-g`, and
not `--optim.lr-g`. Only `--model.…` and `--weights.…` are prefixed. What a group's values can contradict without any
other group is refused by it; what several groups, the processes or the machine make impossible, by train/checks.py.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import tyro

from train.command import Unprefixed
from unit.checkpoint import upgraded
from unit.losses import GANLoss
from unit.models import MODELS
from unit.models.munit import MUNITConfig
from unit.models.unit import UNITConfig

ONE_OR_MORE, NOT_NEGATIVE = "it must be 1 or more", "it must be 0 or more"


def check(group: object, *rules: tuple[str, bool, str], prefix: str = "") -> None:
    """Raises ValueError with a sentence for each rule (field, whether it is kept, what it is) that is not kept."""
    found = []
    for name, kept, what in rules:
        if not kept:
            value = getattr(group, name)
            said = " ".join(map(str, value)) if isinstance(value, tuple) else value
            found.append(f"--{prefix}{name.replace('_', '-')} is {said}: {what}.")
    if found:
        raise ValueError("\n".join(found))


def not_negative(value: float) -> bool:
    """Whether it is a finite number from 0 on, and not NaN."""
    return 0 <= value < math.inf


@dataclass(frozen=True)
class DataConfig:
    """The photos, and how a batch is made of them."""

    source: Annotated[str, tyro.conf.arg(name="data")]
    """Folder with trainA, trainB and, for sample grids and measures, testA, testB; or hf:owner/dataset of the Hub."""
    batch_size: int = 8
    """Photos of each domain a step, over all processes: the same run on one GPU or on eight."""
    min_crop: float = 0.4
    """Crops cover from this share of the photo's area up to all of it, and are resized to image_size."""
    rotate: float = 0.0
    """Crops are turned by up to this many degrees either way; the photo is mirrored where they reach beyond it."""
    jitter: float = 0.0
    """Brightness, contrast and the gain of each channel of a crop change by up to this share. Helps with few photos."""
    workers: int = 1
    """Processes that read and crop photos, for each process that trains."""
    cache: bool = True
    """Keep the photos decoded, and scaled down as far as the crops allow, on the disk: reading then costs nothing."""
    max_unreadable: float = 0.01
    """Share of a domain's photos that may be unreadable (they are named and skipped) before the run stops."""

    def __post_init__(self) -> None:
        check(
            self,
            ("batch_size", self.batch_size >= 1, ONE_OR_MORE),
            ("min_crop", 0 < self.min_crop <= 1, "it is a share of the photo, above 0 and up to 1"),
            ("rotate", 0 <= self.rotate <= 180, "it is in degrees either way, from 0 up to 180"),
            ("jitter", 0 <= self.jitter < 1, "it is a share, from 0 to below 1"),
            ("workers", not_negative(self.workers), NOT_NEGATIVE),
            ("max_unreadable", not_negative(self.max_unreadable), NOT_NEGATIVE),
        )


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The discriminators, what they are shown, and the game against them."""

    kind: Annotated[Literal["patch", "multiscale", "projected"], tyro.conf.arg(name="discriminator")] = "projected"
    """patch: 2017. multiscale: 2018. projected: heads on frozen EfficientNet-Lite0 features; learns fastest."""
    d_dim: int = 64
    """Width of patch and multiscale discriminators: channels after the first convolution."""
    d_layers: int = 6
    """Depth of the patch discriminator: strided convolutions, each of which halves the picture."""
    gan_loss: GANLoss = "hinge"
    """bce: the paper. lsgan: 2018. hinge: with spectrally normalised discriminators."""
    spectral_norm: bool = False
    """For patch and multiscale discriminators (projected ones always have it): tames them at the cost of detail."""
    zoom: float = 1.0
    """The discriminators look at random crops of at least this share of the side; 1: at the whole picture."""
    diffaugment: bool = False
    """DiffAugment (Zhao 2020): D sees real and drawn photos recoloured, shifted, cut out. Helps below 1,000 photos."""
    real_negatives: bool = False
    """Half of what D refuses are real photos of the other domain (cf. Reed 2016). Helps where the domains are alike."""
    r1: float = 0.0
    """R1 penalty on real photos (Mescheder 2018), helps against a discriminator that wins; 10 is usual, 0: off."""
    r1_every: int = 16
    """Steps from one R1 penalty to the next, which counts as many times (lazy, StyleGAN2)."""

    def __post_init__(self) -> None:
        check(
            self,
            ("d_dim", self.d_dim >= 1, ONE_OR_MORE),
            ("d_layers", self.d_layers >= 1, ONE_OR_MORE),
            ("zoom", 0 < self.zoom <= 1, "it is a share of the side, above 0 and up to 1"),
            ("r1", not_negative(self.r1), NOT_NEGATIVE),
            ("r1_every", self.r1_every >= 1, ONE_OR_MORE),
        )


@dataclass(frozen=True)
class UNITWeights:
    """The lambdas. They multiply means, not sums (see unit/losses.py)."""

    gan: float = 10.0
    """lambda_0: the adversarial term, for both players."""
    kl: float = 0.1
    """lambda_1: the posterior of photos against the prior."""
    recon: float = 100.0
    """lambda_2: L1 of the reconstruction."""
    cycle_kl: float = 0.1
    """lambda_3: the posterior of translations against the prior."""
    cycle: float = 100.0
    """lambda_4: L1 of a -> b -> a."""
    identity: float = 0.0
    """Not the paper's: a photo of the wrong season is left as it is. Helps against swapped colours (green for red)."""
    colour: float = 0.0
    """Not the paper's: large regions of a translation keep the photo's colours. Not for pairs that differ by colour."""
    perceptual: float = 0.0
    """Not the paper's: reconstructions should look alike to the frozen features, too. Helps against soft ones."""

    def __post_init__(self) -> None:
        check_weights(self)


@dataclass(frozen=True)
class MUNITWeights:
    """Weights of MUNIT's terms (arXiv:1804.04732, section 3). They multiply means, not sums (see unit/losses.py)."""

    gan: float = 1.0
    """The adversarial term, for both players."""
    recon: float = 10.0
    """lambda_x: L1 of the reconstruction."""
    style: float = 1.0
    """lambda_s: L1 between the style that was drawn and that of the translation."""
    content: float = 1.0
    """lambda_c: L1 between the contents of photo and translation."""
    cycle: float = 10.0
    """L1 of a -> b -> a with the photo's own style; the paper's 10 for summer and winter, 0 for edges and photos."""
    style_kl: float = 0.0
    """Not the paper's: styles of photos follow the prior, so that those of examples can be drawn with."""
    perceptual: float = 0.0
    """Not the paper's: reconstructions should look alike to the frozen features, too. Helps against soft ones."""

    def __post_init__(self) -> None:
        check_weights(self)


def check_weights(weights: object) -> None:
    """Raises ValueError unless all weights of a model's losses are numbers from 0 on."""
    rules = ((name, not_negative(weight), NOT_NEGATIVE) for name, weight in vars(weights).items())
    check(weights, *rules, prefix="weights.")


@dataclass(frozen=True)
class OptimConfig:
    """How long it learns, and by which steps."""

    steps: int = 100_000
    """Optimiser steps in all."""
    minutes: float = 0.0
    """Minutes of training in all, over all starts of the run: it ends, and the schedule with it, by whichever of steps
    and minutes comes first. 0: by steps alone. Such a run depends on the machine's pace, so it cannot be repeated."""
    lr_g: float = 1e-4
    """Learning rate of encoders and decoders."""
    lr_d: float = 1e-4
    """Learning rate of the discriminators."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's."""
    weight_decay: float = 1e-4
    """L2 in Adam, as in the released code."""
    schedule: Literal["constant", "linear", "cosine", "step"] = "constant"
    """Learning rates over the run. linear: constant for the first half, then straight to 0. cosine: to 0 throughout.
    step: halved every 100,000 steps, as in the 2018 code."""
    clip: float = 0.0
    """Gradients of a larger norm are scaled down to this one; 0: never. Helps where single batches throw the run."""
    accumulate: int = 1
    """Parts a batch is worked through in, for less memory. Same result (but for spectral norm, whose power iteration
    goes on with each part); the fakes are drawn twice when it is over 1."""
    max_skipped: int = 20
    """Steps in succession that may be skipped because a gradient was not finite, before the run stops."""
    ema: float = 0.999
    """Decay of the averaged generator, which is the one that is exported."""

    def __post_init__(self) -> None:
        names = ("minutes", "lr_g", "lr_d", "weight_decay", "clip", "max_skipped")
        check(
            self,
            ("steps", self.steps >= 1, ONE_OR_MORE),
            ("accumulate", self.accumulate >= 1, ONE_OR_MORE),
            *((name, not_negative(getattr(self, name)), NOT_NEGATIVE) for name in names),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "both must be from 0 to below 1"),
            ("ema", 0 <= self.ema < 1, "the average keeps that share of itself at each step, from 0 to below 1"),
        )


@dataclass(frozen=True)
class EngineConfig:
    """What it is computed on, and how. None of it changes what is learnt, but for rounding."""

    device: str = "auto"
    """auto: cuda, then mps, then cpu."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: bf16 where the hardware multiplies it, else fp32. bf16, fp16: networks under autocast, the rest in fp32."""
    compile: bool = True
    """torch.compile each encoder and decoder: a minute at the start, then about twice the speed."""
    checkpointing: bool = False
    """Activation checkpointing: the generator's inner maps are computed again in the backward pass, not kept."""


@dataclass(frozen=True)
class LogConfig:
    """What is written down of a run, and how often."""

    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int = 500
    """Steps between sample grids."""
    save_every: int = 500
    """Steps between checkpoints. The two newest are kept."""
    evaluate_every: int = 0
    """Steps between measures on testA and testB (train/eval/evaluate.py), written into the log; 0: never."""
    tensorboard: bool = False
    """Write the log for TensorBoard too (pip install tensorboard)."""

    def __post_init__(self) -> None:
        names = ("log_every", "sample_every", "save_every")
        check(
            self,
            *((name, getattr(self, name) >= 1, ONE_OR_MORE) for name in names),
            ("evaluate_every", not_negative(self.evaluate_every), NOT_NEGATIVE),
        )


@dataclass(frozen=True)
class HubConfig:
    """Pushes to the Hugging Face Hub while it trains."""

    push_to: str = ""
    """Hub repository owner/name that the averaged weights are pushed to while training. Empty: none."""
    push_every: int = 5000
    """Steps between pushes."""
    push_private: bool = True
    """Whether the repository of push_to is private; as long as it should be, a public one is not pushed to."""

    def __post_init__(self) -> None:
        check(self, ("push_every", self.push_every >= 1, ONE_OR_MORE))


@dataclass(frozen=True)
class TrainConfig:
    """Options of a run. Saved in every checkpoint; a resumed run uses the options given to it."""

    data: Unprefixed[DataConfig]
    run_dir: Path = Path("runs/unit")
    """Folder of this run: checkpoints, log, grids. A run that is already there is resumed."""
    model: tyro.conf.AvoidSubcommands[UNITConfig | MUNITConfig] = field(default_factory=UNITConfig)
    """The network. Its image_size is the side of the training crops."""
    init: str = ""
    """Folder or Hub repository whose weights the generator starts from; compact8 can grow from compact. Empty: anew."""
    weights: tyro.conf.AvoidSubcommands[UNITWeights | MUNITWeights] = field(default_factory=UNITWeights)
    """Weights of the loss terms."""
    discriminator: Unprefixed[DiscriminatorConfig] = field(default_factory=DiscriminatorConfig)
    optim: Unprefixed[OptimConfig] = field(default_factory=OptimConfig)
    seed: int = 0
    """With the step, it decides every crop and every noise draw, so a resumed run repeats an uninterrupted one."""
    engine: Unprefixed[EngineConfig] = field(default_factory=EngineConfig)
    log: Unprefixed[LogConfig] = field(default_factory=LogConfig)
    hub: Unprefixed[HubConfig] = field(default_factory=HubConfig)

    def __post_init__(self) -> None:
        check(self, ("seed", -(2**63) <= self.seed < 2**64, "it must fit in 64 bits"))

    @classmethod
    def of(cls, **options: Any) -> "TrainConfig":
        """The config with these options, named as one types them, `lr_g` for `--lr-g`. The others have their defaults.

        `model` and `weights` are given as a whole. Raises TypeError for an option that there is not.
        """
        groups = {}
        for name, group in GROUPS.items():
            given = {f: options.pop(option) for f, option in option_names(group).items() if option in options}
            groups[name] = group(**given)
        return cls(**groups, **options)

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> "TrainConfig":
        """What a file has from `to_json`, of whatever version.

        Options that are younger than the file have the values that change nothing; those that are gone are left out.
        """
        known = TrainConfig.of(data="").options()
        options = {name: value for name, value in saved.items() if name in known}
        model = upgraded(saved.get("model", {}))
        kind = model.get("model", UNITConfig.model)
        options["model"] = _known(MODELS[kind][0], model)
        options["weights"] = _known(WEIGHTS[kind], saved.get("weights", {}))
        for name, of_json in (("betas", tuple), ("run_dir", Path)):
            if name in options:
                options[name] = of_json(options[name])
        return cls.of(**options)

    def options(self) -> dict[str, Any]:
        """All options by the names that one types, as `of` takes them."""
        options: dict[str, Any] = {}
        for name, value in vars(self).items():
            names = option_names(GROUPS[name]) if name in GROUPS else {}
            options |= {option: getattr(value, f) for f, option in names.items()} if names else {name: value}
        return options

    def replace(self, **changes: Any) -> "TrainConfig":
        """A copy with other options, named as `of` takes them."""
        return TrainConfig.of(**(self.options() | changes))

    def to_json(self) -> str:
        """All options by the names that one types, so that files stay the same whatever groups there are."""
        values = self.options()
        nested = {name: dataclasses.asdict(values[name]) for name in ("model", "weights")}
        return json.dumps(values | nested, default=str)

    def seed_for(self, *what: object) -> int:
        """A seed of 32 bits for a purpose, e.g. ("noise", step, row), that has nothing in common with any other."""
        return int.from_bytes(hashlib.blake2b(repr((self.seed, *what)).encode(), digest_size=4).digest(), "big")


GROUPS: dict[str, type[Any]] = {
    "data": DataConfig, "discriminator": DiscriminatorConfig, "optim": OptimConfig, "engine": EngineConfig,
    "log": LogConfig, "hub": HubConfig,
}  # fmt: skip
WEIGHTS: dict[str, type[Any]] = {
    "unit": UNITWeights,
    "munit": MUNITWeights,
}  # by the name of the model, as in `unit.models.MODELS`
_OPTION = {"source": "data", "kind": "discriminator"}  # fields that are not called like their options


def option_names(group: type[Any]) -> dict[str, str]:
    """The fields of a group -> the options that set them, with underscores."""
    return {f.name: _OPTION.get(f.name, f.name) for f in dataclasses.fields(group)}


def _known(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """The dataclass of these values, without those that it has no field for."""
    names = {f.name for f in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names})


def presets(data: str) -> dict[str, tuple[str, TrainConfig]]:
    """Name -> (one line for --help, the values). `data` fills the one field without a default."""
    light = OptimConfig(lr_g=3e-4, lr_d=1e-3, betas=(0.5, 0.99), weight_decay=0.0)
    return {
        "compact": (
            "Ours: light on a CPU, projected discriminators, hours instead of weeks.",
            TrainConfig(
                data=DataConfig(data, batch_size=4, min_crop=0.25),
                model=UNITConfig(layout="compact", image_size=128, dim=32),
                discriminator=DiscriminatorConfig(zoom=0.7, real_negatives=True),
                weights=UNITWeights(
                    gan=2.5, kl=0.04, recon=5.0, cycle_kl=0.04, cycle=2.0, identity=0.05, perceptual=3.0
                ),
                optim=light,
            ),
        ),
        "faces": (
            "Ours, for aligned pictures such as faces: shown whole, and half as many latent pixels along each side.",
            TrainConfig(
                data=DataConfig(data, batch_size=8, min_crop=0.8),
                model=UNITConfig(layout="compact8", image_size=128, aligned=True, dim=32),
                discriminator=DiscriminatorConfig(zoom=0.85, real_negatives=True),
                weights=UNITWeights(gan=1.0, kl=0.03, recon=5.0, cycle_kl=0.03, cycle=3.0, perceptual=2.0),
                optim=dataclasses.replace(light, ema=0.995),
            ),
        ),
        "paper": (
            "The 2017 networks, losses and weights, one photo of each domain a step.",
            TrainConfig(
                data=DataConfig(data, batch_size=1),
                model=UNITConfig(layout="paper", image_size=256, dim=64, n_res=3, n_res_shared=1),
                discriminator=DiscriminatorConfig(kind="patch", gan_loss="bce"),
                optim=OptimConfig(steps=500_000),
            ),
        ),
        "master2018": (
            "The authors' 2018 rewrite: nothing shared, LSGAN on three scales.",
            TrainConfig(
                data=DataConfig(data, batch_size=1),
                model=UNITConfig(layout="master2018", image_size=256, dim=64, n_res=4, n_res_shared=0),
                discriminator=DiscriminatorConfig(kind="multiscale", gan_loss="lsgan"),
                weights=UNITWeights(gan=3.0, kl=0.01, recon=10.0, cycle_kl=0.01, cycle=10.0),  # 1 for each of 3 scales
                optim=OptimConfig(steps=1_000_000, schedule="step"),
            ),
        ),
        "munit": (
            "MUNIT as published in 2018: many translations of a photo, one for each style.",
            TrainConfig(
                data=DataConfig(data, batch_size=1),
                model=MUNITConfig(layout="munit", image_size=256, dim=64, n_res=4, n_res_shared=0),
                discriminator=DiscriminatorConfig(kind="multiscale", gan_loss="lsgan"),
                weights=MUNITWeights(gan=3.0),  # 1 for each of 3 scales
                optim=OptimConfig(steps=1_000_000, schedule="step"),
            ),
        ),
        "munit-compact": (
            "Ours: MUNIT that is light on a CPU, for aligned pictures; it can start from a refined8 UNIT (--init).",
            TrainConfig(
                data=DataConfig(data, batch_size=8, min_crop=0.8),
                model=MUNITConfig(layout="munit-compact", image_size=128, aligned=True, dim=48),
                discriminator=DiscriminatorConfig(zoom=0.85, real_negatives=True),
                weights=MUNITWeights(recon=5.0, content=0.1, cycle=1.0, style_kl=0.1, perceptual=2.0),
                optim=dataclasses.replace(light, ema=0.995),
            ),
        ),
    }


if TYPE_CHECKING:
    PresetName: TypeAlias = str
    Preset: TypeAlias = TrainConfig
else:
    PresetName = tyro.extras.literal_type_from_choices(list(presets("")))
    Preset = Unprefixed[  # a parameter of a command: the name of a preset, and any of its options
        tyro.extras.subcommand_type_from_defaults(
            {name: config for name, (_, config) in presets("").items()},
            {name: what for name, (what, _) in presets("").items()},
            prefix_names=False,
        )
    ]
