"""Everything a run must remember, in one object: build it, save it, find it again, export what people use."""

import copy
import errno
import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint

from train.config import TrainConfig
from train.parallel import device_of, distributed, rank
from unit.checkpoint import DISCRIMINATORS, upgraded
from unit.hub import find_checkpoint, load_pretrained
from unit.models.discriminator import (
    Discriminators,
    FeatureProjection,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    ProjectedDiscriminator,
)
from unit.models.unit import UNIT
from unit.pipeline import best_dtype, memory_format

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}  # and "auto" is the best of a device
KEEP = 2  # checkpoints on disk: should the newest be damaged, the one before it is still there


@dataclass
class TrainState:
    """Networks, optimisers and the step. `model` and `discriminator` learn, `ema` is the average of `model`."""

    config: TrainConfig
    device: torch.device
    dtype: torch.dtype  # of what autocast makes quick; float32: it does nothing
    model: UNIT
    ema: UNIT
    look: nn.Module  # image -> what the discriminators see; frozen
    discriminator: Discriminators
    opt_g: torch.optim.Adam
    opt_d: torch.optim.Adam
    generate: nn.Module  # model, called where the gradients of all processes are to be averaged
    judge: nn.Module  # discriminator, likewise
    scaler: torch.amp.GradScaler  # keeps fp16 gradients above the smallest number; does nothing otherwise
    step: int = 0  # steps done
    seconds: float = 0.0  # spent training, over all the times the run was started
    # Steps whose gradients were not finite: in all, and in a row up to now. On the device: reading them waits for it.
    skips: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.int64), compare=False)
    changes: str = field(default="", compare=False)  # what is now asked for that the checkpoint was not made with

    @classmethod
    def build(cls, config: TrainConfig, device: torch.device | None = None) -> "TrainState":
        """New networks, a function of the config alone, but for `device` (default: config.device)."""
        if config.weights.identity and config.model.channels_a != config.model.channels_b:
            raise ValueError("the identity loss needs domains of as many channels; set --weights.identity 0.")
        if config.real_negatives and config.model.channels_a != config.model.channels_b:
            raise ValueError("--real-negatives needs domains of as many channels; set --no-real-negatives.")
        if config.weights.perceptual and config.discriminator != "projected":
            raise ValueError(
                "the perceptual loss looks through --discriminator projected: choose that, "
                "or set --weights.perceptual 0."
            )
        if device is None:
            device = device_of(config.device)
        tiny = config.discriminator == "patch" and config.model.image_size < 64  # its last map is a single pixel
        if tiny and device.type == "cpu" and dtype_of(config, device) != torch.float32:
            raise ValueError(
                "the gradients of a patch discriminator on crops below 64 px are wrong in half precision on a CPU "
                "(PyTorch 2.14): set --precision fp32."
            )
        torch.manual_seed(config.seed)
        model = UNIT(config.model)
        look, discriminator = build_discriminators(config)
        if config.init and not checkpoints(config.run_dir):
            start_from(config.init, model)
            discriminators_from(config.init, look, discriminator)
        for net in (model, look, discriminator):
            net.to(device).to(memory_format=memory_format(device))
        ema = copy.deepcopy(model).requires_grad_(False).eval()
        if config.checkpointing:
            forget_activations(model)

        def adam(net: nn.Module, lr: float) -> torch.optim.Adam:
            return torch.optim.Adam(net.parameters(), lr, config.betas, weight_decay=config.weight_decay, fused=True)

        return cls(
            config=config,
            device=device,
            dtype=dtype_of(config, device),
            model=model,
            ema=ema,
            look=look,
            discriminator=discriminator,
            opt_g=adam(model, config.lr_g),
            opt_d=adam(discriminator, config.lr_d),
            generate=distributed(model),
            judge=distributed(discriminator),
            scaler=torch.amp.GradScaler(device.type, enabled=DTYPES.get(config.precision) == torch.float16),
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
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """All that cannot be had elsewhere, by name: what learns, and the random projections that D learnt to read."""
        nets = {"model": self.model, "ema": self.ema, "discriminator": self.discriminator, "look": self.look}
        named = {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}
        named = {key: value for key, value in named.items() if not key.startswith("look.backbone.")}
        for name, optimizer in (("opt_g", self.opt_g), ("opt_d", self.opt_d)):
            for i, moments in optimizer.state_dict()["state"].items():
                named |= {f"{name}.{i}.{key}": value for key, value in moments.items()}
        return named

    def save(self) -> Path:
        """Write `step-N.safetensors` into the run folder, all or nothing, and drop all but the newest `KEEP`.

        Of many processes, whose states are equal, the first writes.
        """
        path = self.config.run_dir / f"step-{self.step:08d}.safetensors"
        if rank() > 0:
            return path
        for partial in self.config.run_dir.glob("*.partial"):  # of a save that was killed
            partial.unlink()
        partial = path.with_suffix(".partial")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors().items()}
        if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise ValueError(
                f"{bad[0]} is not finite at step {self.step}, so it was not saved. The checkpoints before it are kept: "
                "go on from them with a lower --lr-g and --lr-d."
            )
        metadata = self.metadata()
        try:
            save_file(tensors, partial, metadata=metadata | {"sha256": checksum(tensors, metadata)})
            _to_disk(partial)
            partial.chmod(0o666 & ~_UMASK)  # as any new file: safetensors makes it its owner's alone
            os.replace(partial, path)  # a kill before this line leaves the older checkpoints, after it the new one
        finally:
            partial.unlink(missing_ok=True)
        _to_disk(path.parent)
        older = [old for old in checkpoints(self.config.run_dir) if old.name < path.name]
        for old in older[: 1 - KEEP]:
            old.unlink()
        return path

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
        if (newest := read_newest(self.config.run_dir)) is None:
            if checkpoints(self.config.run_dir):
                raise ValueError(f"no checkpoint in {self.config.run_dir} can be read: move them away to start anew.")
            return None
        path, tensors, metadata = newest
        options = json.loads(metadata["config"])
        options["model"], learnt_from = upgraded(options["model"]), options["data"]
        if learnt_from != self.config.data and self.config.run_dir == TrainConfig.run_dir:
            raise ValueError(
                f"{self.config.run_dir}, where runs go that have no --run-dir, holds one on {learnt_from}. "
                f"Choose a --run-dir for this one on {self.config.data}."
            )
        changed = differences(options, json.loads(self.config.to_json()))
        self.changes = f", with other options: {', '.join(changed)}" if changed else ""
        self._load(tensors, path)
        for damaged in (later for later in checkpoints(self.config.run_dir) if later.name > path.name and rank() == 0):
            damaged.replace(damaged.with_suffix(".damaged"))  # kept for a look, and never counted as a checkpoint again
        self.step, self.seconds = int(metadata["step"]), float(metadata["seconds"])
        self.skips = torch.tensor([int(metadata["skipped"]), 0], device=self.device)
        if scaler := json.loads(metadata["scaler"]):
            self.scaler.load_state_dict(scaler)
        return path

    @torch.no_grad()
    def _load(self, tensors: dict[str, Tensor], path: Path) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        nets = {"model.": self.model, "ema.": self.ema, "discriminator.": self.discriminator}
        try:
            for prefix, net in nets.items():
                net.load_state_dict(part(prefix))
            self.look.load_state_dict(part("look."), strict=False)  # its backbone is where it was
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()[:200]
            raise ValueError(
                f"{path} was made by another network ({reason}){self.changes}. Give the options it was started with, "
                "or another --run-dir folder."
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


# Of the machine, and of what is done beside the steps.
_BESIDE = (
    "run_dir", "init", "device", "compile", "workers", "cache", "tensorboard", "checkpointing", "accumulate",
    "log_every", "sample_every", "save_every", "evaluate_every", "push_to", "push_every", "push_private",
)  # fmt: skip
_UMASK = os.umask(0o022)  # asked by setting it, and set back
os.umask(_UMASK)


def start_from(source: str, model: UNIT) -> None:
    """Give `model` the weights of an exported one, grown if need be. Raises ValueError if it is not built alike."""
    other = load_pretrained(source)
    if not isinstance(other, UNIT):
        raise ValueError(f"--init {source} is no UNIT, and this run trains one.")
    weights, layout = other.state_dict(), other.config.layout
    if (layout, model.config.layout) == ("compact", "compact8"):
        weights, layout = model.state_dict() | grow(weights, other.config.n_res), "compact8"
    for name in ("layout", "channels_a", "channels_b", "dim", "n_res", "n_res_shared"):
        theirs, ours = getattr(replace(other.config, layout=layout), name), getattr(model.config, name)
        if theirs != ours:
            raise ValueError(f"--init {source} has {name} {theirs}, and this run {ours}: set --model to the same.")
    model.load_state_dict(weights)


def discriminators_from(source: str, look: nn.Module, discriminator: Discriminators) -> None:
    """Go on with the discriminators that an exported model was trained against, if they lie beside it.

    They are those of `train export --with-discriminators`. If this run's are of another kind, they start anew.
    """
    path = find_checkpoint(source, training=True) / DISCRIMINATORS
    if not path.is_file():
        return
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}): remove it to start with new discriminators.") from None
    mine = {f"{prefix}.{key}": value for prefix, net in (("look", look), ("discriminator", discriminator))
            for key, value in net.state_dict().items() if not key.startswith("backbone.")}  # fmt: skip
    if {k: t.shape for k, t in mine.items()} != {k: t.shape for k, t in tensors.items()}:
        print(f"The discriminators beside {source} are of another kind: this run starts with new ones.")
        return
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])


