"""Noise by windows: one map whichever windows one looks through, small or too large to be there at once."""

from itertools import pairwise

import pytest
import torch
from torch import Generator, Tensor

from unit import noise
from unit.noise import latent_noise, noise_map

SHAPE = 6, 45, 70  # channels, height, width


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def whole(grain: int = 1, seed: int = 0) -> Tensor:
    return noise_map(*SHAPE, generator(seed), grain)((slice(0, SHAPE[1]), slice(0, SHAPE[2])))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every map is too large to be drawn at once."""
    monkeypatch.setattr(noise, "LIMIT", 0)
    monkeypatch.setattr(noise, "BLOCK", 16)


@pytest.mark.parametrize("grain", [1, 2, 5, 100])
def test_it_is_the_noise_of_the_model(grain: int) -> None:
    expected = latent_noise(torch.empty(1, *SHAPE), generator=generator(), grain=grain)
    assert torch.equal(whole(grain), expected)


@pytest.mark.parametrize("grain", [1, 2, 5, 100])
@pytest.mark.parametrize("size", ["small", "large"])
def test_windows_are_of_one_map(grain: int, size: str, request: pytest.FixtureRequest) -> None:
    if size == "large":
        request.getfixturevalue("large")
    expected, eta = whole(grain), noise_map(*SHAPE, generator(), grain)
    for rows in (slice(0, 45), slice(0, 1), slice(13, 31), slice(16, 32), slice(44, 45)):
        for columns in (slice(0, 70), slice(1, 20), slice(32, 48), slice(60, 70)):
            torch.testing.assert_close(eta((rows, columns)), expected[..., rows, columns], atol=1e-6, rtol=0)


def test_large_maps_are_other_noise_of_their_seed(large: None) -> None:
    assert torch.equal(whole(), whole())
    assert not torch.equal(whole(), whole(seed=1))
    assert not torch.equal(whole(), latent_noise(torch.empty(1, *SHAPE), generator=generator()))


def test_squares_have_nothing_in_common(large: None) -> None:
    squares = [square for strip in whole().split(16, 2)[:2] for square in strip.split(16, 3)[:4]]
    for one, other in pairwise(squares):
        correlation = (one * other).mean()
        assert abs(correlation) < 5 / 1536**0.5  # five standard deviations for as many values


@pytest.mark.parametrize("grain", [1, 4])
def test_large_maps_keep_the_variance(large: None, grain: int) -> None:
    eta = noise_map(64, 160, 160, generator(), grain)((slice(3, 160), slice(5, 150)))
    assert abs(eta.mean()) < 0.02
    assert abs(eta.var() - 1) < 0.02


def test_a_window_takes_no_more_than_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0
    randn = torch.randn

    def counting(*shape: int, **options: object) -> Tensor:
        nonlocal drawn
        drawn += torch.Size(shape).numel()
        return randn(*shape, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(torch, "randn", counting)
    eta = noise_map(128, 2048, 2048, generator())  # 2 GB
    assert drawn == 0
    assert eta((slice(1000, 1040), slice(1000, 1040))).shape == (1, 128, 40, 40)
    assert drawn <= 4 * 128 * noise.BLOCK**2


def test_two_maps_of_one_generator(large: None) -> None:
    """As a walk needs: the second is not the first."""
    dice = generator()
    one, other = (noise_map(*SHAPE, dice)((slice(0, 9), slice(0, 9))) for _ in range(2))
    assert not torch.equal(one, other)


def test_grain_counts_latent_pixels() -> None:
    with pytest.raises(ValueError, match="grain is 0"):
        noise_map(*SHAPE, generator(), 0)
