"""Styles: of an example or of a seed, in the library, on the command line and on the page."""

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from app_server import serve
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from page_parts import opened
from PIL import Image, ImageChops, ImageSequence
from playwright.sync_api import Browser, Locator, Page, expect

from unit import UNIT, Sampling, Translator, UNITConfig, save_pretrained
from unit.cli import main
from unit.demo.assets import PageAssets
from unit.demo.i18n import ENGLISH
from unit.demo.page import Page as PageParts
from unit.demo.service import DemoService, UserError, style_text
from unit.demo.strip import History
from unit.images import ImageError
from unit.models import MUNIT, MUNITConfig

pytest_plugins = ["app_server", "browser"]
expect.set_options(timeout=30_000)  # the machine may be busy
RED, BLUE = (250, 20, 30), (20, 30, 250)


def photo(colour: tuple[int, int, int], size: tuple[int, int] = (40, 32)) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", [ramp.point(lambda v, c=c: (v + c) // 2) for c in colour])


def untrained() -> MUNIT:
    """Weights that no block starts with: each heeds its style, and changes what it is given."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = MUNIT(MUNITConfig(dim=4, n_res=1, mlp_dim=8, image_size=32, domain_a="cat", domain_b="dog"))
        for name, p in net.named_parameters():
            p.add_((0.4 if "affine" in name or "mlp" in name else 0.1) * torch.randn(p.shape))
    return net


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a model with styles, in a folder of its own. Do not write to it."""
    folder = tmp_path_factory.mktemp("styled") / "pets"
    save_pretrained(untrained(), folder, dtype=torch.float32)
    return folder


