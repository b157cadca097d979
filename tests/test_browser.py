"""The page in a real browser: headless Chromium, driven as a visitor would. UNIT_NO_BROWSER=1 leaves these out."""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import MISSING_REPO, serve, write_photo
from hub_server import Hub, Repo
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

pytest_plugins = ["app_server", "browser", "hub_server"]
expect.set_options(timeout=30_000)  # the machine may be busy
LEAVING = "this page is being left"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
    yield context
    context.close()


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
            errors.append(message.text)

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
    page.locator("#translate").wait_for()
    yield page
    assert strangers == []
    assert errors == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photo(tmp_path / "photo.png")


def upload(page: Page, photo: Path) -> None:
    page.locator("#photo input[type=file]").set_input_files(photo)
    expect(page.locator("#photo img")).to_be_visible()


def after(page: Page) -> Locator:
    """The right-hand picture of the slider."""
    return page.locator("#before_after img").nth(1)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def sources(images: Locator) -> list[str]:
    """The addresses of pictures name their contents: another address is another picture."""
    return images.evaluate_all("images => images.map(image => image.src)")


def is_drawn(image: Locator) -> bool:
    return image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")


def test_translate_and_flip(page, photo):
    upload(page, photo)
    page.locator("#translate").click()
    for name in ("result_in", "result_ab", "result_ba"):
        expect(page.locator(f"#{name} img")).to_be_visible()
        assert is_drawn(page.locator(f"#{name} img"))
    assert page.locator("#result_ab img").get_attribute("alt") == "Your photo, summer → winter"
    assert sources(after(page)) == sources(page.locator("#result_ab img"))
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "photo-winter.png"

    winter = after(page).get_attribute("src")
    page.locator("#flip").click()
    expect(page.get_by_role("radio", name="winter → summer")).to_be_checked()
    expect(after(page)).not_to_have_attribute("src", winter)
    assert sources(after(page)) == sources(page.locator("#result_ba img"))
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "photo-summer.png"

    page.get_by_role("radio", name="summer → winter").check()
    expect(after(page)).to_have_attribute("src", winter)


def test_sample_with_mouse_and_keyboard(page, photo):
    upload(page, photo)
    pictures = page.locator("#gallery .grid-wrap img")
    open_tab(page, "Sample")
    expect(pictures).to_have_count(4)
    first = sources(pictures)
    assert len(set(first)) == 4

    page.locator("#temperature input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("seed 0, temperature 1.1")).to_be_visible()
    assert set(sources(pictures)).isdisjoint(first)

    page.locator("#temperature input[type=range]").fill("1")
    expect(page.get_by_text("seed 0, temperature 1", exact=True)).to_be_visible()
    assert sources(pictures) == first  # the same settings, the same pictures

    page.locator("#count input[type=number]").fill("2")
    expect(pictures).to_have_count(2)
    page.locator("#dice").click()
    expect(page.get_by_text("seed 0, temperature 1", exact=True)).to_have_count(0)


def test_many_quick_moves_end_on_the_last_one(page, photo):
    upload(page, photo)
    open_tab(page, "Sample")
    page.locator("#temperature input[type=range]").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_text("seed 0, temperature 1.6")).to_be_visible()


def test_a_photo_that_browsers_cannot_show_is_shown_as_a_picture_of_it(page, tmp_path):
    """And it is still the photo itself that is drawn from."""
    upload(page, write_photo(tmp_path / "large.tif", (1100, 900)))
    shown = page.locator("#photo img")
    expect(shown).to_have_attribute("src", re.compile(r"/large\.png$"))
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    expect(page.locator("#cycle_heat img")).to_be_visible()
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 1100 × 900 pixels")

    open_tab(page, "Between")
    page.locator("#photo_2 input[type=file]").set_input_files(write_photo(tmp_path / "two.ppm", (90, 90)))
    second = page.locator("#photo_2 img")
    expect(second).to_have_attribute("src", re.compile(r"/two\.png$"))
    assert is_drawn(second)
    expect(page.locator("#between img")).to_be_visible()

    page.locator("#photo").get_by_role("button", name="Remove image").click()
    upload(page, write_photo(tmp_path / "plain.png"))
    expect(page.locator("#result_in img")).to_have_attribute("src", re.compile(r"/plain\.png$"))
    expect(shown).to_have_attribute("src", re.compile(r"/plain\.png$"))
    for name in ("photo_made", "photo_2_made"):
        expect(page.locator(f"#{name}")).to_be_hidden()


