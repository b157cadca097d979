"""The algorithm: section 3 of arXiv:1703.00848, on one screen, one step of it below, and then what both are made of."""

import functools
import math
import shutil
import signal
import sysconfig
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Generator, Tensor
from torch.utils.checkpoint import checkpoint
from tqdm import tqdm

from train.augment import diffaugment, zoom
from train.callbacks import Log, save_grid
from train.checkpointer import TrainState
from train.config import TrainConfig
from train.data.crops import DataError, Unreadable, check_data, held_out_photos, reading
from train.parallel import (
    alone_in,
    first_before_others,
    gathered,
    largest,
    no_averaging,
    processes,
    rank,
    told_to_stop,
    world,
)
from unit.checkpoint import check_config
from unit.losses import discriminator_gan, generator_gan, perceptual, r1_penalty, weighted_sum
from unit.models.discriminator import real_and_fake
from unit.models.unit import UNITOutput
from unit.noise import BatchRows
from unit.pipeline import memory_format

MAX_UNSAVED = 3  # saves in succession that may fail
NOT_NEGATIVE = (
    "lr_g", "lr_d", "clip", "r1", "evaluate_every", "workers", "ema", "minutes", "max_unreadable", "max_skipped",
    "rotate", "jitter",
)  # fmt: skip
LOOK_EVERY = 20  # steps from one look at the count of skipped steps to the next, on a GPU
HALVED_EVERY = 100_000  # steps, by the schedule "step"


class Diverged(ValueError):
    """Training cannot go on; the message says from where and with what to try again."""


def train(config: TrainConfig) -> Path:
    """Train, or go on with, the run in `config.run_dir`. Returns the path of the last checkpoint.

    Started in many processes, all of them call this; the first one writes. SIGTERM saves and returns, Ctrl-C saves and
    raises KeyboardInterrupt. Raises ValueError, with what to do about it, for options, data and training gone wrong.
    """
    with processes(config.device) as device, ExitStack() as alone:
        check_options(config)
        alone.enter_context(alone_in(config.run_dir))
        with first_before_others():  # it may have a cache to fill, which the others then find
            report = check_data(config)
        state = TrainState.build(config, device)
        resumed = state.resume()
        check_same_step(state)
        compile_networks(state)
        side = SideWork(state) if rank() == 0 else None  # logs, grids, measures, pushes: the first process's
        if side:
            print(report, f"going on from {resumed}{state.changes}" if resumed else "", sep="\n")
            if resumed and config.init:
                print(f"--init {config.init} is for new runs, and changes nothing here.")

        layout, unreadable, unsaved = memory_format(device), Unreadable(config), 0
        heard: list[signal.Signals] = []  # by any of the processes, each of which has a list of its own
        started, first_step = time.monotonic() - state.seconds, state.step
        with told_to_stop() as told, reading(config, state.step) as batches:
            for x_a, x_b, failed in batches:
                if progress(config, state.step, state.seconds) == 1:  # by the clock
                    break
                x_a, x_b = (x.to(device, memory_format=layout, non_blocking=True) for x in (x_a, x_b))
                losses = train_step(state, x_a, x_b)

                state.seconds = time.monotonic() - started
                if config.minutes:  # by the clock that is furthest, so that all stop at one step
                    state.seconds = largest(state.seconds, device)
                if largest(bool(told or failed), device):  # seldom; then all hear what each has met, and do the same
                    count_unreadable(state, unreadable, gathered(failed))
                    heard = gathered(told)
                if state.step % config.save_every == 0 and not heard:
                    unsaved = save(state, unsaved)  # before what may take long, or fail
                if side:
                    side.after_step(losses, len(unreadable), heard)
                if heard:
                    break
            path = state.save() if state.step > first_step or not resumed else resumed
        if side:
            side.close(path, heard or told)
        if signal.SIGINT in heard or signal.SIGINT in told:
            raise KeyboardInterrupt
        return path


