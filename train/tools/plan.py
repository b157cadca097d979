"""What a run will cost, before it is started: python -m train plan PRESET [options of training] [--measure]"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import tyro
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from train.checks import check_options
from train.command import command
from train.config import Preset, TrainConfig
from train.parallel import device_of, dtype_of
from train.state import TrainState
from train.step import train_step

GPUS = {"T4": 65, "L4": 121, "A100": 312, "H100": 989}  # TFLOP/s in fp16 or bf16, dense, as their maker states them
NODE = 8  # GPUs of one machine
# Bytes a second that a GPU sends while others send as much: over NVLink within a machine of H100s (450 GB/s each way),
# and over a network card of 400 Gbit/s for each GPU between machines, as their makers state them.
LINKS = {"NVLink": 450e9, "network": 50e9}


class Plan(NamedTuple):
    generator: int  # parameters of both domains' encoders and decoders
    discriminators: int
    frozen: int  # of the features that projected discriminators look through
    flops: int  # of a step, forward and backward, over all processes
    static: int  # bytes held between steps
    activations: int  # bytes kept from the forward passes at most, for each process
    precision: str

    @property
    def memory(self) -> int:
        """Bytes a process needs."""
        return self.static + self.activations


def plan(config: TrainConfig, processes: int = 1) -> Plan:
    """Counted on tensors without contents, so it takes no longer for large pictures, and no memory.

    The R1 penalty of every 16th step is left out: the counter cannot follow a gradient of a gradient.
    """
    state = TrainState.build(config.replace(r1=0.0), torch.device("cpu"))
    state.dtype = dtype_of(config.engine.precision, device_of(config.engine.device))  # of where it will run
    nets = (state.model, state.discriminator, state.feature_projection)
    generator, discriminators, frozen = (sum(p.numel() for p in net.parameters()) for net in nets)
    # Weight, gradient and Adam's two moments of what learns, the average of the generator: five and four floats.
    static = 4 * (5 * generator + 4 * discriminators + frozen)
    if state.dtype != torch.float32:
        static += 2 * (generator + discriminators)  # the copies that autocast multiplies with
    for net in (*nets, state.ema):
        net.to("meta", state.dtype)  # The optimisers keep the old weights, which have no gradients, and do nothing.
    rows = config.data.batch_size // processes
    channels = config.model.channels
    x_a, x_b = (
        torch.empty(rows, c, *2 * [config.model.image_size], device="meta", dtype=state.dtype) for c in channels
    )
    with FlopCounterMode(display=False) as counter, saved_bytes(nets) as saved:
        train_step(state, x_a, x_b)
    flops = counter.get_total_flops() * processes
    precision = str(state.dtype).removeprefix("torch.")
    return Plan(generator, discriminators, frozen, flops, static, max(saved), precision)


class Saved:
    """A tensor that autograd keeps, until it drops this."""

    def __init__(self, tensor: Tensor, count: Callable[[torch.UntypedStorage, int], None]):
        self.tensor, self.count = tensor, count
        count(tensor.untyped_storage(), 1)

    def __del__(self) -> None:
        self.count(self.tensor.untyped_storage(), -1)


def step_on_many(seconds: float, gradients: int, gpus: int) -> float:
    """Seconds of a step when each of many GPUs works through as much as one does in `seconds`.

    gradients: bytes that are averaged once a step. A ring sends all but 1/n of them twice. Nothing is taken off for
    what is sent while the backward pass still computes, so a real step should be no slower than this.
    """
    link = LINKS["NVLink" if gpus <= NODE else "network"]
    return seconds + 2 * (gpus - 1) / gpus * gradients / link


@contextmanager
def saved_bytes(nets: Sequence[nn.Module]) -> Iterator[list[int]]:
    """A list of how many bytes autograd keeps inside, but for weights, after each that it adds or drops."""
    weights = {p.untyped_storage()._cdata for net in nets for p in net.parameters()}
    users: Counter[int] = Counter()  # saved tensors that share a storage, by its identity
    history = [0]

    def count(storage: torch.UntypedStorage, change: int) -> None:
        users[storage._cdata] += change
        if users[storage._cdata] == max(change, 0):  # It is the first that comes, or the last that goes.
            history.append(history[-1] + change * storage.nbytes())

    def pack(tensor: Tensor) -> Tensor | Saved:
        return tensor if tensor.untyped_storage()._cdata in weights else Saved(tensor, count)

    def unpack(saved: Tensor | Saved) -> Tensor:
        return saved.tensor if isinstance(saved, Saved) else saved

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield history


def measured(config: TrainConfig, steps: int = 3) -> tuple[float, float]:
    """(bytes at the peak, seconds a step) of real steps on noise, on the device of the config, uncompiled.

    Bytes: on CUDA those of tensors; elsewhere what the process grew by from before its networks were built.
    """
    on_gpu = device_of(config.engine.device).type == "cuda"
    before = 0 if on_gpu else resident()
    state = TrainState.build(config)
    channels, side = config.model.channels, config.model.image_size
    x_a, x_b = (torch.rand(config.data.batch_size, c, side, side, device=state.device) * 2 - 1 for c in channels)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        float(train_step(state, x_a, x_b)["gan"])  # waits until it is there
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if on_gpu else resident() - before
    return peak, min(seconds)


def resident() -> int:
    """Bytes: the most that this process has held in memory at once. Raises ValueError where nobody can tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; the line below would there count the process that started this one, too
        return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line[:6] == "VmHWM:")
    try:
        import resource
    except ImportError:
        raise ValueError("--measure needs Linux or macOS, or a GPU: Windows keeps no count of the memory.") from None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@command("plan", tyro.conf.AvoidSubcommands, tyro.conf.CascadeSubcommandArgs)