def grow(weights: dict[str, Tensor], n_res: int) -> dict[str, Tensor]:
    """Weights of a `compact` network as those of a `compact8` one, for pictures of twice the side.

    The first convolutions see the mean of 2x2 pixels where they saw one, so the encoders make of a picture what they
    made of it at half its size. The middle is as it was. The decoders' last two layers are missing: they are new.
    """
    old_last = re.compile(rf"decoder_[ab]\.{n_res + 3}\.")  # behind the blocks, a layer, its norm and its activation
    grown = {name: weight for name, weight in weights.items() if not old_last.match(name)}
    for name in ("encoder_a.1.weight", "encoder_b.1.weight"):
        patch = weights[name].unflatten(1, (-1, 2, 2))  # (2 dim, C, 2, 2, 3, 3): what PixelUnshuffle makes channels of
        grown[name] = patch.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(1, 3) / 4
    return grown


def forget_activations(model: UNIT) -> None:
    """Let each encoder and decoder keep only its input, and compute the rest again when the backward pass needs it."""
    for net in model.children():
        if list(net.parameters()):
            net.forward = functools.partial(checkpoint, net.forward, use_reentrant=False)


def dtype_of(config: TrainConfig, device: torch.device) -> torch.dtype:
    """What autocast multiplies in on `device`; float32: no autocast."""
    return DTYPES.get(config.precision) or best_dtype(device)


