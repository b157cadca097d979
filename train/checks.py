"""What is wrong with the options of a run, all of it at once: before a photo is read or a network is built."""

import importlib.util
import math
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch

from train.config import TrainConfig
from train.parallel import dtype_of
from unit.checkpoint import config_problems

AT_LEAST_ONE = (
    "steps", "batch_size", "accumulate", "log_every", "sample_every", "save_every", "push_every", "r1_every", "d_dim",
    "d_layers",
)  # fmt: skip
NOT_NEGATIVE = (
    "lr_g", "lr_d", "clip", "r1", "evaluate_every", "workers", "ema", "minutes", "max_unreadable", "max_skipped",
    "rotate", "jitter", "weight_decay",
)  # fmt: skip


def check_options(config: TrainConfig, processes: int = 1, device: torch.device | None = None) -> None:
    """Raises ValueError with all `problems` of the options, and if there is a device with all that it `lacks`."""
    found = list(problems(config, processes))
    if device:
        found += lacks(config, device)
    if found:
        raise ValueError("\n".join(found))


def problems(config: TrainConfig, processes: int = 1) -> Iterator[str]:
    """All that can be known to be wrong from the options, and the number of processes, alone."""
    yield from config_problems(config.model)  # now, and not at the end, when it is saved
    yield from _ranges(config)
    yield from _batch(config, processes)
    yield from _channels(config)
    yield from _discriminators(config)


def lacks(config: TrainConfig, device: torch.device) -> Iterator[str]:
    """What this machine cannot do for the run."""
    tiny = config.discriminator == "patch" and config.model.image_size < 64  # its last map is a single pixel
    if tiny and device.type == "cpu" and dtype_of(config.precision, device) != torch.float32:
        yield (
            "the gradients of a patch discriminator on crops below 64 px are wrong in half precision on a CPU "
            "(PyTorch 2.14): set --precision fp32."
        )
    if config.compile and device.type == "cpu" and not _compiler():
        yield (
            "torch.compile needs a C++ compiler and Python's headers (Debian: apt-get install g++ python3-dev); "
            "--no-compile does without, at half the speed."
        )
    if config.tensorboard and not importlib.util.find_spec("tensorboard"):
        yield "--tensorboard needs it: pip install tensorboard"


def _compiler() -> bool:
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return headers.is_file() and any(map(shutil.which, ("g++", "clang++", "c++")))


def _ranges(config: TrainConfig) -> Iterator[str]:
    for name in AT_LEAST_ONE:
        if getattr(config, name) < 1:
            yield f"--{name.replace('_', '-')} is {getattr(config, name)}: it must be 1 or more."
    not_negative = {name: getattr(config, name) for name in NOT_NEGATIVE}
    not_negative |= {f"weights.{name}": weight for name, weight in vars(config.weights).items()}
    for name, value in not_negative.items():
        if not 0 <= value < math.inf:  # nor NaN
            yield f"--{name.replace('_', '-')} is {value}: it must be 0 or more."
    if not all(0 <= beta < 1 for beta in config.betas):
        yield f"--betas is {' '.join(map(str, config.betas))}: both must be from 0 to below 1."
    if not -(2**63) <= config.seed < 2**64:
        yield f"--seed is {config.seed}: it must fit in 64 bits."
    if config.ema >= 1:
        yield f"--ema is {config.ema}: the average keeps that share of itself at each step, below 1."
    if not 0 < config.min_crop <= 1:
        yield f"--min-crop is {config.min_crop}: it is a share of the photo, above 0 and up to 1."
    if not 0 < config.zoom <= 1:
        yield f"--zoom is {config.zoom}: it is a share of the side, above 0 and up to 1."
    if config.rotate > 180:
        yield f"--rotate is {config.rotate}: it is in degrees either way, up to 180."
    if config.jitter >= 1:
        yield f"--jitter is {config.jitter}: it is a share, below 1."
    if config.model.image_size % config.model.downsampling:
        yield (
            f"--model.image-size {config.model.image_size} must be a multiple of {config.model.downsampling}, "
            "the side of a latent pixel."
        )


def _batch(config: TrainConfig, processes: int) -> Iterator[str]:
    shares = processes * config.accumulate
    if shares > 0 and config.batch_size % shares:
        yield (
            f"--batch-size {config.batch_size} cannot be shared equally by {processes} processes "
            f"working in {config.accumulate} parts: make it a multiple of {shares}."
        )


def _channels(config: TrainConfig) -> Iterator[str]:
    """What needs two domains of as many channels."""
    if config.model.channels[0] == config.model.channels[1]:
        return
    if vars(config.weights).get("identity"):
        yield "the identity loss needs domains of as many channels; set --weights.identity 0."
    if config.real_negatives:
        yield "--real-negatives needs domains of as many channels; set --no-real-negatives."


def _discriminators(config: TrainConfig) -> Iterator[str]:
    """What a discriminator cannot look at. Each advice holds beside the others: following all of them is enough."""
    grey = config.model.channels != (3, 3)
    tiny = config.model.image_size < 64
    if config.discriminator == "projected" and grey:
        other = "patch" if tiny else "multiscale"
        yield f"projected discriminators look at colour photos; choose --discriminator {other}."
    if config.weights.perceptual and grey:
        yield "the perceptual loss looks at colour photos; set --weights.perceptual 0."
    elif config.weights.perceptual and config.discriminator != "projected":
        yield "the perceptual loss looks through --discriminator projected: choose that, or set --weights.perceptual 0."
    if config.discriminator == "multiscale" and tiny:
        yield "multiscale discriminators halve a picture six times: crops need 64 px or more."
