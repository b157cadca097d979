"""Translator: sizes, names, seeds, threads, and tiles that nobody can see."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from unit import UNIT, Sampling, Translator, UNITConfig, noise, pipeline, save_pretrained
from unit.images import ImageError, to_image, to_tensor
from unit.models.architectures import LAYOUTS
from unit.pipeline import PRIOR
from unit.tiling import TiledImage, tiles

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


@pytest.fixture(scope="module", params=["compact", "compact8", "refined8"])
def local(request: pytest.FixtureRequest) -> Translator:
    """Of each layout in which a pixel depends on those around it only."""
    return Translator(network(layout=request.param), "cpu", torch.float32)


def photo(width: int = 40, height: int = 24, seed: int = 0) -> Image.Image:
    noise = torch.rand(1, 3, -(-height // 8), -(-width // 8), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return to_image(nn.functional.interpolate(noise, size=(height, width), mode="bicubic"))


def difference(one: Image.Image, other: Image.Image) -> int:
    """The largest, in grey levels."""
    assert (one.size, one.mode) == (other.size, other.mode)
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max())


def same(one: Image.Image, other: Image.Image) -> bool:
    return difference(one, other) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (4, 4), (37, 61), (64, 32)])
def test_every_verb_keeps_the_size(layout: Any, size: tuple[int, int]) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    image = photo(*size)
    drawn = [
        translator.translate(image, "winter"),
        translator.translate(image, "summer", Sampling(1, 3, 1)),
        translator.reconstruct(image, "winter"),
        *translator.cycle(image, "winter"),
        *translator.interpolate(image, photo(20, 30), "summer", steps=2),
        *translator.sample(sampling=Sampling(1, seed=1), size=size)[0],
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
            Sampling(**bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps is 0"):
        translator.interpolate(photo(), photo(), "winter", steps=0)
    with pytest.raises(ValueError, match="every number must be 1 or more"):
        translator.sample(size=(0, 8))
    with pytest.raises(ImageError, match="no file"):
        translator.translate("nowhere.png", "winter")
    with pytest.raises(ValueError, match="draw at most 100 million pixels"):
        translator.sample(size=(10**9, 10**9))


def test_a_seed_is_a_picture(translator: Translator) -> None:
    def draw(**noise: Any) -> Image.Image:
        return translator.translate(photo(), "winter", Sampling(**noise))

    assert same(draw(temperature=1, seed=3), draw(temperature=1, seed=3))
    assert not same(draw(temperature=1, seed=3), draw(temperature=1, seed=4))
    assert not same(draw(temperature=1, seed=3), draw(temperature=1, seed=3, grain=4))
    assert not same(draw(temperature=1), draw(temperature=1))
    assert same(draw(seed=3), draw())  # no temperature, no noise
    assert not same(draw(temperature=1, seed=3), draw())
    (one,), two = (translator.sample(n, Sampling(1, seed=5)) for n in (1, 2))
    assert same(one[0], two[0][0])
    assert same(one[1], two[0][1])
    assert not same(two[0][0], two[1][0])


def test_noise_leaves_the_global_dice_alone(translator: Translator) -> None:
    before = torch.random.get_rng_state()
    translator.translate(photo(), "winter", Sampling(1, seed=1))
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
    assert same(x_aba, translator.translate(x_ab, "summer"))
    assert difference(x_aba, x_ab) > 20


def test_interpolation_runs_from_one_translation_to_the_other(translator: Translator) -> None:
    one, two = photo(seed=1), photo(seed=2)
    path = translator.interpolate(one, two, "winter", steps=5)
    assert len(path) == 5
    assert same(path[0], translator.translate(one, "winter"))
    assert same(path[-1], translator.translate(two, "winter"))
    assert len({p.tobytes() for p in path}) == 5


@pytest.mark.parametrize("layout", ["compact", "paper"])
def test_latents_too_large_to_be_kept_are_made_anew(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    encode, shown = translator._model.encode, []
    monkeypatch.setattr(translator._model, "encode", lambda *given: shown.append(given) or encode(*given))
    monkeypatch.setattr(pipeline, "TILE", 64)

    def path() -> list[Image.Image]:
        shown.clear()
        return translator.interpolate(photo(150, 130), photo(99, 99, seed=1), "winter", steps=3)

    kept, once = path(), len(shown)
    monkeypatch.setattr(pipeline, "MAX_KEPT", 0)
    anew = path()
    assert len(shown) == 3 * once
    assert all(difference(one, other) <= 1 for one, other in zip(kept, anew, strict=True))


def test_the_first_tile_between_two_photos_does_not_wait_for_all_of_them(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "TILE", 64)
    encode, shown = translator._model.encode, []
    monkeypatch.setattr(translator._model, "encode", lambda *given: shown.append(given) or encode(*given))
    path = translator.draw_path(photo(900, 40), photo(900, 40, seed=1), "winter", steps=2)
    assert not shown
    first = next(path)
    next(first)
    assert 0 < len(shown) < len(first)
    assert same(first.finish(), translator.translate(photo(900, 40), "winter"))


def test_pairs_are_drawn_one_after_the_other(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, drawn = translator._model.decode, []
    monkeypatch.setattr(translator._model, "decode", lambda *given: drawn.append(given) or decode(*given))
    pairs = translator.draw_pairs(3, Sampling(1, seed=4), size=(30, 18))
    one, other = next(pairs)
    assert not drawn
    assert same(one.finish(), translator.sample(1, Sampling(1, seed=4), size=(30, 18))[0][0])
    assert same(other.finish(), translator.sample(1, Sampling(1, seed=4), size=(30, 18))[0][1])
    assert len(drawn) == 2 + 2 * 2


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
        return translator.translate(photo(seed=seed), "winter", Sampling(1, seed=seed))

    alone = [draw(seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert all(map(same, pool.map(draw, range(16)), alone))


# ---- tiles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_res", "n_res_shared"), [(0, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize("layout", ["compact", "compact8", "refined8"])
def test_the_receptive_radius_is_how_far_the_network_sees(layout: Any, n_res: int, n_res_shared: int) -> None:
    """The gradient of what is drawn of one latent pixel: nothing beyond the radius, something in its last step."""
    model = network(layout=layout, n_res=n_res, n_res_shared=n_res_shared).double()
    radius, d = model.config.receptive_radius, model.config.downsampling
    assert radius is not None
    side = 2 * radius + 5 * d
    middle = slice(radius + 2 * d, radius + 3 * d)  # a latent pixel's own, somewhere in the middle
    x = (torch.rand(1, 3, side, side, dtype=torch.float64) * 2 - 1).requires_grad_()
    model.translate(x, "a", "b")[..., middle, middle].square().sum().backward()
    assert x.grad is not None
    for seen in (x.grad.abs().amax((0, 1, 2)), x.grad.abs().amax((0, 1, 3))):  # columns, rows
        places = seen.nonzero()
        first, last = int(places.min()), int(places.max())
        assert first == middle.start - radius
        assert last == middle.stop - 1 + radius


@pytest.mark.parametrize(("height", "width"), [(8, 8), (104, 56), (512, 40), (200, 1000)])
@pytest.mark.parametrize("multiple", [4, 8])
def test_tiles_cover_every_pixel_once(height: int, width: int, multiple: int) -> None:
    picture = torch.rand(height, width)
    drawn = torch.zeros(height, width)
    for tile in tiles(height, width, 64, 8, multiple=multiple):
        part = picture[tile.seen]
        assert max(part.shape) <= 64 + 2 * 8
        assert all(s.start % multiple == 0 and s.stop % multiple == 0 for s in tile.seen)
        drawn[tile.core] += part[tile.kept]
    assert torch.equal(drawn, picture)


def test_neighbours_overlap_by_so_much_and_no_three_of_them() -> None:
    for length in range(72, 700, 4):
        spans = [tile.core[1] for tile in tiles(4, length, 64, 4, 16)]
        assert (spans[0].start, spans[-1].stop) == (0, length)
        assert all(span.stop - span.start <= 72 for span in spans)
        assert all(one.stop - other.start == 16 for one, other in pairwise(spans))
        assert all(one.stop <= third.start for one, third in zip(spans, spans[2:], strict=False))


VERBS: list[Callable[[Translator], list[Image.Image]]] = [
    lambda t: [t.translate(photo(150, 130), "winter")],
    lambda t: [t.translate(photo(150, 130), "winter", Sampling(1, seed=1))],
    lambda t: [t.translate(photo(150, 130), "winter", Sampling(2, 5, 1))],
    lambda t: list(t.cycle(photo(150, 130), "winter")),
    lambda t: [*t.sample(2, Sampling(1, seed=2), size=(150, 130))[1]],
    lambda t: t.interpolate(photo(150, 130), photo(99, 99, seed=1), "winter", steps=3),
]


@pytest.mark.parametrize("draw", VERBS, ids=["translate", "noise", "grain", "cycle", "sample", "interpolate"])
def test_tiles_cannot_be_seen(
    draw: Callable[[Translator], list[Image.Image]], local: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = draw(local)
    monkeypatch.setattr(pipeline, "TILE", 64)
    for one, other in zip(draw(local), whole, strict=True):
        assert difference(one, other) <= 1


def test_without_their_surroundings_tiles_would_be_seen(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    whole = translator.translate(photo(150, 130), "winter")
    monkeypatch.setattr(pipeline, "TILE", 64)
    monkeypatch.setattr(translator, "_radius", 4)
    assert difference(translator.translate(photo(150, 130), "winter"), whole) > 1


def test_the_network_never_sees_more_than_a_tile(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "TILE", 32)
    seen: list[Tensor] = []
    hooks = [m.register_forward_pre_hook(lambda _, x: seen.append(x[0])) for m in translator._model.modules()]
    translator.translate(photo(200, 40), "winter", Sampling(1))
    for hook in hooks:
        hook.remove()
    radius = translator.config.receptive_radius
    assert radius is not None
    assert max(max(x.shape[-2:]) for x in seen if x.shape[1] == 3) == 32 + 2 * radius


def test_noise_too_large_to_be_there_at_once_has_no_seams_either(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "LIMIT", 0)
    monkeypatch.setattr(noise, "BLOCK", 8)

    def draw(seed: int = 1) -> Image.Image:
        return translator.translate(photo(150, 130), "winter", Sampling(1, seed=seed))

    whole = draw()
    latent = translator.encode(photo(150, 130), "summer")
    monkeypatch.setattr(pipeline, "TILE", 64)
    assert difference(draw(), whole) <= 1
    assert difference(translator.decode(latent, "winter", Sampling(1, seed=1)), whole) <= 1
    assert difference(draw(seed=2), whole) > 1


@pytest.mark.parametrize("layout", ["paper", "master2018"])
def test_layouts_that_look_at_the_whole_picture_are_shown_it(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    whole = translator.translate(photo(150, 130), "winter")
    monkeypatch.setattr(pipeline, "TILE", 64)
    assert same(translator.translate(photo(150, 130), "winter"), whole)


def gradient(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    return Image.fromarray((255 * np.stack([x, y, (x + y) / 2], 2)).astype(np.uint8))


@pytest.mark.parametrize("layout", ["paper", "master2018"])
def test_large_pictures_of_such_layouts_are_blended_of_pieces(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one square of 4 x 4 pixels to the next, no more changes where pieces meet than elsewhere, on average."""
    model = network(layout=layout)
    for p in model.parameters():
        if p.dim() == 4:
            nn.init.kaiming_normal_(p)  # the paper's own start draws nearly nothing
    translator = Translator(model, "cpu", torch.float32)
    monkeypatch.setattr(pipeline, "MAX_BYTES", LAYOUTS[layout].bytes * 4 * 120**2)
    assert pipeline.max_tile(translator.config) == 120

    def jumps() -> Iterator[float]:
        """How large they are where a piece begins or ends, as a multiple of those elsewhere: columns, then rows."""
        drawing = translator.draw(gradient(300, 220), "winter")
        assert len(drawing) >= 12
        blocks = np.asarray(drawing.finish(), float).reshape(55, 4, 75, 4, 3).mean((1, 3))
        for axis, count in ((1, 75), (0, 55)):
            jump = np.abs(np.diff(blocks, axis=axis)).mean((1 - axis, 2))
            edges = {edge // 4 for tile in drawing._tiles for edge in (tile.core[axis].start, tile.core[axis].stop)}
            borders = np.array(sorted(edges - {0, count})) - 1
            yield jump[borders].mean() / np.delete(jump, borders)[3:-3].mean()  # not of the picture's own edges

    assert max(jumps()) < 1.5
    monkeypatch.setattr(pipeline, "OVERLAP", 0)
    assert min(jumps()) > 1.5  # so it can fail


@pytest.mark.parametrize("layout", ["paper", "master2018"])
def test_pieces_bound_what_the_network_is_shown(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    whole = translator.translate(photo(200, 36), "winter")
    latent = translator.encode(photo(200, 100), "summer")
    monkeypatch.setattr(pipeline, "MAX_BYTES", LAYOUTS[layout].bytes * 4 * 88**2)
    drawing = translator.draw(photo(200, 36), "winter")
    assert len(drawing) == 1  # longer than 88, and just small enough: as ever
    assert same(drawing.finish(), whole)

    seen: list[Tensor] = []
    for part in (translator._model.encoder_a, translator._model.decoder_b):
        part.register_forward_hook(lambda _, x, y: seen.extend((*x, y)))
    drawing = translator.draw(photo(200, 100), "winter", Sampling(1, seed=1))
    assert drawing.finish().size == (200, 100)
    translator.decode(latent, "winter")
    assert len(seen) > 8
    assert max(x.shape[2] * x.shape[3] for x in seen if x.shape[1] == 3) <= 88**2


def drawing_of(draw: Callable[[tuple[slice, slice]], Tensor], overlap: int = 0, side: int = 40) -> TiledImage:
    """A picture of 150 x 130 pixels, cut out of 160 x 140."""
    crop = slice(4, 134), slice(8, 158)
    return TiledImage(draw, tiles(140, 160, side, 4, overlap), crop, (150, 130), overlap)


@pytest.mark.parametrize("overlap", [0, 4, 16])
def test_weights_of_a_blend_sum_to_one(overlap: int) -> None:
    """What all tiles agree on is drawn to the bit, at every level, and what they do not is between them."""
    picture = to_tensor(photo(160, 140), 3)
    drawn = drawing_of(lambda seen: picture[(..., *seen)], overlap).finish()
    assert same(drawn, to_image(picture[..., 4:134, 8:158]))

    dice = iter(range(1000))
    levels = np.random.default_rng(0).integers(0, 256, 1000)

    def flat(seen: tuple[slice, slice]) -> Tensor:
        rows, columns = (s.stop - s.start for s in seen)
        return torch.full((1, 1, rows, columns), levels[next(dice)] / 127.5 - 1)

    blended = np.asarray(drawing_of(flat, overlap).finish()).astype(int)
    used = levels[: next(dice)]
    assert used.min() <= blended.min()
    assert blended.max() <= used.max()
    steps = np.abs(np.diff(blended, axis=1)).max(), np.abs(np.diff(blended, axis=0)).max()
    assert max(steps) <= np.ptp(used) / (overlap + 1) + 2  # rounded twice


# ---- tile by tile ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tiled(monkeypatch: pytest.MonkeyPatch) -> tuple[Translator, list[Tensor]]:
    """A translator of small tiles, and a list of what its decoders were shown."""
    monkeypatch.setattr(pipeline, "TILE", 64)
    translator, shown = Translator(network(), "cpu", torch.float32), []
    for decoder in (translator._model.decoder_a, translator._model.decoder_b):
        decoder.register_forward_pre_hook(lambda _, x: shown.append(x[0]))
    return translator, shown


def test_a_drawing_is_drawn_tile_by_tile(tiled: tuple[Translator, list[Tensor]]) -> None:
    translator, shown = tiled
    drawing = translator.draw(photo(150, 130), "winter", Sampling(1, seed=3))
    assert len(drawing) == 9
    assert drawing.size == (150, 130)
    assert not shown
    for count in range(1, 10):
        with pytest.raises(RuntimeError, match=f"{count - 1} of 9 tiles are drawn"):
            drawing.image  # noqa: B018
        next(drawing)
        assert len(shown) == count
    with pytest.raises(StopIteration):
        next(drawing)
    assert same(drawing.image, translator.translate(photo(150, 130), "winter", Sampling(1, seed=3)))
    assert same(drawing.image, drawing.finish())
    assert len(list(translator.draw(photo(150, 130), "winter"))) == 9
    assert len(translator.draw(photo(40, 30), "winter")) == 1


def test_what_translate_raises_is_raised_before_anything_is_drawn(tiled: tuple[Translator, list[Tensor]]) -> None:
    translator, shown = tiled
    with pytest.raises(ValueError, match="'autumn' is not a domain"):
        translator.draw(photo(), "autumn")
    with pytest.raises(ImageError, match="no file"):
        translator.draw("nowhere.png", "winter")
    with pytest.raises(ValueError, match="no styles"):
        translator.draw(photo(), "winter", Sampling(style_image=photo()))
    assert not shown


@pytest.mark.parametrize("to_the_end", [True, False])
def test_who_stops_pays_for_no_more(to_the_end: bool, tiled: tuple[Translator, list[Tensor]]) -> None:
    """Without waiting for the garbage collector: no drawing is part of a circle."""
    translator, shown = tiled
    drawing = translator.draw(photo(150, 130), "winter", Sampling(1))
    assert drawing._draw is not None
    photo_and_noise = weakref.ref(drawing._draw)
    all_of_it = weakref.ref(drawing)
    gc.disable()
    try:
        for drawn, _ in enumerate(drawing, 1):
            if drawn == 4 and not to_the_end:
                break
        assert len(shown) == (9 if to_the_end else 4)
        assert (photo_and_noise() is None) == to_the_end  # the picture alone is left
        del drawing
        assert photo_and_noise() is None
        assert all_of_it() is None
    finally:
        gc.enable()


def test_threads_may_take_turns_at_a_drawing(tiled: tuple[Translator, list[Tensor]]) -> None:
    """As a web server's do, where each step of a generator may be run by another."""
    translator, _ = tiled
    drawing = translator.draw(photo(150, 130), "winter")
    for _ in range(len(drawing)):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(next, drawing).result()
    assert same(drawing.image, translator.translate(photo(150, 130), "winter"))


def test_the_mistake_of_one_tile_can_be_tried_again(tiled: tuple[Translator, list[Tensor]]) -> None:
    translator, _ = tiled
    drawing = translator.draw(photo(150, 130), "winter")
    next(drawing)
    hook = translator._model.decoder_b.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(drawing)
    hook.remove()
    assert same(drawing.finish(), translator.translate(photo(150, 130), "winter"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("temperature", [0, 1])
def test_a_photo_of_48_megapixels_fits_into_memory(temperature: int, tmp_path: Path) -> None:
    """Reading the file counts. As wide as the network that ships; depth takes time, and no memory worth mentioning."""
    save_pretrained(UNIT(UNITConfig(dim=32, n_res=0, n_res_shared=0)), tmp_path / "model")
    photo(500, 375).resize((8000, 6000)).save(tmp_path / "photo.jpg")
    command = [sys.executable, "-m", "tests.peak", tmp_path / "model", tmp_path / "photo.jpg", "b", str(temperature)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert 200e6 < int(run.stdout) < 1.5e9  # 192 million is the photo alone, decoded


def test_a_model_of_whole_pictures_draws_at_its_own_size():
    """The network sees the photo with the short side of its training pictures; the drawing has the photo's size."""
    torch.manual_seed(0)
    model = UNIT(UNITConfig(dim=4, n_res=1, image_size=32, aligned=True, domain_a="cat", domain_b="dog"))
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


# ---- tensors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1.5, 3, 4)], ids=["mean", "noise"])
def test_a_batch_of_one_is_what_translate_draws(layout: Any, aligned: bool, sampling: Sampling) -> None:
    """To the last of its 256 levels: border, noise and rounding are the same."""
    translator = Translator(network(layout=layout, aligned=aligned), "cpu", torch.float32)
    for image in (photo(37, 32), photo(32, 61)):
        drawn = translator.translate_batch(to_tensor(image, 3), "summer", "winter", sampling)
        assert torch.equal(drawn, to_tensor(translator.translate(image, "winter", sampling), 3))
        again = translator.translate_batch(to_tensor(image, 3), "winter", "winter")
        assert torch.equal(again, to_tensor(translator.reconstruct(image, "winter"), 3))


def test_photos_of_a_batch_have_noise_of_their_own() -> None:
    translator = Translator(network(channels_b=1), "cpu", torch.float32)
    x = to_tensor(photo(), 3).repeat(3, 1, 1, 1)
    drawn = translator.translate_batch(x, "summer", "winter", Sampling(1, seed=3))
    assert drawn.shape == (3, 1, 24, 40)
    assert torch.equal(drawn[:1], to_tensor(translator.translate(photo(), "winter", Sampling(1, seed=3)), 1))
    assert len({row.numpy().tobytes() for row in drawn}) == 3
    assert torch.equal(drawn, translator.translate_batch(x, "summer", "winter", Sampling(1, seed=3)))
    assert len({row.numpy().tobytes() for row in translator.translate_batch(x, "summer", "winter")}) == 1
    with pytest.raises(ValueError, match="'autumn' is not a domain"):
        translator.translate_batch(x, "autumn", "winter")


# ---- encoded once, drawn often -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["paper", "compact"])
@pytest.mark.parametrize("size", [(1, 1), (37, 61)])
def test_encode_and_decode_are_translate_and_reconstruct(layout: Any, size: tuple[int, int]) -> None:
    translator = Translator(network(layout=layout), "cpu", torch.float32)
    latent = translator.encode(photo(*size), "summer")
    assert latent.size == size
    assert same(translator.decode(latent, "winter"), translator.translate(photo(*size), "winter"))
    assert same(translator.decode(latent, "summer"), translator.reconstruct(photo(*size), "summer"))
    noise = Sampling(1.5, 3, 4)
    assert same(translator.decode(latent, "winter", noise), translator.translate(photo(*size), "winter", noise))


def test_decoding_does_not_encode(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    latent = translator.encode(photo(), "summer")
    monkeypatch.setattr(translator._model, "infer", None)
    before = latent.code.content.clone()
    translator.decode(latent, "winter", Sampling(1))
    assert torch.equal(latent.code.content, before)


def test_tiles_of_a_latent_cannot_be_seen(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw() -> Image.Image:
        latent = translator.encode(photo(150, 130), "summer")
        return translator.decode(latent, "winter", Sampling(2, 5, 1))

    whole = draw()
    monkeypatch.setattr(pipeline, "TILE", 64)
    assert difference(draw(), whole) <= 1
    assert difference(draw(), translator.translate(photo(150, 130), "winter", Sampling(2, 5, 1))) <= 1


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
    noise = Sampling(1, 2, 3)
    walk = list(translator.walk(latent, "winter", 4, noise))
    assert same(walk[0], translator.decode(latent, "winter", noise))
    assert len({step.tobytes() for step in walk}) == 4
    finer = list(translator.walk(latent, "winter", 64, noise))
    jumps = [difference(one, other) for one, other in zip(finer, [*finer[1:], finer[0]], strict=True)]
    assert max(jumps) < 3 * np.median(jumps)  # from the last step to the first as from any to the next
    assert all(
        same(step, translator.decode(latent, "winter")) for step in translator.walk(latent, "winter", 2, Sampling())
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
        translator.walk(latent, "winter", sampling=Sampling(-1))


def test_dreams_of_coarse_noise(translator: Translator) -> None:
    (paper,) = translator.sample(1, Sampling(1, 1, 1))
    assert same(paper[0], translator.sample(1, replace(PRIOR, seed=1))[0][0])
    for changed in (Sampling(2, 1, 1), Sampling(1, 4, 1), Sampling(1, 1, 2)):
        assert not same(paper[0], translator.sample(1, changed)[0][0])


def test_parameters_are_counted(translator: Translator) -> None:
    assert translator.parameters == sum(p.numel() for p in network().parameters())


def test_a_model_of_whole_pictures_sees_them_as_it_learnt_them():
    """A picture of the training crops' size reaches the network without a border, or its eyes come out twice."""
    torch.manual_seed(0)
    model = UNIT(
        UNITConfig(layout="refined8", dim=4, n_res=1, aligned=True, image_size=48, domain_a="cat", domain_b="dog")
    )
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
    drawn = Translator(model.eval(), "cpu", torch.float32).translate(photo, "dog")
    with torch.no_grad():
        expected = to_image(model.translate(to_tensor(photo, 3), "a", "b"))
    assert drawn.tobytes() == expected.tobytes()
