"""The finder of heads: what its maps mean, what it is taught, and what the shipped weights see."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from train.tools.finder import finder_loss, targets
from unit.finder import STRIDE, THRESHOLD, UNIT_SIDE, Head, HeadFinder, answers, find_heads, merge, overlap

ROOT = Path(__file__).parent.parent
CHELSEA = Path(__file__).parent / "data" / "cat_chelsea.jpg"
HEAD = Head(240.0, 135.0, 450.0, 1.0)  # about as training squares lie around eyes and nose, in the photo's pixels


def certain(wanted: torch.Tensor) -> torch.Tensor:
    """Maps (4, h, w) of a network that is sure of its targets."""
    maps = wanted.clone()
    maps[0] = torch.where(wanted[0] == 1, 8.0, -8.0)
    return maps


def test_overlap_of_squares():
    one = Head(10, 10, 10, 1)
    assert overlap(one, one) == 1
    assert overlap(one, Head(15, 10, 10, 1)) == pytest.approx(50 / 150)
    assert overlap(one, Head(10, 10, 20, 1)) == pytest.approx(100 / 400)
    assert overlap(one, Head(30, 10, 10, 1)) == 0


def test_a_head_is_read_from_its_cell():
    maps = torch.full((4, 20, 30), -9.0)
    maps[:, 5, 7] = torch.tensor([2.0, 0.5, -0.25, 0.0])
    (head,) = answers(maps)
    assert head[:3] == pytest.approx((8.0 * STRIDE, 5.25 * STRIDE, UNIT_SIDE))
    assert head.score == pytest.approx(0.8808, abs=1e-3)
    assert answers(maps, threshold=0.9) == []


def test_what_is_taught_is_what_is_read():
    """Heads of all sizes, also one that the border cuts: read from perfect maps they are themselves, once each."""
    heads = [Head(60, 70, 24, 1), Head(180, 60, 90, 1), Head(80, 240, 120, 1)]
    wanted = targets(heads)
    found = merge(answers(certain(wanted)))
    assert len(found) == len(heads)
    for head in heads:
        best = max(found, key=lambda other: overlap(head, other))
        assert best[:3] == pytest.approx(head[:3], abs=0.01)
    assert finder_loss(certain(wanted)[None], wanted[None]) < 1e-3
    assert finder_loss(certain(targets([]))[None], wanted[None]) > 1
    assert finder_loss(certain(wanted)[None], targets([])[None]) > 1


def test_answers_that_overlap_are_one_head():
    one, other = Head(100, 100, 80, 0.9), Head(104, 96, 90, 0.6)
    inside, apart = Head(100, 100, 30, 0.7), Head(300, 100, 80, 0.95)
    first, second = merge([other, one, inside, apart])
    assert first == pytest.approx(apart)
    assert second.score == 0.9
    weights = np.array([0.9, 0.6, 0.7]) ** 2
    assert second.centre_x == pytest.approx(np.average([100, 104, 100], weights=weights))
    assert second.side == pytest.approx(np.exp(np.average(np.log([80, 90, 30]), weights=weights)))
    assert merge([]) == []


def test_cells_near_a_head_may_answer_either_way():
    wanted = targets([Head(128, 128, 100, 1)])
    either = wanted[0] == -1
    assert either.any()
    yes, no = certain(wanted), certain(wanted)
    yes[0, either], no[0, either] = 8.0, -8.0
    torch.testing.assert_close(finder_loss(yes[None], wanted[None]), finder_loss(no[None], wanted[None]))


def test_maps_are_an_eighth_of_the_picture():
    assert HeadFinder()(torch.zeros(2, 3, 64, 96)).shape == (2, 4, 8, 12)


# ---- the shipped weights


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    with Image.open(CHELSEA) as image:
        return image.convert("RGB")


@pytest.mark.parametrize("scale", [0.4, 1, 4])
def test_a_cat_is_found_at_any_size(photo, scale):
    found = find_heads(photo.resize((round(scale * photo.width), round(scale * photo.height))))
    assert len(found) == 1
    assert overlap(Head(*(v / scale for v in found[0][:3]), 1.0), HEAD) > 0.5
    assert THRESHOLD <= found[0].score <= 1


@pytest.mark.parametrize("angle", [-25, 25])
def test_a_tilted_head_is_found(photo, angle):
    wide = ImageOps.expand(photo, 150, (120, 110, 100))
    found = find_heads(wide.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(120, 110, 100)))
    assert len(found) == 1
    turn = np.exp(-1j * np.deg2rad(angle))  # about the middle, with y downwards
    middle = complex(wide.width / 2, wide.height / 2)
    place = (complex(HEAD.centre_x + 150, HEAD.centre_y + 150) - middle) * turn + middle
    assert overlap(found[0], Head(place.real, place.imag, HEAD.side, 1.0)) > 0.5


def test_two_heads_in_one_photo(photo):
    scene = Image.new("RGB", (1200, 700), (90, 120, 80))
    scene.paste(photo, (30, 50))
    scene.paste(ImageOps.mirror(photo).resize((300, 200)), (850, 450))
    found = find_heads(scene)
    assert len(found) == 2
    assert overlap(found[0], HEAD._replace(centre_x=HEAD.centre_x + 30, centre_y=HEAD.centre_y + 50)) > 0.5 or (
        overlap(found[1], HEAD._replace(centre_x=HEAD.centre_x + 30, centre_y=HEAD.centre_y + 50)) > 0.5
    )


@pytest.mark.parametrize("path", sorted(ROOT.glob("checkpoints/[ds]*/examples/*.jpg")), ids=lambda path: path.stem)
def test_there_is_no_head_in_a_landscape(path):
    with Image.open(path) as image:
        assert find_heads(image.convert("RGB")) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (40, 3), (2000, 900)])
def test_nothing_is_found_in_nothing(size):
    assert find_heads(Image.new("RGB", size, (200, 180, 90))) == []