def train_step(state: TrainState, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
    """One step of D, one of E and G. x_a, x_b: this process's photos (N, C, H, W) in [-1, 1]. Returns the terms.

    Both players meet the same drawings, from the same generator pass unless the batch is worked through in parts; the
    released code makes two passes with different noise. All randomness is a function of the step and the photo's row
    in the whole batch, so the update is the same however many processes and parts the batch is spread over.
    """
    config, discriminator = state.config, state.discriminator
    parts = list(zip(x_a.chunk(config.accumulate), x_b.chunk(config.accumulate), strict=True))
    once = len(parts) == 1
    terms: list[dict[str, Tensor]] = []

    discriminator.requires_grad_(True)  # max over D
    for i, part in enumerate(parts):
        with torch.set_grad_enabled(once):
            views = draw(state, *part, i)
        with nullcontext() if i == len(parts) - 1 else no_averaging(state.judge):
            d_loss = discriminator_loss(state, *part, views)
            # Both domains, times lambda_0, as for E and G. Adam heeds no factor, but its weight decay depends on it.
            state.scaler.scale(2 * config.weights.gan * d_loss / len(parts)).backward()
        terms.append({"d": 2 * d_loss.detach()})
    finite = update(state, state.opt_d, config.lr_d)

    discriminator.requires_grad_(False)  # min over E, G
    for i, part in enumerate(parts):
        with nullcontext() if i == len(parts) - 1 else no_averaging(state.generate):
            losses = generator_losses(state, *part, views if once else draw(state, *part, i))
            state.scaler.scale(weighted_sum(losses, vars(config.weights)) / len(parts)).backward()
        terms[i] |= {name: loss.detach() for name, loss in losses.items()}
    finite = finite & update(state, state.opt_g, config.lr_g)

    state.scaler.update()
    state.step += 1
    state.update_ema()
    means = {name: torch.stack([part[name] for part in terms]).mean() for name in terms[0]}
    count_skipped(state, finite, means)
    return means


class Views(NamedTuple):
    """What the generator drew of a part of the batch, and what the discriminators are shown of it."""

    out: UNITOutput
    real: list[Tensor | list[Tensor]]  # of x_a and x_b
    fake: list[Tensor | list[Tensor]]  # of x_ba and x_ab
    again: list[Tensor | list[Tensor]]  # of x_aa and x_bb, if the perceptual loss asks for it


def draw(state: TrainState, x_a: Tensor, x_b: Tensor, part: int) -> Views:
    """Figure 1 of the paper for one part of the batch. Called again within a step, it draws the same again."""
    config, n = state.config, len(x_a)
    first, total = (rank() * config.accumulate + part) * n, world() * config.accumulate * n
    # Generators of our own, for the thread that pushes draws from the global one. The views' is on the CPU, where their
    # numbers are needed: one crop for the whole batch, and one augmentation for all pictures of a row.
    noise = Generator(state.device).manual_seed(config.seed_for("noise", state.step))
    view = Generator().manual_seed(config.seed_for("views", state.step))
    with autocast(state):
        identity = config.weights.identity > 0
        out = state.generate(x_a, x_b, generator=BatchRows(noise, first, total), identity=identity)
        again = [out.x_aa, out.x_bb] if config.weights.perceptual else []
        shown = zoom(config.zoom, x_a, x_b, out.x_ba, out.x_ab, *again, generator=view)
        if config.diffaugment:
            draws = torch.rand(total, 7, generator=view)[first : first + n].to(x_a.device, non_blocking=True)
            shown = [diffaugment(x, draws) for x in shown]
        with torch.no_grad():
            real = look_at(state.look, shown[:2])
        seen = look_at(state.look, shown[2:])
        return Views(out, real, fake=seen[:2], again=seen[2:])


def look_at(look: torch.nn.Module, images: Sequence[Tensor]) -> list[Tensor | list[Tensor]]:
    """What the discriminators see of each batch of images. Frozen features of them all are computed in one pass."""
    if isinstance(look, torch.nn.Identity):
        return list(images)
    maps = [seen.chunk(len(images)) for seen in look(torch.cat(list(images)))]
    return [list(each) for each in zip(*maps, strict=True)]


def discriminator_loss(state: TrainState, x_a: Tensor, x_b: Tensor, views: Views) -> Tensor:
    """What D minimises, the mean over both domains."""
    config = state.config
    fakes = [views.fake, views.real[::-1]] if config.real_negatives else [views.fake]
    with autocast(state):
        logits = state.judge(*(real_and_fake(*one_domain) for one_domain in zip(views.real, *fakes, strict=True)))
    real, fake = zip(*(each.tensor_split([len(x_a)]) for each in logits), strict=True)
    loss = discriminator_gan(real, fake, config.gan_loss)
    if config.r1 and state.step % config.r1_every == 0:
        x_a, x_b = (x.detach().requires_grad_() for x in (x_a, x_b))
        a, b = (net(state.look(x)) for net, x in ((state.discriminator.a, x_a), (state.discriminator.b, x_b)))
        loss = loss + config.r1 * config.r1_every * (r1_penalty(a, x_a) + r1_penalty(b, x_b)) / 2
    return loss


def generator_losses(state: TrainState, x_a: Tensor, x_b: Tensor, views: Views) -> dict[str, Tensor]:
    """The unweighted terms that E and G minimise, summed over both domains."""
    with autocast(state):
        judged = state.discriminator(*views.fake)
    gan = 2 * generator_gan(judged, state.config.gan_loss)
    alike = torch.zeros_like(gan)
    for again, real in zip(views.again, views.real, strict=False):  # each a list: the picture, then its features
        alike = alike + perceptual([*again][1:], [*real][1:])
    return views.out.losses(x_a, x_b) | {"gan": gan, "perceptual": alike}


def autocast(state: TrainState) -> torch.autocast:
    half = state.dtype != torch.float32
    return torch.autocast(state.device.type, state.dtype if half else None, enabled=half)


def update(state: TrainState, optimizer: torch.optim.Optimizer, lr: float) -> Tensor:
    """A step of a fused optimiser, unless a gradient is not finite; whether it was made. All processes decide alike.

    The decision is the device's: waiting for it here would let a GPU run out of work, twice a step.
    """
    (group,) = optimizer.param_groups
    group["lr"] = lr * schedule(state.config, state.step, state.seconds)
    state.scaler.unscale_(optimizer)
    norm = torch.nn.utils.get_total_norm([p.grad for p in group["params"] if p.grad is not None])
    if state.config.clip:
        torch.nn.utils.clip_grads_with_norm_(group["params"], state.config.clip, norm)
    finite = norm.isfinite()
    optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]  # by which gradient scalers tell fused optimisers to change nothing
    state.scaler.step(optimizer)
    optimizer.zero_grad()
    return finite


