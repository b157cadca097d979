"""How much quicker a step is than its plain form, at equal network, batch and size: python -m train benchmark"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from train.augment import zoom
from train.checks import check_options
from train.command import command
from train.compile import compile_networks
from train.config import PresetName, TrainConfig, presets
from train.data.batches import UnpairedBatches
from train.data.check import check_data
from train.eval.evaluate import hardware
from train.objective import discriminator_objective, forward_options, generator_objective
from train.parallel import device_of
from train.state import TrainState
from train.step import train_step
from unit.models.folded import FoldedUpConv, FoldedUpConv5
from unit.models.protocol import Code
from unit.pipeline import memory_format


def plain_step(state: TrainState, x_a: Tensor, x_b: Tensor) -> None:
    """The same update as `train_step`, with fakes drawn anew for each player, and no care for accidents."""
    config, model, discriminator, project = state.config, state.model, state.discriminator, state.feature_projection
    least = config.discriminator.zoom

    with torch.no_grad():
        q_a, q_b = model.encode(x_a, "a"), model.encode(x_b, "b")
        x_ba, x_ab = model.decode(Code(q_b.sample()), "a"), model.decode(Code(q_a.sample()), "b")
        seen_a, seen_b, seen_ba, seen_ab = (project(x) for x in zoom(least, x_a, x_b, x_ba, x_ab))
    discriminator.requires_grad_(True)
    d_loss, _ = discriminator_objective(config, discriminator(seen_a, seen_b), discriminator(seen_ba, seen_ab))
    state.opt_d.zero_grad()
    d_loss.backward()
    state.opt_d.step()

    discriminator.requires_grad_(False)
    out = model(x_a, x_b, **forward_options(config))
    pairs = [out.x_aa, out.x_bb, x_a, x_b] if config.weights.perceptual else []
    seen = [project(x) for x in zoom(least, out.x_ba, out.x_ab, *pairs)]
    g_loss, _ = generator_objective(config, out.losses(x_a, x_b), discriminator(*seen[:2]), seen[2:4], seen[4:])
    state.opt_g.zero_grad()
    g_loss.backward()
    state.opt_g.step()
    state.step += 1
    state.update_ema()


def seconds(run: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Wall seconds of `repeats` runs, divided by their number."""

    def wait() -> None:
        if device.type != "cpu":
            getattr(torch, device.type).synchronize()

    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    wait()
    return (time.perf_counter() - start) / repeats


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The best FLOP/s over ten products of square matrices."""
    n = 4096 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    return 2 * n**3 / min(seconds(lambda: torch.mm(a, b), device) for _ in range(10))


def convolution_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The best FLOP/s over ten passes, forward and backward, of a 3x3 convolution as in the residual blocks."""
    n, c, side = (32, 256, 64) if device.type == "cuda" else (8, 128, 32)
    layout = memory_format(device)
    conv = nn.Conv2d(c, c, 3, padding=1, device=device, dtype=dtype).to(memory_format=layout)
    x = torch.randn(n, c, side, side, device=device, dtype=dtype, requires_grad=True).to(memory_format=layout)
    gradient = torch.ones_like(x)
    best = min(seconds(lambda: conv(x).backward(gradient), device) for _ in range(11))  # the first warms up
    return 3 * 2 * n * side**2 * c**2 * 9 / best


def loader_share(config: TrainConfig, data: str, step: float, n: int = 50) -> float:
    """Seconds to read and crop a batch, from the cache, over those of a step. Workers do it beside the steps."""
    config = config.replace(data=data, workers=0)
    loaded = UnpairedBatches(config)
    loaded[0]
    start = time.perf_counter()
    for i in range(1, n + 1):
        loaded[i]
    return (time.perf_counter() - start) / n / step


def count_flops(config: TrainConfig, x_a: Tensor, x_b: Tensor) -> int:
    """Floating-point operations of one step of ours (two a multiplication and addition), forward and backward."""
    state = TrainState.build(config.replace(precision="fp32"))
    with FlopCounterMode(display=False) as counter:
        train_step(state, x_a, x_b)
    return counter.get_total_flops()


