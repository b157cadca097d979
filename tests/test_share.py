"""What a visitor takes along: names, the picture of before and after, the GIF of the slider."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.share import (
    GIF_SIDE,
    LOOK,
    STEPS,
    comparison,
    download_name,
    saved_comparison,
    saved_gif,
    slider_gif,
)  # fmt: skip

SIZE = (90, 60)


def noise(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


def frames(gif: bytes) -> list[np.ndarray]:
    found = []
    with Image.open(io.BytesIO(gif)) as film:
        for number in range(film.n_frames):
            film.seek(number)
            found.append(np.asarray(film.convert("RGB"), int))
    return found


@pytest.mark.parametrize(
    ("photo", "words", "name"),
    [
        ("chelsea.jpg", ENGLISH, "chelsea-dog"),
        ("花園.HEIC", ENGLISH, "花園-dog"),
        ("花園.HEIC", CHINESE, "花園-變狗"),
        ("cat.png", CHINESE, "cat-變狗"),  # the photo keeps its name
        ('a/b<>:"|?*.png', ENGLISH, "b-dog"),
        ("con.jpg", ENGLISH, "_con-dog"),
    ],
    ids=ascii,
)
def test_a_result_is_called_after_its_photo_and_what_it_became(photo, words, name):
    assert download_name(photo, "dog", words) == name


def test_the_comparison_holds_both_pictures_and_a_line_only_if_asked_for():
    before, after = noise(0), noise(1)
    both = comparison(before, after)
    assert both.height == SIZE[1]
    assert both.crop((0, 0, *SIZE)).tobytes() == before.tobytes()
    assert both.crop((both.width - SIZE[0], 0, *both.size)).tobytes() == after.tobytes()
    said = [comparison(before, after, words) for words in (ENGLISH, CHINESE)]
    for picture in said:
        assert picture.crop((0, 0, *both.size)).tobytes() == both.tobytes()
        line = np.asarray(picture.crop((0, both.height, *picture.size)).convert("L"))
        assert line.max() > 200 > 60 > line.min()  # letters on dark
    assert said[0].tobytes() != said[1].tobytes()


def test_the_line_fits_whatever_the_shape_of_the_picture():
    for size in ((20, 300), (600, 20)):
        line = comparison(noise(0, size), noise(1, size), ENGLISH)
        assert line.width > 2 * size[0]
        right = np.asarray(line.convert("L"))[size[1] :, -2:]
        assert right.max() < 60  # it ends before the edge


def test_the_gif_shows_the_one_then_the_other_and_repeats():
    before, after = Image.new("RGB", SIZE, "#803020"), Image.new("RGB", SIZE, "#203080")
    gif = slider_gif(before, after)
    with Image.open(io.BytesIO(gif)) as film:
        assert film.format == "GIF"
        assert film.info["loop"] == 0
    shown = frames(gif)
    assert len(shown) == 2 * STEPS
    rest = slice(0, -4)  # beside the line, which is at the edge
    assert abs(shown[0][:, rest] - np.asarray(before, int)[:, rest]).max() < 12
    assert abs(shown[STEPS][:, 4:] - np.asarray(after, int)[:, 4:]).max() < 12
    for number in range(1, STEPS):  # before on the left of the line, after on the right, and it moves to the left
        line = np.flatnonzero((shown[number] == 255).all((0, 2)))
        assert abs(shown[number][:, : line.min()] - np.asarray(before, int)[0, 0]).max(initial=0) < 12
        assert abs(shown[number][:, line.max() + 1 :] - np.asarray(after, int)[0, 0]).max(initial=0) < 12
        assert (shown[number] == shown[-number]).all()


def test_of_a_picture_nothing_flickers():
    shown = frames(slider_gif(noise(0), noise(1)))
    for one, other in pairwise(shown[1:]):
        changed = np.flatnonzero((one != other).any((0, 2)))
        assert np.ptp(changed) < SIZE[0] / 6  # the columns that the line went over


def test_the_gif_is_small_even_of_what_cannot_be_made_small():
    size = (960, 960)
    gif = slider_gif(noise(0, size), noise(1, size))
    assert frames(gif)[0].shape == (GIF_SIDE, GIF_SIDE, 3)
    assert len(gif) < 3_000_000


def test_pictures_of_few_colours_and_of_one_pixel_have_a_gif():
    assert len(frames(slider_gif(Image.new("RGB", (20, 10)), Image.new("RGB", (20, 10), "white")))) > STEPS
    assert frames(slider_gif(Image.new("RGB", (1, 1)), Image.new("RGB", (1, 1), "red")))[0].shape == (1, 1, 3)


def test_files_have_the_names_that_they_were_given(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    pair = noise(0), noise(1)
    paths = saved_comparison(*pair, "花園-變狗", CHINESE), saved_gif(*pair, "花園-變狗")
    assert [Path(path).name for path in paths] == ["花園-變狗.jpg", "花園-變狗.gif"]
    assert [Image.open(path).format for path in paths] == ["JPEG", "GIF"]


def test_the_icon_is_good_at_the_size_of_a_tab():
    with Image.open(LOOK / "icon.png") as icon:
        small = np.asarray(icon.convert("RGBA").resize((16, 16), Image.Resampling.LANCZOS), int)
    left, right, middle = small[2, 4], small[2, 12], small[2, 8]
    assert min(left[3], right[3], middle[3]) > 250  # nothing shines through
    for one, other in ((left, right), (left, middle), (right, middle)):
        assert abs(one - other)[:3].max() > 100  # two halves, and a line between them
