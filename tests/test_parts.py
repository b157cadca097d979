"""Parts of the page by themselves in a real browser: the slider over two pictures, and the strip of results."""

import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from app_server import write_photo
from gradio.utils import get_upload_folder
from page_parts import opened, served
from playwright.sync_api import Browser, Locator, Page, expect

from unit.demo.before_after import WAITING, before_after, compared, photo_alone
from unit.demo.files import kept
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.strip import LONGEST, History, Result, results_strip

pytest_plugins = ["app_server", "browser"]
expect.set_options(timeout=30_000)  # the machine may be busy
SHOWN = "#slider .after"  # when the page is there
NASTY = "<img src=x onerror=alert(1)>${alert(2)}`{{7}}.png"


def picture(name: str, size: tuple[int, int] = (120, 80)) -> str:
    """A file where Gradio serves from."""
    path = write_photo(Path(get_upload_folder(), f"{name}.png"), size)
    return kept(path.read_bytes() + name.encode(), f"{name}.png")  # no two alike


def build() -> gr.Blocks:
    """Two sliders and a strip, with a button for each thing that may happen to them."""
    first, second, tall = picture("first"), picture("second"), picture("tall", (60, 120))
    with gr.Blocks() as demo:
        both = compared(first, second, ("a photo", "its result"), ("summer", NASTY))
        slider = before_after(ENGLISH, "slider", value=both)
        other = before_after(CHINESE, "other", box="1 / 1")
        strip, history = results_strip(ENGLISH, "strip"), gr.State(History())
        changes = {"wait": WAITING, "tall": compared(tall, tall, ("", "")), "photo": photo_alone(first, "a photo")}
        changes["face"] = compared(picture("third"), second, ("", ""), at=30)
        for name, value in changes.items():
            gr.Button(name).click(lambda value=value: value, None, slider, show_progress="hidden")
        told = gr.Textbox(elem_id="told")

        def add(history: History) -> tuple[History, dict]:
            name = f"result {len(history.results)}"
            history = history.push(Result(first, picture(name), name + NASTY, {"n": name}))
            return history, history.value()

        def chosen(event: gr.SelectData, history: History) -> tuple[History, dict, str]:
            history = history.select(event.index)
            return history, history.value(), history.current.settings["n"]

        def undone(history: History) -> tuple[History, dict, str]:
            history = history.undo()
            return history, history.value(), history.current.settings["n"]

        gr.Button("add").click(add, history, [history, strip])
        gr.Button("undo").click(undone, history, [history, strip, told])
        strip.select(chosen, history, [history, strip, told])
        gr.Button("fill other").click(lambda: both, None, other)
        gr.HTML("<div style=height:1500px></div>")
    return demo


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(build, tmp_path_factory.mktemp("files")) as url:
        yield url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with opened(browser, url, SHOWN) as page:
        yield page


def handle(page: Page, slider: str = "slider") -> Locator:
    return page.locator(f"#{slider}").get_by_role("slider")


def position(page: Page, slider: str = "slider") -> int:
    """Where the handle is, in percent of the picture, as people see it."""
    grip, stage = (page.locator(f"#{slider} {part}").bounding_box() for part in (".grip", ".stage"))
    return round(100 * (grip["x"] + grip["width"] / 2 - stage["x"]) / stage["width"])


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_keys_move_the_slider_and_screen_readers_hear_where_it_is(page):
    slider = handle(page)
    expect(slider).to_have_accessible_name("Before and after: how much of each is seen")
    slider.focus()
    for key, there in [
        ("ArrowRight", 55), ("PageUp", 75), ("End", 100), ("ArrowUp", 100), ("ArrowDown", 95), ("PageDown", 75),
        ("Home", 0), ("ArrowLeft", 0),
    ]:  # fmt: skip
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuenow", str(there))
        expect(slider).to_have_attribute("aria-valuetext", f"{there} % before, {100 - there} % after")
        assert position(page) == there
    assert page.evaluate("scrollY") == 0


