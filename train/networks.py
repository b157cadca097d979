"""The networks of a run before its first step: new ones, or those that an exported model goes on from."""

import functools
import logging
import re
from dataclasses import replace
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint

from train.checkpointer import named_tensors
from train.config import TrainConfig
from unit.checkpoint import DISCRIMINATORS, read_tensors
from unit.hub import find_checkpoint, load_pretrained
from unit.models.discriminator import (
    Discriminators,
    FeatureProjection,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    ProjectedDiscriminator,
)
from unit.models.munit import MUNIT
from unit.models.unit import UNIT

logger = logging.getLogger(__name__)


def build_discriminators(config: TrainConfig) -> tuple[nn.Module, Discriminators]:
    """Build new discriminators for the images of a config.

    Returns:
        The feature projection that they look through (`nn.Identity` for those that look at the images themselves),
        and the discriminators of both domains.
    """
    channels, options = config.model.channels, config.discriminator
    match options.kind:
        case "patch":
            nets = Discriminators(*(PatchDiscriminator(c, options.d_dim, options.d_layers) for c in channels))
        case "multiscale":
            nets = Discriminators(*(MultiScaleDiscriminator(c, options.d_dim) for c in channels))
        case "projected":
            from train import features

            projection = FeatureProjection(features.EfficientNetLite0(), features.CHANNELS)
            return projection, Discriminators(*(ProjectedDiscriminator(projection.channels) for _ in channels))
    if options.spectral_norm:
        for conv in [module for module in nets.modules() if isinstance(module, nn.Conv2d)]:
            spectral_norm(conv)
    return nn.Identity(), nets


def random_projections(feature_projection: nn.Module) -> dict[str, nn.Module]:
    """The random convolutions of a feature projection, which D learns to read, by their names in files.

    The backbone is left out: it is always the same, and comes from a package.
    """
    children = feature_projection.named_children()
    return {f"look.{name}": module for name, module in children if name != "backbone"}  # files keep the name "look"


def start_from(source: str, model: Any) -> None:
    """Give `model` the weights of an exported one, grown if need be. Raises ValueError if it is not built alike."""
    other = load_pretrained(source)
    if isinstance(other, UNIT) and isinstance(model, MUNIT):
        start_styles(source, other, model)
        return
    if (theirs := other.config.model) != (ours := model.config.model):
        raise ValueError(f"--init {source} is of the model {theirs!r}, and this run trains {ours!r}.")
    if not (isinstance(other, UNIT) and isinstance(model, UNIT)):
        model.load_state_dict(other.state_dict())
        return
    weights, layout = other.state_dict(), other.config.layout
    if (layout, model.config.layout) == ("compact", "compact8"):
        weights, layout = model.state_dict() | grow(weights, other.config.n_res), "compact8"
    for name in ("layout", "channels_a", "channels_b", "dim", "n_res", "n_res_shared"):
        theirs, ours = getattr(replace(other.config, layout=layout), name), getattr(model.config, name)
        if theirs != ours:
            raise ValueError(f"--init {source} has {name} {theirs}, and this run {ours}: set --model to the same.")
    model.load_state_dict(weights)


def start_styles(source: str, unit: UNIT, munit: MUNIT) -> None:
    """Give a MUNIT the encoders and decoders of a UNIT. It begins as that, whatever the style, and without noise.

    Raises ValueError unless the UNIT is of the layout that a munit-compact is made of, and of the same size.
    """
    theirs, ours = unit.config, munit.config
    if (theirs.layout, ours.layout) != ("refined8", "munit-compact"):
        raise ValueError(
            f"--init {source} is a UNIT of layout {theirs.layout}, and this run trains {ours.layout}: "
            "only munit-compact can start from a UNIT, and only from one of layout refined8."
        )
    for name in ("channels_a", "channels_b", "dim", "n_res", "n_res_shared"):
        if getattr(theirs, name) != getattr(ours, name):
            raise ValueError(
                f"--init {source} has {name} {getattr(theirs, name)}, and this run {getattr(ours, name)}: "
                "set --model to the same."
            )
    munit.load_state_dict(munit.state_dict() | unit.state_dict())


def discriminators_from(source: str, feature_projection: nn.Module, discriminator: Discriminators) -> None:
    """Go on with the discriminators that an exported model was trained against, if they lie beside it.

    They are those of `train export --with-discriminators`. If this run's are of another kind, they start anew.
    """
    path = find_checkpoint(source, training=True) / DISCRIMINATORS
    if not path.is_file():
        return
    try:
        tensors = {name: tensor.float() for name, tensor in read_tensors(path).items()}
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read ({error}): remove it to start with new discriminators.") from None
    mine = named_tensors({"discriminator": discriminator, **random_projections(feature_projection)}, {})
    if {k: t.shape for k, t in mine.items()} != {k: t.shape for k, t in tensors.items()}:
        logger.warning("The discriminators beside %s are of another kind: this run starts with new ones.", source)
        return
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])


def grow(weights: dict[str, Tensor], n_res: int) -> dict[str, Tensor]:
    """Weights of a `compact` network as those of a `compact8` one, for pictures of twice the side.

    The first convolutions see the mean of 2x2 pixels where they saw one, so the encoders make of a picture what they
    made of it at half its size. The middle is as it was. The decoders' last two layers are missing: they are new.
    """
    old_last = re.compile(rf"decoder_[ab]\.{n_res + 3}\.")  # behind the blocks, a layer, its norm and its activation
    grown = {name: weight for name, weight in weights.items() if not old_last.match(name)}
    for name in ("encoder_a.1.weight", "encoder_b.1.weight"):
        patch = weights[name].unflatten(1, (-1, 2, 2))  # (2 dim, C, 2, 2, 3, 3): what PixelUnshuffle makes channels of
        grown[name] = patch.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(1, 3) / 4
    return grown


def checkpoint_activations(model: nn.Module) -> None:
    """Let each encoder and decoder keep only its input, and compute the rest again when the backward pass needs it."""
    for net in model.children():
        if list(net.parameters()):
            net.forward = functools.partial(checkpoint, net.forward, use_reentrant=False)
