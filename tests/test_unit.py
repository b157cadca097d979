"""The model against what is known of it: parameter counts, tied weights, closed forms, and the verbs' agreement."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unit.models.architectures import LAYOUTS
from unit.models.discriminator import MultiScaleDiscriminator, PatchDiscriminator
from unit.models.folded import FoldedUpConv5
from unit.models.protocol import Code
from unit.models.unit import UNIT, Gaussian, UNITConfig
from unit.noise import BatchRows, latent_noise

PAPER = UNITConfig(layout="paper", dim=64, n_res=3, n_res_shared=1)
MASTER2018 = UNITConfig(layout="master2018", dim=64, n_res=4, n_res_shared=0)


def parameters(*modules: torch.nn.Module) -> float:
    """Millions of parameters, each counted once."""
    return sum(p.numel() for p in {p for m in modules for p in m.parameters()}) / 1e6


def tiny(layout: str, **changes) -> UNIT:
    torch.manual_seed(0)
    return UNIT(UNITConfig(layout=layout, dim=4, n_res=1, **changes)).eval()


def photos(n: int = 1, size: tuple[int, int] = (16, 24), channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_parameter_counts_are_the_released_networks():
    model = UNIT(PAPER)
    assert parameters(model) == pytest.approx(18.0, abs=0.05)
    assert parameters(model.encoder_a, model.encoder_b) == pytest.approx(7.84, abs=0.01)
    assert parameters(model.encoder_shared, model.decoder_shared) == pytest.approx(2.36, abs=0.01)
    assert parameters(model.decoder_a, model.decoder_b) == pytest.approx(7.82, abs=0.01)
    assert parameters(UNIT(MASTER2018)) == pytest.approx(22.3, abs=0.05)
    assert parameters(UNIT(UNITConfig())) == pytest.approx(4.57, abs=0.01)
    assert parameters(PatchDiscriminator()) == pytest.approx(25.1, abs=0.1)
    assert parameters(PatchDiscriminator(n_layers=5)) == pytest.approx(6.27, abs=0.02)


@pytest.mark.parametrize(
    ("part", "gflop"),
    [
        ((PAPER, "encode"), 44.7),
        ((PAPER, "decode"), 43.5),
        ((MASTER2018, "encode"), 48.5),
        ((MASTER2018, "decode"), 93.6),
    ],
)
def test_flops_at_256_px_are_the_released_networks(part, gflop):
    config, verb = part
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = UNIT(config)
        for layer in model.modules():
            if isinstance(layer, FoldedUpConv5):
                layer.forward = layer.plain  # as they do it
        if verb == "encode":
            model.encode(torch.empty(1, 3, 256, 256), "a")
        else:
            model.decode(Code(torch.empty(1, 256, 64, 64)), "a")
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, rel=0.01)


def test_discriminator_flops_at_256_px_are_the_released_networks():
    for make, gflop in ((PatchDiscriminator, 3.1), (MultiScaleDiscriminator, 4.4)):
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            make()(torch.empty(1, 3, 256, 256))
        assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, rel=0.02)


def test_the_tied_modules_are_the_same_parameters():
    """Moving a shared weight through domain a moves what domain b encodes and draws."""
    model = tiny("paper")
    x = photos()
    z_b, y_b = model.encode(x, "b").mean, model.translate(x, "b", "b")
    names = [name for name, _ in model.named_parameters()]
    assert any(name.startswith("encoder_shared.") for name in names)
    assert any(name.startswith("decoder_shared.") for name in names)

    model.encode(x, "a").mean.sum().backward()  # gradients that came only through E_1 ...
    touched = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {"encoder_a", "encoder_shared"}
    model.zero_grad()
    model.decode(Code(torch.randn_like(z_b)), "a").sum().backward()  # ... and only through G_1
    touched = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {"decoder_shared", "decoder_a"}
    with torch.no_grad():
        for p in (*model.encoder_shared.parameters(), *model.decoder_shared.parameters()):
            p.add_(0.1 * torch.randn_like(p))
    assert not torch.allclose(model.encode(x, "b").mean, z_b)
    assert not torch.allclose(model.decode(Code(z_b), "b"), y_b)


def test_no_sharing_in_the_2018_layout():
    model = UNIT(dataclasses.replace(MASTER2018, dim=4))
    assert not list(model.encoder_shared.parameters())
    assert not list(model.decoder_shared.parameters())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_forward_is_figure_1(layout):
    """What forward draws without noise is what the verbs draw one by one, with domains of different channels."""
    model = tiny(layout, channels_b=1)
    x_a, x_b = photos(2), photos(2, channels=1)
    noiseless = Gaussian.sample
    try:
        Gaussian.sample = lambda self, **_: self.mean
        out = model(x_a, x_b)
    finally:
        Gaussian.sample = noiseless
    expected = {
        "x_aa": model.reconstruct(x_a, "a"),
        "x_bb": model.reconstruct(x_b, "b"),
        "x_ab": model.translate(x_a, "a", "b"),
        "x_ba": model.translate(x_b, "b", "a"),
        "x_aba": model.translate(model.translate(x_a, "a", "b"), "b", "a"),
        "x_bab": model.translate(model.translate(x_b, "b", "a"), "a", "b"),
        "mu_a": model.encode(x_a, "a").mean,
        "mu_ab": model.encode(model.translate(x_a, "a", "b"), "b").mean,
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(out, name), value, msg=name)
    d = model.config.downsampling
    assert out.mu_ab.shape == (2, 16, 16 // d, 24 // d)
    assert out.x_ab.shape == (2, 1, 16, 24)
    assert out.x_ba.shape == (2, 3, 16, 24)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_parameter_gets_a_gradient(layout):
    model = tiny(layout)
    with torch.no_grad():  # the compact blocks start as the identity, behind which gradients are zero
        for p in model.parameters():
            p.add_(0.01 * torch.randn_like(p))
    x = photos(2)
    torch.stack(list(model(x, x).losses(x, x).values())).sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_the_identity_loss_corrects_the_wrong_encoder_only():
    model = tiny("paper")
    x_a, x_b = photos(2), -photos(2)
    out = model(x_a, x_b, identity=True)
    expected = sum(
        (model.encode(x, wrong).mean - model.encode(x, right).mean).square().mean()
        for x, right, wrong in ((x_a, "a", "b"), (x_b, "b", "a"))
    )
    torch.testing.assert_close(out.losses(x_a, x_b)["identity"], expected)
    assert model(x_a, x_b).losses(x_a, x_b)["identity"] == 0

    wrong_a = (out.mu_a_from_b - out.mu_a.detach()).square().mean()
    gradient = torch.autograd.grad(wrong_a, model.encoder_a[0].weight, allow_unused=True)[0]
    assert gradient is None  # x_a's own encoder is the teacher here
    with torch.no_grad():
        model.encoder_b.load_state_dict(model.encoder_a.state_dict())
    assert model(x_a, x_b, identity=True).losses(x_a, x_b)["identity"] == 0


def test_training_noise_is_standard_normal():
    mean = torch.zeros(4, 8, 32, 32)
    eta = Gaussian(mean).sample(generator=torch.Generator().manual_seed(0))
    assert eta.mean().abs() < 0.02
    assert eta.std() == pytest.approx(1, abs=0.02)
    assert Gaussian(mean + 2).kl() == 4


@pytest.mark.parametrize("grain", [1, 2, 3, 8])
def test_noise_of_every_grain_has_unit_variance_and_its_own_smoothness(grain):
    eta = latent_noise(torch.empty(8, 64, 24, 25), generator=torch.Generator().manual_seed(0), grain=grain)
    assert eta.shape == (8, 64, 24, 25)
    for pixel in (eta[..., 0, 0], eta[..., 5, 7], eta[..., 23, 24]):  # 512 values: a standard error of 0.03
        assert pixel.std() == pytest.approx(1, abs=0.12)
    neighbours = (eta[..., 1:] * eta[..., :-1]).mean()
    far = (eta[..., 2 * grain :] * eta[..., : -2 * grain]).mean()
    assert far.abs() < 0.05
    assert (neighbours > 0.9) if grain == 8 else (neighbours.abs() < 0.02) if grain == 1 else (neighbours > 0.4)


def test_a_code_is_the_posterior_mean_and_noise_is_added_to_it():
    """A window of the noise moves a window of the code as all of it moves all of it."""
    model, x = tiny("compact"), photos()
    code = model.infer(x, "a")
    assert torch.equal(code.content, model.encode(x, "a").mean)
    assert code.style is None
    eta = model.noise((4, 6), torch.Generator().manual_seed(3), grain=2)
    whole, part = (slice(0, 4), slice(0, 6)), (slice(1, 3), slice(2, 6))
    expected = latent_noise(code.content, generator=torch.Generator().manual_seed(3), grain=2)
    moved = model.sample_code(code, eta(whole))
    torch.testing.assert_close(moved.content, code.content + expected)
    there = code._replace(content=code.content[..., part[0], part[1]])
    torch.testing.assert_close(model.sample_code(there, eta(part)).content, moved.content[..., part[0], part[1]])
    torch.testing.assert_close(model.decode(code, "b"), model.translate(x, "a", "b"))


@pytest.mark.parametrize("grain", [1, 3])
def test_rows_of_a_batch_get_the_noise_they_have_in_the_whole_of_it(grain):
    def drawn(first: int, n: int) -> torch.Tensor:
        rows = BatchRows(torch.Generator().manual_seed(0), first, total=6)
        return latent_noise(torch.empty(n, 4, 8, 8), generator=rows, grain=grain)

    whole = drawn(0, 6)
    torch.testing.assert_close(torch.cat([drawn(0, 2), drawn(2, 3), drawn(5, 1)]), whole, atol=0, rtol=0)
    assert whole.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("layout", ["compact", "compact8", "refined8"])
def test_a_constant_picture_has_no_checkerboard(layout):
    """Resize-convolution draws a flat latent flat: no period-2 pattern away from the border, whatever the weights."""
    model = tiny(layout)
    z = torch.randn(1, 16, 1, 1).expand(1, 16, 24, 24)
    inside = model.decode(Code(z), "a")[..., 40:-40, 40:-40]
    torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside), atol=1e-5, rtol=0)


def test_clear_errors():
    model = tiny("compact")
    with pytest.raises(ValueError, match="multiples of 4"):
        model.encode(photos(size=(15, 16)), "a")
    with pytest.raises(ValueError, match="multiples of 8"):
        tiny("compact8").encode(photos(size=(20, 16)), "a")
    with pytest.raises(ValueError, match='say "a" or "b"'):
        model.encode(photos(), "summer")
    with pytest.raises(ValueError, match="choose one of paper, master2018, compact"):
        UNIT(UNITConfig(layout="munit"))
    with pytest.raises(ValueError, match="grain"):
        latent_noise(torch.empty(1, 1, 4, 4), grain=0)
