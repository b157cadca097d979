"""Losses against closed forms and torch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Laplace, Normal, kl_divergence

from unit.losses import (
    chroma_distance,
    discriminator_gan,
    feature_l1,
    gaussian_kl,
    generator_gan,
    r1_penalty,
    reconstruction,
)  # fmt: skip

torch.manual_seed(0)
MEAN = torch.randn(2, 3, 4, 5)
REAL = [torch.randn(2, 1, 4, 4), torch.randn(2, 1, 2, 2)]
FAKE = [torch.randn(2, 1, 4, 4), torch.randn(2, 1, 2, 2)]


def test_kl_is_twice_the_mean_of_torchs():
    exact = kl_divergence(Normal(MEAN, 1.0), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(gaussian_kl(MEAN), 2 * exact)


def test_reconstruction_is_the_laplacian_likelihood_but_for_a_constant():
    x = torch.randn_like(MEAN)
    likelihood = Laplace(MEAN, 1.0).log_prob(x).mean()
    torch.testing.assert_close(reconstruction(MEAN, x), -likelihood - torch.log(torch.tensor(2.0)))


def test_feature_l1_is_in_units_of_the_original():
    """By hand: maps off by half their mean size, and by none; no matter how large the features are, or how many."""
    fine, coarse = torch.randn(2, 4, 8, 8), torch.randn(2, 16, 2, 2)
    off = fine + 0.5 * fine.abs().mean((1, 2, 3), keepdim=True) * torch.randn_like(fine).sign()
    torch.testing.assert_close(feature_l1([off, coarse], [fine, coarse]), torch.tensor(0.25))
    torch.testing.assert_close(feature_l1([100 * off, coarse], [100 * fine, coarse]), torch.tensor(0.25))
    one, other = torch.randn(2, 8, 64, 32, 32, generator=torch.Generator().manual_seed(0))
    unrelated = feature_l1([one], [other])
    assert unrelated == pytest.approx(2**0.5, abs=0.01)  # the mean of |N(0, 2)| over that of |N(0, 1)|


def test_chroma_distance_sees_colours_of_regions_and_nothing_else():
    orange, blue = torch.tensor([0.9, 0.3, -0.3]), torch.tensor([-0.3, 0.3, 0.9])
    one, other = (colour.view(1, 3, 1, 1).expand(2, 3, 32, 48) for colour in (orange, blue))
    torch.testing.assert_close(chroma_distance(one, other), torch.tensor(0.8))  # (1.2 + 0 + 1.2) / 3
    torch.testing.assert_close(chroma_distance(one - 0.4, one), torch.tensor(0.0))  # brightness is free
    weave = torch.tensor([0.5, -0.5]).repeat(24) * torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1)
    torch.testing.assert_close(chroma_distance(one + weave, one), torch.tensor(0.0))  # and so is what is fine
    grey = torch.rand(2, 1, 32, 40)
    torch.testing.assert_close(chroma_distance(grey.expand(2, 3, 32, 40), grey), torch.tensor(0.0))


def test_bce_is_the_paper_s_cross_entropy():
    def bce(logits: torch.Tensor, label: float) -> torch.Tensor:
        return -Bernoulli(logits=logits).log_prob(torch.full_like(logits, label)).mean()

    expected = torch.stack([bce(r, 1.0) + bce(f, 0.0) for r, f in zip(REAL, FAKE, strict=True)]).mean()
    torch.testing.assert_close(discriminator_gan(REAL, FAKE, "bce"), expected)
    torch.testing.assert_close(
        generator_gan(FAKE[:1], "bce"), F.binary_cross_entropy_with_logits(FAKE[0], torch.ones_like(FAKE[0]))
    )


def test_lsgan_is_zero_for_a_perfect_discriminator():
    ones, zeros = [torch.ones_like(r) for r in REAL], [torch.zeros_like(r) for r in REAL]
    assert discriminator_gan(ones, zeros, "lsgan") == 0
    assert discriminator_gan(zeros, ones, "lsgan") == 2
    assert generator_gan(ones, "lsgan") == 0


def test_hinge_stops_at_the_margin():
    far = [torch.full_like(r, 5.0) for r in REAL]
    assert discriminator_gan(far, [-f for f in far], "hinge") == 0
    assert generator_gan(far, "hinge") == -5
    undecided = [torch.zeros_like(r) for r in REAL]
    assert discriminator_gan(undecided, undecided, "hinge") == 2


@pytest.mark.parametrize("kind", ["bce", "lsgan", "hinge"])
def test_each_scale_counts_the_same(kind):
    """A scale with more patches does not weigh more: the reduction is a mean of means."""
    alone = [discriminator_gan([r], [f], kind) for r, f in zip(REAL, FAKE, strict=True)]
    torch.testing.assert_close(discriminator_gan(REAL, FAKE, kind), torch.stack(alone).mean())


def test_half_precision_logits_are_summed_in_fp32():
    third = torch.full((1, 1, 256, 256), 1 / 3, dtype=torch.bfloat16)
    exact = float(third[0, 0, 0, 0])  # what bfloat16 makes of a third; a mean in bfloat16 would round again
    assert float(generator_gan([third], "lsgan")) == pytest.approx((exact - 1) ** 2, rel=1e-6)
    assert float(reconstruction(third, torch.zeros_like(third))) == pytest.approx(exact, rel=1e-6)
    assert gaussian_kl(third).dtype == torch.float32


def test_a_gan_loss_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="choose bce"):
        generator_gan(FAKE, "wgan")


def test_r1_of_a_linear_discriminator():
    """D(x) = mean over pixels of w . x has the gradient w / (H W) everywhere, so R1 is |w|^2 / (2 H W)."""
    w = torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1)
    x = torch.randn(5, 3, 4, 6, requires_grad=True)
    torch.testing.assert_close(r1_penalty([F.conv2d(x, w)], x), torch.tensor(14.0 / (2 * 24)))
    two_scales = r1_penalty(
        [F.conv2d(x, w), F.conv2d(x, w)[..., :2, :2] * 0], x
    )  # the mean of both halves the gradient
    torch.testing.assert_close(two_scales, torch.tensor(14.0 / (2 * 24) / 4))


def test_r1_is_itself_differentiable():
    w = torch.ones(1, 3, 1, 1, requires_grad=True)
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    r1_penalty([F.conv2d(x, w)], x).backward()
    torch.testing.assert_close(w.grad, torch.full_like(w, 1 / 16))
