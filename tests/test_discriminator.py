"""Discriminators: shapes on non-square images, what is frozen, and that they can tell two distributions apart."""

import pytest
import torch
from torch import nn

from unit.losses import discriminator_gan
from unit.models.discriminator import (
    Discriminators,
    FeatureProjection,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    ProjectedDiscriminator,
    real_and_fake,
)


class TwoConvs(nn.Module):
    """A stand-in for a pretrained pyramid: maps at strides 4 and 8."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 6, 4, stride=4), nn.Conv2d(6, 10, 2, stride=2)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x):
        fine = self.norm(self.fine(x))
        return [fine, self.coarse(fine)]


def look() -> FeatureProjection:
    torch.manual_seed(0)
    return FeatureProjection(TwoConvs(), (6, 10), dim=8, least=32)


def test_shapes_on_a_wide_image():
    x = torch.rand(2, 3, 64, 160)
    assert [tuple(o.shape) for o in PatchDiscriminator(dim=4)(x)] == [(2, 1, 1, 3)]
    shapes = [tuple(o.shape) for o in MultiScaleDiscriminator(dim=4)(x)]
    assert shapes == [(2, 1, 4, 10), (2, 1, 2, 5), (2, 1, 1, 2)]
    view = look()
    logits = ProjectedDiscriminator(view.channels, dim=4)(view(x))
    assert [tuple(o.shape) for o in logits] == [(2, 1, 8, 20), (2, 1, 8, 20), (2, 1, 4, 10)]


@pytest.mark.parametrize("make", [PatchDiscriminator, MultiScaleDiscriminator])
def test_every_column_of_a_wide_image_is_judged(make):
    """The 2017 multi-scale network cut wide images to squares; here the right-hand edge moves every scale."""
    torch.manual_seed(0)
    net, x = make(dim=4), torch.rand(1, 3, 64, 192)
    changed = x.clone()
    changed[..., -8:] = -1
    for before, after in zip(net(x), net(changed), strict=True):
        assert not torch.allclose(before, after)


def test_the_projection_is_frozen_and_lets_gradients_through():
    view = look().train()
    assert not any(m.training for m in view.modules())
    assert not any(p.requires_grad for p in view.parameters())
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    view(x)[1].sum().backward()
    assert x.grad.any()


def test_real_and_fake_are_one_batch_without_the_generator():
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    seen, other = look()(x), look()(1 - x)
    for pair, real, fake in zip(real_and_fake(other, seen), other, seen, strict=True):
        torch.testing.assert_close(pair, torch.cat([real, fake]))
    assert not real_and_fake(x.detach(), x).requires_grad
    assert not any(pair.requires_grad for pair in real_and_fake([s.detach() for s in other], seen))
    torch.testing.assert_close(real_and_fake(x.detach(), x, 1 - x), torch.cat([x, x, 1 - x]))


@pytest.mark.parametrize("kind", ["patch", "multiscale", "projected"])
def test_it_learns_to_tell_two_textures_apart(kind):
    """Stripes along one axis against the other, in both domains: the hinge loss falls well below 2, its start."""
    torch.manual_seed(0)
    view = look() if kind == "projected" else nn.Identity()
    make = {
        "patch": lambda: PatchDiscriminator(dim=8, n_layers=3),
        "multiscale": lambda: MultiScaleDiscriminator(dim=8, n_layers=2),
        "projected": lambda: ProjectedDiscriminator(view.channels, dim=8),
    }[kind]
    net = Discriminators(make(), make())
    optimizer = torch.optim.Adam(net.parameters(), 2e-3, (0.5, 0.99))
    for _ in range(60):
        stripes = (torch.arange(32) // 4 % 2 * 2.0 - 1).expand(4, 3, 32, 32) + 0.1 * torch.randn(4, 3, 32, 32)
        real, fake = view(stripes), view(stripes.transpose(2, 3))
        loss = discriminator_gan(net(real, real), net(fake, fake), "hinge")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1


def test_small_pictures_are_enlarged_for_the_frozen_features_only():
    x = torch.rand(2, 3, 16, 24)
    image, fine, coarse = look()(x)
    assert torch.equal(image, x)
    assert (fine.shape[-2:], coarse.shape[-2:]) == ((8, 12), (4, 6))  # of 32 x 48 pixels
