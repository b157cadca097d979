"""The algorithm: section 3 of arXiv:1703.00848, on one screen."""

import json
import shutil
import sysconfig
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import save_image
from tqdm import tqdm

from train.config import TrainConfig
from train.data import batches, check_data, held_out_photos
from train.state import TrainState
from unit.discriminator import real_and_fake
from unit.hub import check_config
from unit.losses import discriminator_gan, generator_gan, weighted_sum
from unit.pipeline import memory_format


def train(config: TrainConfig) -> Path:
    """Train, or go on with, the run in `config.run`. Returns the path of the last checkpoint."""
    check_config(config.model)  # now, and not at the end, when it is saved
    print(check_data(config.data, config.model.image_size))
    config.run.mkdir(parents=True, exist_ok=True)
    state = TrainState.build(config)
    if path := state.resume():
        print(f"going on from {path}")
        forget_log_after(config.run, state.step)
    if config.compile:
        compile_networks(state)

    held_out = held_out_photos(config, 4)
    losses: dict[str, Tensor] = {}
    bar = tqdm(total=config.steps, initial=state.step, unit="step", smoothing=0.05)
    started, layout = time.monotonic() - state.seconds, memory_format(state.device)
    for x_a, x_b in batches(config, state.step):
        x_a, x_b = (x.to(state.device, memory_format=layout, non_blocking=True) for x in (x_a, x_b))
        losses = train_step(state, x_a, x_b)

        state.seconds = time.monotonic() - started
        bar.update()
        if state.step % config.log_every == 0:
            log(state, losses, bar)
        if held_out is not None and state.step % config.sample_every == 0:
            save_grid(state, *held_out)
        if state.step % config.save_every == 0:
            save(state, losses)
    return save(state, losses) if losses else state.save()


def save(state: TrainState, losses: dict[str, Tensor]) -> Path:
    """A checkpoint, but never of a run that has diverged: the last good ones stay."""
    if bad := [name for name, loss in losses.items() if not loss.isfinite()]:
        raise ValueError(
            f"{', '.join(bad)} is not a finite number at step {state.step}. The checkpoints before it are kept; "
            "go on from them with a lower --lr-g and --lr-d."
        )
    return state.save()


def train_step(state: TrainState, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
    """One step of D, one of E and G, on one generator pass. x_a, x_b: (N, C, H, W) in [-1, 1]. Returns the terms.

    The released code draws the fakes of the two steps by two passes with different noise; here both use the same.
    """
    config, model, discriminator = state.config, state.model, state.discriminator
    torch.manual_seed(config.seed * 1_000_003 + state.step)  # the latent noise too is a function of the step
    autocast = torch.autocast(state.device.type, torch.bfloat16) if config.precision == "bf16" else nullcontext()

    with autocast:
        out = model(x_a, x_b, identity=config.weights.identity > 0)
        shown_a, shown_b, shown_ba, shown_ab = zoom(config.zoom, x_a, x_b, out.x_ba, out.x_ab)
        seen_ba, seen_ab = state.look(shown_ba), state.look(shown_ab)
        with torch.no_grad():
            seen_a, seen_b = state.look(shown_a), state.look(shown_b)

        discriminator.requires_grad_(True)  # max over D
        logits = discriminator(real_and_fake(seen_a, seen_ba), real_and_fake(seen_b, seen_ab))
    real, fake = zip(*(both.chunk(2) for both in logits), strict=True)
    d_loss = discriminator_gan(real, fake, config.gan_loss)
    state.opt_d.zero_grad()
    d_loss.backward()
    state.opt_d.step()

    discriminator.requires_grad_(False)  # min over E, G
    with autocast:
        judged = discriminator(seen_ba, seen_ab)
    losses = out.losses(x_a, x_b) | {"gan": 2 * generator_gan(judged, config.gan_loss)}
    state.opt_g.zero_grad()
    weighted_sum(losses, vars(config.weights)).backward()
    state.opt_g.step()

    state.step += 1
    state.update_ema()
    return {name: loss.detach() for name, loss in (losses | {"d": 2 * d_loss}).items()}


def zoom(least: float, *images: Tensor) -> list[Tensor]:
    """One random crop of all images, at least `least` of their side, enlarged to their size: what D is shown.

    The strides of a discriminator pull at every second, fourth, ... pixel. While they always meet the same ones, the
    generator answers with a weave of that period; crops at any place and scale leave it no grid to draw on.
    """
    if least == 1:
        return list(images)
    height, width = images[0].shape[-2:]
    share, top, left = torch.rand(3).tolist()
    share = least + (1 - least) * share
    h, w = round(share * height), round(share * width)
    y, x = round(top * (height - h)), round(left * (width - w))
    crops = [image[..., y : y + h, x : x + w] for image in images]
    return [F.interpolate(crop, size=(height, width), mode="bilinear", align_corners=False) for crop in crops]


def compile_networks(state: TrainState) -> None:
    """Compile each encoder and decoder by itself: one graph round all their passes takes minutes to build.

    Raises ValueError where a CPU is to be compiled for and there is no C++ compiler.
    """
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if state.device.type == "cpu" and not (headers.is_file() and any(map(shutil.which, ("g++", "clang++", "c++")))):
        raise ValueError(
            "torch.compile needs a C++ compiler and Python's headers (Debian: apt-get install g++ python3-dev); "
            "--no-compile does without, at half the speed."
        )
    torch._dynamo.config.recompile_limit = 64  # the networks share code objects; past the limit dynamo runs eagerly
    for net in state.model.children():
        if not list(net.parameters()):
            continue  # from an empty Sequential dynamo learns to skip the forward that every Sequential has
        net.compile(dynamic=False)  # batches of N and 2N: two fixed graphs are quicker than one for any size


def log(state: TrainState, losses: dict[str, Tensor], bar: tqdm) -> None:
    """One line of metrics.jsonl, and the same numbers behind the progress bar."""
    values = {name: round(float(value), 4) for name, value in losses.items()}
    rate = 2 * state.config.batch_size * (bar.format_dict["rate"] or 0)
    bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()} | {"photos/s": f"{rate:.1f}"})
    line = {"step": state.step, "seconds": round(state.seconds, 1), "photos_per_second": round(rate, 2)} | values
    with open(state.config.run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")


def forget_log_after(run: Path, step: int) -> None:
    """Drop the lines of steps that a kill undid, and a line it cut short: they will be written again."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return
    kept = []
    for line in path.read_text().splitlines():
        with suppress(ValueError):
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
    path.write_text("".join(kept))


@torch.no_grad()
def save_grid(state: TrainState, x_a: Tensor, x_b: Tensor) -> None:
    """samples/step-N.png from the averaged generator: a row a photo: x_a, x_aa, x_ab, x_aba, x_b, x_bb, x_ba, x_bab."""
    model = state.ema
    x_a, x_b = x_a.to(state.device), x_b.to(state.device)
    x_ab, x_ba = model.translate(x_a, "a", "b"), model.translate(x_b, "b", "a")
    columns = [x_a, model.reconstruct(x_a, "a"), x_ab, model.translate(x_ab, "b", "a")]
    columns += [x_b, model.reconstruct(x_b, "b"), x_ba, model.translate(x_ba, "a", "b")]
    rows = torch.stack([c.expand(-1, 3, -1, -1) for c in columns], dim=1).flatten(0, 1)
    (state.config.run / "samples").mkdir(exist_ok=True)
    path = state.config.run / "samples" / f"step-{state.step:08d}.png"
    save_image(rows, path, nrow=len(columns), normalize=True, value_range=(-1, 1))
