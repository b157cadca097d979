"""The terms of the objective of arXiv:1703.00848, as pure functions of tensors.

The paper's weights mean something only together with a reduction. Every function here takes the MEAN over all
elements (batch, channels, pixels), as the authors' code does; a sum would need weights about 10^5 times smaller. Of
several scales of a discriminator it is the mean, too, where the 2018 code adds them up.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

GANLoss = Literal["bce", "lsgan", "hinge"]


def reconstruction(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean absolute error: minus the log-likelihood of the paper's Laplacian p_G(x|z), but for scale and a constant."""
    return F.l1_loss(x_hat.float(), x.float())


def gaussian_kl(mean: Tensor) -> Tensor:
    """KL(N(mean, I) || N(0, I)) per latent element, times two: mean(mean^2).

    The exact divergence is half of this, summed; the released code drops the half and takes the mean, and the
    weight 0.1 belongs to that form.
    """
    return mean.float().square().mean()


def prior_moments(style: Tensor) -> Tensor:
    """How far a batch of styles (N, S, 1, 1) is from N(0, I), by its first two moments: 0 where they agree. A scalar.

    mean_k(E[s_k]^2 + (E[s_k^2] - 1)^2), each expectation over the batch.
    """
    s = style.float().flatten(1)
    return (s.mean(0).square() + (s.square().mean(0) - 1).square()).mean()


def chroma_distance(x_hat: Tensor, x: Tensor, side: int = 8) -> Tensor:
    """How different the colours of large regions are: 0 for equal ones and for any two grey pictures. A scalar.

    x_hat, x: (N, C, H, W) in [-1, 1]. Both are averaged to `side` x `side` regions (rows and columns that do not fill
    one are left out), and each region's mean over its channels is taken away, so what is left has no brightness. The
    mean absolute difference of that.
    """
    region = max(1, x.shape[-2] // side), max(1, x.shape[-1] // side)  # not adaptive: its gradient is not repeatable
    one, other = (F.avg_pool2d(image.float(), region) for image in (x_hat, x))
    return F.l1_loss(one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True))


def feature_l1(seen_hat: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
    """How different two batches look to a frozen network: 0 for equal ones, some 1.4 for unrelated ones. A scalar.

    Each holds the network's feature maps (N, C, h, w), `seen` those of the originals. The mean absolute difference of
    a picture's map, in units of the mean absolute value of the original's, averaged over pictures and maps: a feature
    loss (Johnson et al. 2016, arXiv:1603.08155) whose weight does not depend on how large the features are.
    """
    dims = (1, 2, 3)
    terms = [(f_hat - f).abs().mean(dims) / f.abs().mean(dims) for f, f_hat in _floats(seen, seen_hat)]  # each (N,)
    return torch.stack(terms).mean()


def discriminator_gan(real: Sequence[Tensor], fake: Sequence[Tensor], kind: GANLoss) -> Tensor:
    """What the discriminator minimises: the mean over patches of each scale, averaged over the scales.

    `real` and `fake` hold one tensor of logits (N, 1, h, w) a scale, of any size.
    """
    match kind:
        case "bce":  # the paper's L_GAN, negated
            terms = [F.softplus(-r).mean() + F.softplus(f).mean() for r, f in _floats(real, fake)]
        case "lsgan":
            terms = [(r - 1).square().mean() + f.square().mean() for r, f in _floats(real, fake)]
        case "hinge":
            terms = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in _floats(real, fake)]
        case _:
            raise ValueError(f"GAN loss {kind!r} is unknown: choose bce, lsgan or hinge")
    return torch.stack(terms).mean()


def generator_gan(fake: Sequence[Tensor], kind: GANLoss) -> Tensor:
    """What the generator minimises: the non-saturating form for "bce", reductions as in `discriminator_gan`."""
    match kind:
        case "bce":
            terms = [F.softplus(-f.float()).mean() for f in fake]
        case "lsgan":
            terms = [(f.float() - 1).square().mean() for f in fake]
        case "hinge":
            terms = [-f.float().mean() for f in fake]
        case _:
            raise ValueError(f"GAN loss {kind!r} is unknown: choose bce, lsgan or hinge")
    return torch.stack(terms).mean()


def r1_penalty(logits: Sequence[Tensor], x: Tensor) -> Tensor:
    """Half the squared gradient norm of D's score at real images x (N, C, H, W), mean over them. A scalar.

    Mescheder et al. 2018 (arXiv:1801.04406), equation 9, without gamma. The score of an image is what the losses above
    use: the mean over patches of each scale, averaged over the scales. x must require a gradient.
    """
    score = torch.stack([logit.float().flatten(1).mean(1) for logit in logits]).mean(0)  # (N,)
    (gradient,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    return 0.5 * gradient.square().sum((1, 2, 3)).mean()


def _floats(real: Sequence[Tensor], fake: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return [(r.float(), f.float()) for r, f in zip(real, fake, strict=True)]