def test_what_survives_is_shown_beside_its_difference(page, photo):
    upload(page, photo)
    page.locator("#translate").click()
    for name, label in (("again", "summer → summer"), ("cycle", "summer → winter → summer")):
        expect(page.locator(f"#{name} img")).to_be_visible()
        expect(page.locator(f"#{name}")).to_contain_text(label)
        expect(page.locator(f"#{name}_heat")).to_contain_text("Difference: ")
        assert is_drawn(page.locator(f"#{name}_heat img"))


def test_the_result_becomes_the_photo(page, photo):
    expect(page.locator("#reuse")).to_be_disabled()
    upload(page, photo)
    page.locator("#translate").click()
    expect(page.locator("#cycle_heat img")).to_be_visible()
    winter = after(page).get_attribute("src")
    page.locator("#reuse").click()
    expect(page.get_by_role("radio", name="winter → summer")).to_be_checked()
    expect(after(page)).not_to_have_attribute("src", winter)
    assert sources(page.locator("#before_after img").nth(0)) == [winter]
    expect(page.locator("#again")).to_contain_text("winter → winter")
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "photo-winter-summer.png"


def test_a_sample_becomes_the_result(page, photo):
    upload(page, photo)
    page.locator("#translate").click()
    expect(page.locator("#cycle_heat img")).to_be_visible()
    open_tab(page, "Sample")
    pictures = page.locator("#gallery .grid-wrap img")
    expect(pictures).to_have_count(4)
    third = sources(pictures)[2]
    page.locator("#gallery button").filter(has=page.locator("img")).nth(2).press("Enter")
    expect(after(page)).to_be_visible()
    assert sources(after(page)) == sources(page.locator("#result_ab img")) == [third]
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "photo-winter-2.png"


