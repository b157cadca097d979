"""The cache of latents: bounded, forgetful and safe to share."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from unit.demo.code_cache import Cache


def never() -> torch.Tensor:
    raise AssertionError("made again")


def ten(value: int = 0) -> torch.Tensor:
    return torch.full((10,), value, dtype=torch.uint8)  # ten bytes


def test_what_is_kept_is_not_made_again():
    cache: Cache[torch.Tensor] = Cache(100, 60)
    made = cache.get("key", ten)
    assert cache.get("key", never) is made
    assert (len(cache), cache.nbytes) == (1, 10)


def test_of_too_much_the_longest_unused_goes():
    cache: Cache[torch.Tensor] = Cache(30, 60)
    for key in "abc":
        cache.get(key, ten)
    cache.get("a", never)
    cache.get("d", ten)
    assert cache.nbytes == 30
    for key in "acd":
        cache.get(key, never)
    with pytest.raises(AssertionError, match="made again"):
        cache.get("b", never)


def test_what_is_too_large_is_made_and_not_kept():
    cache: Cache[torch.Tensor] = Cache(9, 60)
    assert len(cache.get("key", ten)) == 10
    assert (len(cache), cache.nbytes) == (0, 0)


def test_it_forgets_though_nobody_asks():
    cache: Cache[torch.Tensor] = Cache(100, 2)
    cache.get("old", ten)
    time.sleep(0.2)
    cache.get("new", ten)
    made = time.monotonic()
    while len(cache) and time.monotonic() < made + 20:
        time.sleep(0.05)
    assert 1 < time.monotonic() - made < 3  # each by its own age, and not by that of the one before it


def test_use_does_not_make_it_stay_longer():
    cache: Cache[torch.Tensor] = Cache(100, 0.3)
    first = cache.get("key", ten)
    give_up = time.monotonic() + 20
    while cache.get("key", ten) is first and time.monotonic() < give_up:
        time.sleep(0.02)
    assert cache.get("key", ten) is not first


def test_a_failure_is_raised_and_not_kept():
    cache: Cache[torch.Tensor] = Cache(100, 60)
    with pytest.raises(AssertionError, match="made again"):
        cache.get("key", never)
    assert len(cache.get("key", ten)) == 10


def test_threads_share_it():
    cache: Cache[torch.Tensor] = Cache(200, 60)

    def look(i: int) -> bool:
        return bool((cache.get(i % 40, lambda: ten(i % 40)) == i % 40).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(2000)))
    assert cache.nbytes <= 200
