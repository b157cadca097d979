"""Checkpoints of a run, whatever is trained in it: one safetensors file a step, written whole or not at all.

A file holds the tensors of modules, by "module.key", and the moments of optimisers, by "optimizer.index.key". What else
a run must remember is text in its metadata.
"""

import errno
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from train.parallel import rank
from unit.checkpoint import is_utf8

logger = logging.getLogger(__name__)
KEEP = 2  # Should the newest checkpoint be damaged, the one before it is still there.
_UMASK = os.umask(0o022)  # It can only be asked for by setting it, so it is set back.
os.umask(_UMASK)


class Checkpoint(NamedTuple):
    """What was read from one file."""

    path: Path
    tensors: dict[str, Tensor]
    extra: dict[str, str]  # as it was given to `save`, and "step"

    @torch.no_grad()
    def load(self, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> None:
        """Give modules and optimisers what they had when they were saved under these names.

        Raises RuntimeError, from `nn.Module.load_state_dict`, where a module is built in another way.
        """
        for name, module in modules.items():
            module.load_state_dict(self._of(name))
        for name, optimizer in optimizers.items():
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            moments: dict[int, dict[str, Tensor]] = {}
            for place, tensor in self._of(name).items():
                i, key = place.split(".")
                # Fused Adam walks through memory, so a moment must lie there in its parameter's order (channels_last).
                value = tensor if key == "step" else torch.empty_like(parameters[int(i)]).copy_(tensor)
                moments.setdefault(int(i), {})[key] = value
            optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})

    def _of(self, name: str) -> dict[str, Tensor]:
        prefix = f"{name}."
        return {key.removeprefix(prefix): tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}


class Checkpointer:
    """The files `step-N.safetensors` of a folder, of which the newest `KEEP` are kept."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(
        self,
        step: int,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        extra: Mapping[str, str],
    ) -> Path:
        """Write the checkpoint of a step, and drop those that are older than the newest `KEEP`.

        Of many processes, whose states are equal, the first writes.

        Returns:
            The path of the file.

        Raises:
            ValueError: a tensor is not finite; nothing was written.
            OSError, SafetensorError: the disk did not take it; the older checkpoints are as they were.
        """
        path = self.folder / f"step-{step:08d}.safetensors"
        if rank() > 0:
            return path
        for partial in self.folder.glob("*.partial"):  # These are of saves that were killed.
            partial.unlink()
        partial = path.with_suffix(".partial")
        named = named_tensors(modules, optimizers)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
        if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
            raise ValueError(
                f"{bad[0]} is not finite at step {step}, so it was not saved. The checkpoints before it are kept: "
                "go on from them with a lower --lr-g and --lr-d."
            )
        metadata = {"step": str(step), **extra}
        try:
            save_file(tensors, partial, metadata=metadata | {"sha256": checksum(tensors, metadata)})
            _to_disk(partial)
            partial.chmod(0o666 & ~_UMASK)  # safetensors makes a file that its owner alone can read
            os.replace(partial, path)  # A kill before this line leaves the older checkpoints, after it the new one.
        finally:
            partial.unlink(missing_ok=True)
        _to_disk(path.parent)
        older = [old for old in checkpoints(self.folder) if old.name < path.name]
        for old in older[: 1 - KEEP]:
            old.unlink()
        return path

    def load_newest(self) -> Checkpoint | None:
        """Read the newest checkpoint that can be read; None if there is none."""
        for path in reversed(checkpoints(self.folder)):
            try:
                with safe_open(path, "pt", device="cpu") as file:
                    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                    extra = file.metadata() or {}
                expected = extra.pop("sha256", None)
                if checksum(tensors, extra) == expected:
                    return Checkpoint(path, tensors, extra)
                problem = "its checksum is wrong"
            except (SafetensorError, OSError) as error:
                problem = str(error)
            logger.warning("%s cannot be read (%s); trying the one before it", path.name, problem)
        return None

    def set_aside_after(self, path: Path) -> None:
        """Rename checkpoints that are newer than `path`, which could not be read, so that they count no more."""
        if rank() > 0:
            return
        for damaged in (later for later in checkpoints(self.folder) if later.name > path.name):
            damaged.replace(damaged.with_suffix(".damaged"))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run folder, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def named_tensors(modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]) -> dict[str, Tensor]:
    """All tensors of modules and optimisers, under the names that they have in a checkpoint."""
    named = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for i, moments in optimizer.state_dict()["state"].items():
            named |= {f"{name}.{i}.{key}": value for key, value in moments.items()}
    return named


def checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """SHA-256 of all that a checkpoint holds: a flipped bit is found before it is trained on."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_writable(folder: Path) -> None:
    """Make the folder of a run. Raises ValueError if nothing can be written there, or read again."""
    if not is_utf8(folder):
        raise ValueError(
            f"--run-dir {folder}: its name is no UTF-8, and what is saved there could not be read again. "
            "Choose another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{rank()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"--run-dir {folder} cannot be written to ({error.strerror}): choose another folder."
        ) from None


def _to_disk(path: Path) -> None:
    """Wait until a file, or the list of a folder's files, is on the disk and not only on its way there."""
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # Windows waits for no file but these
    except PermissionError:
        if path.is_dir():  # as every folder of Windows
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:  # Some network disks cannot do it for a folder; what was written is there all the same.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