def test_a_latent_walk_can_be_downloaded(page, photo, tmp_path):
    upload(page, photo)
    open_tab(page, "Sample")
    page.locator("#walk").click()
    expect(page.locator("#walk_film img")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#walk_download").click()
    assert download.value.suggested_filename == "photo-winter-walk.webp"
    download.value.save_as(tmp_path / "walk.webp")
    with Image.open(tmp_path / "walk.webp") as film:
        assert (film.n_frames, film.info["loop"], film.size) == (24, 0, (123, 77))


def test_between_two_photos_moves_live(page, photo, tmp_path):
    upload(page, photo)
    open_tab(page, "Between")
    shown = page.locator("#between img")
    page.locator("#photo_2 input[type=file]").set_input_files(write_photo(tmp_path / "two.png", (90, 90)))
    expect(shown).to_be_visible()
    page.locator("#position input[type=range]").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(shown).to_have_attribute("src", re.compile("photo-between-62.png"))
    winter = shown.get_attribute("src")
    page.locator("#domain").get_by_role("radio", name="summer").check()
    expect(shown).not_to_have_attribute("src", winter)
    page.locator("#flip").click()  # now photos of winter, drawn in summer
    expect(page.locator("#domain").get_by_role("radio", name="summer")).to_be_checked()
    page.locator("#journey").click()
    expect(page.locator("#journey_film img")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#journey_download").click()
    assert download.value.suggested_filename == "photo-journey.webp"


def test_looking_around_without_a_photo_is_no_mistake(page):
    for name in ("Sample", "Between", "Dream", "Inside", "Translate"):
        open_tab(page, name)
    page.locator("#flip").click()
    expect(page.get_by_role("radio", name="winter → summer")).to_be_checked()
    open_tab(page, "Sample")
    page.locator("#temperature input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    open_tab(page, "Dream")
    page.locator("#dream").click()  # the queue is first in, first out: once this is done, so is the rest
    expect(page.locator("#dreams .grid-wrap img")).to_have_count(8)
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def test_between_without_a_second_photo(page, photo):
    upload(page, photo)
    open_tab(page, "Between")
    page.locator("#journey").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Please add a second photo.")


@pytest.mark.parametrize("control", ["#flip", "#model label >> nth=1"])
def test_samples_follow_the_direction_and_the_model(page, photo, control):
    upload(page, photo)
    open_tab(page, "Sample")
    pictures = page.locator("#gallery .grid-wrap img")
    expect(pictures).to_have_count(4)
    winter = sources(pictures)
    page.locator(control).click()
    expect(pictures.first).not_to_have_attribute("src", winter[0])
    expect(pictures).to_have_count(4)
    assert set(sources(pictures)).isdisjoint(winter)


def test_dreams_come_in_pairs(page):
    open_tab(page, "Dream")
    pictures = page.locator("#dreams .grid-wrap img")
    page.locator("#dream").click()
    expect(pictures).to_have_count(8)
    expect(page.get_by_text("1: summer", exact=True)).to_be_visible()
    expect(page.get_by_text("4: winter", exact=True)).to_be_visible()
    first = sources(pictures)
    page.locator("#dream_dice").click()
    expect(pictures.first).not_to_have_attribute("src", first[0])


def test_inside_tells_of_the_chosen_model(page):
    page.get_by_role("radio", name="cat ↔ dog").check()
    expect(page.get_by_role("radio", name="cat → dog")).to_be_checked()
    expect(page.locator("#again")).to_contain_text("Drawn again")
    open_tab(page, "Inside")
    expect(page.locator("#about")).to_contain_text("cat as dog")
    expect(page.get_by_role("link", name="MUNIT")).to_be_visible()


def test_without_a_photo(page):
    page.locator("#translate").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Please add a photo first.")
    expect(page.get_by_text("Error", exact=True)).to_have_count(0)
    assert is_drawn(after(page))  # still the example


def test_a_file_that_is_no_picture(page, tmp_path):
    bad = tmp_path / "holiday.png"
    bad.write_text("not a picture")
    page.locator("#photo input[type=file]").set_input_files(bad)
    expect(page.locator("#photo img")).to_be_attached()
    page.locator("#translate").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("holiday.png is not a picture this program can read: try a JPEG or PNG file.")
    expect(page.locator("#result_ab img")).to_have_count(0)


def test_an_example_brings_its_direction_and_its_result(page):
    page.get_by_role("button", name="Winter lake").click()
    expect(page.locator("#result_ab img")).to_be_visible()
    expect(page.get_by_role("radio", name="winter → summer")).to_be_checked()
    assert sources(after(page)) == sources(page.locator("#result_ba img"))


def test_another_model_is_there_within_a_second(page):
    times = []
    for model, direction in 2 * [("cat ↔ dog", "cat → dog"), ("summer ↔ winter", "summer → winter")]:
        begun = time.monotonic()
        page.get_by_role("radio", name=model).check()
        expect(page.get_by_role("radio", name=direction)).to_be_checked()
        times.append(time.monotonic() - begun)
    assert min(times) < 1  # the others may have had a busy machine


def test_another_model_has_other_directions(page, photo):
    upload(page, photo)
    page.get_by_role("radio", name="cat ↔ dog").check()
    expect(page.get_by_role("radio", name="cat → dog")).to_be_checked()
    expect(page.get_by_role("radio", name="summer → winter")).to_have_count(0)
    expect(page.locator("#result_ba img")).to_be_visible()
    expect(page.locator("#result_ab")).to_contain_text("cat → dog")


def test_a_photo_from_the_camera(page):
    page.get_by_role("button", name="Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#photo video')?.videoWidth > 0")
    page.get_by_role("button", name="capture photo").click()
    expect(page.get_by_role("button", name="Remove Image")).to_be_visible()
    page.locator("#translate").click()
    expect(page.locator("#result_ba img")).to_be_visible()
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
    page.locator("#translate").click()
    expect(page.locator("#result_ba img")).to_be_visible()


def test_nothing_is_wider_than_a_phone(page, photo):
    page.set_viewport_size({"width": 390, "height": 844})

    def too_wide() -> int:
        return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    assert too_wide() <= 0
    upload(page, photo)
    page.locator("#translate").click()
    expect(page.locator("#cycle_heat img")).to_be_visible()
    assert too_wide() <= 0
    bottom, top = (page.locator(i).bounding_box() for i in ("#translate", "#before_after"))
    assert top["y"] - (bottom["y"] + bottom["height"]) < 100  # the result is right under the button
    tabs = [tab.bounding_box() for tab in page.get_by_role("tab").all()]
    assert len(tabs) == 5
    assert {round(tab["y"]) for tab in tabs} == {round(tabs[0]["y"])}  # in one line

    open_tab(page, "Sample")
    expect(page.locator("#gallery .grid-wrap img")).to_have_count(4)
    page.locator("#walk").click()
    expect(page.locator("#walk_film img")).to_be_visible()
    assert too_wide() <= 0
    open_tab(page, "Between")
    page.locator("#photo_2 input[type=file]").set_input_files(photo)
    expect(page.locator("#between img")).to_be_visible()
    assert too_wide() <= 0
    open_tab(page, "Dream")
    page.locator("#dream").click()
    expect(page.locator("#dreams .grid-wrap img")).to_have_count(8)
    assert too_wide() <= 0
    open_tab(page, "Inside")
    expect(page.locator("#about")).to_be_visible()
    assert too_wide() <= 0


def test_a_photo_is_translated_as_soon_as_it_is_there(page, photo):
    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    assert sources(after(page)) == sources(page.locator("#result_ab img"))


def test_the_full_resolution_is_drawn_on_request(page, tmp_path):
    expect(page.locator("#full")).to_be_disabled()
    upload(page, write_photo(tmp_path / "large.png", (1100, 900)))
    expect(page.locator("#cycle_heat img")).to_be_visible()
    assert after(page).evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 1100 × 900 pixels")
    expect(page.locator("#full_cancel")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#full_download").click()
    assert download.value.suggested_filename == "large-winter-full.png"
    download.value.save_as(tmp_path / "full.png")
    assert Image.open(tmp_path / "full.png").size == (1100, 900)


def test_the_full_resolution_can_be_cancelled(page, tmp_path):
    upload(page, write_photo(tmp_path / "poster.jpg", (6000, 5000)))
    expect(page.locator("#cycle_heat img")).to_be_visible()
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text(re.compile(r"Drawn: \d+ of \d+ tiles"))
    page.locator("#full_cancel").click()
    expect(page.locator("#full_cancel")).to_be_hidden()
    expect(page.locator("#full_status")).to_contain_text("Stopped.")
    page.locator("#flip").click()  # the model is free again
    expect(page.locator("#result_ba img")).to_have_attribute("src", re.compile("poster-summer"))
    expect(page.locator("#full_download")).to_be_hidden()


def test_a_face_is_marked_moved_and_put_back(page, tmp_path):
    expect(page.locator("#side")).to_be_hidden()
    page.get_by_role("radio", name="cat ↔ dog").check()
    upload(page, write_photo(tmp_path / "pet.png", (300, 200)))
    expect(page.locator("#cycle_heat img")).to_be_visible()
    face = page.locator("#face img")
    places = [page.locator(f"#{name} input[type=number]") for name in ("across", "down", "side")]
    expect(face).to_be_visible()
    assert [place.input_value() for place in places] == ["50", "50", "100"]  # nothing to be found in a gradient
    expect(page.locator("#face")).to_contain_text("No face was found")
    assert after(page).evaluate("image => image.decode().then(() => image.naturalWidth)") == 300  # it is put back
    page.locator("#put_back input").uncheck()
    page.wait_for_function("document.querySelectorAll('#before_after img')[1].naturalWidth === 200")
    shown, marked = after(page).get_attribute("src"), face.get_attribute("src")

    width, height = (face.bounding_box()[side] for side in ("width", "height"))  # the picture is in the middle of it
    scale = min(width / 300, height / 200, 1)  # and not enlarged
    face.click(position={"x": width / 2 - 0.25 * 300 * scale, "y": height / 2 + 0.25 * 200 * scale})
    expect(face).not_to_have_attribute("src", marked)
    expect(after(page)).not_to_have_attribute("src", shown)
    assert [float(place.input_value()) for place in places] == pytest.approx([25, 75, 100], abs=2)

    shown, marked = after(page).get_attribute("src"), face.get_attribute("src")
    page.locator("#side input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    expect(face).not_to_have_attribute("src", marked)
    expect(after(page)).not_to_have_attribute("src", shown)
    assert after(page).evaluate("image => image.decode().then(() => image.naturalWidth)") == 198

    page.locator("#put_back input").check()
    expect(page.locator("#before_after img").first).to_have_attribute("src", re.compile("pet.png"))
    page.wait_for_function("document.querySelectorAll('#before_after img')[1].naturalWidth === 300")
    page.locator("#full").click()
    expect(page.locator("#full_status")).to_contain_text("Done: 300 × 200 pixels")


def test_the_page_in_chinese(page, photo):
    upload(page, photo)  # and left in the middle of the drawing
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("tab", name="變化")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-TW")
    page.locator("#translate").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("請先加入一張照片。")
    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    expect(page.locator("#result_ab")).to_contain_text("夏天 → 冬天")
    expect(page.locator("#cycle")).to_contain_text("夏天 → 冬天 → 夏天")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("tab", name="Sample")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize(
    ("locale", "tab"), [("zh-TW", "變化"), ("zh-HK", "變化"), ("zh-CN", "Sample"), ("de-DE", "Sample")]
)
def test_a_first_visit_gets_the_language_of_the_browser_if_there_is_one(browser, app_url, locale, tab):
    context = browser.new_context(locale=locale)
    visit = context.new_page()
    visit.goto(app_url)
    expect(visit.get_by_role("tab", name=tab)).to_be_visible()
    if tab != "Sample":  # who then chooses English is not sent back
        visit.get_by_role("link", name="English").click()
        expect(visit.get_by_role("tab", name="Sample")).to_be_visible()
        visit.reload()
        expect(visit.get_by_role("tab", name="Sample")).to_be_visible()
    context.close()


def test_a_link_brings_its_settings(page, context, app_url):
    page.get_by_role("button", name="Winter lake").click()
    expect(page.locator("#cycle_heat img")).to_be_visible()
    open_tab(page, "Sample")
    page.locator("#temperature input[type=range]").fill("1.5")
    page.locator("#seed input").fill("7")
    open_tab(page, "Inside")
    page.locator("#link").click()
    expect(page.locator("#link_text textarea")).to_have_value(re.compile("^http://127"))
    link = page.locator("#link_text textarea").input_value()
    assert link.startswith(f"{app_url}/?model=seasons&direction=winter")
    other = context.new_page()
    other.goto(link)
    expect(other.locator("#cycle_heat img")).to_be_visible()
    expect(other.get_by_role("radio", name="winter → summer")).to_be_checked()
    assert sources(after(other)) == sources(after(page))
    open_tab(other, "Sample")
    expect(other.get_by_text("seed 7, temperature 1.5")).to_be_visible()


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
    expect(visit.get_by_role("tab", name="變化")).to_be_visible()  # and the settings go with it
    expect(visit.get_by_role("radio", name="冬天 → 夏天")).to_be_checked()
    expect(visit.locator("#cycle_heat img")).to_be_visible()
    visit.get_by_role("link", name="English").click()
    expect(visit.get_by_role("tab", name="Sample")).to_be_visible()
    expect(visit.get_by_role("radio", name="winter → summer")).to_be_checked()
    open_tab(visit, "Sample")
    expect(visit.locator("#seed input")).to_have_value("7")
    context.close()
    assert errors == []


@pytest.mark.parametrize("model", ["../../etc", "seasons"])
@pytest.mark.parametrize("noise", ["temperature=hot&grain=&seed=-1", "temperature=9&grain=3&seed=9999999999"])
def test_a_link_with_nonsense_is_a_plain_visit(model, noise, page, app_url):
    page.goto(f"{app_url}/?model={model}&direction=x&photo=../app.py&{noise}")
    expect(page.locator("#translate")).to_be_visible()
    open_tab(page, "Sample")
    for name, value in {"temperature": "1", "seed": "0"}.items():
        expect(page.locator(f"#{name} input[type=number]")).to_have_value(value)
    expect(page.locator("#grain").get_by_role("radio", name="8")).to_be_checked()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    expect(page.get_by_role("radio", name="summer → winter")).to_be_checked()


def test_each_model_shows_what_it_does(page):
    pictures = page.locator("#model label").evaluate_all(
        "labels => labels.map(label => getComputedStyle(label).backgroundImage)"
    )
    assert len(pictures) == 2
    assert all(picture.startswith('url("data:image/webp;base64,') for picture in pictures)


def test_everything_can_be_reached_and_used_with_the_keyboard(page, photo):
    page.get_by_role("button", name="Winter lake").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#cycle_heat img")).to_be_visible()
    reached: set[str] = set()
    page.locator("body").press("Tab")
    for _ in range(60):
        reached.add(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))
        page.keyboard.press("Tab")
    assert {"flip", "translate", "download", "full", "reuse"} <= reached
    page.locator("#flip").press("Enter")
    expect(page.get_by_role("radio", name="summer → winter")).to_be_checked()
    page.get_by_role("tab", name="Sample").press("Enter")
    expect(page.locator("#gallery .grid-wrap img")).to_have_count(4)


NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, [role=button], img')]
    .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest('[aria-hidden=true]'))
    .filter(e => e.type !== 'file' && e.type !== 'hidden')
    .filter(e => !(e.ariaLabel || e.title || e.alt || e.innerText?.trim() || e.labels?.length || e.placeholder
                   || e.getAttribute('aria-labelledby') || e.querySelector('[aria-label], [title], img:not([alt=""])')))
    .map(e => e.outerHTML.slice(0, 400))"""


def test_every_control_and_picture_has_a_name(page, photo):
    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    nameless = page.evaluate(NAMELESS)
    open_tab(page, "Sample")
    expect(page.locator("#gallery .grid-wrap img")).to_have_count(4)
    nameless += page.evaluate(NAMELESS)
    open_tab(page, "Between")
    page.locator("#photo_2 input[type=file]").set_input_files(photo)
    expect(page.locator("#between img")).to_be_visible()
    nameless += page.evaluate(NAMELESS)
    open_tab(page, "Dream")
    page.locator("#dream").click()
    expect(page.locator("#dreams .grid-wrap img")).to_have_count(8)
    nameless += page.evaluate(NAMELESS)
    # Gradio gives the two pictures of its slider an empty name; the same two are beside it, with names.
    assert [html for html in set(nameless) if "imageslider-image" not in html] == []


def test_the_notice_is_visible(page):
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text(MISSING_REPO)


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
        page.goto(url)
        expect(page.get_by_text("A broken cat", exact=True)).to_have_count(0)
        page.get_by_text("A cat", exact=True).first.click()
        expect(page.locator("#cycle_heat img")).to_be_visible()
        assert is_drawn(after(page))
        expect(page.locator("#face img")).to_be_visible()
        for name in ("face_of", "asked"):
            expect(page.locator(f"#{name}")).to_be_hidden()
        open_tab(page, "Inside")
        expect(page.locator("#about")).to_contain_text("0.250")
        page.get_by_text("About the example photos").click()
        expect(page.locator("#credits")).to_contain_text("nobody in particular")
        page.goto(f"{url}/?model=owner/zoo&direction=dog → cat&photo=a-cat")
        expect(page.locator("#cycle_heat img")).to_be_visible()
        expect(page.get_by_role("radio", name="dog → cat")).to_be_checked()
        for path in (tmp_path / "files").rglob("a-cat.jpg"):  # as when it has been there for an hour
            path.unlink()
        page.locator("#full").click()
        expect(page.get_by_test_id("toast-body")).to_contain_text("This photo is no longer here: please add it again.")
        expect(page.locator("#full_status")).to_have_text("")
        expect(page.locator("#full_cancel")).to_be_hidden()


def test_the_first_view_shows_what_it_is_about(page):
    """A result before anything was asked for, and a picture beside the name of each example."""
    assert is_drawn(after(page))
    expect(page.locator("#download")).to_be_disabled()  # it is nobody's photo
    buttons = page.locator("#examples .gallery > button")
    images = buttons.evaluate_all("buttons => buttons.map(button => getComputedStyle(button).backgroundImage)")
    assert len(images) == buttons.count() > 1
    assert all(image.startswith('url("data:image/webp;base64,') for image in images)


DROP = """(box, [name, data]) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt())], name, {type: "image/png"}));
    box.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
}"""


def test_a_photo_dropped_on_a_photo_takes_its_place(page, photo, tmp_path):
    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    data = base64.b64encode(write_photo(tmp_path / "other.png", (60, 60)).read_bytes()).decode()
    page.locator("#photo img").evaluate(DROP, ["other.png", data])
    expect(page.locator("#result_in img")).to_have_attribute("src", re.compile(r"other\.png"))
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "other-winter.png"


def test_the_wheel_scrolls_the_page_also_over_the_result(page, photo):
    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    box = page.locator("#before_after").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY === 300")
    assert after(page).evaluate("image => getComputedStyle(image).transform") in ("none", "matrix(1, 0, 0, 1, 0, 0)")


def test_a_phone_is_taken_to_the_result(context, app_url):
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(app_url)
    page.get_by_role("button", name="Winter lake").click()
    expect(after(page)).to_have_attribute("src", re.compile(r"-summer\.png"))
    expect(page.locator("#before_after")).to_be_in_viewport(ratio=0.9)


def test_nothing_is_left_of_the_photo_before(page, photo, tmp_path):
    """Neither when the next one cannot be read, nor when it was taken away."""
    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    bad = tmp_path / "holiday.png"
    bad.write_text("not a picture")
    page.locator("#photo input[type=file]").set_input_files(bad)
    expect(page.get_by_test_id("toast-body")).to_contain_text("holiday.png is not a picture")
    for name in ("result_ab", "result_ba", "cycle"):
        expect(page.locator(f"#{name} img")).to_have_count(0)
    for button in ("download", "full", "reuse"):
        expect(page.locator(f"#{button}")).to_be_disabled()
    expect(page.locator("#before_after")).not_to_contain_text("Error")

    upload(page, photo)
    expect(page.locator("#cycle_heat img")).to_be_visible()
    open_tab(page, "Sample")
    expect(page.locator("#gallery .grid-wrap img")).to_have_count(4)
    page.locator("#photo").get_by_role("button", name="Remove image").click()
    expect(page.locator("#gallery .grid-wrap img")).to_have_count(0)
    open_tab(page, "Translate")
    expect(page.locator("#download")).to_be_disabled()
    expect(page.locator("#result_ab img")).to_have_count(0)
    assert is_drawn(after(page))  # the example of the beginning


def test_a_bad_photo_for_a_model_of_faces_is_one_sentence(page, tmp_path):
    page.get_by_role("radio", name="cat ↔ dog").check()
    expect(page.get_by_role("radio", name="cat → dog")).to_be_checked()
    page.locator("#side input[type=range]").focus()
    page.keyboard.press("ArrowLeft")  # a square in no photo
    bad = tmp_path / "pet.png"
    bad.write_text("not a picture")
    page.locator("#photo input[type=file]").set_input_files(bad)
    expect(page.get_by_test_id("toast-body")).to_have_count(1)
    expect(page.get_by_test_id("toast-body")).to_contain_text("pet.png is not a picture")
    expect(page.locator("#face")).not_to_contain_text("Error")


def test_a_picked_sample_has_no_full_resolution(page, photo):
    """That would be drawn without its noise: another picture."""
    upload(page, photo)
    expect(page.locator("#full")).to_be_enabled()
    open_tab(page, "Sample")
    expect(page.locator("#gallery .grid-wrap img")).to_have_count(4)
    page.locator("#gallery button").filter(has=page.locator("img")).nth(1).click()
    expect(page.locator("#full")).to_be_disabled()


def test_an_emptied_seed_waits_for_another(page, photo):
    upload(page, photo)
    open_tab(page, "Sample")
    pictures = page.locator("#gallery .grid-wrap img")
    expect(pictures).to_have_count(4)
    page.locator("#seed input").fill("")
    page.locator("#seed input").fill("12")
    expect(page.get_by_text("seed 12, temperature 1", exact=True)).to_be_visible()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def test_the_other_language_keeps_the_settings(page, app_url):
    page.goto(f"{app_url}/?model=zoo&direction=dog+→+cat")
    expect(page.get_by_role("radio", name="dog → cat")).to_be_checked()
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("radio", name="狗 → 貓")).to_be_checked()
