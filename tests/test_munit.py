"""MUNIT: the published networks by their size, styles that are followed, and a run through the one step and loop."""

import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops
from torch import nn

from tests.photos import seasons
from train.config import TrainConfig, presets
from train.loop import train
from train.networks import start_from
from train.publish.export import export
from train.state import TrainState
from unit import UNIT, Sampling, Translator, UNITConfig, load_pretrained, pipeline, save_pretrained
from unit.cli.info import flops
from unit.losses import prior_moments
from unit.models import MUNIT, MUNITConfig
from unit.models.protocol import Code

TINY = MUNITConfig(dim=4, n_res=1, mlp_dim=8, image_size=32, domain_a="summer", domain_b="winter")
PUBLISHED = MUNITConfig(layout="munit", dim=64, n_res=4, n_res_shared=0)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_the_published_networks_have_the_published_sizes() -> None:
    """15.0 million parameters a domain, of which 2.76 in the style encoder and 1.12 in the MLP with its last layer."""
    with torch.device("meta"):
        net = MUNIT(PUBLISHED)
    conv = lambda c_in, c_out, k: c_in * c_out * k * k + c_out  # noqa: E731
    style = conv(3, 64, 7) + conv(64, 128, 4) + conv(128, 256, 4) + 2 * conv(256, 256, 4) + conv(256, 8, 1)
    mlp = (8 * 256 + 256) + (256 * 256 + 256) + (256 * 4096 + 4096)
    content = conv(3, 64, 7) + conv(64, 128, 4) + conv(128, 256, 4) + 8 * conv(256, 256, 3)
    decoder = 8 * conv(256, 256, 3) + conv(256, 128, 5) + 2 * 128 + conv(128, 64, 5) + 2 * 64 + conv(64, 3, 7)
    affines = [layer for name, layer in net.decoder_a.named_modules() if name.endswith("affine")]
    assert count(net.style_a) == style == 2_764_936
    assert count(net.mlp_a, *affines) == mlp == 1_120_768
    assert count(net.encoder_a) == content
    assert count(net.decoder_a) - count(*affines) == decoder
    assert count(net) == 2 * (style + mlp + content + decoder) == 2 * 15_026_187


def test_the_published_networks_take_the_published_operations() -> None:
    """Multiplications and additions for 256 x 256 pixels, counted from the description, at every resolution."""
    conv = lambda c_in, c_out, k, side: 2 * c_in * c_out * k * k * side * side  # noqa: E731
    down = conv(3, 64, 7, 256) + conv(64, 128, 4, 128) + conv(128, 256, 4, 64)
    content = down + 8 * conv(256, 256, 3, 64)
    style = down + conv(256, 256, 4, 32) + conv(256, 256, 4, 16) + conv(256, 8, 1, 16)
    # The nearest-neighbour enlargements lie within the 5x5 convolutions: of 25 taps on equal pixels 9 are multiplied,
    # and beside them those of the reflected border, which are few.
    decoder = (
        8 * conv(256, 256, 3, 64) + (conv(256, 128, 5, 128) + conv(128, 64, 5, 256)) * 9 // 25 + conv(64, 3, 7, 256)
    )
    mlp = 2 * (8 * 256 + 256 * 256 + 256 * 4096)
    assert flops(PUBLISHED, 256, 256) == pytest.approx(content + style + decoder + mlp, rel=0.02)


