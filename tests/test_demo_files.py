"""The page's handlers, called as Gradio calls them."""

import functools
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from app_server import write_photo
from PIL import Image

import app
from unit.demo import zerogpu as zero
from unit.demo.assets import Example, PageAssets, css_string
from unit.demo.events import Turns, drawing, if_given, latest, only_if
from unit.demo.files import kept, own_folder, plain_name, renamed
from unit.demo.framed import Framed
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.page import Page
from unit.demo.photo_box import picture_of
from unit.demo.service import DemoService, UploadedImage, UserError
from unit.demo.strip import History
from unit.familiar import FEATURES, Familiar

pytest_plugins = ["app_server"]
TO_WINTER = "summer → winter"


def page_of(service: DemoService, words=ENGLISH) -> Page:
    with gr.Blocks() as demo:
        return Page(demo, service, words, PageAssets(service, [], "", dict.fromkeys(service.models)))


def settings_of(photo: dict[str, Any] | None, **others: Any) -> dict[str, Any]:
    """What the first two steps give to every handler that translates."""
    face = {"across": 50, "down": 50, "side": 100, "face_of": "", "square": True, "style_image": None}
    return {"photo": photo, "example": None, "way": f"seasons/{TO_WINTER}", **face, **others}


@pytest.fixture(scope="module")
def service(checkpoints: Path) -> DemoService:
    return DemoService(app.find_models(checkpoints, [])[0])


@pytest.fixture
def photo(tmp_path: Path) -> dict[str, Any]:
    """As the browser sends it."""
    path = write_photo(tmp_path / "photo.png")
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def trusted(monkeypatch) -> None:
    """Gradio takes a file for uploaded that lies where uploads do; here all are."""
    validate = gr.FileData.model_validate
    monkeypatch.setattr(gr.FileData, "model_validate", lambda photo, context=None: validate(photo))


class OtherProcess:
    """Stands in for the package `spaces`: what goes in and comes out is pickled, as between processes."""

    @staticmethod
    def GPU(fn: Callable[..., Any], duration: int) -> Callable[..., Any]:
        @functools.wraps(fn)
        def steps(*given: Any, **named: Any) -> Iterator[Any]:
            yield from map(sent, fn(*sent(given), **sent(named)))

        def sent(value: Any) -> Any:
            return pickle.loads(pickle.dumps(value))

        @functools.wraps(fn)
        def call(*given: Any, **named: Any) -> Any:
            return sent(fn(*sent(given), **sent(named)))

        return steps if inspect.isgeneratorfunction(fn) else call


def test_what_draws_can_do_so_in_another_process(service, photo, trusted, monkeypatch):
    monkeypatch.setattr(zero, "ON", True)
    monkeypatch.setattr(zero, "spaces", OtherProcess)
    page = page_of(service)
    result, settings = page.result, settings_of(photo)
    shown = drawing(result, result.show)(history=History(), **settings)
    assert set(shown) == set(result.shown)
    *_, full = drawing(result, result.show_full)(**settings)
    assert Path(full[result.full_download].value["path"]).name == "photo-winter-full.png"
    *_, both = drawing(page.both, page.both.show)(**settings)
    assert set(both) == set(page.both.shown)
    noise = {"temperature": 1, "grain": 8, "seed": 0}
    *_, variations = drawing(page.variations, page.variations.show)(**noise, **settings)
    captions = [caption for _, caption in variations[page.variations.gallery]]
    assert captions == [f"Variation {number}" for number in (1, 2, 3, 4)]
    assert variations[page.variations.styles] == []


def test_a_face_before_a_model_of_scenes_is_told_what_suits_it(service, photo, trusted):
    cat = {**photo, "path": str(app.CHECKPOINTS / "cat2dog" / "examples" / "Chelsea.jpg")}
    stream = {**photo, "path": str(app.CHECKPOINTS / "summer2winter" / "examples" / "forest-stream.jpg")}
    better = "There is the face of a cat or a dog in it: cat → dog or dog → cat is made for those."

    def says(given: dict[str, Any], service: DemoService, **others: Any) -> str:
        result, settings = page_of(service).result, settings_of(given, **others)
        return drawing(result, result.show)(history=History(), **settings)[result.note]

    assert says(cat, service).endswith(better)
    for told in (
        says(stream, service),
        says(cat, service, way="zoo/cat → dog"),
        says(cat, DemoService({"seasons": service.models["seasons"]})),  # where nothing suits it
    ):
        assert "made for those" not in told


