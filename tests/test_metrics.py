"""Measures against torchmetrics, closed forms and definitions; intervals against what they promise."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from train.eval.metrics import (
    Measured,
    feature_distance,
    fid,
    fit_probe,
    kid,
    mean,
    mean_lab,
    outside,
    resample,
    share,
    weave,
)


class Features(nn.Module):
    """Gives torchmetrics features in place of pictures."""

    def __init__(self, size: int):
        super().__init__()
        self.num_features = size

    def forward(self, x: Tensor) -> Tensor:
        return x


def gaussian(n: int, d: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    generator = Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) * scale + shift


def covered(measure: Callable[[int], Measured], truth: float, repeats: int) -> float:
    """How often the interval of `measure(seed)` holds the truth."""
    intervals = [measure(i) for i in range(repeats)]
    return sum(m.low <= truth <= m.high for m in intervals) / repeats


def test_kid_is_torchmetrics_for_sets_of_one_size() -> None:
    x, y = gaussian(40, 16, 0), gaussian(40, 16, 1, shift=0.5)
    theirs = KernelInceptionDistance(feature=Features(16), subsets=1, subset_size=40)
    theirs.update(x.float(), real=True)
    theirs.update(y.float(), real=False)
    assert kid(x, y).value == pytest.approx(theirs.compute()[0].item(), rel=1e-4)


def test_kid_is_its_definition_for_sets_of_two_sizes() -> None:
    x, y = gaussian(7, 3, 0), gaussian(5, 3, 1, shift=1)

    def kernel(u: Tensor, v: Tensor) -> float:
        return (float(u @ v) / 3 + 1) ** 3

    within = [[kernel(u, v) for i, u in enumerate(z) for j, v in enumerate(z) if i != j] for z in (x, y)]
    across = [kernel(u, v) for u in x for v in y]
    expected = sum(sum(k) / len(k) for k in within) - 2 * sum(across) / len(across)
    assert kid(x, y).value == pytest.approx(expected, rel=1e-12)
    assert kid(x, y).n == 7


@pytest.mark.parametrize(("n", "m"), [(60, 45), (12, 20)], ids=["more pictures than features", "fewer"])
def test_fid_is_torchmetrics(n: int, m: int) -> None:
    x, y = gaussian(n, 24, 0), gaussian(m, 24, 1, shift=0.5, scale=1.5)
    theirs = FrechetInceptionDistance(feature=Features(24)).set_dtype(torch.float64)
    theirs.update(x, real=False)
    theirs.update(y, real=True)
    assert fid(x, y, resamples=0).value == pytest.approx(theirs.compute().item(), rel=1e-4)


def test_fid_of_moved_and_stretched_features_is_known() -> None:
    x = gaussian(30, 50, 0)
    assert fid(x, x).value == pytest.approx(0, abs=1e-9)
    assert fid(x, x + 0.5).value == pytest.approx(50 * 0.25)
    stretched = x.mean(0) + 3 * (x - x.mean(0))
    assert fid(x, stretched).value == pytest.approx(4 * x.var(0).sum().item())
    assert fid(x + 1e4, stretched + 1e4).value == pytest.approx(4 * x.var(0).sum().item(), rel=1e-6)


def test_intervals_of_means_and_shares_hold_the_truth() -> None:
    def average(i: int) -> Measured:
        return mean(gaussian(40, 1, i, shift=2.0)[:, 0], resamples=300, seed=i)

    def hits(i: int) -> Measured:
        return share(torch.rand(50, generator=Generator().manual_seed(i)) < 0.9, resamples=300, seed=i)

    assert 0.88 < covered(average, 2.0, 300) < 0.99
    assert 0.88 < covered(hits, 0.9, 300) < 0.995


def test_intervals_of_kid_hold_the_truth() -> None:
    def distance(shift: float) -> Callable[[int], Measured]:
        return lambda i: kid(gaussian(30, 8, 2 * i), gaussian(25, 8, 2 * i + 1, shift=shift), resamples=200, seed=i)

    # It is unbiased, so its mean over many sets is the truth; for sets of one kind that is 0.
    truth = sum(distance(0.4)(1000 + i).value for i in range(500)) / 500
    assert 0.88 < covered(distance(0.4), truth, 200) <= 0.99
    assert covered(distance(0.0), 0.0, 200) > 0.93
    measured = distance(0.4)(0)
    draws_are_about_the_value = (measured.low + measured.high) / 2
    assert draws_are_about_the_value == pytest.approx(measured.value, abs=(measured.high - measured.low) / 4)


@pytest.mark.slow
def test_intervals_of_fid_hold_that_of_as_many_pictures() -> None:
    def distance(i: int, resamples: int = 60) -> Measured:
        return fid(gaussian(25, 8, 2 * i), gaussian(25, 8, 2 * i + 1, shift=0.7), resamples=resamples, seed=i)

    truth = sum(distance(1000 + i, 0).value for i in range(500)) / 500
    assert 0.85 < covered(distance, truth, 120) <= 1


def test_a_verdict_of_all_is_not_certain() -> None:
    all_of_them = share(torch.ones(50, dtype=torch.bool))
    wilson = 50 / (50 + 1.96**2)  # the lower end of Wilson's interval when all are hits
    assert (all_of_them.value, all_of_them.high, all_of_them.n) == (1.0, 1.0, 50)
    assert all_of_them.low == pytest.approx(wilson, abs=0.04)
    assert all_of_them.low < 1


def test_resamples_are_counts_of_the_seed_alone() -> None:
    counts = resample(9, 100, Generator().manual_seed(0))
    assert counts.sum(1).eq(9).all()
    assert counts.mean(0).sub(1).abs().max() < 0.5
    torch.manual_seed(5)
    before = torch.get_rng_state()
    x, y = gaussian(10, 4, 0), gaussian(10, 4, 1)
    assert kid(x, y, seed=3) == kid(x, y, seed=3)
    assert kid(x, y, seed=3) != kid(x, y, seed=4)
    fid(x, y)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_not_a_number_stays_so() -> None:
    bad = torch.full((5, 4), math.nan)
    for measure in (kid, fid):
        assert math.isnan(measure(bad, gaussian(5, 4, 0)).value)
        assert math.isnan(measure(bad, gaussian(5, 4, 0)).low)
    two = kid(gaussian(2, 4, 0), gaussian(2, 4, 1))
    assert two.low <= two.value <= two.high


def test_perceptual_distance_is_one_minus_cosine() -> None:
    x = torch.zeros(2, 3, 2, 2)
    x[:, 0] = 1
    y = x.clone()
    y[1, :, 0] = torch.tensor([0.6, 0.8, 0.0])[:, None]  # the upper half of the second picture, cosine 0.6
    z = -x[:, :, :1, :1]
    assert feature_distance([x], [x]).tolist() == [0, 0]
    assert feature_distance([x], [y]).tolist() == pytest.approx([0, 0.2])
    assert feature_distance([x, z], [y, -z]).tolist() == pytest.approx([1, 1.1])


def test_the_probe_is_the_minimum_and_weighs_domains_alike() -> None:
    a, b = gaussian(60, 5, 0), gaussian(40, 5, 1, shift=1.0)
    probe, again = fit_probe(a, b), fit_probe(torch.cat([a, a, a]), b)
    assert torch.allclose(probe.weight, again.weight, atol=1e-4)
    assert torch.allclose(probe.bias, again.bias, atol=1e-4)
    fresh_a, fresh_b = gaussian(500, 5, 2), gaussian(500, 5, 3, shift=1.0)
    # The best possible rule for these two Gaussians is right in Phi(sqrt(5) / 2) = 87 % of cases.
    right = (probe.says("b", fresh_b).double().mean() + probe.says("a", fresh_a).double().mean()).item() / 2
    assert 0.83 < right < 0.9
    far = fit_probe(a * 1000 + 7, b * 1000 + 7)  # units do not matter
    assert torch.equal(far.says("b", fresh_a * 1000 + 7), probe.says("b", fresh_a))
    assert not (probe.says("a", fresh_a * torch.nan) | probe.says("b", fresh_a * torch.nan)).any()


def test_mean_colours_are_those_of_the_standard() -> None:
    """CIE values of sRGB's corners, as tables give them; only the middle half counts."""
    known = {
        (1, 1, 1): (100.0, 0.0, 0.0),
        (0, 0, 0): (0.0, 0.0, 0.0),
        (1, 0, 0): (53.24, 80.09, 67.20),
        (0, 1, 0): (87.73, -86.18, 83.18),
        (0, 0, 1): (32.30, 79.19, -107.86),
    }
    for rgb, lab in known.items():
        picture = torch.rand(1, 3, 16, 16) * 2 - 1
        picture[..., 4:12, 4:12] = 2 * torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1) - 1
        assert mean_lab(picture)[0].tolist() == pytest.approx(lab, abs=0.05)
    assert mean_lab(torch.full((1, 1, 8, 8), -0.2))[0, 1:].abs().max() < 0.01


