"""Everything a run must remember, in one object: networks, optimisers, schedules and the step."""

import copy
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from train.checkpointer import Checkpointer, checkpoints, named_tensors
from train.config import HubConfig, LogConfig, TrainConfig, option_names
from train.networks import (
    build_discriminators,
    checkpoint_activations,
    discriminators_from,
    random_projections,
    start_from,
)
from train.parallel import DTYPES, device_of, distributed, dtype_of
from unit.checkpoint import upgraded
from unit.models import MODELS
from unit.models.discriminator import Discriminators
from unit.pipeline import memory_format

HALVED_EVERY = 100_000  # steps, by the schedule "step"


@dataclass
class TrainState:
    """Networks, optimisers and the step. `model` and `discriminator` learn, `ema` is the average of `model`."""

    config: TrainConfig
    device: torch.device
    dtype: torch.dtype  # of what autocast makes quick; float32: it does nothing
    model: Any  # an nn.Module that is a `unit.models.protocol.Model`
    ema: Any
    feature_projection: nn.Module  # image -> what the discriminators see; frozen
    discriminator: Discriminators
    opt_g: Adam
    opt_d: Adam
    ddp_generator: nn.Module  # model, called where the gradients of all processes are to be averaged
    ddp_discriminator: nn.Module  # discriminator, likewise
    scaler: torch.amp.GradScaler  # keeps fp16 gradients above the smallest number; does nothing otherwise
    step: int = 0  # steps done
    seconds: float = 0.0  # spent training, over all the times the run was started
    # Steps whose gradients were not finite: in all, and in a row up to now. On the device: reading them waits for it.
    skips: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.int64), compare=False)
    changes: str = field(default="", compare=False)  # what is now asked for that the checkpoint was not made with

    @classmethod
    def build(cls, config: TrainConfig, device: torch.device | None = None) -> "TrainState":
        """New networks, a function of the config alone, but for `device` (default: config.engine.device).

        What the device could not train, train/checks.py has refused before.
        """
        if device is None:
            device = device_of(config.engine.device)
        torch.manual_seed(config.seed)
        _, model_class = MODELS[config.model.model]
        model = model_class(config.model)
        feature_projection, discriminator = build_discriminators(config)
        if config.init and not checkpoints(config.run_dir):
            start_from(config.init, model)
            discriminators_from(config.init, feature_projection, discriminator)
        for net in (model, feature_projection, discriminator):
            net.to(device).to(memory_format=memory_format(device))
        ema = copy.deepcopy(model).requires_grad_(False).eval()
        if config.engine.checkpointing:
            checkpoint_activations(model)

        optim, precision = config.optim, config.engine.precision

        def adam(net: nn.Module, lr: float) -> Adam:
            return Adam(net.parameters(), lr, optim.betas, weight_decay=optim.weight_decay, fused=True)

        return cls(
            config=config,
            device=device,
            dtype=dtype_of(precision, device),
            model=model,
            ema=ema,
            feature_projection=feature_projection,
            discriminator=discriminator,
            opt_g=adam(model, optim.lr_g),
            opt_d=adam(discriminator, optim.lr_d),
            ddp_generator=distributed(model),
            ddp_discriminator=distributed(discriminator),
            scaler=torch.amp.GradScaler(device.type, enabled=DTYPES.get(precision) == torch.float16),
            skips=torch.zeros(2, dtype=torch.int64, device=device),
        )

    @property
    def skipped(self) -> int:
        """Steps so far that changed nothing because a gradient was not finite."""
        return int(self.skips[0])

    @property
    def skipped_in_a_row(self) -> int:
        """Those of them since the last step that did."""
        return int(self.skips[1])

    def update_ema(self) -> None:
        """ema += (1 - decay) * (model - ema); the first steps forget faster, so the average never remembers step 0."""
        decay = min(self.config.optim.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - decay)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All that cannot be had elsewhere, by the names in a checkpoint: what learns, and what D learnt to read."""
        nets: dict[str, nn.Module] = {"model": self.model, "ema": self.ema, "discriminator": self.discriminator}
        return nets | random_projections(self.feature_projection)

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        return {"opt_g": self.opt_g, "opt_d": self.opt_d}

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds, by name."""
        return named_tensors(self.modules, self.optimizers)

    def save(self) -> Path:
        """Write a checkpoint into the run folder; see `Checkpointer.save`."""
        return Checkpointer(self.config.run_dir).save(self.step, self.modules, self.optimizers, self.metadata())

    def metadata(self) -> dict[str, str]:
        """What is true of a checkpoint beside its tensors: the step, the time it took, the device, the config."""
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type.upper()
        facts = {"step": self.step, "seconds": self.seconds, "skipped": self.skipped, "device": device}
        facts |= {"scaler": json.dumps(self.scaler.state_dict()), "config": self.config.to_json()}
        return {name: str(value) for name, value in facts.items()}

    def resume(self) -> Path | None:
        """Load the newest checkpoint of the run folder that can be read. None if there is none.

        Raises ValueError if the checkpoint belongs to another network than the config describes.
        """
        checkpointer = Checkpointer(self.config.run_dir)
        if (newest := checkpointer.load_newest()) is None:
            if checkpoints(self.config.run_dir):
                raise ValueError(f"no checkpoint in {self.config.run_dir} can be read: move them away to start anew.")
            return None
        extra = newest.extra
        options = json.loads(extra["config"])
        options["model"], learnt_from = upgraded(options["model"]), options["data"]
        theirs, ours = options["model"].get("model", "unit"), self.config.model.model
        if theirs != ours:
            raise ValueError(
                f"{self.config.run_dir} holds a run of the model {theirs!r}, and this run trains {ours!r}: "
                "choose another --run-dir."
            )
        if learnt_from != (source := self.config.data.source) and self.config.run_dir == TrainConfig.run_dir:
            raise ValueError(
                f"{self.config.run_dir}, where runs go that have no --run-dir, holds one on {learnt_from}. "
                f"Choose a --run-dir for this one on {source}."
            )
        changed = differences(options, json.loads(self.config.to_json()))
        self.changes = f", with other options: {', '.join(changed)}" if changed else ""
        try:
            newest.load(self.modules, self.optimizers)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()[:200]
            raise ValueError(
                f"{newest.path} was made by another network ({reason}){self.changes}. Give the options it was started "
                "with, or another --run-dir folder."
            ) from None
        checkpointer.set_aside_after(newest.path)
        self.step, self.seconds = int(extra["step"]), float(extra["seconds"])
        self.skips = torch.tensor([int(extra["skipped"]), 0], device=self.device)
        if scaler := json.loads(extra["scaler"]):
            self.scaler.load_state_dict(scaler)
        return newest.path