def progress(config: TrainConfig, step: int, seconds: float) -> float:
    """The share of the run that is done, from 0 to 1, by its steps or its minutes, whichever is further."""
    by_clock = seconds / (60 * config.minutes) if config.minutes else 0.0
    return min(1.0, max(step / config.steps, by_clock))


def schedule(config: TrainConfig, step: int, seconds: float = 0.0) -> float:
    """What the learning rates are multiplied with after so many steps and seconds of training: 1 at the first."""
    done = progress(config, step, seconds)
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            return min(1.0, 2 * (1 - done))
        case "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        case "step":
            return 0.5 ** (step // HALVED_EVERY)


def count_skipped(state: TrainState, finite: Tensor, losses: dict[str, Tensor]) -> None:
    """Raises Diverged when too many steps in a row were skipped; looked at once in a while, as looking waits."""
    state.skips = torch.stack([state.skips[0] + ~finite, torch.where(finite, 0, state.skips[1] + 1)])
    looked_at = state.device.type == "cpu" or state.step % LOOK_EVERY == 0
    if looked_at and state.skipped_in_a_row > state.config.max_skipped:
        bad = [name for name, loss in losses.items() if not loss.isfinite()]
        raise Diverged(
            f"{state.skipped_in_a_row} steps in a row, up to step {state.step}, gave gradients that are not finite "
            f"(and {', '.join(bad) or 'no loss'}). The checkpoints before them are kept. Go on from there with lower "
            "--lr-g and --lr-d, with --clip 1, with --precision fp32, or with --no-compile."
        )


def count_unreadable(state: TrainState, unreadable: Unreadable, names: list[str]) -> None:
    """Note photos that could not be read. Raises DataError, with the run saved, when they are too many."""
    try:
        unreadable.add(names)
    except DataError:
        state.save()
        raise


def check_same_step(state: TrainState) -> None:
    """Raises ValueError in all processes where one of them has found another checkpoint than the others, or none."""
    first, last = -largest(-state.step, state.device), largest(state.step, state.device)
    if first != last:
        raise ValueError(
            f"the processes found checkpoints of steps {first:.0f} to {last:.0f}: "
            f"--run-dir {state.config.run_dir} must be one folder that all of them share and can read."
        )


def save(state: TrainState, unsaved: int) -> int:
    """A checkpoint, but not in the middle of skipped steps. Returns how many saves have now failed in a row."""
    if state.skipped_in_a_row:
        return unsaved
    try:
        state.save()
        return 0
    except (OSError, SafetensorError) as error:  # a full disk may have room again before the next
        if unsaved + 1 >= MAX_UNSAVED:
            raise
        tqdm.write(f"step {state.step} could not be saved: {error}; trying again in {state.config.save_every} steps")
        return unsaved + 1


class SideWork:
    """What the first process does beside the steps: progress, log, sample grids, measures, pushes to the Hub."""

    def __init__(self, state: TrainState):
        config = self.config = state.config
        self.state = state
        self.log = Log(config.run_dir, state.step, tensorboard=config.tensorboard)
        self.held_out = held_out_photos(config, 4)
        self.measure = self.pusher = None
        if config.evaluate_every:
            from train.eval.evaluate import Measure

            self.measure = Measure(config)
        if config.push_to:
            from train.publish.push import Pusher

            self.pusher = Pusher(config)
        self.bar = tqdm(total=config.steps, initial=state.step, unit="step", smoothing=0.05)

    def after_step(self, losses: dict[str, Tensor], unreadable: int, told: list[signal.Signals]) -> None:
        config, state = self.config, self.state
        self.bar.update()
        if state.step % config.log_every == 0:
            values = {name: float(value) for name, value in losses.items()}
            rate = 2 * config.batch_size * (self.bar.format_dict["rate"] or 0)
            self.bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()} | {"photos/s": f"{rate:.1f}"})
            facts = {"seconds": state.seconds, "photos_per_second": rate}
            self.log.write(state.step, facts | values | {"skipped": state.skipped, "unreadable": unreadable})
        if told:  # whoever told it to stop will not wait
            return
        if self.held_out and state.step % config.sample_every == 0:
            save_grid(state, *self.held_out)
        if self.measure and state.step % config.evaluate_every == 0:
            self.log.write(state.step, self.measure(state.ema))
        if self.pusher and state.step % config.push_every == 0:
            self.pusher.push(state)

    def close(self, path: Path, told: list[signal.Signals]) -> None:
        self.bar.close()
        self.log.close()
        if told:
            print(f"{told[0].name}: saved {path}; the same command goes on from it")
        if self.pusher and not told:
            self.pusher.push(self.state)
        if self.pusher:
            self.pusher.close(timeout=10 if told else 600)  # whoever told it to stop will not wait


