"""Squares without black corners."""

import pytest
from PIL import Image, ImageDraw

from train.tools.crop_squares import main, square


def photo(border: int, size: tuple[int, int] = (60, 80)) -> Image.Image:
    """Grey, with `border` black pixels all round."""
    image = Image.new("RGB", size)
    ImageDraw.Draw(image).rectangle((border, border, size[0] - border - 1, size[1] - border - 1), fill="grey")
    return image


@pytest.mark.parametrize(("border", "side"), [(0, 60), (1, 50), (6, 40), (20, None)])
def test_the_largest_square_that_is_not_black(border, side):
    found = square(photo(border), [60, 50, 40])
    assert (found and found.size) == (side and (side, side))


def test_a_square_is_centred():
    image = photo(0, (61, 81))
    image.putpixel((30, 40), (255, 0, 0))
    assert square(image, [61]).getpixel((30, 30)) == (255, 0, 0)
    assert square(image, [100]) is None


def test_folders(tmp_path, capsys):
    for folder, borders in {"trainA": (0, 20), "testA": (0, 20), "other": (0,)}.items():
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for border in borders:
            photo(border).save(tmp_path / "photos" / folder / f"{border}.png")
    (tmp_path / "photos" / "testA" / "bad.png").write_text("no picture")
    assert main([str(tmp_path / "photos"), str(tmp_path / "squares"), "--sides", "60", "40"]) == 0
    sizes = {
        str(p.relative_to(tmp_path / "squares")): Image.open(p).size for p in (tmp_path / "squares").rglob("*.png")
    }
    assert sizes == {"trainA/0.png": (60, 60), "testA/0.png": (60, 60), "testA/20.png": (40, 40)}
    told = capsys.readouterr()
    assert "trainA: 1 of 2 photos kept" in told.out
    assert "testA: bad.png is not a picture" in told.err
    assert main([str(tmp_path), str(tmp_path / "squares"), "--sides", "60"]) == 1
    assert "has none of trainA, trainB, testA, testB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "sides", "said"),
    [
        ("photos", "60", "would take the place of the photos"),
        ("squares", "-5", "a side is 1 pixel or more"),
        ("file", "60", "cannot be made"),
        ("squares", "60", "would both become"),
    ],
)
def test_no_photo_is_lost(tmp_path, capsys, target, sides, said):
    """To a square in its place, or to one of the same name."""
    (tmp_path / "photos" / "trainA" / "more").mkdir(parents=True)
    (tmp_path / "file").touch()
    names = ["a.png", "more/a.png"] + ["a.bmp"] * (said == "would both become")
    for name in names:
        photo(0).save(tmp_path / "photos" / "trainA" / name)
    assert main([str(tmp_path / "photos"), str(tmp_path / target), f"--sides={sides}"]) == 1
    assert said in capsys.readouterr().err
    assert Image.open(tmp_path / "photos" / "trainA" / "a.png").size == (60, 80)


def test_folders_in_folders(tmp_path):
    (tmp_path / "photos" / "trainA" / "more").mkdir(parents=True)
    for name in ("a.png", "more/a.png"):
        photo(0).save(tmp_path / "photos" / "trainA" / name)
    assert main([str(tmp_path / "photos"), str(tmp_path / "squares"), "--sides", "60"]) == 0
    assert len(list((tmp_path / "squares" / "trainA").rglob("*.png"))) == 2


def test_a_full_disk_is_one_sentence(tmp_path, capsys, monkeypatch):
    (tmp_path / "photos" / "trainA").mkdir(parents=True)
    photo(0).save(tmp_path / "photos" / "trainA" / "a.png")

    def no_room(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("train.tools.crop_squares.write_atomic", no_room)
    assert main([str(tmp_path / "photos"), str(tmp_path / "squares"), "--sides", "60"]) == 1
    assert "a.png cannot be written (No space left on device)" in capsys.readouterr().err
