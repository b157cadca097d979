"""Translator: sizes, names, seeds, threads, and tiles that nobody can see."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from unit import UNIT, Translator, UNITConfig, pipeline
from unit.images import ImageError, to_image, to_tensor

CONFIG = UNITConfig(dim=4, n_res=1, domain_a="summer", domain_b="winter", image_size=32)


def network(**changes: Any) -> UNIT:
    """A network in which every weight matters: residual blocks that start as the identity would hide mistakes."""
    torch.manual_seed(0)
    model = UNIT(replace(CONFIG, **changes))
    for p in model.parameters():
        if p.dim() == 4 and not p.any():
            nn.init.normal_(p, std=0.1)
    return model


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(network(), "cpu", torch.float32)


def photo(width: int = 40, height: int = 24, seed: int = 0) -> Image.Image:
    noise = torch.rand(1, 3, -(-height // 8), -(-width // 8), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return to_image(nn.functional.interpolate(noise, size=(height, width), mode="bicubic"))


def difference(one: Image.Image, other: Image.Image) -> int:
    """The largest, in grey levels."""
    assert (one.size, one.mode) == (other.size, other.mode)
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max())


def same(one: Image.Image, other: Image.Image) -> bool:
    return difference(one, other) == 0


@pytest.mark.parametrize("layout", ["paper", "master2018", "compact"])
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (4, 4), (37, 61), (64, 32)])
def test_every_verb_keeps_the_size(layout: Any, size: tuple[int, int]) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    image = photo(*size)
    drawn = [
        translator.translate(image, "winter"),
        translator.translate(image, "summer", temperature=1, grain=3, seed=1),
        translator.reconstruct(image, "winter"),
        *translator.cycle(image, "winter"),
        *translator.interpolate(image, photo(20, 30), "summer", steps=2),
        *translator.sample(size=size, seed=1)[0],
    ]
    assert [(d.size, d.mode) for d in drawn] == [(size, "RGB")] * 9


@pytest.mark.parametrize("layout", ["paper", "master2018"])
def test_it_draws_what_the_model_draws(layout: Any) -> None:
    """Layouts that look at the whole picture are shown exactly it."""
    model = network(layout=layout)
    image = photo(40, 24)
    drawn = Translator(model, "cpu", torch.float32).translate(image, "winter")
    assert difference(drawn, to_image(model.translate(to_tensor(image, 3), "a", "b"))) <= 1


def test_the_mirrored_border_is_what_hides_the_zeros(translator: Translator) -> None:
    """A flat photo has no edges, so its translation should have none: without the border it has."""
    flat = Image.new("RGB", (200, 200), (200, 90, 40))
    ring = np.asarray(to_image(network().translate(to_tensor(flat, 3), "a", "b"))).astype(int)
    hidden = np.asarray(translator.translate(flat, "winter")).astype(int)
    middle = ring[96:104, 96:104].mean((0, 1))
    assert np.abs(hidden - middle).max() < np.abs(ring - middle).max() / 2


def test_an_upright_photo_of_a_file(translator: Translator, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(40, 24).save(tmp_path / "x.png", exif=exif)
    drawn = translator.translate(tmp_path / "x.png", "winter")
    assert same(drawn, translator.translate(photo(40, 24).transpose(Image.Transpose.ROTATE_270), "winter"))
    assert drawn.size == (24, 40)
    assert drawn.info == {}
    assert same(drawn, translator.translate(str(tmp_path / "x.png"), "winter"))


def test_names_choose_the_direction(translator: Translator) -> None:
    model, x = network(), to_tensor(photo(64, 64), 3)
    assert translator.domains == ("summer", "winter")
    right = {
        "a to b": translator.translate(photo(64, 64), "winter"),
        "b to a": translator.translate(photo(64, 64), "summer"),
        "a to a": translator.reconstruct(photo(64, 64), "summer"),
        "b to b": translator.reconstruct(photo(64, 64), "winter"),
    }
    middle = (slice(24, 40), slice(24, 40))  # where the border matters little, so the model alone is nearly as good
    with torch.no_grad():
        for a, b in product("ab", "ab"):
            drawn = model.translate(x, a, b)  # type: ignore[arg-type]
            distances = {way: (to_tensor(y, 3) - drawn)[(..., *middle)].abs().mean() for way, y in right.items()}
            assert min(distances, key=lambda way: distances[way]) == f"{a} to {b}"


@pytest.mark.parametrize("verb", ["translate", "reconstruct", "cycle"])
def test_unknown_domains_are_told_the_known_ones(verb: str, translator: Translator) -> None:
    with pytest.raises(ValueError, match="'autumn' is not a domain of this model: choose summer or winter"):
        getattr(translator, verb)(photo(), "autumn")


def test_impossible_numbers(translator: Translator) -> None:
    for bad in (
        {"temperature": -1},
        {"temperature": float("nan")},
        {"temperature": 1, "grain": 0},
        {"temperature": 1, "seed": 2**64},
    ):
        with pytest.raises(ValueError, match="must"):
            translator.translate(photo(), "winter", **bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps is 0"):
        translator.interpolate(photo(), photo(), "winter", steps=0)
    with pytest.raises(ValueError, match="every number must be 1 or more"):
        translator.sample(size=(0, 8))
    with pytest.raises(ImageError, match="no file"):
        translator.translate("nowhere.png", "winter")


def test_a_seed_is_a_picture(translator: Translator) -> None:
    def draw(**noise: Any) -> Image.Image:
        return translator.translate(photo(), "winter", **noise)

    assert same(draw(temperature=1, seed=3), draw(temperature=1, seed=3))
    assert not same(draw(temperature=1, seed=3), draw(temperature=1, seed=4))
    assert not same(draw(temperature=1, seed=3), draw(temperature=1, seed=3, grain=4))
    assert not same(draw(temperature=1), draw(temperature=1))
    assert same(draw(seed=3), draw())  # no temperature, no noise
    assert not same(draw(temperature=1, seed=3), draw())
    (one,), two = translator.sample(seed=5), translator.sample(2, seed=5)
    assert same(one[0], two[0][0])
    assert same(one[1], two[0][1])
    assert not same(two[0][0], two[1][0])


def test_noise_leaves_the_global_dice_alone(translator: Translator) -> None:
    before = torch.random.get_rng_state()
    translator.translate(photo(), "winter", temperature=1, seed=1)
    translator.sample()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_samples_are_pairs_of_one_latent() -> None:
    """With the same weights in both decoders, both pictures of a pair are the same."""
    model = network()
    model.decoder_b.load_state_dict(model.decoder_a.state_dict())
    for x_a, x_b in Translator(model, "cpu", torch.float32).sample(2, size=(30, 18)):
        assert x_a.size == (30, 18)
        assert same(x_a, x_b)


def test_the_cycle_is_two_translations(translator: Translator) -> None:
    x_ab, x_aba = translator.cycle(photo(), "summer")
    assert same(x_ab, translator.translate(photo(), "winter"))
    again = translator.translate(x_ab, "summer")  # which rounds x_ab to 8 bits, and an untrained network magnifies that
    assert np.abs(np.asarray(x_aba, float) - np.asarray(again, float)).mean() < 1
    assert difference(x_aba, x_ab) > 20


def test_interpolation_runs_from_one_translation_to_the_other(translator: Translator) -> None:
    one, two = photo(seed=1), photo(seed=2)
    path = translator.interpolate(one, two, "winter", steps=5)
    assert len(path) == 5
    assert same(path[0], translator.translate(one, "winter"))
    assert same(path[-1], translator.translate(two, "winter"))
    assert len({p.tobytes() for p in path}) == 5


def test_grey_domains() -> None:
    translator = Translator(network(channels_b=1), "cpu", torch.float32)
    assert translator.translate(photo(), "winter").mode == "L"
    assert translator.translate(photo(), "summer").mode == "RGB"
    assert [d.mode for d in translator.sample()[0]] == ["RGB", "L"]
    assert [d.mode for d in translator.cycle(photo(), "winter")] == ["RGB", "L"]


def test_the_model_given_stays_as_it_was() -> None:
    model = network().train()
    translator = Translator(model, "cpu", torch.bfloat16)
    before = translator.translate(photo(), "winter")
    assert model.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    with torch.no_grad():
        next(model.parameters()).add_(1)  # training goes on
    assert same(translator.translate(photo(), "winter"), before)


def test_half_the_bits_draw_nearly_the_same(translator: Translator) -> None:
    fast = Translator(network(), "cpu", torch.bfloat16)
    assert fast.dtype == torch.bfloat16
    one, other = (np.asarray(t.translate(photo(96, 96), "winter")).astype(int) for t in (fast, translator))
    assert np.abs(one - other).mean() < 2


def test_from_pretrained(tiny_checkpoint: Path) -> None:
    translator = Translator.from_pretrained(tiny_checkpoint, device="cpu", dtype=torch.float32)
    assert translator.domains == ("summer", "winter")
    assert (translator.device.type, translator.dtype, translator.config.dim) == ("cpu", torch.float32, 4)
    assert translator.translate(photo(), "winter").size == (40, 24)


def test_threads_share_a_translator(translator: Translator) -> None:
    def draw(seed: int) -> Image.Image:
        return translator.translate(photo(seed=seed), "winter", temperature=1, seed=seed)

    alone = [draw(seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert all(map(same, pool.map(draw, range(16)), alone))


# ---- tiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_res", "n_res_shared"), [(0, 0), (1, 1), (2, 0)])
def test_reach_is_how_far_the_network_sees(n_res: int, n_res_shared: int) -> None:
    """The gradient of one latent pixel's 4 x 4 output pixels: nothing beyond the reach, something in its last step."""
    model = network(n_res=n_res, n_res_shared=n_res_shared).double()
    reach = pipeline.reach(model.config)
    assert reach is not None
    side = 2 * reach + 20
    middle = slice(reach + 8, reach + 12)  # a latent pixel's own, somewhere in the middle
    x = (torch.rand(1, 3, side, side, dtype=torch.float64) * 2 - 1).requires_grad_()
    model.translate(x, "a", "b")[..., middle, middle].square().sum().backward()
    assert x.grad is not None
    for seen in (x.grad.abs().amax((0, 1, 2)), x.grad.abs().amax((0, 1, 3))):  # columns, rows
        places = seen.nonzero()
        first, last = int(places.min()), int(places.max())
        assert first == middle.start - reach
        assert last == middle.stop - 1 + reach