def test_a_mouse_takes_the_handle_wherever_it_is_pressed(page):
    stage = page.locator("#slider .stage").bounding_box()
    y = stage["y"] + stage["height"] / 3
    page.mouse.move(stage["x"] + stage["width"] * 0.2, y)
    page.mouse.down()
    assert position(page) == 20
    page.mouse.move(stage["x"] + stage["width"] * 0.7, y + 50, steps=3)
    assert position(page) == 70
    page.mouse.move(stage["x"] + stage["width"] + 300, y)  # out of the picture
    page.mouse.up()
    page.mouse.move(stage["x"] + 5, y)
    assert position(page) == 100


def test_a_finger_moves_the_handle_sideways_and_scrolls_the_page_downwards(browser, url):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, url, SHOWN, **phone) as page:
        stage = page.locator("#slider .stage").bounding_box()
        touch = page.context.new_cdp_session(page)

        def swipe(start: tuple[float, float], end: tuple[float, float]) -> None:
            """Shares of the stage."""
            points = [
                {
                    "x": stage["x"] + stage["width"] * (start[0] + (end[0] - start[0]) * i / 8),
                    "y": stage["y"] + stage["height"] * (start[1] + (end[1] - start[1]) * i / 8),
                }
                for i in range(9)
            ]
            for i, point in enumerate(points):
                kind = "touchMove" if i else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        swipe((0.5, 0.5), (0.8, 0.52))
        assert position(page) == 80
        assert page.evaluate("scrollY") == 0
        swipe((0.3, 0.9), (0.3, 0.1))
        page.wait_for_function("scrollY > 50")
        assert position(page) == 80
        page.evaluate("scrollTo(0, 0)")
        page.touchscreen.tap(stage["x"] + stage["width"] * 0.25, stage["y"] + stage["height"] / 2)
        assert position(page) == 25


def test_pictures_have_descriptions_and_names_are_text_whatever_is_in_them(page):
    expect(page.locator("#slider").get_by_role("img", name="a photo")).to_be_visible()
    expect(page.locator("#slider").get_by_role("img", name="its result")).to_be_visible()
    expect(page.locator("#slider .of-before")).to_have_text("summer")
    expect(page.locator("#slider .of-after")).to_have_text(NASTY)


def test_while_a_result_comes_the_old_one_stays_and_nothing_moves(page):
    frame = page.locator("#slider .frame")
    place = "frame => [frame.offsetLeft, frame.offsetTop, frame.offsetWidth, frame.offsetHeight]"
    before = frame.evaluate(place)
    handle(page).press("End")
    page.evaluate("""() => {
        window.shift = 0;
        new PerformanceObserver(list => list.getEntries().forEach(entry => window.shift += entry.value))
            .observe({type: "layout-shift"});
    }""")
    press(page, "wait")
    expect(frame).to_have_attribute("aria-busy", "true")
    expect(page.locator("#slider").get_by_role("status")).to_be_visible()
    expect(page.locator("#slider .after")).to_be_visible()
    page.wait_for_timeout(600)  # what moves within half a second of a click does not count as a shift
    page.get_by_role("button", name="tall", exact=True).evaluate("button => setTimeout(() => button.click(), 600)")
    handle(page).focus()
    expect(page.locator("#slider .of-after")).to_have_text("After")
    expect(page.locator("#slider").get_by_role("status")).to_be_hidden()
    stage = page.locator("#slider .stage").bounding_box()
    assert stage["height"] == pytest.approx(2 * stage["width"], rel=0.01)
    assert frame.evaluate(place) == before
    expect(handle(page)).to_have_attribute("aria-valuenow", "100")  # it stays where it was put
    expect(handle(page)).to_be_focused()
    assert page.evaluate("window.shift") < 0.05  # of the 0.1 that counts as good


def test_a_photo_alone_has_no_handle(page):
    press(page, "photo")
    expect(handle(page)).to_be_hidden()
    expect(page.locator("#slider").get_by_role("img", name="a photo")).to_be_visible()
    expect(page.locator("#slider").get_by_role("status")).to_be_visible()


def test_with_a_new_photo_the_handle_goes_to_its_face_and_then_stays(page):
    press(page, "face")
    expect(handle(page)).to_have_attribute("aria-valuenow", "30")
    handle(page).press("ArrowRight")
    for name in ("wait", "face"):  # of the same photo, as after another variation
        press(page, name)
    expect(page.locator("#slider .frame")).to_have_attribute("aria-busy", "false")
    assert position(page) == 35
    press(page, "tall")  # a photo without a face
    expect(page.locator("#slider img.before")).to_have_attribute("src", re.compile("tall"))
    assert position(page) == 35