@pytest.mark.parametrize(("limit", "told"), [(0.0, True), (1e9, False)])
def test_a_photo_of_another_kind_is_told_what_suits_the_model(service, photo, trusted, limit, told):
    page = page_of(service)
    known = Familiar(torch.zeros(1, FEATURES), torch.ones(FEATURES), torch.tensor(limit))
    page.result.controls.assets.familiar = {service.models["seasons"]: known}
    note = drawing(page.result, page.result.show)(history=History(), **settings_of(photo))[page.result.note]
    assert note.endswith("the examples show what suits it.") is told


@pytest.mark.parametrize("missing", [None, "", []])
def test_nothing_is_made_of_what_is_not_there(missing):
    """Zero is a seed."""
    again = if_given(lambda **named: named, "seed")
    assert again(seed=0, count=missing) == {"seed": 0, "count": missing}
    assert again(seed=missing, count=4) == gr.skip()


def test_what_decides_whether_something_is_made_is_not_handed_on():
    of_open = only_if(lambda **named: named, lambda named: named["open_tab"] == "film", "open_tab")
    assert of_open(open_tab="film", seed=0) == {"seed": 0}
    assert of_open(open_tab="both", seed=0) == gr.skip()


def test_an_answer_is_dropped_if_something_else_was_asked_for_meanwhile():
    """Be it an answer or a mistake. What is asked for later counts, in whatever order it comes to be answered."""
    turns = Turns()

    def overtaken(name: str) -> str:
        turns.next(1)
        if name == "bad":
            raise gr.Error(name)
        return name

    def mistaken() -> str:
        raise gr.Error("of now")

    assert latest(lambda name: name)(turns, 1, name="first") == "first"
    assert latest(overtaken)(turns, 1, name="second") == gr.skip()
    assert latest(lambda name: name)(turns, 1, name="late") == gr.skip()
    assert latest(lambda name: name)(turns, 5, name="fifth") == "fifth"
    assert latest(overtaken)(turns, 5, name="bad") == gr.skip()
    with pytest.raises(gr.Error, match="of now"):
        latest(mistaken)(turns, 9)


def test_what_was_made_of_an_example_is_made_once_for_all_visitors(service, checkpoints, tmp_path, monkeypatch):
    """Until its files have been cleared away. Of a visitor's photo nothing is remembered."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    photo = checkpoints / "seasons" / "examples" / "a-summer_meadow.jpg"
    example = Example(photo, "seasons", TO_WINTER, "Meadow")
    assets = PageAssets(service, [example], "", dict.fromkeys(service.models))
    made = []

    def make() -> Iterator[str]:
        made.append(kept(b"picture", f"{len(made)}.png"))
        yield made[-1]

    def files(upload: UploadedImage, *settings: Any) -> list[str]:
        framed = Framed.of(service.request(upload, TO_WINTER, "seasons"), put_back=False)
        *_, last = assets.steps("variations", framed, make, *settings)
        return last

    first = files(example.upload, 0)
    assert files(example.upload, 0) == first
    assert files(example.upload, 1) != first  # other noise
    Path(first[0]).unlink()
    assert files(example.upload, 0) != first
    assert len(made) == 3
    for _ in range(2):
        files(UploadedImage(str(write_photo(tmp_path / "own.png")), "own"), 0)
    assert len(made) == 5


def test_names_of_models_cannot_end_the_style_of_the_page(service, tmp_path):
    assert css_string('a"</style>\\é') == '"a\\22 \\3c \\2f style\\3e \\5c é"'


def test_mistakes_are_told_in_the_language_of_the_page(service):
    with pytest.raises(gr.Error, match="請先加入一張照片。"):
        page_of(service, CHINESE).result.show(history=History(), **settings_of(None))


@pytest.mark.parametrize("way", ["seasons/3", "zoo", None, [], {}], ids=str)
def test_a_way_that_there_is_not_is_one_sentence(service, photo, trusted, way):
    with pytest.raises(gr.Error, match=r"The direction is .*: choose seasons/summer → winter or"):
        page_of(service).result.show(history=History(), **settings_of(photo, way=way))


@pytest.mark.parametrize("suffix", ["tif", "ppm", "heic"])
def test_the_picture_of_a_photo_is_one_that_browsers_show(trusted, tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    path = write_photo(tmp_path / f"photo.{suffix}", (1280, 300))
    made = picture_of({"path": str(path), "orig_name": path.name})
    assert made["of"] == str(path)
    with Image.open(made["picture"]["path"]) as picture:
        assert (picture.format, picture.size) == ("PNG", (640, 150))


def test_of_a_photo_that_cannot_be_read_there_is_no_picture(trusted, tmp_path):
    (tmp_path / "bad.tif").write_text("no picture")
    assert picture_of({"path": str(tmp_path / "bad.tif")}) is None


def test_an_equal_file_is_not_written_again(tmp_path, monkeypatch):
    """While a browser reads the first: it would see half of it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first = Path(kept(b"picture", "a.png"))
    before = first.stat()
    assert kept(b"picture", "a.png") == str(first)
    assert first.stat().st_ino == before.st_ino
    assert first.stat().st_mtime_ns > before.st_mtime_ns  # it lives as long as a new one
    assert kept(b"other", "a.png") != str(first)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.png", "a.png"]


