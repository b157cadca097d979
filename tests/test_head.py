"""What browsers, search engines and messengers are told of the page."""

import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import gradio as gr
import pytest
from app_server import write_photo
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from unit.demo import head
from unit.demo.files import PoliteBlocks
from unit.demo.i18n import CHINESE, ENGLISH

WAYS = {"seasons": ["summer → winter", "winter → summer"], '"><script>': ["a → b"]}
PAIR = {"model": "seasons", "direction": "summer → winter"}


class Tags(HTMLParser):
    """The elements of a document's head that say something of it: name -> all that is said."""

    def __init__(self, document: str):
        super().__init__()
        self.said: dict[str, list[str]] = {}
        self.title = self.language = ""
        self._in_title = False
        self.feed(document)

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in given}
        self._in_title = tag == "title"
        if tag == "html":
            self.language = attributes["lang"]
        if tag in ("meta", "link"):
            name = attributes.get("property") or attributes.get("name") or attributes.get("rel") or ""
            self.said.setdefault(name, []).append(attributes.get("content") or attributes.get("href") or "")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
            self._in_title = False

    def __getitem__(self, name: str) -> str:
        (value,) = self.said[name]  # once, for readers take the first, or the last
        return value


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pair")
    return str(write_photo(folder / "before.png")), str(write_photo(folder / "after.png", (90, 120)))


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], tuple[str, str]]:
    """Results of examples: none yet."""
    return {}


@pytest.fixture(scope="module")
def client(made) -> TestClient:
    """A page in two languages, as Gradio serves it."""
    with PoliteBlocks(title=head.NAME, analytics_enabled=False) as demo:
        gr.Markdown("hello")
    with demo.route(CHINESE.name, CHINESE.path):
        gr.Markdown("你好")
    settings = head.app_settings([ENGLISH, CHINESE], WAYS, lambda *way: made.get(way) or made.get(way[:2]))
    app = gr.mount_gradio_app(FastAPI(), demo, path="/", app_kwargs=settings, ssr_mode=False)
    return TestClient(app, base_url="http://page.test")


def of_picture(response) -> tuple[str, tuple[int, int]]:
    with Image.open(io.BytesIO(response.content)) as picture:
        return picture.format, picture.size


def test_the_page_tells_its_own_name_once_and_nothing_of_gradio(client):
    document = client.get("/").text
    tags = Tags(document)
    assert tags.title == tags["og:title"] == tags["twitter:title"] == "UNIT in the browser"
    assert tags["description"] == tags["og:description"] == tags["twitter:description"] == head.DESCRIPTION
    assert tags["og:url"] == tags["canonical"] == "http://page.test/"
    assert tags["og:locale"] == "en_US"
    assert not any("radio" in value for values in tags.said.values() for value in values)
    assert "window.gradio_config" in document  # the rest is as it was
    whole = client.get("/", headers={"accept-encoding": "identity"})
    assert len(whole.content) == int(whole.headers["content-length"])


def test_the_chinese_page_speaks_chinese(client):
    tags = Tags(client.get("/zh-tw").text)
    assert tags.language == "zh-TW"
    assert tags.title == "瀏覽器裡的 UNIT"
    assert "變成冬天" in tags["og:description"]
    assert tags["og:locale"] == "zh_TW"
    assert tags["og:url"] == "http://page.test/zh-tw"
    assert tags.said["alternate"] == ["http://page.test/", "http://page.test/zh-tw"]


def test_the_preview_is_a_picture_of_the_size_that_messengers_want(client):
    tags = Tags(client.get("/").text)
    assert tags["og:image"] == tags["twitter:image"] == "http://page.test/look/preview.jpg"
    response = client.get(tags["og:image"])
    assert response.headers["content-type"] == "image/jpeg"
    assert of_picture(response) == ("JPEG", (1200, 630))
    assert len(response.content) < 200_000
    assert (tags["og:image:width"], tags["og:image:height"]) == ("1200", "630")


def test_a_link_to_a_direction_is_about_that_and_shows_its_example(client, made, pair, tmp_path):
    tags = Tags(client.get("/", params=PAIR).text)
    assert tags.title == "summer → winter · UNIT in the browser"
    assert Tags(client.get("/zh-tw", params=PAIR).text).title == "夏天 → 冬天 · 瀏覽器裡的 UNIT"
    assert tags["og:url"] == "http://page.test/?model=seasons&direction=summer+%E2%86%92+winter"
    general = client.get("/look/preview.jpg").content
    assert client.get(tags["og:image"]).content == general  # until there is a result
    made["seasons", "summer → winter"] = before, after = tuple(shutil.copy(file, tmp_path) for file in pair)
    own = client.get(tags["og:image"])
    assert of_picture(own) == ("JPEG", (1200, 630))
    assert own.content != general
    Path(before).unlink()
    Path(after).unlink()
    assert client.get(tags["og:image"]).content == own.content  # kept
    made.clear()