@command("benchmark")
def main(
    *,
    preset: PresetName = "master2018",
    dim: int = 32,
    size: int = 128,
    batch_size: int = 4,
    steps: int = 6,
    device: str = "auto",
    compile: Annotated[bool, tyro.conf.arg(help_behavior_hint="")] = True,
    photos: str | None = None,
) -> int:
    """How much quicker a step is than its plain form, at equal network, batch and picture size.

    The plain form is what the released code does: fp32, eager, convolutions of enlarged maps, and a generator pass of
    its own for the discriminator. Both forms run here, in turn, in one process; the shares are of the fastest matrix
    multiplication and the fastest residual convolution (forward and backward) measured beside them in the precision
    that training uses.

    Args:
        preset: Whose network and losses are measured.
        dim: Width of the network.
        size: Side of the pictures in pixels.
        batch_size: Pictures of each domain a step.
        steps: Timed steps of each form.
        device: auto, cuda, mps or cpu.
        compile: Measure our step uncompiled.
        photos: A data set, to say what share of a step its photos take to read and crop.
    """
    if steps < 1:
        raise ValueError(f"--steps is {steps}: it must be 1 or more.")
    _, config = presets("")[preset]
    network = dataclasses.replace(config.model, dim=dim, image_size=size)
    config = config.replace(model=network, batch_size=batch_size, device=device, compile=compile)
    check_options(config, device=device_of(device))
    if photos:  # before minutes of timing
        check_data(config.replace(data=photos))
    return compare(preset, config, steps, photos)


def compare(preset: str, config: TrainConfig, steps: int, photos: str | None) -> int:
    """Time both forms of the step and print what was found. Returns the exit status."""
    size, batch_size = config.model.image_size, config.data.batch_size
    plain, ours = TrainState.build(config.replace(precision="fp32")), TrainState.build(config)
    for net in (plain.model, plain.ema, plain.feature_projection, plain.discriminator):
        net.to(memory_format=torch.contiguous_format)
    for layer in plain.model.modules():
        if isinstance(layer, FoldedUpConv | FoldedUpConv5):
            layer.forward = layer.plain  # type: ignore[method-assign]
    compile_networks(ours)
    device = ours.device
    torch.manual_seed(0)
    x_a, x_b = (torch.rand(batch_size, 3, size, size, device=device) * 2 - 1 for _ in "ab")
    y_a, y_b = (x.to(memory_format=torch.channels_last) for x in (x_a, x_b))
    flops = count_flops(config, y_a, y_b)

    for _ in range(2):  # compilation, and the allocator's first look round
        train_step(ours, y_a, y_b)
    plain_step(plain, x_a, x_b)
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(steps):  # in turn, so that a machine that changes its pace changes it for both
        times["plain"].append(seconds(lambda: plain_step(plain, x_a, x_b), device))
        times["ours"].append(seconds(lambda: train_step(ours, y_a, y_b), device))
    if ours.skipped:
        print(f"{ours.skipped} of our steps gave gradients that are not finite: this is no benchmark.", file=sys.stderr)
        return 1
    median = {name: statistics.median(values) for name, values in times.items()}
    peaks = {"matmul": matmul_peak(device, ours.dtype), "convolution": convolution_peak(device, ours.dtype)}
    wait = loader_share(config, photos, median["ours"]) if photos else None

    precision = str(ours.dtype).removeprefix("torch.")
    network_line = f"{preset}, dim {config.model.dim}, {size} px, batch {batch_size}, {precision}"
    print(f"{network_line}, {hardware(device)}")
    for name, peak in peaks.items():
        share = flops / median["ours"] / peak
        print(f"peak        {peak / 1e9:8.0f} GFLOP/s, {name}: our step reaches {share:.0%} of it")
    print(f"plain step  {median['plain']:8.3f} s, median of {steps}")
    print(f"our step    {median['ours']:8.3f} s, {flops / 1e9:.0f} GFLOP")
    if wait is not None:
        print(f"loader      {wait:8.1%} of a step, reading and cropping in the step's own thread")
    print(f"ratio       {median['plain'] / median['ours']:8.2f} x")
    return 0
