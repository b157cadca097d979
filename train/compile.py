"""Compiling the networks of a run with torch.compile, and where that needs care."""

import functools
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from train.state import TrainState


def compile_networks(state: TrainState) -> None:
    """Compile each encoder and decoder by itself: one graph round all their passes takes minutes to build.

    On a GPU the frozen features and the discriminators are compiled, too: they are thousands of small kernels, whose
    launches it would otherwise wait for. On a CPU they stay as they are: compiled, they made a step of
    `master2018` 8 % slower (medians of ten in turn, bf16, two cores of an AMD EPYC, 2026-11-27).

    That a CPU is compiled for with a C++ compiler, which must be there, train/checks.py has seen to.
    """
    config = state.config
    if not config.engine.compile:
        return
    torch.backends.cudnn.benchmark = True  # shapes are few and fixed: try the convolutions' algorithms once
    torch._dynamo.config.recompile_limit = 64  # the networks share code objects; past the limit dynamo runs eagerly
    # The gradients of reflection padding that PyTorch 2.14 and 2.15 compile for AVX-512 in bf16 have gaps, often NaN:
    # their code that stores vectors of 32 with a stride shifts by 64 bits. Their AVX2 code is right.
    wide = state.device.type == "cpu" and "AVX512" in torch.backends.cpu.get_cpu_capability()
    nets = list(state.model.children())
    if state.device.type == "cuda" and not config.discriminator.r1:  # whose gradient of a gradient cannot be compiled
        nets += [state.feature_projection, state.discriminator.a, state.discriminator.b]
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
