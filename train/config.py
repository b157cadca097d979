"""What a run is: one frozen dataclass, and the presets. The command line is derived from it."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from unit.losses import GANLoss
from unit.models.unit import UNITConfig


@dataclass(frozen=True)
class LossWeights:
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


@dataclass(frozen=True)
class TrainConfig:
    """Options of a run. Saved in every checkpoint; a resumed run uses the options given to it."""

    data: str
    """Folder with trainA, trainB and, for sample grids and measures, testA, testB; or hf:owner/dataset of the Hub."""
    run_dir: Path = Path("runs/unit")
    """Folder of this run: checkpoints, log, grids. A run that is already there is resumed."""
    model: UNITConfig = field(default_factory=UNITConfig)
    """The network. Its image_size is the side of the training crops."""
    init: str = ""
    """Folder or Hub repository whose weights the generator starts from; compact8 can grow from compact. Empty: anew."""
    discriminator: Literal["patch", "multiscale", "projected"] = "projected"
    """patch: 2017. multiscale: 2018. projected: heads on frozen EfficientNet-Lite0 features; learns fastest."""
    d_dim: int = 64
    """Width of patch and multiscale discriminators: channels after the first convolution."""
    d_layers: int = 6
    """Depth of the patch discriminator: strided convolutions, each of which halves the picture."""
    gan_loss: GANLoss = "hinge"
    """bce: the paper. lsgan: 2018. hinge: with spectrally normalised discriminators."""
    weights: LossWeights = field(default_factory=LossWeights)
    """Weights of the loss terms."""
    min_crop: float = 0.4
    """Crops cover from this share of the photo's area up to all of it, and are resized to image_size."""
    rotate: float = 0.0
    """Crops are turned by up to this many degrees either way; the photo is mirrored where they reach beyond it."""
    jitter: float = 0.0
    """Brightness, contrast and the gain of each channel of a crop change by up to this share. Helps with few photos."""
    zoom: float = 1.0
    """The discriminators look at random crops of at least this share of the side; 1: at the whole picture."""
    steps: int = 100_000
    """Optimiser steps in all."""
    minutes: float = 0.0
    """Minutes of training in all, over all starts of the run: it ends, and the schedule with it, by whichever of steps
    and minutes comes first. 0: by steps alone. Such a run depends on the machine's pace, so it cannot be repeated."""
    batch_size: int = 8
    """Photos of each domain a step, over all processes: the same run on one GPU or on eight."""
    accumulate: int = 1
    """Parts a batch is worked through in, for less memory. Same result (but for spectral norm, whose power iteration
    goes on with each part); the fakes are drawn twice when it is over 1."""
    checkpointing: bool = False
    """Activation checkpointing: the generator's inner maps are computed again in the backward pass, not kept."""
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
    r1: float = 0.0
    """R1 penalty on real photos (Mescheder 2018), helps against a discriminator that wins; 10 is usual, 0: off."""
    r1_every: int = 16
    """Steps from one R1 penalty to the next, which counts as many times (lazy, StyleGAN2)."""
    spectral_norm: bool = False
    """For patch and multiscale discriminators (projected ones always have it): tames them at the cost of detail."""
    diffaugment: bool = False
    """DiffAugment (Zhao 2020): D sees real and drawn photos recoloured, shifted, cut out. Helps below 1,000 photos."""
    real_negatives: bool = False
    """Half of what D refuses are real photos of the other domain (cf. Reed 2016). Helps where the domains are alike."""
    max_skipped: int = 20
    """Steps in succession that may be skipped because a gradient was not finite, before the run stops."""
    ema: float = 0.999
    """Decay of the averaged generator, which is the one that is exported."""
    seed: int = 0
    """With the step, it decides every crop and every noise draw, so a resumed run repeats an uninterrupted one."""
    device: str = "auto"
    """auto: cuda, then mps, then cpu."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: bf16 where the hardware multiplies it, else fp32. bf16, fp16: networks under autocast, the rest in fp32."""
    compile: bool = True
    """torch.compile each encoder and decoder: a minute at the start, then about twice the speed."""
    workers: int = 1
    """Processes that read and crop photos, for each process that trains."""
    cache: bool = True
    """Keep the photos decoded, and scaled down as far as the crops allow, on the disk: reading then costs nothing."""
    max_unreadable: float = 0.01
    """Share of a domain's photos that may be unreadable (they are named and skipped) before the run stops."""
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
    push_to: str = ""
    """Hub repository owner/name that the averaged weights are pushed to while training. Empty: none."""
    push_every: int = 5000
    """Steps between pushes."""
    push_private: bool = True
    """Whether the repository of push_to is private; as long as it should be, a public one is not pushed to."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), default=str)

    def seed_for(self, *what: object) -> int:
        """A seed of 32 bits for a purpose, e.g. ("noise", step, row), that has nothing in common with any other."""
        return int.from_bytes(hashlib.blake2b(repr((self.seed, *what)).encode(), digest_size=4).digest(), "big")


def presets(data: str) -> dict[str, tuple[str, TrainConfig]]:
    """Name -> (one line for --help, the values). `data` fills the one field without a default."""
    return {
        "compact": (
            "Ours: light on a CPU, projected discriminators, hours instead of weeks.",
            TrainConfig(
                data=data,
                model=UNITConfig(layout="compact", image_size=128, dim=32),
                weights=LossWeights(
                    gan=2.5, kl=0.04, recon=5.0, cycle_kl=0.04, cycle=2.0, identity=0.05, perceptual=3.0
                ),
                min_crop=0.25,
                zoom=0.7,
                batch_size=4,
                lr_g=3e-4,
                lr_d=1e-3,
                real_negatives=True,
                betas=(0.5, 0.99),
                weight_decay=0.0,
            ),
        ),
        "faces": (
            "Ours, for aligned pictures such as faces: shown whole, and half as many latent pixels along each side.",
            TrainConfig(
                data=data,
                model=UNITConfig(layout="compact8", image_size=128, aligned=True, dim=32),
                weights=LossWeights(gan=1.0, kl=0.03, recon=5.0, cycle_kl=0.03, cycle=3.0, perceptual=2.0),
                min_crop=0.8,
                zoom=0.85,
                batch_size=8,
                lr_g=3e-4,
                lr_d=1e-3,
                real_negatives=True,
                betas=(0.5, 0.99),
                weight_decay=0.0,
                ema=0.995,
            ),
        ),
        "paper": (
            "The 2017 networks, losses and weights, one photo of each domain a step.",
            TrainConfig(
                data=data,
                model=UNITConfig(layout="paper", image_size=256, dim=64, n_res=3, n_res_shared=1),
                discriminator="patch",
                gan_loss="bce",
                steps=500_000,
                batch_size=1,
            ),
        ),
        "master2018": (
            "The authors' 2018 rewrite: nothing shared, LSGAN on three scales.",
            TrainConfig(
                data=data,
                model=UNITConfig(layout="master2018", image_size=256, dim=64, n_res=4, n_res_shared=0),
                discriminator="multiscale",
                gan_loss="lsgan",
                weights=LossWeights(gan=3.0, kl=0.01, recon=10.0, cycle_kl=0.01, cycle=10.0),  # 1 for each of 3 scales
                steps=1_000_000,
                batch_size=1,
                schedule="step",
            ),
        ),
    }