def progress(config: TrainConfig, step: int, seconds: float) -> float:
    """The share of the run that is done, from 0 to 1, by its steps or its minutes, whichever is further."""
    steps, minutes = config.optim.steps, config.optim.minutes
    by_clock = seconds / (60 * minutes) if minutes else 0.0
    return min(1.0, max(step / steps, by_clock))


def schedule(config: TrainConfig, step: int, seconds: float = 0.0) -> float:
    """What the learning rates are multiplied with after so many steps and seconds of training: 1 at the first."""
    done = progress(config, step, seconds)
    match config.optim.schedule:
        case "constant":
            return 1.0
        case "linear":
            return min(1.0, 2 * (1 - done))
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        case "step":
            return 0.5 ** (step // HALVED_EVERY)


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """The options that decide what is learnt and differ, as "--name old -> new"."""
    found = []
    for name in (name for name in new if name in old and name not in _BESIDE and old[name] != new[name]):
        if isinstance(new[name], dict):
            found += differences(old[name], new[name], f"{name}.")
        else:
            option = f"{prefix}{name}".replace("_", "-")
            found.append(f"--{option} {old[name]} -> {new[name]}")
    return found


# Options of the machine, and of what is done beside the steps.
_BESIDE = {
    "run_dir", "init", "device", "compile", "workers", "cache", "checkpointing", "accumulate",
    *option_names(LogConfig), *option_names(HubConfig),
}  # fmt: skip
