"""The page in a real browser: headless Chromium, driven as a visitor would. UNIT_NO_BROWSER=1 leaves these out."""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import MISSING_REPO, serve, write_photo
from axe_playwright_python.sync_playwright import Axe
from hub_server import Hub, Repo
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Route, expect

pytest_plugins = ["app_server", "browser", "hub_server"]
expect.set_options(timeout=30_000)  # the machine may be busy
LEAVING = "this page is being left"


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tests, so that it has the page's scripts: without them a page takes a second more to open."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """A browser that remembers no other visit but in its cache."""
    yield profile
    for page in profile.pages:
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.close()
    profile.clear_cookies()
    profile.clear_permissions()


@pytest.fixture
def page(context: BrowserContext, app_url: str) -> Iterator[Page]:
    """The app, open. Afterwards: nothing went wrong in the page, and it asked no other machine for anything."""
    page = context.new_page()
    errors: list[str] = []
    left_at: list[int] = []
    strangers: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.text == LEAVING:
            left_at.append(len(errors))
        elif message.type == "error":
            errors.append(f"{message.text} {message.location['url']}")

    def arrive() -> None:  # Gradio's client ends its streams when its page is left, and calls that errors
        if left_at:
            del errors[left_at.pop() :]

    page.add_init_script(f"addEventListener('beforeunload', () => console.debug('{LEAVING}'))")
    page.on("console", listen)
    page.on("domcontentloaded", lambda _: arrive())
    page.on("response", lambda r: errors.append(f"{r.status} {r.url}") if r.status >= 500 else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("request", lambda r: None if r.url.startswith((app_url, "data:", "blob:")) else strangers.append(r.url))
    page.goto(app_url)
    after(page).wait_for()
    yield page
    assert strangers == []
    assert errors == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photo(tmp_path / "photo.png")


def upload(page: Page, photo: Path) -> None:
    page.locator("#photo input[type=file]").set_input_files(photo)
    expect(page.locator("#photo img")).to_be_visible()


def before(page: Page) -> Locator:
    return page.locator("#before_after img.before")


def after(page: Page) -> Locator:
    """The picture on the right of the slider."""
    return page.locator("#before_after img.after")


def shows(page: Page, file: str) -> None:
    """Wait until the result is a file of that name, and seen."""
    expect(after(page)).to_have_attribute("src", re.compile(re.escape(f"/{file}") + "$"))
    expect(page.locator("#before_after .frame")).to_have_attribute("aria-busy", "false")
    assert is_drawn(after(page))


def way(page: Page, name: str) -> Locator:
    """A tile of the first step."""
    return page.locator("#way").get_by_role("radio", name=name, exact=True)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def open_part(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def variations(page: Page) -> Locator:
    return page.locator("#gallery .grid-wrap img")


def sources(images: Locator) -> list[str]:
    """The addresses of pictures name their contents: another address is another picture."""
    return images.evaluate_all("images => images.map(image => image.src)")


def is_drawn(image: Locator) -> bool:
    """Whether it is a picture before long. One that is replaced while it is decoded is an error of the moment."""
    return image.evaluate("""async image => {
        for (let tries = 0; tries < 100; tries++) {
            try { await image.decode(); return image.naturalWidth > 0 }
            catch { await new Promise(after => setTimeout(after, 100)) }
        }
        return false
    }""")


def width_of(image: Locator) -> int:
    return image.evaluate("image => image.decode().then(() => image.naturalWidth)")


def downloaded(page: Page, button: str) -> str:
    """The name that a downloaded file is given."""
    with page.expect_download() as download:
        page.locator(button).click()
    return download.value.suggested_filename


# ---- choose, bring, see


def test_the_first_view_shows_what_it_is_about(page):
    """A result before anything was asked for, a picture on each tile, and nothing that is empty."""
    shows(page, "a-summer_meadow-winter.png")
    assert before(page).get_attribute("src").endswith("/a-summer_meadow.png")
    expect(page.locator("#note")).to_contain_text("An example")
    for tiles, count in (("#way label", 4), ("#examples label", 1)):
        pictures = page.locator(tiles).evaluate_all(
            "tiles => tiles.map(tile => getComputedStyle(tile).backgroundImage)"
        )
        assert len(pictures) == count
        assert all(picture.startswith('url("data:image/webp;base64,') for picture in pictures)
    expect(variations(page)).to_have_count(4)
    for name in ("result_in", "result_there", "result_back", "again", "again_heat", "cycle", "cycle_heat"):
        expect(page.locator(f"#{name} img")).to_be_visible()
        assert is_drawn(page.locator(f"#{name} img"))


def test_steps_and_result_are_seen_at_once_on_a_laptop(page):
    page.set_viewport_size({"width": 1366, "height": 900})
    expect(page.locator("#before_after")).to_be_in_viewport(ratio=0.99)
    for name in ("way", "photo", "examples", "note"):
        expect(page.locator(f"#{name}")).to_be_in_viewport(ratio=0.99)


def test_a_photo_is_translated_as_soon_as_it_is_there(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    assert before(page).get_attribute("src").endswith("/photo.png")
    assert after(page).get_attribute("alt") == "photo, summer → winter"
    expect(page.locator("#note")).to_contain_text("Your photo is on the left")
    expect(page.locator("#examples input:checked")).to_have_count(0)
    assert downloaded(page, "#download") == "photo-winter.png"


def test_the_other_way_round_and_back(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    winter = after(page).get_attribute("src")
    page.locator("#flip").click()
    expect(way(page, "winter → summer")).to_be_checked()
    shows(page, "photo-summer.png")
    assert downloaded(page, "#download") == "photo-summer.png"
    way(page, "summer → winter").check()
    expect(after(page)).to_have_attribute("src", winter)


def test_a_tile_shows_the_first_example_of_its_way(page):
    way(page, "winter → summer").check()
    shows(page, "winter-lake-summer.png")
    expect(page.get_by_role("radio", name="Winter lake")).to_be_checked()
    expect(page.get_by_role("radio", name="A summer meadow")).to_have_count(0)
    way(page, "cat → dog").check()  # a model without examples
    shows(page, "made-up-cat-dog.png")
    expect(page.get_by_role("radio", name="Made up")).to_be_checked()


def test_an_example_takes_the_place_of_the_photo(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    page.get_by_role("radio", name="A summer meadow").check()
    shows(page, "a-summer_meadow-winter.png")
    expect(page.locator("#photo img")).to_have_count(0)


def test_a_photo_stays_when_another_way_is_chosen(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    way(page, "cat → dog").check()
    shows(page, "photo-dog.png")
    expect(page.locator("#photo img")).to_be_visible()


def test_another_way_is_there_within_seconds(page):
    """With its examples, while the model is busy with what came before."""
    times = []
    for name, example in 2 * [("cat → dog", "Made up"), ("summer → winter", "A summer meadow")]:
        begun = time.monotonic()
        way(page, name).check()
        expect(page.get_by_role("radio", name=example)).to_be_checked()
        times.append(time.monotonic() - begun)
    assert min(times) < 3  # the others may have had a busy machine


def test_a_photo_that_browsers_cannot_show_is_shown_as_a_picture_of_it(page, tmp_path):
    """And it is still the photo itself that is translated."""
    upload(page, write_photo(tmp_path / "large.tif", (1100, 900)))
    shown = page.locator("#photo img")
    expect(shown).to_have_attribute("src", re.compile(r"/large\.png$"))
    assert width_of(shown) == 640
    shows(page, "large-winter.png")
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 1100 × 900 pixels")

    open_tab(page, "Mix two photos")
    page.locator("#photo_2 input[type=file]").set_input_files(write_photo(tmp_path / "two.ppm", (90, 90)))
    second = page.locator("#photo_2 img")
    expect(second).to_have_attribute("src", re.compile(r"/two\.png$"))
    assert is_drawn(second)

    page.locator("#photo").get_by_role("button", name="Remove image").click()
    upload(page, write_photo(tmp_path / "plain.png"))
    shows(page, "plain-winter.png")
    expect(shown).to_have_attribute("src", re.compile(r"/plain\.png$"))
    for name in ("photo_made", "photo_2_made"):
        expect(page.locator(f"#{name}")).to_be_hidden()


def test_the_result_becomes_the_photo(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    winter = after(page).get_attribute("src")
    page.locator("#reuse").click()
    expect(way(page, "winter → summer")).to_be_checked()
    shows(page, "photo-winter-summer.png")
    assert sources(before(page)) == [winter]
    expect(page.locator("#again")).to_contain_text("winter → winter")
    assert downloaded(page, "#download") == "photo-winter-summer.png"


def test_results_of_this_visit_can_be_come_back_to(page, photo, tmp_path):
    thumbnails = page.locator("#strip button")
    expect(thumbnails).to_have_count(1)  # the example of the beginning is the first
    expect(page.locator("#undo")).to_be_disabled()
    upload(page, photo)
    shows(page, "photo-winter.png")
    winter = after(page).get_attribute("src")
    page.locator("#flip").click()
    shows(page, "photo-summer.png")
    page.locator("#photo").get_by_role("button", name="Remove image").click()
    shows(page, "winter-lake-summer.png")
    expect(thumbnails).to_have_count(4)
    thumbnails.nth(2).click()
    expect(after(page)).to_have_attribute("src", winter)
    expect(way(page, "summer → winter")).to_be_checked()
    expect(page.locator("#photo img")).to_be_visible()
    expect(page.locator("#again")).to_contain_text("summer → summer")
    page.locator("#undo").click()
    shows(page, "winter-lake-summer.png")
    expect(page.locator("#photo img")).to_have_count(0)
    expect(page.get_by_role("radio", name="Winter lake")).to_be_checked()
    page.locator("#undo").click()
    shows(page, "photo-summer.png")
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 123 × 77 pixels")


def test_before_and_after_can_be_taken_along(page, photo, tmp_path):
    upload(page, photo)
    shows(page, "photo-winter.png")
    open_part(page, "Take it along")
    for button, says, ending, size in (
        ("#side_by_side", "Download the picture", "jpg", (248, 77)), ("#gif", "Download the GIF", "gif", (123, 77)),
    ):  # fmt: skip
        page.locator(button).click()
        expect(page.locator("#taken")).to_have_text(says)
        with page.expect_download() as download:
            page.locator("#taken").click()
        assert download.value.suggested_filename == f"photo-winter-before-and-after.{ending}"
        download.value.save_as(tmp_path / f"taken.{ending}")
        with Image.open(tmp_path / f"taken.{ending}") as taken:
            assert taken.size == size


def test_the_full_resolution_is_made_on_request(page, tmp_path):
    upload(page, write_photo(tmp_path / "large.png", (1100, 900)))
    shows(page, "large-winter.png")
    assert width_of(after(page)) == 640
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 1100 × 900 pixels")
    expect(page.locator("#full_cancel")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#full_download").click()
    assert download.value.suggested_filename == "large-winter-full.png"
    download.value.save_as(tmp_path / "full.png")
    assert Image.open(tmp_path / "full.png").size == (1100, 900)


@pytest.mark.slow
def test_the_full_resolution_can_be_cancelled(page, tmp_path):
    upload(page, write_photo(tmp_path / "poster.jpg", (6000, 5000)))
    shows(page, "poster-winter.png")
    expect(page.locator("#cycle")).to_contain_text("summer → winter → summer")
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text(re.compile(r"\d+ of \d+ parts are done"))
    page.locator("#full_cancel").click()
    expect(page.locator("#full_cancel")).to_be_hidden()
    expect(page.locator("#full_status")).to_contain_text("Stopped.")
    page.locator("#flip").click()  # the model is free again
    shows(page, "poster-summer.png")
    expect(page.locator("#full_download")).to_be_hidden()


def test_what_is_downloaded_is_called_in_the_language_of_the_page(page, app_url, photo):
    """In English, other tests look at the names as well."""
    page.goto(f"{app_url}/zh-tw")
    shows(page, "a-summer_meadow-winter.png")
    assert downloaded(page, "#download") == "a-summer_meadow-變冬天.png"
    upload(page, photo)
    shows(page, "photo-winter.png")
    assert downloaded(page, "#download") == "photo-變冬天.png"
    page.locator("#full").click()
    expect(page.locator("#full_download")).to_be_visible()
    assert downloaded(page, "#full_download") == "photo-變冬天-完整解析度.png"
    open_part(page, "帶走結果")
    page.locator("#side_by_side").click()
    expect(page.locator("#taken")).to_be_enabled()
    assert downloaded(page, "#taken") == "photo-變冬天-轉換前後.jpg"
    expect(variations(page).nth(2)).to_have_attribute("src", re.compile("photo-winter-2"))
    page.locator("#gallery button").filter(has=page.locator("img")).nth(2).press("Enter")
    shows(page, "photo-winter-2.png")
    assert downloaded(page, "#download") == "photo-變冬天-2.png"
    page.locator("#undo").click()
    shows(page, "photo-winter.png")
    assert downloaded(page, "#download") == "photo-變冬天.png"
    open_tab(page, "變化影片")
    expect(page.locator("#walk_download")).to_be_enabled()
    assert downloaded(page, "#walk_download") == "photo-變冬天-變化影片.webp"
    open_tab(page, "兩張照片的混合")
    page.locator("#journey").click()
    expect(page.locator("#journey_download")).to_be_enabled()
    assert downloaded(page, "#journey_download") == "photo-混合影片.webp"
    open_tab(page, "憑空生成")
    page.locator("#pairs button").filter(has=page.locator("img")).first.click()
    assert downloaded(page, "#pairs button[title=下載]") == "憑空生成-1-夏天.png"


# ---- variations


def test_variations_with_mouse_and_keyboard(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    expect(variations(page).first).to_have_attribute("src", re.compile("photo-winter-0"))
    expect(variations(page)).to_have_count(4)
    first = sources(variations(page))
    assert len(set(first)) == 4

    page.locator("#more").click()
    expect(variations(page).first).to_have_attribute("src", re.compile("photo-winter-4"))
    assert set(sources(variations(page))).isdisjoint(first)
    open_part(page, "Advanced")
    expect(page.locator("#seed input")).to_have_value("4")
    page.locator("#seed input").fill("0")
    expect(variations(page).first).to_have_attribute("src", first[0])  # the same settings, the same pictures

    page.locator("#strength input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    expect(variations(page).first).not_to_have_attribute("src", first[0])
    expect(page.locator("#temperature input[type=number]")).to_have_value("1.1")
    page.locator("#temperature input[type=range]").fill("1")
    expect(variations(page).first).to_have_attribute("src", first[0])
    expect(page.locator("#strength input[type=range]")).to_have_value("1")
    page.locator("#grain").get_by_role("radio", name="32").check()
    expect(variations(page).first).not_to_have_attribute("src", first[0])
    page.locator("#dice").click()
    expect(variations(page).first).not_to_have_attribute("src", re.compile("photo-winter-0"))


def test_many_quick_moves_end_on_the_last_one(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    open_part(page, "Advanced")
    expect(variations(page).first).to_have_attribute("src", re.compile("photo-winter-0"))
    plain = variations(page).first.get_attribute("src")
    page.locator("#temperature input[type=range]").focus()
    for key in 6 * ["ArrowRight"] + 6 * ["ArrowLeft"]:
        page.keyboard.press(key)
    expect(page.locator("#strength input[type=range]")).to_have_value("1")
    expect(variations(page).first).to_have_attribute("src", plain)


def test_an_emptied_seed_waits_for_another(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    open_part(page, "Advanced")
    page.locator("#seed input").fill("")
    page.locator("#seed input").fill("12")
    expect(variations(page).first).to_have_attribute("src", re.compile("photo-winter-12"))
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def test_a_variation_becomes_the_result(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    expect(variations(page).nth(2)).to_have_attribute("src", re.compile("photo-winter-2"))
    third = sources(variations(page))[2]
    page.locator("#gallery button").filter(has=page.locator("img")).nth(2).press("Enter")
    expect(after(page)).to_have_attribute("src", third)
    expect(page.locator("#full")).to_be_disabled()  # it would be made without this noise: another picture
    assert downloaded(page, "#download") == "photo-winter-2.png"
    page.locator("#undo").click()
    shows(page, "photo-winter.png")
    expect(page.locator("#full")).to_be_enabled()


@pytest.mark.parametrize(("name", "file"), [("winter → summer", "photo-summer-0"), ("cat → dog", "photo-dog-0")])
def test_variations_follow_the_way(page, photo, name, file):
    upload(page, photo)
    expect(variations(page).first).to_have_attribute("src", re.compile("photo-winter-0"))
    way(page, name).check()
    expect(variations(page).first).to_have_attribute("src", re.compile(file))
    expect(variations(page)).to_have_count(4)


# ---- more


def test_both_directions_and_what_is_kept(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    for name, label in (
        ("result_there", "summer → winter"), ("result_back", "winter → summer"), ("again", "summer → summer"),
        ("cycle", "summer → winter → summer"), ("again_heat", "Difference: "), ("cycle_heat", "Difference: "),
    ):  # fmt: skip
        expect(page.locator(f"#{name}")).to_contain_text(label)
        assert is_drawn(page.locator(f"#{name} img"))
    expect(page.locator("#result_there img")).to_have_attribute("src", after(page).get_attribute("src"))


def test_no_tab_is_ever_empty(page):
    """And looking around without a photo is no mistake."""
    expect(page.locator("#cycle")).to_contain_text("summer → winter → summer")
    open_tab(page, "Film of variations")
    expect(page.locator("#walk_film img")).to_be_visible()
    open_tab(page, "Mix two photos")
    expect(page.locator("#between img")).to_be_visible()
    expect(page.locator("#journey_film")).to_be_hidden()  # of a film that nobody has asked for yet
    for tile in page.locator("#seconds label").all():
        assert "data:image/webp" in tile.evaluate("tile => getComputedStyle(tile).backgroundImage")
    open_tab(page, "From noise")
    expect(page.locator("#pairs .grid-wrap img")).to_have_count(8)
    open_tab(page, "About this model")
    expect(page.locator("#about")).to_contain_text("summer into winter")
    page.locator("#flip").click()
    shows(page, "winter-lake-summer.png")
    open_tab(page, "Film of variations")
    expect(page.locator("#walk_film img")).to_have_attribute("src", re.compile("winter-lake-summer-film"))
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def test_an_open_tab_follows_the_photo(page, photo):
    open_tab(page, "Mix two photos")
    expect(page.locator("#between img")).to_have_attribute("src", re.compile("a-summer_meadow-between"))
    upload(page, photo)
    expect(page.locator("#between img")).to_have_attribute("src", re.compile("photo-between"))


def test_a_film_of_variations_can_be_downloaded(page, photo, tmp_path):
    upload(page, photo)
    shows(page, "photo-winter.png")
    open_tab(page, "Film of variations")
    expect(page.locator("#walk_film img")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#walk_download").click()
    assert download.value.suggested_filename == "photo-winter-film.webp"
    download.value.save_as(tmp_path / "walk.webp")
    with Image.open(tmp_path / "walk.webp") as film:
        assert (film.n_frames, film.info["loop"], film.size) == (24, 0, (123, 77))


def test_a_mix_of_two_photos_moves_live(page, photo, tmp_path):
    upload(page, photo)
    shows(page, "photo-winter.png")
    open_tab(page, "Mix two photos")
    shown = page.locator("#between img")
    expect(shown).to_have_attribute("src", re.compile("photo-between-50.png"))
    with_example = shown.get_attribute("src")
    page.locator("#photo_2 input[type=file]").set_input_files(write_photo(tmp_path / "two.png", (90, 90)))
    expect(shown).not_to_have_attribute("src", with_example)
    page.locator("#position input[type=range]").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(shown).to_have_attribute("src", re.compile("photo-between-62.png"))
    winter = shown.get_attribute("src")
    page.locator("#domain").get_by_role("radio", name="summer").check()
    expect(shown).not_to_have_attribute("src", winter)
    page.locator("#flip").click()  # now photos of winter, shown as summer
    expect(page.locator("#domain").get_by_role("radio", name="summer")).to_be_checked()
    page.locator("#journey").click()
    expect(page.locator("#journey_film img")).to_be_visible()
    assert downloaded(page, "#journey_download") == "photo-mix.webp"


def test_pictures_from_noise_come_in_pairs(page):
    open_tab(page, "From noise")
    pictures = page.locator("#pairs .grid-wrap img")
    expect(pictures).to_have_count(8)
    expect(page.get_by_text("1: summer", exact=True)).to_be_visible()
    expect(page.get_by_text("4: winter", exact=True)).to_be_visible()
    first = sources(pictures)
    page.locator("#noise_dice").click()
    expect(pictures.first).not_to_have_attribute("src", first[0])
    page.locator("#noise_count input[type=number]").fill("2")
    expect(pictures).to_have_count(4)


def test_what_is_told_of_the_chosen_model(page):
    way(page, "cat → dog").check()
    open_tab(page, "About this model")
    expect(page.locator("#about")).to_contain_text("cat into dog")
    expect(page.get_by_role("link", name="MUNIT")).to_be_visible()


# ---- photos that are none, and faces


def test_a_file_that_is_no_picture(page, photo, tmp_path):
    """Nothing is left of the photo before, and the next one is translated."""
    upload(page, photo)
    shows(page, "photo-winter.png")
    bad = tmp_path / "holiday.png"
    bad.write_text("not a picture")
    page.locator("#photo input[type=file]").set_input_files(bad)
    expect(variations(page)).to_have_count(0)
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("holiday.png is not a picture this program can read: try a JPEG or PNG file.")
    expect(page.locator("#before_after")).to_contain_text("The result will appear here.")
    for button in ("download", "full", "reuse"):
        expect(page.locator(f"#{button}")).to_be_disabled()
    expect(page.locator("#before_after")).not_to_contain_text("Error")
    page.locator("#photo").get_by_role("button", name="Remove image").click()
    shows(page, "a-summer_meadow-winter.png")  # the example of the beginning
    upload(page, photo)
    shows(page, "photo-winter.png")


def test_a_bad_photo_for_a_model_of_faces_is_one_sentence(page, tmp_path):
    way(page, "cat → dog").check()
    expect(page.locator("#adjust")).to_be_attached()
    bad = tmp_path / "pet.png"
    bad.write_text("not a picture")
    page.locator("#photo input[type=file]").set_input_files(bad)
    expect(page.get_by_test_id("toast-body")).to_have_count(1)
    expect(page.get_by_test_id("toast-body")).to_contain_text("pet.png is not a picture")
    for part in ("controls", "result"):
        expect(page.locator(f"#{part}")).not_to_contain_text("Error")


def place_of_face(page: Page) -> list[str]:
    """What the sliders say."""
    return [page.locator(f"#{name} input[type=number]").input_value() for name in ("across", "down", "side")]


def drag_face(page: Page, right: float, down: float) -> None:
    """The square from its middle, by shares of the photo as it is shown."""
    square, stage = (page.locator(f"#face .{part}").bounding_box() for part in ("square", "stage"))
    x, y = square["x"] + square["width"] / 2, square["y"] + square["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right * stage["width"], y + down * stage["height"], steps=5)
    page.mouse.up()


def test_a_face_is_marked_moved_and_put_back(page, tmp_path):
    expect(page.locator("#adjust")).to_be_hidden()
    way(page, "cat → dog").check()
    upload(page, write_photo(tmp_path / "pet.png", (300, 200)))
    shows(page, "pet-dog.png")
    square = page.locator("#face .square")
    expect(square).to_be_visible()  # it opens by itself, for there is nothing to be found in a gradient
    assert place_of_face(page) == ["50", "50", "100"]
    expect(page.locator("#note")).to_contain_text("No face was found")
    assert width_of(after(page)) == 300  # it is put back
    page.locator("#square input").check()
    page.wait_for_function("document.querySelector('#before_after img.after').naturalWidth === 200")

    shown, there = after(page).get_attribute("src"), square.bounding_box()
    square.scroll_into_view_if_needed()
    drag_face(page, -0.1, 0.5)  # downwards there is no room
    expect(after(page)).not_to_have_attribute("src", shown)
    assert place_of_face(page) == ["40", "50", "100"]
    assert width_of(after(page)) == 200

    shown = after(page).get_attribute("src")
    page.locator("#side input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(after(page)).not_to_have_attribute("src", shown)
    assert width_of(after(page)) == 198
    assert square.bounding_box()["width"] == pytest.approx(0.99 * there["width"], abs=0.5)

    shown = after(page).get_attribute("src")
    square.focus()
    for key in ("ArrowRight", "ArrowRight", "-"):
        page.keyboard.press(key)
    expect(after(page)).not_to_have_attribute("src", shown)
    assert place_of_face(page) == ["42", "50", "97"]
    assert width_of(after(page)) == 194

    page.locator("#square input").uncheck()
    page.wait_for_function("document.querySelector('#before_after img.after').naturalWidth === 300")
    assert before(page).get_attribute("src").endswith("/pet.png")
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 300 × 200 pixels")
    wide = "wide => Math.abs(document.querySelector('#face .square').offsetWidth - wide) <= 1"
    for side in (97, 99):  # the square comes back to where it was
        page.locator("#undo").click()
        page.wait_for_function(f"document.querySelector('#before_after img.after').naturalWidth === {2 * side}")
        expect(page.locator("#side input[type=number]")).to_have_value(str(side))
        page.wait_for_function(wide, arg=side / 100 * there["width"])

    held: list[Route] = []

    def looks_for_faces(request: Request) -> bool:
        return "/run/predict" in request.url and len(request.post_data_json["data"]) == 10

    def hold(route: Route) -> None:
        held.append(route) if looks_for_faces(route.request) and not held else route.continue_()

    page.route("**/run/predict*", hold)
    with page.expect_request(looks_for_faces):
        page.locator("#undo").click()
    with page.expect_response("**/run/predict*"):  # which another one does not wait for
        page.locator("#undo").click()
    expect(page.locator("#across input[type=number]")).to_have_value("50")
    held[0].continue_()
    middle = """() => {
        const square = document.querySelector("#face .square"), stage = square.parentNode;
        return Math.abs(square.offsetLeft + square.offsetWidth / 2 - stage.offsetWidth / 2) < 2;
    }"""
    page.wait_for_function(middle)
    assert place_of_face(page) == ["50", "50", "100"]


@pytest.fixture
def two_cats(tmp_path: Path) -> Path:
    cat = Image.open(Path(__file__).parent.parent / "checkpoints/cat2dog/examples/Chelsea.jpg")
    two = Image.new("RGB", (2 * cat.width, cat.height))
    two.paste(cat, (0, 0))
    two.paste(cat, (cat.width, 0))
    two.save(tmp_path / "two-cats.jpg")
    return tmp_path / "two-cats.jpg"


def test_a_found_face_is_tapped(page, two_cats):
    """Of two cats side by side, the other one."""
    way(page, "cat → dog").check()
    upload(page, two_cats)
    shows(page, "two-cats-dog.png")
    shown = after(page).get_attribute("src")
    expect(page.locator("#note")).to_contain_text("Your photo is on the left")
    other = page.locator("#face").get_by_role("button", name=re.compile("Take face"))
    expect(other).to_have_count(1)  # which of the two is for the visitor to say
    first = float(page.locator("#across input[type=number]").input_value())
    other.click()
    expect(after(page)).not_to_have_attribute("src", shown)
    across = float(page.locator("#across input[type=number]").input_value())
    assert across == pytest.approx(first + (50 if first < 50 else -50), abs=6)
    expect(page.locator("#note")).to_contain_text("There are several faces in it")
    expect(other).to_have_count(1)  # the first one
    other.press("Enter")
    expect(after(page)).to_have_attribute("src", shown)


def test_axe_finds_nothing_where_a_face_is_chosen(page, two_cats):
    way(page, "cat → dog").check()
    upload(page, two_cats)
    shows(page, "two-cats-dog.png")
    expect(page.locator("#face").get_by_role("button")).to_have_count(1)
    expect(page.locator("#result_there img")).to_have_attribute("src", re.compile("two-cats-dog"))
    assert violations(page) == []


# ---- other ways in: camera, clipboard, links, languages, keys, fingers


def test_a_photo_from_the_camera(page):
    page.get_by_role("button", name="Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#photo video')?.videoWidth > 0")
    page.get_by_role("button", name="capture photo").click()
    expect(page.get_by_role("button", name="Remove Image")).to_be_visible()
    expect(page.locator("#note")).to_contain_text("Your photo is on the left")
    assert is_drawn(after(page))


def test_a_photo_from_the_clipboard(page, context, photo):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async data => {
            const picture = await (await fetch("data:image/png;base64," + data)).blob();
            await navigator.clipboard.write([new ClipboardItem({"image/png": picture})]);
        }""",
        base64.b64encode(photo.read_bytes()).decode(),
    )
    page.get_by_role("button", name="Paste from clipboard").click()
    expect(page.locator("#photo img")).to_be_visible()
    expect(page.locator("#note")).to_contain_text("Your photo is on the left")


DROP = """(box, [name, data]) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt())], name, {type: "image/png"}));
    box.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
}"""


def test_a_photo_dropped_on_a_photo_takes_its_place(page, photo, tmp_path):
    upload(page, photo)
    shows(page, "photo-winter.png")
    data = base64.b64encode(write_photo(tmp_path / "other.png", (60, 60)).read_bytes()).decode()
    page.locator("#photo img").evaluate(DROP, ["other.png", data])
    shows(page, "other-winter.png")


def test_a_link_brings_its_settings(page, context, app_url):
    way(page, "winter → summer").check()
    shows(page, "winter-lake-summer.png")
    open_part(page, "Advanced")
    page.locator("#temperature input[type=range]").fill("1.5")
    page.locator("#seed input").fill("7")
    open_tab(page, "About this model")
    page.locator("#link").click()
    expect(page.locator("#link_text textarea")).to_have_value(re.compile("^http://127"))
    link = page.locator("#link_text textarea").input_value()
    assert link.startswith(f"{app_url}/?model=seasons&direction=winter")
    other = context.new_page()
    other.goto(link)
    shows(other, "winter-lake-summer.png")
    expect(way(other, "winter → summer")).to_be_checked()
    assert sources(after(other)) == sources(after(page))
    open_part(other, "Advanced")
    expect(other.locator("#seed input")).to_have_value("7")
    expect(other.locator("#strength input[type=range]")).to_have_value("1.5")
    expect(variations(other).first).to_have_attribute("src", re.compile("winter-lake-summer-7"))


def test_a_link_may_bring_an_example_of_another_way(page, app_url):
    """As links did when any photo went with any direction."""
    page.goto(f"{app_url}/?model=zoo&direction=dog+→+cat&photo=winter-lake")
    shows(page, "winter-lake-cat.png")
    expect(way(page, "dog → cat")).to_be_checked()


DENIED = """Object.defineProperty(window, "localStorage", {
    get() { throw new DOMException("The document is sandboxed.", "SecurityError"); },
})"""


def test_without_storage_all_but_the_remembered_language_works(browser, app_url):
    """As in a frame of a page that has blocked it: links, the way to Chinese, and the way back."""
    context = browser.new_context(locale="zh-TW")
    context.add_init_script(DENIED)
    visit = context.new_page()
    errors: list[str] = []
    visit.on("pageerror", lambda error: errors.append(str(error)))
    visit.goto(f"{app_url}/?model=seasons&direction=winter+→+summer&seed=7&photo=winter-lake")
    expect(visit.get_by_role("tab", name="憑空生成")).to_be_visible()  # and the settings go with it
    expect(way(visit, "冬天 → 夏天")).to_be_checked()
    shows(visit, "winter-lake-summer.png")
    visit.get_by_role("link", name="English").click()
    expect(visit.get_by_role("tab", name="From noise")).to_be_visible()
    expect(way(visit, "winter → summer")).to_be_checked()
    expect(variations(visit).first).to_have_attribute("src", re.compile("winter-lake-summer-7"))
    context.close()
    assert errors == []


@pytest.mark.parametrize(
    ("model", "noise"),
    [("../../etc", "temperature=hot&grain=&seed=-1"), ("seasons", "temperature=9&grain=3&seed=9999999999")],
)
def test_a_link_with_nonsense_is_a_plain_visit(model, noise, page, app_url):
    page.goto(f"{app_url}/?model={model}&direction=x&photo=../app.py&{noise}")
    shows(page, "a-summer_meadow-winter.png")
    open_part(page, "Advanced")
    for name, value in {"temperature": "1", "seed": "0"}.items():
        expect(page.locator(f"#{name} input[type=number]")).to_have_value(value)
    expect(page.locator("#grain").get_by_role("radio", name="8")).to_be_checked()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    expect(way(page, "summer → winter")).to_be_checked()


def test_the_page_in_chinese(page, photo, tmp_path):
    upload(page, photo)  # and left in the middle of it
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("tab", name="憑空生成")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-TW")
    for name in ("用相機拍照", "透過 API 使用"):  # Gradio's own words, of which it knows the second in Chinese
        expect(page.get_by_role("button", name=name)).to_be_visible()
    (tmp_path / "bad.png").write_text("no picture")
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "bad.png")
    expect(page.get_by_test_id("toast-body")).to_contain_text("bad.png 不是這個程式讀得懂的圖片")
    page.locator("#photo").get_by_role("button", name="移除圖片").click()
    upload(page, photo)
    shows(page, "photo-winter.png")
    expect(page.locator("#result_there")).to_contain_text("夏天 → 冬天")
    expect(page.locator("#cycle")).to_contain_text("夏天 → 冬天 → 夏天")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("tab", name="From noise")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize(
    ("locale", "tab"),
    [("zh-HK", "憑空生成"), ("zh-CN", "From noise")],
)
def test_a_first_visit_gets_the_language_of_the_browser_if_there_is_one(browser, app_url, locale, tab):
    context = browser.new_context(locale=locale)
    visit = context.new_page()
    visit.goto(app_url)
    expect(visit.get_by_role("tab", name=tab)).to_be_visible()
    if tab != "From noise":  # who then chooses English is not sent back
        visit.get_by_role("link", name="English").click()
        expect(visit.get_by_role("tab", name="From noise")).to_be_visible()
        visit.reload()
        expect(visit.get_by_role("tab", name="From noise")).to_be_visible()
    context.close()


def test_the_other_language_keeps_the_settings(page, app_url):
    page.goto(f"{app_url}/?model=zoo&direction=dog+→+cat")
    expect(way(page, "dog → cat")).to_be_checked()
    page.get_by_role("link", name="中文").click()
    expect(way(page, "狗 → 貓")).to_be_checked()


def reach(page: Page, wanted: str, key: str = "Tab") -> None:
    """Press a key until the focus is in what a selector finds."""
    for _ in range(80):
        page.keyboard.press(key)
        if page.evaluate("wanted => document.activeElement.matches(wanted + ', ' + wanted + ' *')", wanted):
            return
    pytest.fail(f"{wanted} cannot be reached with the keyboard")


def test_the_whole_flow_by_keyboard_alone(page):
    """No mouse, no finger, and no focus that was put anywhere by the test."""
    reach(page, "#way label:nth-of-type(2) input")
    page.keyboard.press("Space")
    shows(page, "winter-lake-summer.png")
    reach(page, "#photo button")
    reach(page, "#examples input")
    reach(page, "#before_after [role=slider]")
    for key, value in (("Home", "0"), ("ArrowRight", "5"), ("End", "100")):
        page.keyboard.press(key)
        expect(page.locator("#before_after [role=slider]")).to_have_attribute("aria-valuenow", value)
    reach(page, "#flip")
    page.keyboard.press("Enter")
    expect(way(page, "summer → winter")).to_be_checked()
    shows(page, "a-summer_meadow-winter.png")
    reach(page, "#download")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "a-summer_meadow-winter.png"
    reach(page, "#reuse")
    page.keyboard.press("Enter")
    shows(page, "a-summer_meadow-winter-summer.png")
    reach(page, "#undo")
    page.keyboard.press("Enter")
    shows(page, "a-summer_meadow-winter.png")
    expect(variations(page).first).to_have_attribute("src", re.compile("meadow-winter-0"))
    reach(page, "#gallery button")
    page.keyboard.press("Enter")
    shows(page, "a-summer_meadow-winter-0.png")
    reach(page, "#strength input[type=range]")
    page.keyboard.press("ArrowRight")
    reach(page, "[role=tab]")


# What is tapped of the steps and the result, and lower or narrower than a finger.
SMALL = """() => [...document.querySelectorAll('#steps :is(button, label:has(> input[type=radio]))')]
    .filter(e => e.checkVisibility({visibilityProperty: true}))
    .filter(e => e.offsetHeight < 40 || e.offsetWidth < 40)
    .map(e => e.outerHTML.slice(0, 200))"""


def test_the_whole_flow_by_touch(browser, app_url, photo):
    context = browser.new_context(locale="en-US", viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(app_url)
    expect(variations(page)).to_have_count(4)
    assert page.evaluate(SMALL) == []
    page.locator("#way label").nth(1).tap()
    shows(page, "winter-lake-summer.png")
    expect(page.locator("#before_after")).to_be_in_viewport(ratio=0.9)  # a phone is taken to the result
    upload(page, photo)
    shows(page, "photo-summer.png")
    expect(page.locator("#before_after")).to_be_in_viewport(ratio=0.9)
    box = page.locator("#before_after .stage").bounding_box()
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    handle = page.locator("#before_after [role=slider]")
    expect(handle).to_have_attribute("aria-valuenow", re.compile("^(79|80|81)$"))
    page.locator("#flip").tap()
    shows(page, "photo-winter.png")
    expect(variations(page).nth(1)).to_have_attribute("src", re.compile("photo-winter-1"))
    page.locator("#gallery button").filter(has=page.locator("img")).nth(1).tap()
    shows(page, "photo-winter-1.png")
    page.get_by_role("tab", name="Mix two photos").tap()
    expect(page.locator("#between img")).to_be_visible()
    context.close()


def test_nothing_is_wider_than_the_screen(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    for name, shown in (
        ("Both directions", "#cycle_heat img"), ("Film of variations", "#walk"), ("Mix two photos", "#between img"),
        ("From noise", "#pairs img >> nth=0"), ("About this model", "#about"),
    ):  # fmt: skip
        page.set_viewport_size({"width": 1280, "height": 844})  # where all tabs have room
        open_tab(page, name)
        expect(page.locator(shown)).to_be_visible()
        for width in (360, 390, 768, 1024, 1600):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, (name, width)
    page.set_viewport_size({"width": 360, "height": 844})
    order = [page.locator(f"#{name}").bounding_box()["y"] for name in ("way", "photo", "before_after", "tabs")]
    assert order == sorted(order)


SHIFTS = """() => {
    window.shifts = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({type: "layout-shift", buffered: true});
}"""


@pytest.mark.parametrize("size", [(1366, 900), (390, 844)])
def test_nothing_on_the_page_moves_while_a_result_comes(context, app_url, photo, size):
    """The cumulative layout shift that web.dev calls good is one below 0.1."""
    page = context.new_page()
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    page.add_init_script(f"({SHIFTS})()")
    page.goto(app_url)
    shows(page, "a-summer_meadow-winter.png")
    expect(page.locator("#cycle")).to_contain_text("summer → winter → summer")
    upload(page, photo)
    shows(page, "photo-winter.png")
    expect(page.locator("#result_there img")).to_have_attribute("src", re.compile("photo-winter"))
    assert page.evaluate("window.shifts") < 0.1


def test_the_wheel_scrolls_the_page_also_over_the_result(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    box = page.locator("#before_after").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY === 300")


def violations(page: Page) -> list[str]:
    """What axe-core finds, with the first element of each."""
    page.wait_for_timeout(300)  # colours fade in
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']} ({rule['impact']}): {rule['nodes'][0]['html'][:200]}" for rule in found]


@pytest.mark.parametrize(("theme", "language"), [("light", ""), ("dark", "zh-tw")])
def test_axe_finds_nothing_that_keeps_anybody_out(page, app_url, photo, theme, language):
    page.goto(f"{app_url}/{language}?__theme={theme}")
    shows(page, "a-summer_meadow-winter.png")
    expect(page.locator("#cycle_heat img")).to_be_visible()
    assert violations(page) == []
    way(page, "cat → dog" if not language else "貓 → 狗").check()
    upload(page, photo)
    shows(page, "photo-dog.png")
    expect(page.locator("#result_there img")).to_have_attribute("src", re.compile("photo-dog"))
    assert violations(page) == []


NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, [role=button], img')]
    .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest('[aria-hidden=true]'))
    .filter(e => e.type !== 'file' && e.type !== 'hidden')
    .filter(e => !(e.ariaLabel || e.title || e.alt || e.innerText?.trim() || e.labels?.length || e.placeholder
                   || e.getAttribute('aria-labelledby') || e.querySelector('[aria-label], [title], img:not([alt=""])')))
    .map(e => e.outerHTML.slice(0, 400))"""


def test_every_control_and_picture_has_a_name(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    expect(page.locator("#cycle_heat img")).to_be_visible()
    nameless = page.evaluate(NAMELESS)
    for name, shown in (
        ("Film of variations", "#walk"), ("Mix two photos", "#between img"), ("From noise", "#pairs img >> nth=0"),
    ):  # fmt: skip
        open_tab(page, name)
        expect(page.locator(shown)).to_be_visible()
        nameless += page.evaluate(NAMELESS)
    assert set(nameless) == set()


def test_the_notice_is_visible(page):
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text(MISSING_REPO)


@pytest.mark.slow
def test_a_model_of_faces_from_the_hub_has_its_examples_and_measures(context, checkpoints, tmp_path, hub: Hub):
    files = {path.name: path.read_bytes() for path in (checkpoints / "zoo").iterdir()}
    rows = [{"metric": "KID", "direction": "cat → dog", "of": "drawn", "value": 0.25}]
    measured = {"features": "EfficientNet-Lite2", "data": "pets", "size": 32, "rows": rows}
    files["metrics.json"] = json.dumps(measured).encode()
    files["examples/a-cat.jpg"] = write_photo(tmp_path / "cat.jpg", (90, 60)).read_bytes()
    files["examples/a-broken-cat.jpg"] = files["examples/a-cat.jpg"][:300]
    files["examples/README.md"] = b"Computed by nobody in particular."
    repo = hub.repos["owner/zoo"] = Repo()
    repo.commit("main", files, "model")
    settings = {
        "UNIT_MODELS": "owner/zoo",
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
    }
    # Gradio serves what lies in the folder for temporary files; the Hub's cache does not.
    settings |= {"HF_HUB_DISABLE_XET": "1", "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with serve(checkpoints, tmp_path, **settings) as (url, _):
        page = context.new_page()
        page.goto(f"{url}/?model=owner/zoo")
        expect(page.get_by_role("radio", name="A broken cat")).to_have_count(0)
        shows(page, "a-cat-dog.png")
        expect(page.get_by_role("radio", name="A cat")).to_be_checked()
        for name in ("face_of", "asked", "open", "fresh", "go", "turn"):
            expect(page.locator(f"#{name}")).to_be_hidden()
        open_tab(page, "About this model")
        expect(page.locator("#about")).to_contain_text("0.250")
        page.get_by_text("About the example photos").click()
        expect(page.locator("#credits")).to_contain_text("nobody in particular")
        page.goto(f"{url}/?model=owner/zoo&direction=dog → cat&photo=a-cat")
        shows(page, "a-cat-cat.png")
        expect(way(page, "dog → cat")).to_be_checked()
        for path in (tmp_path / "files").rglob("a-cat.jpg"):  # as when it has been there for an hour
            path.unlink()
        page.locator("#full").click()
        expect(page.get_by_test_id("toast-body")).to_contain_text("This photo is no longer here: please add it again.")
        expect(page.locator("#full_status")).to_have_text("")
        expect(page.locator("#full_cancel")).to_be_hidden()