@pytest.mark.parametrize(("height", "width"), [(4, 4), (100, 52), (512, 36), (200, 1000)])
def test_tiles_cover_every_pixel_once(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "TILE", 64)
    picture = torch.rand(height, width)
    drawn = torch.zeros(height, width)
    for tile in pipeline.tiles(height, width, 8):
        part = picture[tile.seen]
        assert max(part.shape) <= 64 + 2 * 8
        assert all(s.start % 4 == 0 and s.stop % 4 == 0 for s in tile.seen)
        drawn[tile.core] += part[tile.kept]
    assert torch.equal(drawn, picture)


VERBS: list[Callable[[Translator], list[Image.Image]]] = [
    lambda t: [t.translate(photo(150, 130), "winter")],
    lambda t: [t.translate(photo(150, 130), "winter", temperature=1, seed=1)],
    lambda t: [t.translate(photo(150, 130), "winter", temperature=2, seed=1, grain=5)],
    lambda t: list(t.cycle(photo(150, 130), "winter")),
    lambda t: [*t.sample(2, size=(150, 130), seed=2)[1]],
    lambda t: t.interpolate(photo(150, 130), photo(99, 99, seed=1), "winter", steps=3),
]


@pytest.mark.parametrize("draw", VERBS, ids=["translate", "noise", "grain", "cycle", "sample", "interpolate"])
def test_tiles_cannot_be_seen(
    draw: Callable[[Translator], list[Image.Image]], translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = draw(translator)
    monkeypatch.setattr(pipeline, "TILE", 64)
    for one, other in zip(draw(translator), whole, strict=True):
        assert difference(one, other) <= 1


def test_without_their_surroundings_tiles_would_be_seen(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    whole = translator.translate(photo(150, 130), "winter")
    monkeypatch.setattr(pipeline, "TILE", 64)
    monkeypatch.setattr(translator, "_reach", 4)
    assert difference(translator.translate(photo(150, 130), "winter"), whole) > 1


def test_the_network_never_sees_more_than_a_tile(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "TILE", 32)
    seen: list[Tensor] = []
    hooks = [m.register_forward_pre_hook(lambda _, x: seen.append(x[0])) for m in translator._model.modules()]
    translator.translate(photo(200, 40), "winter", temperature=1)
    for hook in hooks:
        hook.remove()
    reach = pipeline.reach(translator.config)
    assert reach is not None
    assert max(max(x.shape[-2:]) for x in seen if x.shape[1] == 3) == 32 + 2 * reach


@pytest.mark.parametrize("layout", ["paper", "master2018"])
def test_layouts_that_look_at_the_whole_picture_are_shown_it(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    whole = translator.translate(photo(150, 130), "winter")
    monkeypatch.setattr(pipeline, "TILE", 64)
    assert same(translator.translate(photo(150, 130), "winter"), whole)


def test_a_model_of_whole_pictures_draws_at_its_own_size():
    """The network sees the photo with the short side of its training pictures; the drawing has the photo's size."""
    torch.manual_seed(0)
    model = UNIT(UNITConfig(dim=4, n_res=1, image_size=32, whole=True, domain_a="cat", domain_b="dog"))
    translator = Translator(model, "cpu", torch.float32)
    photo = Image.effect_noise((120, 90), 60).convert("RGB")
    small = photo.resize((43, 32), Image.Resampling.BICUBIC)
    drawing = translator.translate(photo, "dog")
    expected = Translator(model, "cpu", torch.float32).translate(small, "dog")  # already of its size
    assert expected.size == (43, 32)
    assert drawing == expected.resize((120, 90), Image.Resampling.LANCZOS)
    assert [p.size for p in translator.cycle(photo, "cat")] == [(120, 90)] * 2
    assert translator.interpolate(photo, photo.rotate(90), "dog", 2)[1].size == (120, 90)
    assert translator.reconstruct(photo.crop((0, 0, 9, 9)), "cat").size == (9, 9)
    assert translator.translate(Image.new("RGB", (1, 20_000)), "dog").size == (1, 20_000)  # and not 32 x 640,000 inside


# ---- encoded once, drawn often -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["paper", "compact"])
@pytest.mark.parametrize("size", [(1, 1), (37, 61)])
def test_encode_and_decode_are_translate_and_reconstruct(layout: Any, size: tuple[int, int]) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    latent = translator.encode(photo(*size), "summer")
    assert latent.size == size
    assert same(translator.decode(latent, "winter"), translator.translate(photo(*size), "winter"))
    assert same(translator.decode(latent, "summer"), translator.reconstruct(photo(*size), "summer"))
    noise: dict[str, Any] = {"temperature": 1.5, "grain": 3, "seed": 4}
    assert same(translator.decode(latent, "winter", **noise), translator.translate(photo(*size), "winter", **noise))


def test_decoding_does_not_encode(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    latent = translator.encode(photo(), "summer")
    monkeypatch.setattr(translator._model, "encode", None)
    before = latent.mean.clone()
    translator.decode(latent, "winter", temperature=1)
    assert torch.equal(latent.mean, before)


def test_tiles_of_a_latent_cannot_be_seen(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> Image.Image:
        latent = translator.encode(photo(150, 130), "summer")
        return translator.decode(latent, "winter", temperature=2, grain=5, seed=1)

    whole = draw()
    monkeypatch.setattr(pipeline, "TILE", 64)
    assert difference(draw(), whole) <= 1
    assert difference(draw(), translator.translate(photo(150, 130), "winter", temperature=2, grain=5, seed=1)) <= 1


def test_latents_know_their_memory(translator: Translator) -> None:
    latent = translator.encode(photo(64, 32), "summer")
    assert latent.nbytes == 16 * (64 + 32) // 4 * (32 + 32) // 4 * 4  # channels, with the border of 16 pixels, float32


def test_the_line_between_two_latents(translator: Translator) -> None:
    here, there = (translator.encode(photo(seed=seed), "summer") for seed in (1, 2))
    steps = translator.interpolate(photo(seed=1), photo(seed=2), "winter", steps=3)
    for step, t in zip(steps, (0, 0.5, 1), strict=True):
        assert same(translator.decode(here.lerp(there, t), "winter"), step)
    with pytest.raises(ValueError, match=r"sizes \(40, 24\) and \(41, 24\)"):
        here.lerp(translator.encode(photo(41, 24), "summer"), 0.5)


def test_a_walk_is_closed_and_keeps_its_distance(translator: Translator) -> None:
    latent = translator.encode(photo(), "summer")
    noise: dict[str, Any] = {"temperature": 1, "grain": 2, "seed": 3}
    walk = list(translator.walk(latent, "winter", 4, **noise))
    assert same(walk[0], translator.decode(latent, "winter", **noise))
    assert len({step.tobytes() for step in walk}) == 4
    finer = list(translator.walk(latent, "winter", 64, **noise))
    jumps = [difference(one, other) for one, other in zip(finer, [*finer[1:], finer[0]], strict=True)]
    assert max(jumps) < 3 * np.median(jumps)  # from the last step to the first as from any to the next
    assert all(
        same(step, translator.decode(latent, "winter")) for step in translator.walk(latent, "winter", 2, temperature=0)
    )


def test_impossible_walks(translator: Translator) -> None:
    latent = translator.encode(photo(), "summer")
    with pytest.raises(ValueError, match="steps is 0"):
        translator.walk(latent, "winter", 0)
    with pytest.raises(ValueError, match="'autumn' is not a domain"):
        translator.walk(latent, "autumn")
    with pytest.raises(ValueError, match="'autumn' is not a domain"):
        translator.decode(latent, "autumn")
    with pytest.raises(ValueError, match="'autumn' is not a domain"):
        translator.encode(photo(), "autumn")
    with pytest.raises(ValueError, match="temperature is -1"):
        translator.walk(latent, "winter", temperature=-1)


def test_dreams_of_coarse_noise(translator: Translator) -> None:
    (paper,) = translator.sample(seed=1)
    assert same(paper[0], translator.sample(seed=1, temperature=1, grain=1)[0][0])
    for changed in ({"temperature": 2.0}, {"grain": 4}):
        assert not same(paper[0], translator.sample(seed=1, **changed)[0][0])  # type: ignore[arg-type]


def test_parameters_are_counted(translator: Translator) -> None:
    assert translator.parameters == sum(p.numel() for p in network().parameters())