@pytest.fixture(scope="module")
def translator(pets: Path) -> Translator:
    return Translator.from_pretrained(pets, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def without() -> Translator:
    """A model that has no styles."""
    return Translator(UNIT(UNITConfig(dim=4, n_res=1, domain_a="cat", domain_b="dog")), "cpu")


@pytest.mark.parametrize("target", ["cat", "dog"])
def test_the_style_of_an_example_is_encoded_once_for_many_photos(translator: Translator, target: str) -> None:
    image, red, blue = photo((90, 120, 40)), photo(RED, (50, 38)), photo(BLUE)
    style = translator.encode_style(red, target)
    followed = translator.translate(image, target, Sampling(style_image=red))
    assert translator.translate(image, target, Sampling(style=style)) == followed
    assert translator.translate(image, target, Sampling(style_image=blue)) != followed
    assert followed != translator.translate(image, target)
    assert style != translator.encode_style(red, "cat" if target == "dog" else "dog")  # each domain has its own


def test_a_seed_is_the_style_that_noise_of_that_seed_has(translator: Translator) -> None:
    image, style = photo(RED), translator.sample_style(5)
    assert len(style) == 8
    assert translator.sample_style(5) == style != translator.sample_style(6)
    assert translator.sample_style() != translator.sample_style()
    assert translator.translate(image, "dog", Sampling(style=style)) == translator.translate(
        image, "dog", Sampling(1, seed=5)
    )


def test_an_example_too_large_to_be_looked_at_whole_is_looked_at_smaller(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unit.pipeline.max_tile", lambda config: 32)
    large = photo(RED, (96, 64))
    assert translator.encode_style(large, "dog") == translator.encode_style(large.resize((32, 21), 3), "dog")


def test_what_cannot_be_a_style_is_one_sentence(translator: Translator, without: Translator, tmp_path: Path) -> None:
    image = photo(RED)
    assert translator.has_styles
    assert not without.has_styles
    for ask in (
        lambda: without.translate(image, "dog", Sampling(style_image=image)),
        lambda: without.translate(image, "dog", Sampling(style=(0.0,) * 8)),
        lambda: without.encode_style(image, "dog"),
        without.sample_style,
    ):
        with pytest.raises(ValueError, match="this model has no styles: leave the style out"):
            ask()
    with pytest.raises(ValueError, match="a style of this model is 8 numbers, and this one 3"):
        translator.translate(image, "dog", Sampling(style=(1.0, 2.0, 3.0)))
    with pytest.raises(ValueError, match="style_image and style contradict each other: leave out one"):
        Sampling(style_image=image, style=(0.0,) * 8)
    with pytest.raises(ValueError, match="a style of this model is 8 numbers, and this one has others: they must be"):
        translator.translate(image, "dog", Sampling(style=(float("nan"),) * 8))
    with pytest.raises(ValueError, match="this model has no styles: leave the style out"):
        print(without.mean_style)
    (tmp_path / "note.jpg").write_text("no picture")
    for path, sentence in (("nowhere.jpg", "There is no file"), (tmp_path / "note.jpg", "is not a picture")):
        with pytest.raises(ImageError, match=sentence):
            translator.translate(image, "dog", Sampling(style_image=path))
        with pytest.raises(ImageError, match=sentence):
            translator.encode_style(path, "dog")


# ---- the command line


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an album of two photos and an example."""
    monkeypatch.chdir(tmp_path)
    Path("cats").mkdir()
    photo((90, 120, 40)).save("cats/one.png")
    photo((20, 60, 140)).save("cats/two.png")
    photo(RED, (50, 38)).save("rex.png")
    return tmp_path


def files(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_an_album_follows_one_example(
    here: Path, pets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoded: list[object] = []
    encode_style = Translator.encode_style
    monkeypatch.setattr(
        Translator, "encode_style", lambda self, *given: encoded.append(given) or encode_style(self, *given)
    )
    command = ["translate", "cats", "--to", "dog", "--style", "rex.png", "-o", "dogs", "--model", str(pets)]
    assert main(command) == 0
    assert len(encoded) == 1
    expected = Translator.from_pretrained(pets).translate("cats/two.png", "dog", Sampling(style_image="rex.png"))
    assert Image.open("dogs/two.png").tobytes() == expected.tobytes()
    assert main(command) == 0
    assert "0 of 2 drawn, 2 were there already" in capsys.readouterr().out
    photo(BLUE).save("rex.png")  # another example: what is there is of the first
    assert main(command) == 0
    assert "2 of 2 drawn" in capsys.readouterr().out
    assert Image.open("dogs/two.png").tobytes() != expected.tobytes()


def test_many_styles_of_a_photo_are_as_many_files(here: Path, pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def command(count: int) -> list[str]:
        return ["translate", "cats", "--to", "dog", "--styles", str(count), "-o", "dogs", "--model", str(pets)]

    assert main(command(2)) == 0
    assert files("dogs") == ["one_style_1.png", "one_style_2.png", "two_style_1.png", "two_style_2.png"]
    translator = Translator.from_pretrained(pets)
    for name in ("one", "two"):
        expected = translator.translate(f"cats/{name}.png", "dog", Sampling(1, seed=1))
        assert Image.open(f"dogs/{name}_style_2.png").tobytes() == expected.tobytes()
    capsys.readouterr()
    assert main(command(3)) == 0  # one more of each
    assert "2 of 6 drawn, 4 were there already" in capsys.readouterr().out
    assert main([*command(1), "--seed", "1"]) == 0
    assert Image.open("dogs/two_style_1.png").tobytes() == Image.open("dogs/two_style_2.png").tobytes()


def test_what_cannot_be_a_style_is_one_line(
    here: Path, pets: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("note.jpg").write_text("no picture")

    def said(*options: str, model: Path = pets, to: str = "dog", status: int) -> str:
        assert main(["translate", "cats", "--to", to, *options, "--model", str(model)]) == status
        return capsys.readouterr().err

    out = ["-o", "dogs"]
    assert said("--style", "nowhere.jpg", *out, status=1) == "There is no file nowhere.jpg.\n"
    assert said("--style", "note.jpg", *out, status=1).startswith("note.jpg is not a picture this program can read")
    seasons = {"model": tiny_checkpoint, "to": "winter"}
    for option, value in (("--style", "rex.png"), ("--styles", "2")):
        assert said(option, value, *out, **seasons, status=2) == f"this model has no styles: leave out {option}.\n"
    both = said("--style", "rex.png", "--styles", "2", *out, status=2)
    assert both == "--style and --styles contradict each other: leave out one.\n"
    assert said("--styles", "0", *out, status=2).strip().endswith("must be 1 or more.")
    one = said("--styles", "2", "-o", "dog.png", status=2)
    assert one == "-o dog.png is one file, and --styles makes several: name a folder.\n"
    assert not Path("dogs").exists() or files("dogs") == []
    for command in ("sample", "interpolate"):  # they follow no style
        words = ["cats/one.png", "cats/two.png", "--to", "dog"] if command == "interpolate" else []
        assert main([command, *words, "--style", "rex.png", *out, "--model", str(pets)]) == 2
        said_of = "unrecognized arguments: --style rex.png. --help lists those there are.\n"
        assert capsys.readouterr().err == said_of
    photo(RED).save("cats/rex.png")
    kept = Path("rex.png").read_bytes()
    main(["translate", "cats/rex.png", "--to", "dog", "--style", "rex.png", "-o", ".", "--model", str(pets)])
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert Path("rex.png").read_bytes() == kept


# ---- the page and its API


@pytest.fixture(scope="module")
def styled_url(pets: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page of a model that has styles, with an example photo, and of one that has none."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(pets, folder / "checkpoints" / "pets")
    shutil.copytree(tiny_checkpoint, folder / "checkpoints" / "seasons")
    (folder / "checkpoints" / "pets" / "examples").mkdir()
    photo((90, 120, 40), (96, 72)).save(folder / "checkpoints" / "pets" / "examples" / "cat-tom.jpg")
    with serve(folder / "checkpoints", folder) as (url, _):
        yield url


@pytest.fixture(scope="module")
def client(styled_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(styled_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def test_programs_follow_an_example_or_a_seed(client: Client, translator: Translator, tmp_path: Path) -> None:
    image, red = tmp_path / "cat.png", tmp_path / "rex.png"
    photo((90, 120, 40)).save(image)
    photo(RED).save(red)
    note = tmp_path / "note.jpg"
    note.write_text("no picture")

    def asked(direction: str = "cat → dog", model: str = "pets", **settings: object) -> Image.Image:
        file = client.predict(
            image=handle_file(image), direction=direction, model=model, **settings, api_name="/translate"
        )
        return Image.open(file)

    def same(one: Image.Image, other: Image.Image) -> bool:
        """Equal but for rounding: weights may be in bfloat16 there."""
        return max(high for _, high in ImageChops.difference(one, other).getextrema()) <= 8

    followed, seeded = asked(style_image=handle_file(red)), asked(style_seed=3)
    assert same(followed, translator.translate(image, "dog", Sampling(style_image=red)))
    assert same(seeded, translator.translate(image, "dog", Sampling(1, seed=3)))
    assert not same(followed, asked())
    assert not same(seeded, asked())
    back = asked("dog → cat", style_image=handle_file(red))
    assert same(back, translator.translate(image, "cat", Sampling(style_image=red)))
    for settings, sentence in (
        ({"style_seed": 3, "style_image": handle_file(red)}, "style_seed and style_image contradict each other"),
        ({"style_image": handle_file(note)}, "note.jpg is not a picture this program can read"),
        ({"style_seed": -1}, "Seed must be a number from 0"),
        ({"model": "seasons", "direction": "summer → winter", "style_seed": 3}, "This model has no styles"),
        ({"model": "seasons", "direction": "summer → winter", "style_image": handle_file(red)}, "has no styles"),
    ):
        with pytest.raises(AppError, match=sentence):
            asked(**settings)  # type: ignore[arg-type]


def test_programs_are_told_which_models_have_styles(client: Client) -> None:
    assert {model["name"]: model["style_dim"] for model in client.predict(api_name="/models")} == {
        "pets": 8, "seasons": None,
    }  # fmt: skip


def test_programs_give_no_style_where_it_makes_no_sense(client: Client, tmp_path: Path) -> None:
    """A photo is reconstructed with its own style."""
    image = tmp_path / "cat.png"
    photo(RED).save(image)
    with pytest.raises(TypeError, match="style_seed"):
        client.predict(image=handle_file(image), domain="cat", model="pets", style_seed=3, api_name="/reconstruct")


def test_what_the_page_cannot_do_with_a_style_is_one_sentence(pets: Path, tiny_checkpoint: Path) -> None:
    """As a handler is told it by a browser that was tampered with, and where there is nothing to keep or to go to."""
    service = DemoService({path.name: Translator.from_pretrained(path) for path in (pets, tiny_checkpoint)})
    with gr.Blocks() as demo:
        page = PageParts(demo, service, ENGLISH, PageAssets(service, [], "", dict.fromkeys(service.models)))
    settings: dict[str, Any] = dict.fromkeys(page.controls.settings) | {"way": "pets/cat → dog"}
    sentence = "A style of this model is 8 numbers: please choose another one."
    for style in ("1,2,3", "a", [1.0] * 8, ",".join(["nan"] * 8), ",".join(["1e9"] * 8)):
        with pytest.raises(UserError, match=sentence):
            service.written_style(style, "pets")
    with pytest.raises(UserError, match="This model has no styles: leave the style out"):
        service.written_style("1,2,3", "seasons")
    with pytest.raises(gr.Error, match="Please add a photo first"):
        page.styles.keep(history=History(), kept=(), **settings)
    assert page.asked_style({"style": "1,2,3"}, "pets") == page.asked_style({"style_seed": "x"}, "pets") == ""
    assert page.asked_style({"style_seed": "3"}, "seasons") == ""
    assert page.asked_style({"style": "0,0,0,0,0,0,0,1"}, "pets") == "0,0,0,0,0,0,0,1"


def chosen(page: Page) -> str:
    return page.locator("#chosen_style").locator("textarea, input").first.input_value()


def shown(page: Page, before: str | None = None) -> str:
    """The address of the result, once it is another than before."""
    result = page.locator("#before_after img.after")
    if before:
        expect(result).not_to_have_attribute("src", before)
    expect(page.locator("#before_after .frame")).to_have_attribute("aria-busy", "false")
    return result.get_attribute("src") or ""


def pictures(page: Page, elem_id: str) -> Locator:
    return page.locator(f"#{elem_id} button").filter(has=page.locator("img"))


def fetched(page: Page, address: str) -> Image.Image:
    return Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB")


def seen_at(film: Image.Image, milliseconds: float) -> Image.Image:
    """What a film shows then. Frames that are alike are one in the file, for as long as all of them."""
    ends = 0
    for frame in ImageSequence.Iterator(film):
        frame.load()  # only then its duration is known
        ends += frame.info["duration"]
        if milliseconds < ends:
            return frame.convert("RGB")
    pytest.fail(f"it ends after {ends} ms")


def close(one: Image.Image, other: Image.Image) -> bool:
    """Equal but for rounding: weights may be in bfloat16 there."""
    return max(high for _, high in ImageChops.difference(one, other).getextrema()) <= 8  # type: ignore[misc]


@pytest.fixture
def page(browser: Browser, styled_url: str) -> Iterator[Page]:
    """The page of the model with styles, which shows them."""
    with opened(browser, styled_url, "#before_after img.after", viewport={"width": 1280, "height": 1000}) as page:
        page.locator("#way").get_by_role("radio", name="cat → dog", exact=True).check(force=True)
        expect(pictures(page, "gallery")).to_have_count(8, timeout=60_000)
        shown(page)
        yield page


@pytest.mark.slow
def test_a_chosen_style_is_that_of_full_resolution_undo_and_link(
    page: Page, browser: Browser, translator: Translator, styled_url: str, tmp_path: Path
) -> None:
    mean = shown(page)
    pictures(page, "gallery").nth(3).click()
    third = shown(page, mean)
    assert chosen(page) == style_text(translator.sample_style(3))
    page.locator("#full").click()
    with page.expect_download() as download:
        page.locator("#full_download").click()
    full = Image.open(download.value.path()).convert("RGB")
    cat = photo((90, 120, 40), (96, 72))
    cat.save(tmp_path / "cat.jpg")
    assert close(full, translator.translate(tmp_path / "cat.jpg", "dog", Sampling(style=translator.sample_style(3))))
    assert not close(full, translator.translate(tmp_path / "cat.jpg", "dog"))
    assert close(full, fetched(page, third))

    page.get_by_role("tab", name="About this model").click()
    page.locator("#link").click()
    link = page.locator("#link_text").locator("textarea, input").first
    expect(link).to_have_value(re.compile(r"[?&]style_seed=3\b"))
    for query in (link.input_value().partition("?")[2], "model=pets&direction=cat → dog&style=1,2,3"):
        with opened(browser, styled_url, "#before_after img.after", f"/?{query}") as other:
            expect(pictures(other, "gallery")).to_have_count(8, timeout=60_000)
            assert chosen(other) == (chosen(page) if "style_seed" in query else "")  # three numbers are no style
            assert close(fetched(other, shown(other)), fetched(page, third if "style_seed" in query else mean))

    pictures(page, "gallery").nth(6).click()
    sixth = shown(page, third)
    page.locator("#undo").click()
    shown(page, sixth)
    expect(page.locator("#chosen_style").locator("textarea, input").first).to_have_value(
        style_text(translator.sample_style(3))
    )
    page.locator("#strip img").last.click()  # the first result of this way
    expect(page.locator("#chosen_style").locator("textarea, input").first).to_have_value("")


@pytest.mark.slow
def test_styles_are_kept_chosen_again_mixed_and_walked_through(
    page: Page, translator: Translator, tmp_path: Path
) -> None:
    photo(RED).save(tmp_path / "rex.png")
    photo((20, 60, 140), (64, 48)).save(tmp_path / "other.png")
    last = shown(page)
    for n, seed in enumerate((2, 5), 1):
        pictures(page, "gallery").nth(seed).click()
        last = shown(page, last)
        page.locator("#keep_style").click()
        expect(pictures(page, "kept")).to_have_count(n)
    page.locator("#keep_style").click()  # it is there already

    page.get_by_role("tab", name="Between two styles").click()
    between, towards = page.locator("#between_styles img"), page.locator("#towards")
    expect(towards.get_by_role("radio")).to_have_count(2)
    expect(towards.get_by_role("radio", name="Kept style 1")).to_be_checked()  # the other one is the result's
    expect(between).to_be_visible()
    slider = page.locator("#style_position input[type=range]")
    half = between.get_attribute("src") or ""
    slider.fill("1")
    expect(between).not_to_have_attribute("src", half)
    end = between.get_attribute("src") or ""
    path = tmp_path / "cat.jpg"
    photo((90, 120, 40), (96, 72)).save(path)
    styles = [translator.sample_style(seed) for seed in (2, 5)]
    two, five = (translator.translate(path, "dog", Sampling(style=style)) for style in styles)
    middle = tuple((x + y) / 2 for x, y in zip(*styles, strict=True))
    assert close(fetched(page, end), two)
    assert close(fetched(page, half), translator.translate(path, "dog", Sampling(style=middle)))
    assert not close(two, five)
    page.locator("#take_style").click()
    last = shown(page, last)
    assert close(fetched(page, last), two)

    page.locator("#style_image input[type=file]").set_input_files(tmp_path / "rex.png")
    last = shown(page, last)
    expect(towards.get_by_role("radio")).to_have_count(3)
    followed = style_text(translator.encode_style(tmp_path / "rex.png", "dog"))
    pictures(page, "gallery").nth(0).click()
    last = shown(page, last)
    towards.get_by_role("radio", name="The photo it shall look like").check(force=True)
    before = between.get_attribute("src") or ""
    slider.fill("0.98")
    expect(between).not_to_have_attribute("src", before)
    example = translator.translate(path, "dog", Sampling(style=tuple(map(float, followed.split(",")))))
    assert close(fetched(page, between.get_attribute("src") or ""), example)

    page.locator("#photo input[type=file]").set_input_files(tmp_path / "other.png")  # the same styles for another photo
    last = shown(page, last)
    pictures(page, "kept").nth(1).click()
    last = shown(page, last)
    other = translator.translate(tmp_path / "other.png", "dog", Sampling(style=styles[1]))
    assert close(fetched(page, last), other)

    page.get_by_role("tab", name="Film of variations").click()  # through both
    film = page.locator("#walk_film img")
    expect(film).to_be_visible()
    frames = Image.open(io.BytesIO(page.request.get(film.get_attribute("src") or "").body()))
    mean_off = lambda frame, picture: np.abs(np.asarray(frame, float) - np.asarray(picture, float)).mean()  # noqa: E731
    first, opposite = seen_at(frames, 0), seen_at(frames, 1500)  # milliseconds, of 3000
    ours = translator.translate(tmp_path / "other.png", "dog", Sampling(style=styles[0]))
    assert mean_off(first, ours) < mean_off(first, other)
    assert mean_off(opposite, other) < mean_off(opposite, ours)

    page.locator("#way").get_by_role("radio", name="dog → cat", exact=True).check(force=True)
    shown(page, last)
    expect(pictures(page, "kept")).to_have_count(0)  # those are of the other domain
    page.locator("#way").get_by_role("radio", name="cat → dog", exact=True).check(force=True)
    expect(pictures(page, "kept")).to_have_count(2)
    page.locator("#way").get_by_role("radio", name="summer → winter", exact=True).check(force=True)
    expect(page.locator("#keep_style")).to_be_hidden()
    page.get_by_role("tab", name="Between two styles").click()
    expect(between).to_be_hidden()


def test_texts_are_true_of_the_model(page: Page) -> None:
    page.get_by_role("tab", name="About this model").click()
    expect(page.locator("#about")).to_contain_text("Style: 8 numbers for the whole photo")
    expect(page.get_by_text("Multimodal Unsupervised Image-to-Image Translation")).to_be_visible()
    page.locator("#way").get_by_role("radio", name="winter → summer", exact=True).check(force=True)
    expect(page.locator("#about")).to_contain_text("Latent")
    expect(page.get_by_text("UNIT is unimodal")).to_be_visible()


def test_the_page_shows_styles_and_follows_an_example(browser: Browser, styled_url: str, tmp_path: Path) -> None:
    photo(RED).save(tmp_path / "rex.png")
    (tmp_path / "note.png").write_text("no picture")
    page = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 1000}).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(styled_url)
    result, gallery = page.locator("#before_after img.after"), page.locator("#gallery .grid-wrap img")
    example = page.locator("#style_image")

    def shown(before: str | None = None) -> str:
        """The address of the result, once it is another than before."""
        if before:
            expect(result).not_to_have_attribute("src", before)
        expect(page.locator("#before_after .frame")).to_have_attribute("aria-busy", "false")
        return result.get_attribute("src") or ""

    def choose(way: str) -> None:
        page.locator("#way").get_by_role("radio", name=way, exact=True).check(force=True)

    choose("cat → dog")
    expect(gallery).to_have_count(8, timeout=60_000)
    expect(page.get_by_role("heading", name="Styles")).to_be_visible()
    assert len(set(gallery.evaluate_all("images => images.map(image => image.src)"))) == 8
    last_row, under = gallery.nth(7).bounding_box(), page.locator("#strength").bounding_box()
    assert last_row
    assert under
    assert last_row["y"] + last_row["height"] <= under["y"]  # nothing lies over the second row
    mean = shown()

    page.locator("#gallery button").filter(has=page.locator("img")).nth(6).click()
    chosen = shown(mean)
    assert chosen.endswith("cat-tom-dog-6.png")

    expect(example).to_be_visible()
    example.locator("input[type=file]").set_input_files(tmp_path / "rex.png")
    followed = shown(chosen)
    assert followed != mean
    expect(page.locator("#strip img")).to_have_count(3)  # what was chosen is kept for this visit
    page.locator("#undo").click()
    assert shown(followed) == chosen
    expect(example.locator("img")).to_have_count(0)  # as it was when that was chosen

    example.locator("input[type=file]").set_input_files(tmp_path / "note.png")
    expect(page.locator(".toast-body")).to_contain_text("note.png is not a picture this program can read")

    choose("summer → winter")  # a model without styles
    expect(example).to_be_hidden()
    expect(gallery).to_have_count(4, timeout=60_000)
    expect(page.get_by_role("heading", name="Variations")).to_be_visible()
    choose("dog → cat")
    expect(example).to_be_visible()
    expect(example.locator("img")).to_have_count(0)  # the example was one of the other kind
    assert errors == []