def check_numbers(config: TrainConfig) -> None:
    """What can be known to be wrong from the options alone. Raises ValueError."""
    check_config(config.model)  # now, and not at the end, when it is saved
    for name in (
        "steps",
        "batch_size",
        "accumulate",
        "log_every",
        "sample_every",
        "save_every",
        "push_every",
        "r1_every",
        "d_dim",
    ):
        if getattr(config, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(config, name)}: it must be 1 or more.")
    for name, value in {
        **{name: getattr(config, name) for name in NOT_NEGATIVE},
        **{f"weights.{name}": weight for name, weight in vars(config.weights).items()},
    }.items():
        if not 0 <= value < math.inf:  # nor NaN
            raise ValueError(f"--{name.replace('_', '-')} is {value}: it must be 0 or more.")
    if config.ema >= 1:
        raise ValueError(f"--ema is {config.ema}: the average keeps that share of itself at each step, below 1.")
    if not 0 < config.zoom <= 1:
        raise ValueError(f"--zoom is {config.zoom}: it is a share of the side, above 0 and up to 1.")
    if config.rotate > 180:
        raise ValueError(f"--rotate is {config.rotate}: it is in degrees either way, up to 180.")
    if config.jitter >= 1:
        raise ValueError(f"--jitter is {config.jitter}: it is a share, below 1.")
    if config.model.image_size % config.model.downsampling:
        raise ValueError(
            f"--model.image-size {config.model.image_size} must be a multiple of {config.model.downsampling}, "
            "the side of a latent pixel."
        )


