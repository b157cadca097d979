"""What discriminators are shown: zoom and DiffAugment."""

import pytest
import torch
from torch import Generator

from train.augment import diffaugment, zoom


def test_zoom_shows_the_same_place_of_every_picture():
    x = torch.rand(2, 3, 64, 48)
    one, other = zoom(0.5, x, 1 - x, generator=Generator().manual_seed(0))
    torch.testing.assert_close(one, 1 - other)
    assert one.shape == x.shape
    assert not torch.allclose(one, x)
    assert zoom(1.0, x)[0] is x
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)  # a crop of 50 to 100 % covers as much of a ramp
    spans = [float(z.max() - z.min()) for z in (zoom(0.5, ramp)[0] for _ in range(50))]
    assert 0.45 < min(spans) < 0.6
    assert 0.85 < max(spans) <= 1


def test_diffaugment_of_a_picture_does_not_depend_on_its_batch():
    x, draws = torch.rand(3, 3, 32, 24) * 2 - 1, torch.rand(3, 7)
    together = diffaugment(x, draws)
    torch.testing.assert_close(together[1:2], diffaugment(x[1:2], draws[1:2]))
    assert not torch.allclose(together[0], diffaugment(x[:1], draws[1:2])[0])


def test_diffaugment_shifts_and_blanks_as_it_is_told():
    """By draws that leave the colours alone: 4 rows down and 3 columns to the left, and a hole at the top right."""
    x = torch.rand(1, 3, 32, 24) * 2 - 1
    draws = torch.tensor([[0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 1.0]])
    expected = torch.full_like(x, -1.0)
    expected[..., 4:, :-3] = x[..., :-4, 3:]
    expected[..., :8, 18:] = -1  # the square around the corner, half the sides, of which a quarter is inside
    torch.testing.assert_close(diffaugment(x, draws), expected)


@pytest.mark.parametrize("value", [-1.0, 0.2])
def test_diffaugment_of_a_flat_picture(value):
    """Grey stays grey, and only its brightness moves, by at most half of the range; what is blanked is black."""
    x = torch.full((8, 3, 32, 32), value)
    y = diffaugment(x, torch.rand(8, 7, generator=Generator().manual_seed(0)))
    assert y.shape == x.shape
    for picture in y:
        inside = picture[picture != -1]
        assert inside.numel() >= 0.75 * 0.875**2 * picture.numel() * 0.95  # a quarter cut out, an eighth shifted away
        torch.testing.assert_close(inside, inside[0].expand_as(inside))
        assert abs(inside[0] - value) <= 1.001
    brightness = [float(p[p != -1][0]) for p in y]
    assert max(brightness) - min(brightness) > 0.5


def test_diffaugment_passes_gradients_to_what_is_shown():
    x = torch.zeros(1, 1, 32, 32, requires_grad=True)
    y = diffaugment(x, torch.full((1, 7), 0.3))
    y.sum().backward()
    assert x.grad.abs().sum() > 0
    shown = (y != -1).float().mean()
    assert shown < 1
