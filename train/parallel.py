"""One process or many, and being told to stop.

torch.distributed itself is the engine: torchrun, `accelerate launch` and srun all start the same processes for it, it
keeps no precision or device in a global state, and all that training needs of it is here. (accelerate was tried: its
autocast covers the forward pass of the prepared module only, and this loop judges with frozen networks beside it.)
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from unit.pipeline import best_device, best_dtype
from unit.system import lock

T = TypeVar("T")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}  # "auto" is the best of a device.
AGAIN = 2.0  # seconds; a launcher repeats the Ctrl-C that the terminal has sent already, within less


def rank() -> int:
    """Which of the processes this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes carry the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def device_of(name: str) -> torch.device:
    """auto: the best this machine has. Raises ValueError for what PyTorch does not know or does not find here."""
    if name == "auto":
        return best_device()
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    with suppress(RuntimeError):  # what is no name of a device
        device = torch.device(name)
        if there.get(device.type):
            return device
    found = ", ".join(kind for kind, is_there in there.items() if is_there)
    raise ValueError(f"--device {name}: PyTorch finds no such device here. Leave it out, or choose of: {found}.")


def dtype_of(precision: str, device: torch.device) -> torch.dtype:
    """What autocast multiplies in on `device`; float32: no autocast."""
    return DTYPES.get(precision) or best_dtype(device)


@contextmanager
def processes(device: str) -> Iterator[torch.device]:
    """Join the other processes, if there are any, and give back the device of this one. `device`: auto, cuda, cpu, ...

    torchrun and `accelerate launch` say by RANK and WORLD_SIZE who is there; so does srun, by names of its own, when
    MASTER_ADDR and MASTER_PORT are set. (Without srun, in a SLURM script, there is no number of the step's tasks.)
    """
    if (
        "RANK" not in os.environ
        and "MASTER_ADDR" in os.environ
        and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1
    ):
        for name, slurm in (("RANK", "PROCID"), ("WORLD_SIZE", "STEP_NUM_TASKS"), ("LOCAL_RANK", "LOCALID")):
            os.environ[name] = os.environ[f"SLURM_{slurm}"]
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "RANK" not in os.environ:
        raise ValueError("srun started processes that do not know of each other: set MASTER_ADDR and MASTER_PORT.")
    chosen = device_of(device)
    if chosen.index is not None and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"--device {device} is one device for all the processes: leave out the number.")
    if chosen.type == "cuda" and chosen.index is None:
        # In turn, because SLURM may show each process only the GPU that is its own.
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(chosen)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield chosen
        return
    patience = timedelta(hours=2)  # while the first process reads through the data
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=patience)
    try:
        yield chosen
    finally:
        dist.destroy_process_group()


def distributed(net: nn.Module) -> nn.Module:
    """`net` itself, or, with other processes, a wrapper whose forward makes the backward pass average gradients."""
    if world() == 1:
        return net
    device = next(net.parameters()).device
    return DistributedDataParallel(net, device_ids=[device] if device.type == "cuda" else None)


def all_reduce_max(value: float, device: torch.device) -> float:
    """The largest of the processes' values. All of them must ask."""
    if world() == 1:
        return value
    tensor = torch.tensor(float(value), device=device)
    dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return float(tensor)


def all_gather(items: list[T]) -> list[T]:
    """The items of all processes, in the order of the processes. All of them must ask."""
    if world() == 1:
        return items
    everyone: list[list[T]] = [[] for _ in range(world())]
    dist.all_gather_object(everyone, items)
    return [item for each in everyone for item in each]


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first process does what is inside, then the others do."""
    if rank() > 0:
        dist.barrier()
    yield
    if world() > 1 and rank() == 0:
        dist.barrier()


def no_sync(net: nn.Module) -> AbstractContextManager[None]:
    """Inside, the backward passes of a `distributed` network only add up gradients; the next one outside averages."""
    return net.no_sync() if isinstance(net, DistributedDataParallel) else nullcontext()


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Inside, no other program may be. Raises ValueError if one is. Of many processes the first answers for all."""
    if rank() > 0:
        yield
        return
    with (folder / ".lock").open("w") as file:
        if not lock(file):
            raise ValueError(f"--run-dir {folder} is being trained in: stop that, or choose another folder.")
        yield


class CaughtSignals(list[signal.Signals]):
    """The signals that told this process to stop."""

    waiting = False  # for what may never come: then a signal interrupts, as Ctrl-C does by default


def stop_signals() -> list[signal.Signals]:
    """SIGTERM, which SLURM and Spaces send some seconds before the end; Ctrl-C; and that of a terminal which is closed,
    unless it is ignored already, as it is under nohup.
    """
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    heeded = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([hangup] if heeded and hangup else [])]


@contextmanager
def catch_signals() -> Iterator[CaughtSignals]:
    """A list that `stop_signals` enter, instead of killing.

    A second Ctrl-C, some seconds later, does interrupt.
    """
    caught = CaughtSignals()
    first = 0.0

    def note(number: int, frame: object) -> None:
        nonlocal first
        if not caught:
            first = time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - first > AGAIN:
            raise KeyboardInterrupt
        caught.append(signal.Signals(number))
        if caught.waiting:
            caught.waiting = False  # the next one does not interrupt what is done about this one
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's business
        yield caught
        return
    before = {number: signal.signal(number, note) for number in stop_signals()}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
