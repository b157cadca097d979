"""How much quicker a step is than its plain form, at equal network, batch and picture size: python -m train benchmark

The plain form is what the released code does: fp32, eager, convolutions of enlarged maps, and a generator pass of its
own for the discriminator. Both forms run here, in turn, in one process; the shares are of the fastest matrix
multiplication and the fastest residual convolution (forward and backward) measured beside them in the precision that
training uses.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from train.augment import zoom
from train.checks import check_options
from train.command import one_sentence
from train.compile import compile_networks
from train.config import TrainConfig, presets
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


@one_sentence
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m train benchmark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="master2018", choices=presets(""))
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--size", type=int, default=128, help="side of the pictures in pixels")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6, help="timed steps of each form")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-compile", action="store_true", help="measure our step uncompiled")
    parser.add_argument("--photos", help="a data set, to say what share of a step its photos take to read and crop")
    args = parser.parse_args(arguments)
    return compare(args)


def compare(args: argparse.Namespace) -> int:
    if args.steps < 1:
        raise ValueError(f"--steps is {args.steps}: it must be 1 or more.")
    config = presets("")[args.preset][1]
    network = dataclasses.replace(config.model, dim=args.dim, image_size=args.size)
    config = config.replace(model=network, batch_size=args.batch_size, device=args.device, compile=not args.no_compile)
    check_options(config, device=device_of(config.engine.device))
    if args.photos:  # before minutes of timing
        check_data(config.replace(data=args.photos))

    plain, ours = TrainState.build(config.replace(precision="fp32")), TrainState.build(config)
    for net in (plain.model, plain.ema, plain.feature_projection, plain.discriminator):
        net.to(memory_format=torch.contiguous_format)
    for layer in plain.model.modules():
        if isinstance(layer, FoldedUpConv | FoldedUpConv5):
            layer.forward = layer.plain  # type: ignore[method-assign]
    compile_networks(ours)
    device = ours.device
    torch.manual_seed(0)
    x_a, x_b = (torch.rand(args.batch_size, 3, args.size, args.size, device=device) * 2 - 1 for _ in "ab")
    y_a, y_b = (x.to(memory_format=torch.channels_last) for x in (x_a, x_b))
    flops = count_flops(config, y_a, y_b)

    for _ in range(2):  # compilation, and the allocator's first look round
        train_step(ours, y_a, y_b)
    plain_step(plain, x_a, x_b)
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(args.steps):  # in turn, so that a machine that changes its pace changes it for both
        times["plain"].append(seconds(lambda: plain_step(plain, x_a, x_b), device))
        times["ours"].append(seconds(lambda: train_step(ours, y_a, y_b), device))
    if ours.skipped:
        print(f"{ours.skipped} of our steps gave gradients that are not finite: this is no benchmark.", file=sys.stderr)
        return 1
    median = {name: statistics.median(values) for name, values in times.items()}
    peaks = {"matmul": matmul_peak(device, ours.dtype), "convolution": convolution_peak(device, ours.dtype)}
    wait = loader_share(config, args.photos, median["ours"]) if args.photos else None

    precision = str(ours.dtype).removeprefix("torch.")
    network_line = f"{args.preset}, dim {args.dim}, {args.size} px, batch {args.batch_size}, {precision}"
    print(f"{network_line}, {hardware(device)}")
    for name, peak in peaks.items():
        share = flops / median["ours"] / peak
        print(f"peak        {peak / 1e9:8.0f} GFLOP/s, {name}: our step reaches {share:.0%} of it")
    print(f"plain step  {median['plain']:8.3f} s, median of {args.steps}")
    print(f"our step    {median['ours']:8.3f} s, {flops / 1e9:.0f} GFLOP")
    if wait is not None:
        print(f"loader      {wait:8.1%} of a step, reading and cropping in the step's own thread")
    print(f"ratio       {median['plain'] / median['ours']:8.2f} x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
