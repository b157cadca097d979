"""Heat maps and films."""

import io

import numpy as np
import pytest
from PIL import Image

from unit.demo.visualize import HOT, difference, film, heat_map

GREY = Image.new("RGB", (8, 6), (100, 100, 100))


def test_differences_are_means_from_black_to_white():
    assert difference(GREY, GREY) == 0
    assert difference(Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "white")) == 1
    assert difference(GREY, Image.new("RGB", (8, 6), (100, 100, 151))) == pytest.approx(51 / 255 / 3)
    assert difference(GREY, GREY.convert("L")) == 0


def test_a_heat_map_is_dark_where_pictures_agree_and_hotter_the_more_they_differ():
    other = GREY.copy()
    for x, more in enumerate((0, HOT // 4, HOT // 2, HOT, 2 * HOT)):
        other.paste((100 + more,) * 3 if more <= 155 else (255,) * 3, (x, 0, x + 1, 6))
    heat = heat_map(GREY, other)
    assert (heat.size, heat.mode) == (GREY.size, "RGB")
    brightness = np.asarray(heat.convert("L"))[0, :5].astype(int)
    assert brightness[0] < 5
    assert all(np.diff(brightness[:4]) > 10)
    assert brightness[3] == brightness[4]  # as hot as it gets


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"sizes \(8, 6\) and \(6, 8\)"):
        heat_map(GREY, GREY.transpose(Image.Transpose.ROTATE_90))


def test_a_film_has_all_its_frames_and_repeats():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    data = film((Image.new("RGB", (16, 12), colour) for colour in colours), seconds=1.5)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.n_frames) == ("WEBP", (16, 12), 3)
        assert image.info["loop"] == 0
        for i, colour in enumerate(colours):
            image.seek(i)
            image.load()
            assert image.info["duration"] == 500
            assert np.abs(np.asarray(image.convert("RGB"))[6, 8].astype(int) - colour).max() < 12


def test_a_film_may_be_grey():
    with Image.open(io.BytesIO(film([Image.new("L", (9, 9), 50), Image.new("L", (9, 9), 200)], seconds=1))) as image:
        assert image.n_frames == 2