def build_discriminators(config: TrainConfig) -> tuple[nn.Module, Discriminators]:
    """(what they look through, the discriminators of both domains)."""
    channels = [config.model.channels_a, config.model.channels_b]
    match config.discriminator:
        case "patch":
            nets = Discriminators(*(PatchDiscriminator(c, config.d_dim) for c in channels))
        case "multiscale":
            if config.model.image_size < 64:
                raise ValueError("multiscale discriminators halve a picture six times: crops need 64 px or more.")
            nets = Discriminators(*(MultiScaleDiscriminator(c, config.d_dim) for c in channels))
        case "projected":
            from train import features

            if channels != [3, 3]:
                raise ValueError("projected discriminators look at colour photos; choose --discriminator multiscale.")
            look = FeatureProjection(features.EfficientNetLite0(), features.CHANNELS)
            return look, Discriminators(*(ProjectedDiscriminator(look.channels) for _ in channels))
    if config.spectral_norm:
        for conv in [module for module in nets.modules() if isinstance(module, nn.Conv2d)]:
            spectral_norm(conv)
    return nn.Identity(), nets


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints in a run folder, oldest first."""
    return sorted(run.glob("step-*.safetensors"))


def checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 of all that a checkpoint holds: a flipped bit is found before it is trained on."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_newest(run: Path) -> tuple[Path, dict[str, Tensor], dict[str, str]] | None:
    """(path, tensors, metadata) of the newest checkpoint that can be read; None if there is none."""
    for path in reversed(checkpoints(run)):
        try:
            with safe_open(path, "pt", device="cpu") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
            expected = metadata.pop("sha256", None)
            if checksum(tensors, metadata) == expected:
                return path, tensors, metadata
            problem = "its checksum is wrong"
        except (SafetensorError, OSError) as error:
            problem = str(error)
        print(f"{path.name} cannot be read ({problem}); trying the one before it")
    return None


def _to_disk(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on the disk and not only on its way there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network disks cannot do it for a folder; what was written is there all the same
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