def test_what_lies_outside_is_what_is_rare() -> None:
    usual = torch.randn(4000, 3, generator=Generator().manual_seed(0)) * torch.tensor([1.0, 10.0, 0.1]) + 5
    alike = torch.randn(4000, 3, generator=Generator().manual_seed(1)) * torch.tensor([1.0, 10.0, 0.1]) + 5
    assert outside(usual, usual).double().mean() == pytest.approx(0.01, abs=0.001)
    assert outside(alike, usual).double().mean() == pytest.approx(0.01, abs=0.006)
    away = torch.tensor([[5.0, 25.0, 5.0], [5.0, 5.0, 5.6], [11.0, 5.0, 5.0]])
    assert outside(away, usual).tolist() == [False, True, True]  # two, six and six standard deviations


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_weave_is_measured_where_the_photo_is_smooth(period: int) -> None:
    rows = torch.arange(64, dtype=torch.float64)
    stripes = (10 / 127.5) * (2 * torch.pi * rows / period + 0.7).cos().view(1, 1, 64, 1).expand(1, 3, 64, 64)
    flat = torch.linspace(-0.05, 0.05, 64, dtype=torch.float64).expand(1, 3, 64, 64)
    rms = float((127.5 * stripes).square().mean().sqrt())
    assert weave(flat + stripes, flat).item() == pytest.approx(rms, rel=0.1)
    assert weave(flat, flat).item() < 0.5
    busy = flat + 0.5 * torch.randn(1, 3, 64, 64, generator=Generator().manual_seed(0))
    assert weave(busy + stripes, busy).isnan().all()