@pytest.mark.parametrize("layout", ["munit", "munit-compact"])
def test_one_pass_draws_all_that_training_needs(layout: str) -> None:
    torch.manual_seed(0)
    net = MUNIT(dataclasses.replace(TINY, layout=layout))  # type: ignore[arg-type]
    x_a, x_b = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    out = net(x_a, x_b, generator=torch.Generator().manual_seed(1))
    d = net.config.downsampling
    assert all(x.shape == (2, 3, 32, 32) for x in out[:6])
    assert all(code.content.shape == (2, 16, 32 // d, 32 // d) for code in out[6:10])
    assert all(code.style.shape == out.s_a.shape == (2, 8, 1, 1) for code in out[6:10])
    assert not torch.equal(out.s_a, out.s_b)
    torch.testing.assert_close(out.x_ab, net.decode(Code(out.a.content, out.s_b), "b"))
    torch.testing.assert_close(out.x_aba, net.decode(Code(out.ab.content, out.a.style), "a"))
    losses = out.losses(x_a, x_b)
    torch.testing.assert_close(losses["recon"], (out.x_aa - x_a).abs().mean() + (out.x_bb - x_b).abs().mean())
    styles = (out.ab.style - out.s_b).abs().mean() + (out.ba.style - out.s_a).abs().mean()
    torch.testing.assert_close(losses["style"], styles)
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in net.parameters())


def test_styles_of_the_prior_have_its_moments_and_others_do_not() -> None:
    s = torch.randn(20_000, 8, 1, 1, generator=torch.Generator().manual_seed(0))
    assert prior_moments(s) < 1e-3
    assert prior_moments(torch.zeros(4, 8, 1, 1)) == 1  # (0 - 1)^2
    assert prior_moments(2 * torch.ones(4, 8, 1, 1)) == 4 + 9  # 2^2 + (4 - 1)^2


def unlike(net: MUNIT) -> MUNIT:
    """Weights that no block starts with: each heeds its style, and changes what it is given."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return net


@pytest.fixture
def translator() -> Translator:
    torch.manual_seed(0)
    return Translator(unlike(MUNIT(TINY)), "cpu", torch.float32)


def photo(*colour: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    return Image.merge(
        "RGB", [Image.linear_gradient("L").resize(size).point(lambda v, c=c: (v + c) // 2) for c in colour]
    )


def test_a_seed_is_a_style_whatever_the_size_of_the_photo() -> None:
    net = MUNIT(TINY)
    small, large = (net.noise(shape, torch.Generator().manual_seed(5)) for shape in ((2, 2), (7, 3)))
    window = (slice(0, 2), slice(0, 2))
    assert torch.equal(small(window).style, large(window).style)  # type: ignore[arg-type]


def test_a_photo_has_many_translations_and_can_follow_an_example(translator: Translator) -> None:
    image, red, blue = photo(200, 90, 40), photo(250, 0, 0), photo(0, 0, 250)
    mean, one, same, other = (
        translator.translate(image, "winter", sampling)
        for sampling in (Sampling(), Sampling(1, seed=1), Sampling(1, seed=1), Sampling(1, seed=2))
    )
    assert one == same
    assert len({picture.tobytes() for picture in (mean, one, other)}) == 3
    followed = [translator.translate(image, "winter", Sampling(style_image=example)) for example in (red, blue)]
    assert followed[0] != followed[1]
    encoded = translator.encode(image, "summer")
    walk = list(translator.walk(encoded, "winter", 3, Sampling(1, seed=1)))
    assert walk[0] == translator.decode(encoded, "winter", Sampling(1, seed=1)) == one
    assert len({picture.tobytes() for picture in walk}) == 3
    assert all(x.size == y.size == (32, 32) for x, y in translator.sample(2))
    assert len(translator.interpolate(image, red, "winter", 2)) == 2


def test_it_starts_from_a_unit_as_that_unit_whatever_the_style(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = UNITConfig(layout="refined8", dim=4, n_res=1, image_size=32)
    unit, munit = UNIT(config), MUNIT(TINY)
    with torch.no_grad():
        for p in unit.parameters():
            p.add_(0.05 * torch.randn_like(p))
    save_pretrained(unit, tmp_path / "unit", dtype=torch.float32)
    start_from(str(tmp_path / "unit"), munit)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    drawn = munit.decode(munit.infer(x, "a")._replace(style=munit.sample_style()), "b")
    torch.testing.assert_close(drawn, unit.translate(x, "a", "b"))

    save_pretrained(munit, tmp_path / "munit", dtype=torch.float32)
    with pytest.raises(ValueError, match="is of the model 'munit', and this run trains 'unit'"):
        start_from(str(tmp_path / "munit"), unit)
    save_pretrained(UNIT(dataclasses.replace(config, layout="compact")), tmp_path / "compact")
    with pytest.raises(ValueError, match="only munit-compact can start from a UNIT, and only from one of layout"):
        start_from(str(tmp_path / "compact"), munit)
    with pytest.raises(ValueError, match="has dim 4, and this run 8"):
        start_from(str(tmp_path / "unit"), MUNIT(dataclasses.replace(TINY, dim=8)))


def test_it_is_trained_stopped_resumed_and_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps in one go are a step, a checkpoint, and a step; and what they leave is exported and translates."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    data = str(seasons(tmp_path / "data"))
    weights = dataclasses.replace(presets("")["munit-compact"][1].weights, perceptual=0.0)

    def config(run: str, steps: int) -> TrainConfig:
        return TrainConfig.of(
            data=data, run_dir=tmp_path / run, steps=steps, batch_size=2, workers=0, sample_every=2, model=TINY,
            weights=weights, discriminator="patch", d_dim=4, precision="fp32", device="cpu", compile=False,
        )  # fmt: skip

    train(config("whole", 2))
    train(config("parts", 1))
    train(config("parts", 2))
    whole, parts = (TrainState.build(config(run, 2)) for run in ("whole", "parts"))
    for state in (whole, parts):
        state.resume()
    ours, theirs = whole.tensors(), parts.tensors()
    assert whole.step == parts.step == 2
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    folder = export(tmp_path / "whole", tmp_path / "exported")
    assert isinstance(load_pretrained(folder), MUNIT)
    card = (folder / "README.md").read_text()
    assert "# MUNIT: summer and winter" in card
    assert "1804.04732" in card
    assert "1703.00848" not in card

    of_unit = UNITConfig(layout="refined8", dim=4, n_res=1, image_size=32)
    plain = dataclasses.replace(presets("")["compact"][1].weights, perceptual=0.0)
    train(config("unit", 1).replace(model=of_unit, weights=plain))
    of_styles = TrainState.build(config("unit", 2))
    with pytest.raises(ValueError, match="unit holds a run of the model 'unit', and this run trains 'munit': choose"):
        of_styles.resume()


def test_at_a_given_style_it_sees_as_far_as_its_radius_and_no_further() -> None:
    """The gradient of what is drawn of one latent pixel: nothing beyond the radius, something in its last step."""
    torch.manual_seed(0)
    net = unlike(MUNIT(TINY)).double()
    radius, d = net.config.receptive_radius, net.config.downsampling
    assert radius is not None
    side = 2 * radius + 5 * d
    middle = slice(radius + 2 * d, radius + 3 * d)
    x = (torch.rand(1, 3, side, side, dtype=torch.float64) * 2 - 1).requires_grad_()
    drawn = net.decode(Code(net.encode(x, "a"), net.sample_style().double()), "b")
    drawn[..., middle, middle].square().sum().backward()
    assert x.grad is not None
    for seen in (x.grad.abs().amax((0, 1, 2)), x.grad.abs().amax((0, 1, 3))):  # columns, rows
        places = seen.nonzero()
        assert int(places.min()) == middle.start - radius
        assert int(places.max()) == middle.stop - 1 + radius
    assert MUNITConfig(layout="munit").receptive_radius is None  # instance norm is over all of the picture


def test_tiles_of_one_style_are_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a random style, of an example's, and of the photo's own, which is that of all of it and not of a tile."""
    torch.manual_seed(0)
    translator = Translator(unlike(MUNIT(dataclasses.replace(TINY, n_res_shared=0))), "cpu", torch.float32)
    image, example = photo(200, 90, 40, size=(300, 230)), photo(250, 0, 0, size=(90, 60))
    samplings = [Sampling(style=translator.sample_style(3)), Sampling(1, seed=3), Sampling(style_image=example)]

    def drawn() -> list[Image.Image]:
        encoded = translator.encode(image, "summer")
        return [
            *(translator.translate(image, "winter", sampling) for sampling in samplings),
            *(translator.decode(encoded, "winter", sampling) for sampling in samplings),
            translator.decode(encoded, "summer"), translator.reconstruct(image, "summer"),
        ]  # fmt: skip

    def apart(one: Image.Image, other: Image.Image) -> int:
        return max(high for _, high in ImageChops.difference(one, other).getextrema())  # type: ignore[misc, union-attr]

    whole = drawn()
    monkeypatch.setattr(pipeline, "TILE", 64)
    tiled = drawn()
    assert len(translator.draw(image, "winter", samplings[0])) > 4
    assert [apart(one, other) <= 1 for one, other in zip(whole, tiled, strict=True)] == [True] * len(whole)
    assert apart(whole[0], whole[2]) > 1
    assert apart(whole[6], whole[7]) <= 1
    monkeypatch.setattr(translator, "_radius", 8)  # too little of what lies around a tile is seen
    assert apart(translator.translate(image, "winter", samplings[0]), whole[0]) > 1
