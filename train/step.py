"""One training step of section 3 of arXiv:1703.00848, and what it is made of."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from train.augment import diffaugment, zoom
from train.objective import Seen, discriminator_objective, forward_options, generator_objective
from train.parallel import no_sync, rank, world
from train.state import TrainState, schedule
from unit.losses import r1_penalty
from unit.models.discriminator import real_and_fake
from unit.noise import BatchRows

CHECK_SKIPPED_EVERY = 20  # steps, on a GPU, which each look at the count of skipped steps makes wait

Objective = tuple[Tensor, dict[str, Tensor]]  # what to minimise, and its unweighted terms


class Diverged(ValueError):
    """Training cannot go on; the message says from where and with what to try again."""


def train_step(state: TrainState, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
    """Encode and translate, then one step of D, one of E and G, and one of their average.

    Both players meet the same translations, from the same forward pass unless the batch is accumulated; the released
    code makes two passes with different noise. All randomness is a function of the step and the photo's row in the
    whole batch, so the update is the same however many processes and parts the batch is spread over.

    Args:
        state: what learns; it is changed.
        x_a, x_b: this process's photos of each domain (N, C, H, W) in [-1, 1].

    Returns:
        The unweighted terms of the objective by name, scalars on the device.

    Raises:
        Diverged: too many steps in a row gave gradients that are not finite.
    """
    parts = split_batch(state, x_a, x_b)
    shared = forward(state, parts[0]) if len(parts) == 1 else None  # Of more parts, the passes would not fit together.

    state.discriminator.requires_grad_(True)  # D learns to tell photos from translations.
    d_terms, d_finite = minimise(
        state, state.ddp_discriminator, state.opt_d, state.config.optim.lr_d, parts,
        lambda part: discriminator_loss(state, shared or forward_without_gradients(state, part)),
    )  # fmt: skip

    state.discriminator.requires_grad_(False)  # E and G learn to reconstruct, and to translate so that D is deceived.
    g_terms, g_finite = minimise(
        state, state.ddp_generator, state.opt_g, state.config.optim.lr_g, parts,
        lambda part: generator_loss(state, shared or forward(state, part)),
    )  # fmt: skip

    state.step += 1
    state.update_ema()
    terms = d_terms | g_terms
    finish_step(state, d_finite & g_finite, terms)
    return terms


class Part(NamedTuple):
    """The photos of each domain that are worked through at once, (n, C, H, W), and where they are in the batch."""

    x_a: Tensor
    x_b: Tensor
    first: int  # row in the batch of all processes
    total: int  # rows of the batch of all processes


class Forward(NamedTuple):
    """One pass over a part of the batch: what the model made of it, and what the discriminators see of that."""

    part: Part
    out: Any  # of the model: x_ab, x_ba and losses(x_a, x_b) are read; x_aa and x_bb for the perceptual loss alone
    real: list[Seen]  # of x_a and x_b
    fake: list[Seen]  # of x_ba and x_ab
    recon: list[Seen]  # of x_aa and x_bb, if the perceptual loss asks for it


def forward(state: TrainState, part: Part) -> Forward:
    """Figure 1 of the paper for one part of the batch. Called again within a step, it gives the same again."""
    config, n = state.config, len(part.x_a)
    # Generators of our own, for the thread that pushes draws from the global one. The augmentation's is on the CPU,
    # where its numbers are needed: one crop for the whole batch, and one augmentation for all pictures of a row. The
    # names are part of the seeds, so another name would be another run.
    noise = Generator(state.device).manual_seed(config.seed_for("noise", state.step))
    augmentation = Generator().manual_seed(config.seed_for("views", state.step))
    with autocast(state):
        rows = BatchRows(noise, part.first, part.total)
        out = state.ddp_generator(part.x_a, part.x_b, generator=rows, **forward_options(config))
        recon = [out.x_aa, out.x_bb] if config.weights.perceptual else []
        images = zoom(config.discriminator.zoom, part.x_a, part.x_b, out.x_ba, out.x_ab, *recon, generator=augmentation)
        if config.discriminator.diffaugment:
            draws = torch.rand(part.total, 7, generator=augmentation)[part.first : part.first + n]
            draws = draws.to(part.x_a.device, non_blocking=True)
            images = [diffaugment(x, draws) for x in images]
        with torch.no_grad():
            real = project(state.feature_projection, images[:2])
        seen = project(state.feature_projection, images[2:])
    return Forward(part, out, real, fake=seen[:2], recon=seen[2:])


def forward_without_gradients(state: TrainState, part: Part) -> Forward:
    with torch.no_grad():
        return forward(state, part)


def project(feature_projection: nn.Module, images: Sequence[Tensor]) -> list[Seen]:
    """What the discriminators see of each batch of images. Frozen features of them all are computed in one pass."""
    if isinstance(feature_projection, nn.Identity):
        return list(images)
    maps = [seen.chunk(len(images)) for seen in feature_projection(torch.cat(list(images)))]
    return [list(each) for each in zip(*maps, strict=True)]


def discriminator_loss(state: TrainState, fwd: Forward) -> Objective:
    """What D minimises for one part: its verdicts on photos and on translations, which are detached."""
    options = state.config.discriminator
    fakes = [fwd.fake, fwd.real[::-1]] if options.real_negatives else [fwd.fake]
    with autocast(state):
        logits = state.ddp_discriminator(*(real_and_fake(*domain) for domain in zip(fwd.real, *fakes, strict=True)))
    real, fake = zip(*(scale.tensor_split([len(fwd.part.x_a)]) for scale in logits), strict=True)
    r1 = r1_of_photos(state, fwd.part) if options.r1 and state.step % options.r1_every == 0 else None
    return discriminator_objective(state.config, real, fake, r1)


def r1_of_photos(state: TrainState, part: Part) -> Tensor:
    """The R1 penalty at photos as they are, without augmentation, in full precision, summed over both domains."""
    x_a, x_b = (x.detach().requires_grad_() for x in (part.x_a, part.x_b))
    nets = ((state.discriminator.a, x_a), (state.discriminator.b, x_b))
    a, b = (net(state.feature_projection(x)) for net, x in nets)
    return r1_penalty(a, x_a) + r1_penalty(b, x_b)


def generator_loss(state: TrainState, fwd: Forward) -> Objective:
    """What E and G minimise for one part: the model's own terms, and D's verdict on translations."""
    with autocast(state):
        fake = state.discriminator(*fwd.fake)
    losses = fwd.out.losses(fwd.part.x_a, fwd.part.x_b)
    return generator_objective(state.config, losses, fake, fwd.recon, fwd.real)


def split_batch(state: TrainState, x_a: Tensor, x_b: Tensor) -> list[Part]:
    """The parts of a process's photos that are accumulated."""
    parts = state.config.optim.accumulate
    n = len(x_a) // parts
    first, total = rank() * len(x_a), world() * len(x_a)
    halves = zip(x_a.chunk(parts), x_b.chunk(parts), strict=True)
    return [Part(a, b, first + i * n, total) for i, (a, b) in enumerate(halves)]


