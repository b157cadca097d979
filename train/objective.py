"""What D minimises, and what E and G minimise: every weight and every factor of the objective stands here.

The paper's game (arXiv:1703.00848, section 3), with its names for the weights:

    min over E and G, max over D   sum over both domains of
        lambda_0 gan + lambda_1 kl + lambda_2 recon + lambda_3 cycle_kl + lambda_4 cycle

A term is a mean over pixels, channels and photos (unit/losses.py), and a sum over the domains. `config.weights` has a
weight for every term by its name: for those that the model's output names, and for "gan" and "perceptual", which are
computed here, with what D says and sees.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from train.config import TrainConfig
from unit.losses import discriminator_gan, feature_l1, generator_gan

# `discriminator_gan` and `generator_gan` are given the logits of both domains in one list, and take the mean over it.
# The objective is a sum over the domains, as all other terms are: twice that mean. It stands here for both players.
DOMAINS = 2

Seen = Tensor | list[Tensor]  # what D sees of a batch: the images, or [the images, their frozen feature maps, ...]


def discriminator_objective(
    config: TrainConfig, real: Sequence[Tensor], fake: Sequence[Tensor], r1: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """lambda_0 times D's loss, which is summed over the domains.

    Adam does not heed the factor lambda_0, but its weight decay counts for less beside it, as in the released code.

    Args:
        real, fake: logits (N, 1, h, w) of photos and of translations, all scales of both domains in one list.
        r1: the R1 penalty, summed over the domains, in the steps that have one. It is taken in one of `r1_every`
            steps and counts as many times (lazy regularisation, arXiv:1912.04958).

    Returns:
        What to minimise, a scalar, and the unweighted term for the log.
    """
    options = config.discriminator
    loss = DOMAINS * discriminator_gan(real, fake, options.gan_loss)
    if r1 is not None:
        loss = loss + options.r1 * options.r1_every * r1
    return config.weights.gan * loss, {"d": loss}


def generator_objective(
    config: TrainConfig,
    losses: Mapping[str, Tensor],
    fake: Sequence[Tensor],
    recon: Sequence[Seen] = (),
    real: Sequence[Seen] = (),
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of all terms: the model's own, the game against D, and the perceptual loss.

    Args:
        losses: the model's unweighted terms, summed over the domains: `out.losses(x_a, x_b)`.
        fake: D's logits (N, 1, h, w) of translations, all scales of both domains in one list.
        recon, real: what D sees of the reconstructions and of the photos, for each domain, if there is a perceptual
            loss: L1 of the feature maps, but not of the images before them, which `recon` of the model compares.

    Returns:
        What to minimise, a scalar, and the unweighted terms for the log.
    """
    gan = DOMAINS * generator_gan(fake, config.discriminator.gan_loss)
    perceptual = torch.zeros_like(gan)
    for seen_hat, seen in zip(recon, real, strict=False):
        perceptual = perceptual + feature_l1([*seen_hat][1:], [*seen][1:])
    terms = {**losses, "gan": gan, "perceptual": perceptual}
    return weighted_sum(terms, vars(config.weights)), terms


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """sum_k weights[k] * terms[k]. Raises KeyError, naming the keys, unless both have the same ones."""
    if terms.keys() != weights.keys():
        raise KeyError(f"losses {sorted(terms)} and weights {sorted(weights)} must have the same names")
    return torch.stack([weights[name] * terms[name] for name in weights]).sum()


def forward_options(config: TrainConfig) -> dict[str, Any]:
    """What a model's forward pass must be asked for beside its images, because a weight needs it.

    UNIT's identity loss takes two more encodings. Models whose weights have no such name are not asked.
    """
    return {"identity": True} if vars(config.weights).get("identity") else {}
