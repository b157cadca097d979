"""Styles: of an example or of a seed, in the library, on the command line and on the page."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from unit import UNIT, Sampling, Translator, UNITConfig, save_pretrained
from unit.images import ImageError
from unit.models import MUNIT, MUNITConfig

RED, BLUE = (250, 20, 30), (20, 30, 250)


def photo(colour: tuple[int, int, int], size: tuple[int, int] = (40, 32)) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", [ramp.point(lambda v, c=c: (v + c) // 2) for c in colour])


def untrained() -> MUNIT:
    """Weights that no block starts with: each heeds its style, and changes what it is given."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = MUNIT(MUNITConfig(dim=4, n_res=1, mlp_dim=8, image_size=32, domain_a="cat", domain_b="dog"))
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return net


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model with styles, in a folder of its own. Do not write to it."""
    folder = tmp_path_factory.mktemp("styled") / "pets"
    save_pretrained(untrained(), folder, dtype=torch.float32)
    return folder


@pytest.fixture(scope="module")
def translator(pets: Path) -> Translator:
    return Translator.from_pretrained(pets, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def without() -> Translator:
    """A model that has no styles."""
    return Translator(UNIT(UNITConfig(dim=4, n_res=1, domain_a="cat", domain_b="dog")), "cpu")


@pytest.mark.parametrize("target", ["cat", "dog"])
def test_the_style_of_an_example_is_encoded_once_for_many_photos(translator: Translator, target: str) -> None:
    image, red, blue = photo((90, 120, 40)), photo(RED, (50, 38)), photo(BLUE)
    style = translator.encode_style(red, target)
    followed = translator.translate(image, target, Sampling(style_image=red))
    assert translator.translate(image, target, Sampling(style=style)) == followed
    assert translator.translate(image, target, Sampling(style_image=blue)) != followed
    assert followed != translator.translate(image, target)
    assert style != translator.encode_style(red, "cat" if target == "dog" else "dog")  # each domain has its own


def test_a_seed_is_the_style_that_noise_of_that_seed_has(translator: Translator) -> None:
    image, style = photo(RED), translator.sample_style(5)
    assert len(style) == 8
    assert translator.sample_style(5) == style != translator.sample_style(6)
    assert translator.sample_style() != translator.sample_style()
    assert translator.translate(image, "dog", Sampling(style=style)) == translator.translate(
        image, "dog", Sampling(1, seed=5)
    )


def test_an_example_too_large_to_be_looked_at_whole_is_looked_at_smaller(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unit.pipeline.max_tile", lambda config: 32)
    large = photo(RED, (96, 64))
    assert translator.encode_style(large, "dog") == translator.encode_style(large.resize((32, 21), 3), "dog")


def test_what_cannot_be_a_style_is_one_sentence(translator: Translator, without: Translator) -> None:
    image = photo(RED)
    assert translator.has_styles
    assert not without.has_styles
    for ask in (
        lambda: without.translate(image, "dog", Sampling(style_image=image)),
        lambda: without.translate(image, "dog", Sampling(style=(0.0,) * 8)),
        lambda: without.encode_style(image, "dog"),
        without.sample_style,
    ):
        with pytest.raises(ValueError, match="this model has no styles: leave the style out"):
            ask()
    with pytest.raises(ValueError, match="a style of this model is 8 numbers, and this one 3"):
        translator.translate(image, "dog", Sampling(style=(1.0, 2.0, 3.0)))
    with pytest.raises(ValueError, match="style_image and style contradict each other: leave out one"):
        Sampling(style_image=image, style=(0.0,) * 8)
    with pytest.raises(ImageError, match="There is no file"):
        translator.translate(image, "dog", Sampling(style_image="nowhere.jpg"))