def minimise(
    state: TrainState,
    net: nn.Module,
    optimizer: Optimizer,
    lr: float,
    parts: Sequence[Part],
    objective: Callable[[Part], Objective],
) -> tuple[dict[str, Tensor], Tensor]:
    """A step of one player on the mean of its objective over the parts of the batch.

    Args:
        net: the player under DDP, whose gradients the processes average in the last part's backward pass.

    Returns:
        The means of the terms, and whether the step was made (see `update`).
    """
    terms: list[dict[str, Tensor]] = []
    for i, part in enumerate(parts):
        with nullcontext() if i == len(parts) - 1 else no_sync(net):
            loss, unweighted = objective(part)
            state.scaler.scale(loss / len(parts)).backward()
        terms.append({name: term.detach() for name, term in unweighted.items()})
    means = {name: torch.stack([each[name] for each in terms]).mean() for name in terms[0]}
    return means, update(state, optimizer, lr)


def autocast(state: TrainState) -> torch.autocast:
    half = state.dtype != torch.float32
    return torch.autocast(state.device.type, state.dtype if half else None, enabled=half)


def update(state: TrainState, optimizer: Optimizer, lr: float) -> Tensor:
    """A step of a fused optimiser, unless a gradient is not finite; whether it was made. All processes decide alike.

    The decision is the device's: waiting for it here would let a GPU run out of work, twice a step.
    """
    (group,) = optimizer.param_groups
    group["lr"] = lr * schedule(state.config, state.step, state.seconds)
    state.scaler.unscale_(optimizer)
    norm = nn.utils.get_total_norm([p.grad for p in group["params"] if p.grad is not None])
    if state.config.optim.clip:
        nn.utils.clip_grads_with_norm_(group["params"], state.config.optim.clip, norm)
    finite = norm.isfinite()
    optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]  # by which gradient scalers tell fused optimisers to change nothing
    state.scaler.step(optimizer)
    optimizer.zero_grad()
    return finite


def finish_step(state: TrainState, finite: Tensor, terms: dict[str, Tensor]) -> None:
    """Adapt the scale of fp16 losses, and count skipped steps. Raises Diverged when too many in a row were skipped.

    They are looked at once in a while, as looking waits for the device.
    """
    state.scaler.update()
    state.skips = torch.stack([state.skips[0] + ~finite, torch.where(finite, 0, state.skips[1] + 1)])
    looked_at = state.device.type == "cpu" or state.step % CHECK_SKIPPED_EVERY == 0
    if looked_at and state.skipped_in_a_row > state.config.optim.max_skipped:
        bad = [name for name, term in terms.items() if not term.isfinite()]
        raise Diverged(
            f"{state.skipped_in_a_row} steps in a row, up to step {state.step}, gave gradients that are not finite "
            f"(and {', '.join(bad) or 'no loss'}). The checkpoints before them are kept. Go on from there with lower "
            "--lr-g and --lr-d, with --clip 1, with --precision fp32, or with --no-compile."
        )