def test_two_sliders_on_a_page_know_nothing_of_each_other(page):
    expect(page.locator("#other .said")).to_have_text("結果會顯示在這裡。")
    expect(handle(page, "other")).to_be_hidden()
    press(page, "fill other")
    handle(page, "other").press("Home")
    expect(handle(page, "other")).to_have_attribute("aria-valuetext", "轉換前 0%，轉換後 100%")
    expect(handle(page)).to_have_attribute("aria-valuenow", "50")


def test_the_slider_fills_the_screen_and_comes_back(page):
    button = page.locator("#slider").get_by_role("button", name="Full screen")
    button.click()
    page.wait_for_function("document.fullscreenElement?.matches('#slider .frame')")
    expect(button).to_have_attribute("aria-pressed", "true")
    handle(page).press("Home")
    assert position(page) == 0
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")

    page.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject(); }")  # as on an iPhone
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.locator("#slider .frame").bounding_box() == {"x": 0, "y": 0, "width": 900, "height": 800}
    button.press("Escape")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_the_strip_leads_back_to_results_and_undo_to_what_was_shown_before(page):
    strip = page.get_by_role("navigation", name="Results of this visit")
    expect(strip).to_be_hidden()
    for count in (1, 2, 3):
        press(page, "add")
        expect(strip.get_by_role("button")).to_have_count(count)
    assert strip.get_by_role("button").evaluate_all("all => all.map(one => one.title)") == [
        f"result {number}{NASTY}" for number in (2, 1, 0)
    ]
    expect(strip.locator("[aria-current=true]")).to_have_attribute("title", f"result 2{NASTY}")
    strip.get_by_role("button").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#told textarea")).to_have_value("result 0")
    expect(strip.locator("[aria-current=true]")).to_have_attribute("title", f"result 0{NASTY}")
    press(page, "undo")
    expect(page.locator("#told textarea")).to_have_value("result 2")
    press(page, "undo")
    expect(page.locator("#told textarea")).to_have_value("result 1")


@pytest.fixture
def files(tmp_path: Path) -> list[Result]:
    made = []
    for number in range(LONGEST + 2):
        (tmp_path / f"{number}.png").touch()
        made.append(Result(str(tmp_path / "0.png"), str(tmp_path / f"{number}.png"), f"result {number}"))
    return made


def pushed(results: list[Result]) -> History:
    history = History()
    for result in results:
        history = history.push(result)
    return history


def names(history: History) -> list[str]:
    return [item["name"] for item in history.value()["items"]]


def test_a_history_keeps_the_latest_results_the_newest_first(files):
    history = pushed(files)
    assert names(history) == [f"result {number}" for number in range(LONGEST + 1, 1, -1)]
    assert history.current == files[-1]
    assert history.value()["current"] == history.value()["items"][0]["number"]


def test_the_same_result_again_is_there_once_and_is_the_newest(files):
    one, other = files[:2]
    assert names(pushed([one, one])) == ["result 0"]
    assert names(pushed([one, other, one])) == ["result 0", "result 1"]
    assert pushed([one, other, one]).undo().current == other


def test_undo_goes_back_over_what_was_shown(files):
    history = pushed(files[:3]).select(0)
    assert history.current == files[0]
    assert names(history) == ["result 2", "result 1", "result 0"]  # coming back is no new result
    shown = []
    for _ in range(5):
        history = history.undo()
        shown.append(history.current)
    assert shown == [files[2], files[1], files[0], files[0], files[0]]
    assert History().undo() == History()
    assert History().current is None


def test_a_result_whose_file_is_gone_is_gone(files):
    history = pushed(files[:3])
    Path(files[2].after).unlink()
    assert names(history) == ["result 1", "result 0"]
    assert history.current == files[1]
    assert history.undo().current == files[0]
    assert history.select(2).current == files[1]
    assert names(history.push(files[3])) == ["result 3", "result 1", "result 0"]
