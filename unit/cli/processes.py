"""Several processes that were started alike, and the signal that ends one."""

import contextlib
import os
import signal
from collections.abc import Iterator

import torch

from unit.cli.errors import UsageError


def process() -> tuple[int, int, int]:
    """Of the processes that were started alike: which this is, how many they are, which this is on its machine."""
    # The last belong to srun: in a SLURM script itself, where there is one process, the second is not set.
    launchers = ("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    for names in launchers:
        rank, world, local = map(os.environ.get, names)
        if rank is None or world is None:
            continue
        with contextlib.suppress(ValueError):
            if 0 <= int(rank) < int(world):
                return int(rank), int(world), int(local or rank)
        raise UsageError(f"{names[0]}={rank} and {names[1]}={world} do not say which of how many processes this is.")
    return 0, 1, 0


def gpu(local: int) -> torch.device | None:
    """Processes on one machine take its GPUs in turn. None: there are none, or not NVIDIA's."""
    return torch.device("cuda", local % torch.cuda.device_count()) if torch.cuda.is_available() else None


@contextlib.contextmanager
def told_to_stop() -> Iterator[list[int]]:
    """A list that SIGTERM enters instead of killing: SLURM and torchrun send it some seconds before they do kill."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