def main(
    config: Preset,
    *,
    processes: int = 1,
    peak: Annotated[float | None, tyro.conf.arg(metavar="TFLOPS")] = None,
    share: float = 0.3,
    step: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None,
    measure: bool = False,
) -> None:
    """What a run will cost, before it is started.

    Prints parameters, FLOPs of a step, the memory it needs and the photos a second to expect, for the preset with
    whatever options training would be given. Nothing is trained.

    Memory is weights, gradients, Adam's two moments, the average, and what the forward passes keep for the backward
    ones. What allocators and convolution libraries take beside that is theirs, so leave some room (docs/results.md).

    Args:
        config: The preset. Any option of training may follow.
        processes: That share the batch.
        peak: Of your device; some GPUs are listed if it is left out.
        share: Of the peak that training reaches.
        step: That you have measured on one GPU: says what 1, 8 and 64 of them would do.
        measure: Make three steps here, uncompiled, to compare.
    """
    for name, value in {"processes": processes, "share": share, "peak": peak, "step": step}.items():
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value}: it must be above 0.")
    config = config.replace(compile=False, tensorboard=False)  # nothing here does
    check_options(config, processes, device_of(config.engine.device) if measure else None)
    costs = plan(config, processes)
    print(describe(config, costs, processes, peak, share))
    if step:
        print("\n".join(scaling(config, costs, step)))
    if measure:
        most, seconds = measured(config)
        print(f"measured here   {most / 1e9:.2f} GB, {seconds:.2f} s a step, uncompiled")


def describe(config: TrainConfig, costs: Plan, processes: int, peak: float | None, share: float) -> str:
    size, batch_size = config.model.image_size, config.data.batch_size
    photos = 2 * batch_size
    lines = [
        f"{config.model.layout}, dim {config.model.dim}, {size} px, batch {batch_size} of each domain, "
        f"{processes} process{'es' * (processes > 1)}, {costs.precision}",
        f"parameters      {costs.generator / 1e6:.1f} M encoders and decoders, {costs.discriminators / 1e6:.1f} M "
        f"discriminators, {costs.frozen / 1e6:.1f} M frozen",
        f"a step          {costs.flops / 1e9:,.0f} GFLOP, {costs.flops / photos / 1e9:,.1f} a photo",
        f"memory          {costs.memory / 1e9:.2f} GB a process: {costs.static / 1e9:.2f} weights and optimisers, "
        f"{costs.activations / 1e9:.2f} activations",
    ]
    for name, tflops in {"the device": peak}.items() if peak else GPUS.items():
        rate = photos * share * tflops * 1e12 * processes / costs.flops
        lines.append(f"to expect       {rate:,.0f} photos/s on {name} ({tflops:g} TFLOP/s) at {share:.0%} of its peak")
    return "\n".join(lines)


def scaling(config: TrainConfig, costs: Plan, seconds: float) -> Iterator[str]:
    """Lines on 1, 8 and 64 GPUs that each take the batch of one, which takes so many seconds a step."""
    gradients = 4 * (costs.generator + costs.discriminators)  # float32, under autocast too
    batch_size = config.data.batch_size
    photos = 2 * batch_size
    for gpus in (1, NODE, 8 * NODE):
        step = step_on_many(seconds, gradients, gpus)
        yield (
            f"{gpus:2} GPU{'s' * (gpus > 1):1}         {gpus * photos / step:,.0f} photos/s, "
            f"--batch-size {gpus * batch_size}, {step:.3f} s a step, {seconds / step:.0%} of the pace of one"
        )
