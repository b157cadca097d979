"""Where a face is, its square cut out, and the drawing put back."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unit.faces import SMALLEST, Box, centred, crop_box, find_face, find_faces, paste

CHELSEA = Path(__file__).parent / "data" / "cat_chelsea.jpg"
EYES_AND_NOSE = np.array([(172, 115), (318, 137), (263, 243)])  # x, y in pixels, looked up in the photo
ODD_SIZES = [(1, 1), (1, 1000), (1000, 1), (3, 2), (2, 90), (40, 30)]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    with Image.open(CHELSEA) as image:
        return image.convert("RGB")


@pytest.fixture(scope="module")
def level(photo: Image.Image) -> tuple[Image.Image, np.ndarray]:
    """Chelsea with her eyes level and with something around her; her eyes and nose there."""
    box, angle = Box(-150, -225, 751), np.deg2rad(7)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([box.centre])
    picture = crop_box(photo, box).rotate(7, Image.Resampling.BICUBIC)
    return picture, (EYES_AND_NOSE - middle) @ turn + box.side / 2


def holds(box: Box, points: np.ndarray, margin: float = 0.1) -> bool:
    """Whether points (n, 2) are in a box, and not nearer to its edge than this share of its side."""
    places = (points - [box.left, box.top]) / box.side
    return bool((places > margin).all() and (places < 1 - margin).all())


def differences(one: Image.Image, other: Image.Image) -> np.ndarray:
    """(H, W) levels, the largest of the colours."""
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).max(-1)


# ---- where it is


def test_a_face_is_found(level):
    picture, points = level
    box = find_face(picture)
    assert box != centred(picture.size)
    assert holds(box, points)
    distance = np.linalg.norm(points[0] - points[1])  # of the eyes, in training photos about a quarter of their side
    assert 2.5 * distance < box.side < 5 * distance


@pytest.mark.parametrize("scale", [0.5, 3])
def test_the_size_of_the_photo_does_not_matter(level, scale):
    picture, points = level
    side = round(scale * picture.width)
    box = find_face(picture.resize((side, side)))
    assert holds(box, points * scale)
    assert box.side == pytest.approx(scale * find_face(picture).side, rel=0.15)


def test_a_face_that_fills_the_photo_is_found(photo):
    assert find_faces(photo) == [find_face(photo)]
    assert holds(find_face(photo), EYES_AND_NOSE)


def test_the_same_photo_gets_the_same_box_in_every_thread(level):
    picture, _ = level
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(find_face, [picture] * 8))) == 1


@pytest.mark.parametrize("size", [*ODD_SIZES, (300, 200), (5000, 30)])
@pytest.mark.parametrize("colour", ["white", (120, 90, 60)])
def test_without_a_face_it_is_the_middle_square(size, colour):
    box = find_face(Image.new("RGB", size, colour))
    assert box == centred(size)
    assert box.side == min(size)
    assert all(abs(2 * c - s) <= 1 for c, s in zip(box.centre, size, strict=True))


def test_a_box_makes_sense_wherever_one_taps():
    assert Box.around(200, 100, 80, (451, 300)) == Box(160, 60, 80)
    assert Box.around(0, 300, 100, (451, 300)) == Box(-50, 250, 100)  # beyond the borders, but for a quarter
    assert Box.around(-1000, 1000, 100, (451, 300)) == Box.around(0, 300, 100, (451, 300))
    assert Box.around(200, 100, 0, (451, 300)).side == SMALLEST
    assert Box.around(200, 100, 10_000, (451, 300)).side == 450
    assert Box.around(5, 5, 50, (10, 10)) == Box(0, 0, 10)
    assert Box.around(0, 0, 50, (1, 1)).side == 1


@pytest.mark.parametrize("where", [(0.2, 0.7, 90), (0, 0, 60), (1, 1, 301)])
def test_a_box_is_what_its_centre_and_side_say(where):
    x, y, side = where
    box = Box.around(451 * x, 300 * y, side, (451, 300))
    assert Box.around(*box.centre, box.side, (451, 300)) == box


# ---- out and in again


def test_cut_is_the_crop_and_mirrors_beyond_the_borders(photo):
    assert crop_box(photo, Box(20, 30, 100)).tobytes() == photo.crop((20, 30, 120, 130)).tobytes()
    corner = crop_box(photo, Box(-40, -40, 80))
    quarter = photo.crop((0, 0, 40, 40))
    assert corner.crop((40, 40, 80, 80)).tobytes() == quarter.tobytes()
    assert corner.crop((0, 0, 40, 40)).tobytes() == quarter.transpose(Image.Transpose.ROTATE_180).tobytes()


BOXES = [Box(60, 20, 200), Box(-50, -80, 220), Box(300, 150, 299), Box(0, 0, 1), Box(75, 0, 300)]


@pytest.mark.parametrize("box", BOXES)
def test_a_crop_put_back_is_the_photo(photo, box):
    assert differences(paste(photo, crop_box(photo, box), box), photo).max() <= 1
    smaller = crop_box(photo, box).resize((max(1, box.side // 2),) * 2, Image.Resampling.LANCZOS)
    assert differences(paste(photo, smaller, box), photo).mean() < 3  # as a model's picture is


@pytest.mark.parametrize("box", BOXES)
def test_outside_of_the_box_the_photo_is_not_touched(photo, box):
    before = photo.tobytes()
    changed = differences(paste(photo, Image.new("RGB", (128, 128)), box), photo)
    assert photo.tobytes() == before
    inside = np.zeros_like(changed, bool)
    inside[max(box.top, 0) : box.top + box.side, max(box.left, 0) : box.left + box.side] = True
    assert not changed[~inside].any()


def test_a_drawing_fades_in_without_a_seam():
    black, white, box = Image.new("RGB", (400, 300)), Image.new("RGB", (128, 128), "white"), Box(100, 50, 200)
    levels = np.asarray(paste(black, white, box).convert("L"), int)
    middle = levels[150, 100:300]
    assert middle[60:140].min() == 255  # all of the drawing in the middle
    assert max(np.abs(np.diff(levels, axis=axis)).max() for axis in (0, 1)) <= 16  # a cut would be a step of 255
    assert levels[50:250, 100].max() <= 1
    assert levels[60, 110] == 0  # round corners


@pytest.mark.parametrize("size", ODD_SIZES)
def test_pictures_of_odd_shapes(size):
    picture = Image.linear_gradient("L").resize(size).convert("RGB")
    for box in (find_face(picture), Box.around(0, 0, 10_000, size), Box.around(*size, 1, size)):
        assert crop_box(picture, box).size == (box.side, box.side)
        assert differences(paste(picture, crop_box(picture, box), box), picture).max() <= 1