def test_folders_of_ended_processes_are_deleted_and_no_others(tmp_path, monkeypatch):
    """In a container the one before had the number that this one has."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stays = {f"unit-page-{os.getppid()}-a", "unit-page-mine-a", "unit-page-", "other"}
    for name in (*stays, f"unit-page-{os.getpid()}-a", f"unit-page-{ended.pid}-a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").touch()
    with own_folder() as folder:
        assert {path.name for path in tmp_path.iterdir()} == {*stays, folder.name}
        assert kept(b"picture", "a.png").startswith(str(folder.resolve()))
    assert {path.name for path in tmp_path.iterdir()} == stays


def test_where_uploads_cannot_be_kept_it_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file"))
    with pytest.raises(SystemExit, match="set GRADIO_TEMP_DIR to one that can be written to"), own_folder():
        pass


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr("unit.demo.files.write_atomic", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(UserError, match="The server has no room for the result"):
        kept(b"picture", "a.png")
    (line,) = caplog.messages
    assert line.startswith(str(tmp_path))
    assert line.endswith("a.png: [Errno 28] No space left")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("garden.jpg", "garden"),
        ("花園 (2).jpg", "花園 (2)"),
        (f"{'a' * 300}.jpg", "a" * 50),
        (f"{'漢' * 300}.jpg", "漢" * 33),  # three bytes each
        ("..", "file"),
        (".hidden.png", "hidden"),
        ('a/b<>:"|?*\n.png', "b"),
        ("a\ud800b.png", "ab"),
        ("con.png", "_con"),  # which Windows keeps for itself
    ],
    ids=ascii,
)
def test_results_are_called_after_the_photo_as_far_as_that_is_a_legal_name(file, name):
    assert plain_name(file) == name


@pytest.mark.parametrize("domain", ["day/night", "漢" * 300, "a:b"], ids=ascii)
def test_a_result_has_a_legal_name_whatever_its_domain_is_called(tmp_path, monkeypatch, domain):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = Path(kept(b"picture", f"{plain_name('漢' * 300)}-{domain}.png"))
    assert path.suffix == ".png"
    assert path.name.startswith("漢" * 33 + "-")
    assert len(path.name.encode()) <= 255
    assert not set('/:"') & set(path.name)


def test_the_longest_names_of_photos_and_domains_are_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = Path(kept(b"picture", f"{'雪' * 50}-{'夜' * 40}-full.jpg"))
    assert path.read_bytes() == b"picture"
    assert path.name.startswith("雪" * 50)
    assert path.suffix == ".jpg"


def test_a_file_has_another_name_for_a_download(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first = kept(b"a picture", "photo-winter.png")
    other = renamed(first, "photo-變冬天")
    assert Path(other).name == "photo-變冬天.png"
    assert Path(other).read_bytes() == b"a picture"
    assert renamed(first, "photo-winter") == first
    Path(first).unlink()
    with pytest.raises(UserError, match="no longer here"):
        renamed(first, "photo-變冬天")
