"""Whether a model follows its example, measured on models of which that is known."""

import math

import pytest
import torch
from toy_model import Toy, ToyConfig

from train.eval.styles import DEPTHS, colour, follows_examples, nearer, texture
from unit.models.protocol import Code, Domain
from unit.pipeline import Translator


class Painter(Toy):
    """Paints nothing but the colour that is the style."""

    def decode(self, code: Code, domain: Domain) -> torch.Tensor:
        return super().decode(Code(0 * code.content, code.style), domain) - self.decoders[domain].bias.view(1, 3, 1, 1)


class Deaf(Toy):
    """Ignores the style."""

    def decode(self, code: Code, domain: Domain) -> torch.Tensor:
        return super().decode(Code(code.content), domain)


def photos(seed: int) -> list[torch.Tensor]:
    """Batches of pictures of one colour each, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.rand(12, 3, 1, 1, generator=generator) * 1.6 - 0.8
    return list((colours + 0.05 * torch.randn(12, 3, 16, 16, generator=generator)).clamp(-1, 1).split(5))


@pytest.mark.parametrize(("model", "score", "of_texture"), [(Painter, 1.0, 0.5), (Deaf, 0.5, 0.5)])
def test_who_paints_the_style_is_nearer_and_who_ignores_it_as_near(
    model: type[Toy], score: float, of_texture: float
) -> None:
    torch.manual_seed(0)
    translator = Translator(model(ToyConfig(domain_a="summer", domain_b="winter")), "cpu", torch.float32)
    found = follows_examples(translator, photos(1), photos(2), "summer", "winter", most=10)
    assert {name: len(values) for name, values in found.items()} == {"colour": 10, "texture": 10}
    assert found["colour"].mean() == score
    assert found["texture"].mean() == of_texture  # a picture of one colour has none, whichever colour that is


def test_nearer_counts_in_the_spread_of_the_examples() -> None:
    example = torch.tensor([[0.0, 0.0], [100.0, 1.0]])  # standard deviations 50 and 0.5
    one, other = torch.tensor([[10.0, 0.0], [100.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert nearer(one, other, example).tolist() == [1.0, 0.5]  # 0.2 against 2, and 2 against 2


def test_statistics_of_pictures_of_which_they_are_known() -> None:
    white, grey = torch.ones(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    torch.testing.assert_close(colour(white)[0], torch.tensor([100.0, 0, 0, 0, 0, 0]).double(), atol=0.01, rtol=0)
    assert texture(grey).shape == (1, DEPTHS)
    noise = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    steps = texture(noise).diff()[0]  # the mean of four has half the deviation, so each scale has half the details
    torch.testing.assert_close(steps, torch.full((DEPTHS - 1,), -math.log(2)).double(), atol=0.02, rtol=0)
    assert abs(texture(noise)[0, 0] - math.log(0.75) / 2) < 0.01
    assert texture(torch.zeros(1, 3, 5, 3)).isfinite().all()  # as small as a picture may be, and odd
