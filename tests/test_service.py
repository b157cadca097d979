"""What the page does, without a page."""

import dataclasses
from pathlib import Path

import pytest
import torch
from app_server import write_photo
from PIL import Image

from unit import UNIT, UNITConfig
from unit.demo.service import SIDE, Face, Mistake, Studio, Upload, face_at, noise
from unit.pipeline import Translator

TO_WINTER, TO_SUMMER = "summer → winter", "winter → summer"


@pytest.fixture(scope="module")
def studio(tiny_checkpoint: Path) -> Studio:
    """Seasons, and a model of faces."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        faces = UNIT(UNITConfig(dim=4, n_res=1, domain_a="cat", domain_b="dog", aligned=True, image_size=32))
    return Studio({"seasons": Translator.from_pretrained(tiny_checkpoint), "faces": Translator(faces)})


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    return Upload(str(write_photo(tmp_path / "photo.png", (123, 77))), "photo")


@pytest.fixture
def encodings(monkeypatch) -> list[tuple]:
    """What the models were asked to encode."""
    asked: list[tuple] = []
    encode = Translator.encode
    monkeypatch.setattr(Translator, "encode", lambda self, *given: asked.append(given) or encode(self, *given))
    return asked


def test_a_photo_is_encoded_once_for_each_domain(studio, upload, encodings, tmp_path):
    copy = Upload(str(tmp_path / "copy.png"), "copy")
    Path(copy.path).write_bytes(Path(upload.path).read_bytes())
    studio = Studio(studio.models)  # with nothing seen yet
    view = studio.view(upload, TO_WINTER, "seasons")
    first = view.latent()
    view.draw("winter", temperature=1, seed=1)
    assert studio.view(copy, TO_WINTER, "seasons").latent() is first  # its contents count, not its name
    assert len(encodings) == 1
    flipped = studio.view(upload, TO_SUMMER, "seasons")
    assert flipped.latent() is view.latent("winter")  # the other way round was drawn before anybody asked
    assert view.fitted((40, 40)).size == (40, 40)
    assert len(encodings) == 3


def test_what_is_looked_at_is_small_and_the_full_resolution_is_not(studio, tmp_path):
    upload = Upload(str(write_photo(tmp_path / "large.png", (1030, 515))), "large")
    view = studio.view(upload, TO_WINTER, "seasons")
    assert view.picture().size == view.look().size == view.draw("winter").size == (SIDE, SIDE // 2)
    *steps, picture = view.full(put_back=False)
    assert steps[-1] == (len(steps), len(steps))
    assert picture.size == (1030, 515)


def test_a_photo_that_was_cleared_away_gets_one_sentence(studio, tmp_path):
    with pytest.raises(Mistake, match=r"This photo is no longer here: please add it again\."):
        studio.view(Upload(str(tmp_path / "gone.png"), "gone"), TO_WINTER, "seasons").latent()


def test_a_model_of_faces_is_shown_the_face(studio, upload):
    whole = studio.view(upload, "cat → dog", "faces")
    assert whole.picture().size == (77, 77)  # no face in a gradient: the middle
    face = Face(across=0.25, down=0.5, side=0.5)
    view = studio.view(upload, "cat → dog", "faces", face)
    assert view.picture().size == (38, 38)
    assert view.latent() is not whole.latent()
    photo = Image.open(upload.path)
    drawn = view.put_back(Image.new("RGB", (38, 38), "red"), photo)
    assert drawn.size == photo.size
    assert drawn.getpixel((31, 38)) == (255, 0, 0)
    assert drawn.getpixel((100, 38)) == photo.getpixel((100, 38))
    *_, full = view.full(put_back=True)
    assert full.size == photo.size
    assert studio.view(upload, TO_WINTER, "seasons", face).face is None  # a landscape has none


def test_a_face_is_in_the_same_place_of_a_smaller_copy():
    face = Face(across=0.75, down=0.5, side=0.25)
    large, small = (face.box(Image.new("RGB", size)) for size in ((1200, 800), (600, 400)))
    assert [round(a / b) for a, b in zip(large, small, strict=True)] == [2, 2, 2]


@pytest.mark.parametrize("bad", [{"across": 101}, {"down": -1}, {"side": 0}, {"side": "x"}, {"across": None}])
def test_a_face_that_is_nowhere(bad):
    with pytest.raises(Mistake, match="must be a number from"):
        face_at(**{"across": 50, "down": 50, "side": 50, **bad})


def test_noise_is_what_the_translator_takes():
    assert noise(1, 8, 3) == {"temperature": 1, "grain": 8, "seed": 3}
    assert noise(0.5, 8.0, 3.0) == {"temperature": 0.5, "grain": 8, "seed": 3}


def test_no_memory_is_one_sentence(studio, upload, monkeypatch, capsys):
    def fail(*given, **settings):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: /srv/x")

    monkeypatch.setattr(Translator, "decode", fail)
    view = studio.view(upload, TO_WINTER, "seasons")
    with pytest.raises(Mistake, match=r"^There is not enough memory for this picture: please try a smaller one\.$"):
        view.draw("winter")
    assert "alloc_cpu" in capsys.readouterr().err


def test_a_photo_that_does_not_fit_in_memory_is_not_called_damaged(upload, monkeypatch):
    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", no_memory)
    with pytest.raises(Mistake, match=r"^There is not enough memory for this picture"):
        upload.opened()


def test_a_view_is_a_value(studio, upload):
    view = studio.view(upload, TO_WINTER, None)
    assert view == studio.view(upload, TO_WINTER, "seasons")
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.target = "summer"
