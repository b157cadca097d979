"""What makes a run impossible, all of it at once: before a photo is read or a network is built.

Here is what options contradict together, with the processes, or on this machine. What is wrong with an option by itself
its group has refused (train/config.py).
"""

import importlib.util
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch

from train.config import TrainConfig
from train.parallel import dtype_of
from unit.checkpoint import config_problems


def check_options(config: TrainConfig, processes: int = 1, device: torch.device | None = None) -> None:
    """Raises ValueError with all `problems` of the options, and if there is a device with all that it `lacks`."""
    found = list(problems(config, processes))
    if device:
        found += lacks(config, device)
    if found:
        raise ValueError("\n".join(found))


def problems(config: TrainConfig, processes: int = 1) -> Iterator[str]:
    """What the options, and the number of processes, contradict."""
    yield from config_problems(config.model)  # now, and not at the end, when it is saved
    yield from _crops(config)
    yield from _batch(config, processes)
    yield from _channels(config)
    yield from _discriminators(config)


def lacks(config: TrainConfig, device: torch.device) -> Iterator[str]:
    """What this machine cannot do for the run."""
    tiny = config.discriminator.kind == "patch" and config.model.image_size < 64  # its last map is a single pixel
    if tiny and device.type == "cpu" and dtype_of(config.engine.precision, device) != torch.float32:
        yield (
            "the gradients of a patch discriminator on crops below 64 px are wrong in half precision on a CPU "
            "(PyTorch 2.14): set --precision fp32."
        )
    if config.engine.compile and device.type == "cpu" and not _compiler():
        yield (
            "torch.compile needs a C++ compiler and Python's headers (Debian: apt-get install g++ python3-dev); "
            "--no-compile does without, at half the speed."
        )
    if config.log.tensorboard and not importlib.util.find_spec("tensorboard"):
        yield "--tensorboard needs it: pip install tensorboard"


def _compiler() -> bool:
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return headers.is_file() and any(map(shutil.which, ("g++", "clang++", "c++")))


def _crops(config: TrainConfig) -> Iterator[str]:
    if config.model.image_size % config.model.downsampling:
        yield (
            f"--model.image-size {config.model.image_size} must be a multiple of {config.model.downsampling}, "
            "the side of a latent pixel."
        )


def _batch(config: TrainConfig, processes: int) -> Iterator[str]:
    shares = processes * config.optim.accumulate
    if shares > 0 and config.data.batch_size % shares:
        yield (
            f"--batch-size {config.data.batch_size} cannot be shared equally by {processes} processes "
            f"working in {config.optim.accumulate} parts: make it a multiple of {shares}."
        )


def _channels(config: TrainConfig) -> Iterator[str]:
    """What needs two domains of as many channels."""
    if config.model.channels[0] == config.model.channels[1]:
        return
    if vars(config.weights).get("identity"):
        yield "the identity loss needs domains of as many channels; set --weights.identity 0."
    if config.discriminator.real_negatives:
        yield "--real-negatives needs domains of as many channels; set --no-real-negatives."


def _discriminators(config: TrainConfig) -> Iterator[str]:
    """What a discriminator cannot look at. Each advice holds beside the others: following all of them is enough."""
    grey = config.model.channels != (3, 3)
    kind, perceptual = config.discriminator.kind, vars(config.weights).get("perceptual")
    tiny = config.model.image_size < 64
    if kind == "projected" and grey:
        other = "patch" if tiny else "multiscale"
        yield f"projected discriminators look at colour photos; choose --discriminator {other}."
    if perceptual and grey:
        yield "the perceptual loss looks at colour photos; set --weights.perceptual 0."
    elif perceptual and kind != "projected":
        yield "the perceptual loss looks through --discriminator projected: choose that, or set --weights.perceptual 0."
    if kind == "multiscale" and tiny:
        yield "multiscale discriminators halve a picture six times: crops need 64 px or more."