def test_a_link_to_an_example_shows_that_and_another_photo_is_nobody_s_business(client, made, pair):
    made["seasons", "summer → winter"] = pair
    made["seasons", "summer → winter", "castle"] = pair[::-1]
    castle = Tags(client.get("/", params={**PAIR, "photo": "castle"}).text)
    assert castle["og:url"].endswith("&photo=castle")
    first = Tags(client.get("/", params=PAIR).text)
    assert client.get(castle["og:image"]).content != client.get(first["og:image"]).content
    for photo in ("../../secret", '"><script>'):
        tags = Tags(client.get("/", params={**PAIR, "photo": photo}).text)
        assert (tags["og:url"], tags["og:image"]) == (first["og:url"], first["og:image"])
    made.clear()


def test_browsers_ask_early_for_what_is_seen_first(client, made, pair):
    assert "preload" not in Tags(client.get("/").text).said
    made["seasons", "summer → winter"] = pair
    made["seasons", "winter → summer"] = pair[::-1]
    files = [f"http://page.test/gradio_api/file={path}" for path in pair]
    assert Tags(client.get("/").text).said["preload"] == files
    back = {**PAIR, "direction": "winter → summer"}
    assert Tags(client.get("/", params=back).text).said["preload"] == files[::-1]
    made.clear()


def test_the_document_is_compressed_for_those_who_can_read_that(client):
    whole = client.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in whole.headers
    short = client.get("/")
    assert short.headers["content-encoding"] == "gzip"
    assert int(short.headers["content-length"]) < len(whole.content) / 2


def test_results_that_have_been_cleared_away_are_no_error(client, made, tmp_path):
    back = {**PAIR, "direction": "winter → summer"}
    made["seasons", "winter → summer"] = (str(tmp_path / "gone.png"), str(tmp_path / "gone.png"))
    assert client.get("/look/pair.jpg", params=back).content == client.get("/look/preview.jpg").content


@pytest.mark.parametrize(
    "asked", [{"model": "seasons"}, {**PAIR, "direction": '"><script>alert(1)</script>'}, {**PAIR, "model": "elves"}]
)
def test_a_link_that_asks_for_what_there_is_not_is_a_link_to_the_page(client, asked):
    document = client.get("/", params=asked).text
    assert Tags(document).title == "UNIT in the browser"
    assert "<script>alert" not in document


def test_names_of_models_and_hosts_are_text(client):
    asked = {"model": '"><script>', "direction": "a → b"}
    for headers in ({}, {"host": 'x"><script>', "x-forwarded-host": 'x"><script>'}):
        document = client.get("/", params=asked, headers=headers).text
        assert re.search(r'<meta property="og:image" content="[^"<>]*" />', document)
        assert '"><script>' not in document.partition("</title>")[2].partition("window.gradio_config")[0]


def test_behind_the_proxy_of_a_space_addresses_are_those_that_visitors_see(client):
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "me-unit.hf.space"}
    for path in ("/", "/zh-tw"):
        assert Tags(client.get(path, headers=headers).text)["og:image"] == "https://me-unit.hf.space/look/preview.jpg"


def test_icons_are_served_and_nothing_else_is_changed(client):
    tags = Tags(client.get("/").text)
    assert client.get(tags["icon"]).headers["content-type"].startswith("image/svg+xml")
    assert of_picture(client.get(tags["apple-touch-icon"])) == ("PNG", (180, 180))
    assert client.get("/config").json()["title"] == "UNIT in the browser"
    assert client.get("/nothing/here").status_code == 404
    assert client.get("/look/../head.py").status_code == 404


def test_the_preview_shows_one_pair_as_the_slider_does_and_several_before_over_after():
    pair = Image.new("RGB", (50, 80), "red"), Image.new("RGB", (50, 80), "blue")

    def colour(pairs: int, x: int, y: int) -> str:
        with Image.open(io.BytesIO(head.preview([pair] * pairs))) as picture:
            red, _, blue = picture.getpixel((x, y))
        return "red" if red > 200 > 60 > blue else "blue" if blue > 200 > 60 > red else "neither"

    assert [colour(1, x, 50) for x in (300, 600, 900)] == ["red", "neither", "blue"]
    for x in (100, 500, 900):
        assert [colour(3, x, y) for y in (50, 315, 580)] == ["red", "neither", "blue"]
    assert colour(3, 400, 50) == "neither"


def test_pictures_of_the_page_have_their_origin_written_beside_them():
    readme = (head.LOOK / "README.md").read_text(encoding="utf-8")
    assert all(path.name in readme for path in Path(head.LOOK).iterdir() if path.name != "README.md")
