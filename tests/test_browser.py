"""The page in a real browser: headless Chromium, driven as a visitor would. UNIT_NO_BROWSER=1 leaves these out."""

import re

import pytest
from app_server import MISSING_REPO, write_photo
from PIL import Image
from playwright.sync_api import Page, expect
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


# ---- choose, bring, see


def test_the_first_view_shows_what_it_is_about(page):
    """A result before anything was asked for, a picture on each tile, and nothing that is empty."""
    shows(page, "a-summer_meadow-winter.png")
    assert before(page).get_attribute("src").endswith("/a-summer_meadow.png")
    expect(page.locator("#note")).to_contain_text("An example")
    for tiles, count in (("#way label", 4), ("#examples label", 1)):
        expect(page.locator(tiles)).to_have_count(count)
        for tile in page.locator(tiles).all():  # which are given their pictures again when all examples are made
            expect(tile).to_have_css("background-image", re.compile(r'^url\("data:image/webp;base64,'))
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


def test_an_example_takes_the_place_of_the_photo(page, photo):
    upload(page, photo)
    shows(page, "photo-winter.png")
    page.get_by_role("radio", name="A summer meadow").check()
    shows(page, "a-summer_meadow-winter.png")
    expect(page.locator("#photo img")).to_have_count(0)


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
        expect(tile).to_have_css("background-image", re.compile("data:image/webp"))
    open_tab(page, "From noise")
    expect(page.locator("#pairs .grid-wrap img")).to_have_count(8)
    open_tab(page, "About this model")
    expect(page.locator("#about")).to_contain_text("summer into winter")
    page.locator("#flip").click()
    shows(page, "winter-lake-summer.png")
    open_tab(page, "Film of variations")
    expect(page.locator("#walk_film img")).to_have_attribute("src", re.compile("winter-lake-summer-film"))
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


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


# ---- other ways in: camera, clipboard, links, languages, keys, fingers


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


def test_the_notice_is_visible(page):
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text(MISSING_REPO)
