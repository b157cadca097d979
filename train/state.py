"""Everything a run must remember, in one object: build it, save it, find it again, export what people use."""

import copy
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from train.config import TrainConfig
from unit.discriminator import (
    Discriminators,
    FeatureProjection,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    ProjectedDiscriminator,
)
from unit.pipeline import best_device, memory_format
from unit.unit import UNIT

KEEP = 2  # checkpoints on disk: should the newest be damaged, the one before it is still there


@dataclass
class TrainState:
    """Networks, optimisers and the step. `model` and `discriminator` learn, `ema` is the average of `model`."""

    config: TrainConfig
    device: torch.device
    model: UNIT
    ema: UNIT
    look: nn.Module  # image -> what the discriminators see; frozen, and a function of the seed, so never saved
    discriminator: Discriminators
    opt_g: torch.optim.Adam
    opt_d: torch.optim.Adam
    step: int = 0  # steps done
    seconds: float = 0.0  # spent training, over all the processes that carried the run

    @classmethod
    def build(cls, config: TrainConfig) -> "TrainState":
        """New networks, a function of the config alone."""
        if config.weights.identity and config.model.channels_a != config.model.channels_b:
            raise ValueError("the identity loss needs domains of as many channels; set --weights.identity 0.")
        torch.manual_seed(config.seed)
        device = best_device() if config.device == "auto" else torch.device(config.device)
        model = UNIT(config.model)
        look, discriminator = build_discriminators(config)
        for net in (model, look, discriminator):
            net.to(device).to(memory_format=memory_format(device))
        ema = copy.deepcopy(model).requires_grad_(False).eval()

        def adam(net: nn.Module, lr: float) -> torch.optim.Adam:
            return torch.optim.Adam(net.parameters(), lr, config.betas, weight_decay=config.weight_decay, fused=True)

        return cls(
            config, device, model, ema, look, discriminator, adam(model, config.lr_g), adam(discriminator, config.lr_d)
        )

    def update_ema(self) -> None:
        """ema += (1 - decay) * (model - ema); the first steps forget faster, so the average never remembers step 0."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """All that changes during training, by name."""
        nets = {"model": self.model, "ema": self.ema, "discriminator": self.discriminator}
        named = {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}
        for name, optimizer in (("opt_g", self.opt_g), ("opt_d", self.opt_d)):
            for i, moments in optimizer.state_dict()["state"].items():
                named |= {f"{name}.{i}.{key}": value for key, value in moments.items()}
        return named

    def save(self) -> Path:
        """Write `step-N.safetensors` into the run folder, all or nothing, and drop all but the newest `KEEP`."""
        path = self.config.run / f"step-{self.step:08d}.safetensors"
        partial = path.with_suffix(".partial")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors().items()}
        save_file(tensors, partial, metadata=self._metadata())
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)  # a kill before this line leaves the older checkpoints, after it the new one
        for old in checkpoints(self.config.run)[:-KEEP]:
            old.unlink()
        return path

    def _metadata(self) -> dict[str, str]:
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type.upper()
        facts = {"step": self.step, "seconds": self.seconds, "device": device, "config": self.config.to_json()}
        return {name: str(value) for name, value in facts.items()}

    def resume(self) -> Path | None:
        """Load the newest checkpoint of the run folder that can be read. None if there is none.

        Raises ValueError if the checkpoint belongs to another network than the config describes.
        """
        if (newest := read_newest(self.config.run)) is None:
            return None
        path, tensors, metadata = newest
        self._load(tensors, path)
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        return path

    @torch.no_grad()
    def _load(self, tensors: dict[str, Tensor], path: Path) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        nets = {"model.": self.model, "ema.": self.ema, "discriminator.": self.discriminator}
        try:
            for prefix, net in nets.items():
                net.load_state_dict(part(prefix))
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise ValueError(
                f"{path} was made by another network ({reason}). Give the options it was started with, "
                "or another --run folder."
            ) from None
        for prefix, optimizer in (("opt_g.", self.opt_g), ("opt_d.", self.opt_d)):
            parameters = optimizer.param_groups[0]["params"]
            moments: dict[int, dict[str, Tensor]] = {}
            for name, tensor in part(prefix).items():
                i, key = name.split(".")
                # Fused Adam walks through memory, so a moment must lie there in its parameter's order (channels_last).
                value = tensor if key == "step" else torch.empty_like(parameters[int(i)]).copy_(tensor)
                moments.setdefault(int(i), {})[key] = value
            optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})


def build_discriminators(config: TrainConfig) -> tuple[nn.Module, Discriminators]:
    """(what they look through, the discriminators of both domains)."""
    channels = [config.model.channels_a, config.model.channels_b]
    match config.discriminator:
        case "patch":
            return nn.Identity(), Discriminators(*(PatchDiscriminator(c) for c in channels))
        case "multiscale":
            if config.model.image_size < 64:
                raise ValueError("multiscale discriminators halve a picture six times: crops need 64 px or more.")
            return nn.Identity(), Discriminators(*(MultiScaleDiscriminator(c) for c in channels))
        case "projected":
            from train import features

            if channels != [3, 3]:
                raise ValueError("projected discriminators look at colour photos; choose --discriminator multiscale.")
            look = FeatureProjection(features.EfficientNetLite0(), features.CHANNELS)
            return look, Discriminators(*(ProjectedDiscriminator(look.channels) for _ in channels))


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints in a run folder, oldest first."""
    return sorted(run.glob("step-*.safetensors"))


def read_newest(run: Path) -> tuple[Path, dict[str, Tensor], dict[str, str]] | None:
    """(path, tensors, metadata) of the newest checkpoint that can be read; None if there is none."""
    for path in reversed(checkpoints(run)):
        try:
            with safe_open(path, "pt", device="cpu") as file:
                return path, {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            print(f"{path.name} cannot be read ({error}); trying the one before it")
    return None
