"""The page in a real browser, in more corners than there is time for before each change."""

import base64
import json
import re
import time

import pytest
from app_server import serve, write_photo
from hub_server import Hub, Repo
from PIL import Image
from playwright.sync_api import Page, Request, Route, expect
from visit import (
    after,
    before,
    downloaded,
    is_drawn,
    open_part,
    open_tab,
    shows,
    sources,
    upload,
    variations,
    violations,
    way,
    width_of,
)  # fmt: skip

pytest_plugins = ["app_server", "browser", "hub_server", "visit"]
pytestmark = pytest.mark.slow


# ---- choose, bring, see


def test_a_tile_shows_the_first_example_of_its_way(page):
    way(page, "winter → summer").check()
    shows(page, "winter-lake-summer.png")
    expect(page.get_by_role("radio", name="Winter lake")).to_be_checked()
    expect(page.get_by_role("radio", name="A summer meadow")).to_have_count(0)
    way(page, "cat → dog").check()  # a model without examples
    shows(page, "made-up-cat-dog.png")
    expect(page.get_by_role("radio", name="Made up")).to_be_checked()


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


@pytest.mark.parametrize(("name", "file"), [("winter → summer", "photo-summer-0"), ("cat → dog", "photo-dog-0")])
def test_variations_follow_the_way(page, photo, name, file):
    upload(page, photo)
    expect(variations(page).first).to_have_attribute("src", re.compile("photo-winter-0"))
    way(page, name).check()
    expect(variations(page).first).to_have_attribute("src", re.compile(file))
    expect(variations(page)).to_have_count(4)


# ---- more


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


def test_the_wheel_scrolls_the_page_also_over_the_result(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    box = page.locator("#before_after").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY === 300")


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