def check_options(config: TrainConfig) -> None:
    """What can be known to be wrong before anything is read. Raises ValueError."""
    check_numbers(config)
    if config.batch_size % (world() * config.accumulate):
        raise ValueError(
            f"--batch-size {config.batch_size} cannot be shared equally by {world()} processes "
            f"working in {config.accumulate} parts: make it a multiple of {world() * config.accumulate}."
        )
    try:
        config.run_dir.mkdir(parents=True, exist_ok=True)
        probe = config.run_dir / f".writable-{rank()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"--run-dir {config.run_dir} cannot be written to ({error.strerror}): choose another folder."
        ) from None


def compile_networks(state: TrainState) -> None:
    """Compile each encoder and decoder by itself: one graph round all their passes takes minutes to build.

    On a GPU the frozen features and the discriminators are compiled, too: they are thousands of small kernels, whose
    launches it would otherwise wait for. On a CPU they stay as they are: compiled, they made a step of
    `master2018` 8 % slower (medians of ten in turn, bf16, two cores of an AMD EPYC, 2026-11-27).

    Raises ValueError where a CPU is to be compiled for and there is no C++ compiler.
    """
    if not state.config.compile:
        return
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if state.device.type == "cpu" and not (headers.is_file() and any(map(shutil.which, ("g++", "clang++", "c++")))):
        raise ValueError(
            "torch.compile needs a C++ compiler and Python's headers (Debian: apt-get install g++ python3-dev); "
            "--no-compile does without, at half the speed."
        )
    torch.backends.cudnn.benchmark = True  # shapes are few and fixed: try the convolutions' algorithms once
    torch._dynamo.config.recompile_limit = 64  # the networks share code objects; past the limit dynamo runs eagerly
    # The gradients of reflection padding that PyTorch 2.14 and 2.15 compile for AVX-512 in bf16 have gaps, often NaN:
    # their code that stores vectors of 32 with a stride shifts by 64 bits. Their AVX2 code is right.
    wide = state.device.type == "cpu" and "AVX512" in torch.backends.cpu.get_cpu_capability()
    nets = list(state.model.children())
    if state.device.type == "cuda" and not state.config.r1:  # whose gradient of a gradient cannot be compiled
        nets += [state.look, state.discriminator.a, state.discriminator.b]
    for net in nets:
        if not list(net.parameters()):
            continue  # from an empty Sequential dynamo learns to skip the forward that every Sequential has
        reflects = any(getattr(layer, "padding_mode", "") == "reflect" for layer in net.modules())
        options = {"cpp.simdlen": 256} if wide and reflects and state.dtype != torch.float32 else None
        fixed: dict[str, Any] = {"dynamic": False, "options": options}  # for N and 2N: quicker than one for both
        if isinstance(net.forward, functools.partial):  # a checkpoint, which dynamo would give up at: compile inside it
            net.forward = functools.partial(
                checkpoint, torch.compile(net.forward.args[0], **fixed), use_reentrant=False
            )
        else:
            net.compile(**fixed)
