"""What the page does, without a page."""

import dataclasses
from pathlib import Path

import pytest
import torch
from app_server import write_photo
from PIL import Image

from unit import UNIT, UNITConfig
from unit.demo.service import SIDE, DemoService, Face, UploadedImage, UserError, face_at, noise
from unit.pipeline import Translator

TO_WINTER, TO_SUMMER = "summer → winter", "winter → summer"


@pytest.fixture(scope="module")
def service(tiny_checkpoint: Path) -> DemoService:
    """Seasons, and a model of faces."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        faces = UNIT(UNITConfig(dim=4, n_res=1, domain_a="cat", domain_b="dog", aligned=True, image_size=32))
    return DemoService({"seasons": Translator.from_pretrained(tiny_checkpoint), "faces": Translator(faces)})


@pytest.fixture
def upload(tmp_path: Path) -> UploadedImage:
    return UploadedImage(str(write_photo(tmp_path / "photo.png", (123, 77))), "photo")


@pytest.fixture
def encodings(monkeypatch) -> list[tuple]:
    """What the models were asked to encode."""
    asked: list[tuple] = []
    encode = Translator.encode
    monkeypatch.setattr(Translator, "encode", lambda self, *given: asked.append(given) or encode(self, *given))
    return asked


def test_a_photo_is_encoded_once_for_each_domain(service, upload, encodings, tmp_path):
    copy = UploadedImage(str(tmp_path / "copy.png"), "copy")
    Path(copy.path).write_bytes(Path(upload.path).read_bytes())
    service = DemoService(service.models)  # with nothing seen yet
    request = service.request(upload, TO_WINTER, "seasons")
    first = request.latent()
    request.draw("winter", temperature=1, seed=1)
    assert service.request(copy, TO_WINTER, "seasons").latent() is first  # its contents count, not its name
    assert len(encodings) == 1
    flipped = service.request(upload, TO_SUMMER, "seasons")
    assert flipped.latent() is request.latent("winter")  # the other way round was drawn before anybody asked
    assert request.fitted((40, 40)).size == (40, 40)
    assert len(encodings) == 3


def test_what_is_looked_at_is_small_and_the_full_resolution_is_not(service, tmp_path):
    upload = UploadedImage(str(write_photo(tmp_path / "large.png", (1030, 515))), "large")
    request = service.request(upload, TO_WINTER, "seasons")
    assert request.picture().size == request.look().size == request.draw("winter").size == (SIDE, SIDE // 2)
    *steps, picture = request.full(put_back=False)
    assert steps[-1] == (len(steps), len(steps))
    assert picture.size == (1030, 515)


def test_a_photo_that_was_cleared_away_gets_one_sentence(service, tmp_path):
    with pytest.raises(UserError, match=r"This photo is no longer here: please add it again\."):
        service.request(UploadedImage(str(tmp_path / "gone.png"), "gone"), TO_WINTER, "seasons").latent()


def test_a_model_of_faces_is_shown_the_face(service, upload):
    whole = service.request(upload, "cat → dog", "faces")
    assert whole.picture().size == (77, 77)  # no face in a gradient: the middle
    face = Face(across=0.25, down=0.5, side=0.5)
    request = service.request(upload, "cat → dog", "faces", face)
    assert request.picture().size == (38, 38)
    assert request.latent() is not whole.latent()
    photo = Image.open(upload.path)
    drawn = request.put_back(Image.new("RGB", (38, 38), "red"), photo)
    assert drawn.size == photo.size
    assert drawn.getpixel((31, 38)) == (255, 0, 0)
    assert drawn.getpixel((100, 38)) == photo.getpixel((100, 38))
    *_, full = request.full(put_back=True)
    assert full.size == photo.size
    assert service.request(upload, TO_WINTER, "seasons", face).face is None  # a landscape has none


def test_a_face_is_in_the_same_place_of_a_smaller_copy():
    face = Face(across=0.75, down=0.5, side=0.25)
    large, small = (face.box(Image.new("RGB", size)) for size in ((1200, 800), (600, 400)))
    assert [round(a / b) for a, b in zip(large, small, strict=True)] == [2, 2, 2]


@pytest.mark.parametrize("bad", [{"across": 101}, {"down": -1}, {"side": 0}, {"side": "x"}, {"across": None}])
def test_a_face_that_is_nowhere(bad):
    with pytest.raises(UserError, match="must be a number from"):
        face_at(**{"across": 50, "down": 50, "side": 50, **bad})


def test_noise_is_what_the_translator_takes():
    assert noise(1, 8, 3) == {"temperature": 1, "grain": 8, "seed": 3}
    assert noise(0.5, 8.0, 3.0) == {"temperature": 0.5, "grain": 8, "seed": 3}


def test_no_memory_is_one_sentence(service, upload, monkeypatch, caplog):
    def fail(*given, **settings):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: /srv/x")

    monkeypatch.setattr(Translator, "decode", fail)
    request = service.request(upload, TO_WINTER, "seasons")
    with pytest.raises(UserError, match=r"^There is not enough memory for this picture: please try a smaller one\.$"):
        request.draw("winter")
    assert caplog.messages == [
        "RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: /srv/x"
    ]


def test_a_photo_that_does_not_fit_in_memory_is_not_called_damaged(upload, monkeypatch):
    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", no_memory)
    with pytest.raises(UserError, match=r"^There is not enough memory for this picture"):
        upload.opened()


def test_a_view_is_a_value(service, upload):
    request = service.request(upload, TO_WINTER, None)
    assert request == service.request(upload, TO_WINTER, "seasons")
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.target = "summer"
