"""The square around a face: where it may lie, and by itself in a real browser, with a mouse, a finger and keys."""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from app_server import write_photo
from axe_playwright_python.sync_playwright import Axe
from gradio.utils import get_upload_folder
from page_parts import opened, served
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from unit.demo.face_box import GEOMETRY, face_box, faces_in
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.service import Face

pytest_plugins = ["app_server", "browser"]
expect.set_options(timeout=30_000)  # the machine may be busy
SHOWN = "#face .square"  # when the page is there
WIDTH, HEIGHT = 300, 200  # of the photo
SIZES = [(300, 200), (200, 300), (128, 128), (640, 211)]
NASTY = "<img src=x onerror=alert(1)>${alert(2)}`{{7}}"
BEGUN = {"across": 30, "down": 50, "side": 40}  # (50, 60) to (130, 140) in the photo
OTHER = {"across": 80, "down": 50, "side": 50}  # (190, 50) to (290, 150)


# ---- where it may lie


@pytest.fixture(scope="module")
def geometry(browser: Browser) -> Iterator[Any]:
    """Runs a function's body in JavaScript that knows those of square.js."""
    page = browser.new_page()
    yield lambda body, given: page.evaluate(f"given => {{ {GEOMETRY} {body} }}", given)
    page.close()


@pytest.mark.parametrize("size", SIZES)
def test_the_square_on_the_page_is_the_box_that_is_cut_out(geometry, size):
    faces = [
        (across, down, side) for across in (0, 33, 50, 100) for down in (0, 48, 100) for side in (10, 55, 100, 150)
    ]
    told = [dict(zip(("across", "down", "side"), face, strict=True)) for face in faces]
    given = {"faces": told, "size": {"width": size[0], "height": size[1]}}
    squares = geometry("return given.faces.map(face => squareOf(face, given.size))", given)
    photo = Image.new("RGB", size)
    for face, square in zip(faces, squares, strict=True):
        box = Face(*(percent / 100 for percent in face)).box(photo)
        if box.side > 16:  # pixels: smaller ones are never cut out
            assert (square["left"], square["top"], square["side"]) == pytest.approx(box, abs=1)


WALK = """
    let square = given.start;
    return given.steps.map(([kind, x, y, cx, cy]) => {
        const before = square;
        if (kind === "move") square = moved(square, x, y, given.size);
        if (kind === "grow") square = grown(square, x, given.size);
        if (kind === "resize") square = resized(square, {x: cx, y: cy}, {x, y}, given.size);
        if (kind === "rest") square = squareOf(faceOf(square, given.size), given.size);
        return {before, square};
    });
"""


@pytest.mark.parametrize("size", SIZES)
def test_no_walk_leads_out_of_the_photo(geometry, size):
    (width, height), side = size, min(size) / 3
    draw = random.Random(7)
    kinds = ("move", "grow", "resize", "rest")
    steps = [
        [
            draw.choice(kinds),
            draw.uniform(-400, 700),
            draw.uniform(-400, 700),
            draw.choice((-1, 1)),
            draw.choice((-1, 1)),
        ]
        for _ in range(600)
    ]
    start = {"left": 5, "top": 6, "side": side}
    walk = geometry(WALK, {"start": start, "steps": steps, "size": {"width": width, "height": height}})
    moved = 0
    for (kind, _, _, cx, cy), step in zip(steps, walk, strict=True):
        before, square = step["before"], step["square"]
        right, bottom = square["left"] + square["side"], square["top"] + square["side"]
        assert min(square["left"], square["top"], width - right, height - bottom) > -1e-3
        assert square["side"] > 0.099 * min(size)
        moved += before != square
        if kind == "resize":  # the corner opposite to the one that is pulled stays
            for name, along in (("left", cx), ("top", cy)):
                opposite = [s[name] + (0 if along > 0 else s["side"]) for s in (before, square)]
                assert opposite[0] == pytest.approx(opposite[1])
        if kind == "move":
            assert before["side"] == square["side"]
        if kind == "rest":  # to whole percents, which are seen as hardly anything
            assert abs(before["left"] - square["left"]) <= 0.016 * max(size)
            assert -1e-6 <= before["side"] - square["side"] <= 0.0101 * min(size)
    assert moved > 200


@pytest.mark.parametrize("face", [{"across": 4, "down": 60, "side": 70}, {"across": 50, "down": 50, "side": 120}])
def test_a_face_at_the_rim_is_not_pushed_further_out(geometry, face):
    """Faces that are found may reach beyond the photo, which is mirrored there."""
    body = """
        const size = {width: 300, height: 200}, start = squareOf(given, size);
        return [start, moved(start, -500, 500, size), moved(start, 500, -500, size), grown(start, 80, size),
                squareOf(faceOf(start, size), size)];
    """
    start, *others, at_rest = geometry(body, face)
    assert at_rest == pytest.approx(start)
    low = min(0, start["left"]), min(0, start["top"])
    high = max(WIDTH, start["left"] + start["side"]), max(HEIGHT, start["top"] + start["side"])
    for square in others:
        assert low[0] - 1e-6 <= square["left"] <= high[0] - square["side"] + 1e-6
        assert low[1] - 1e-6 <= square["top"] <= high[1] - square["side"] + 1e-6
    assert others[1]["left"] + others[1]["side"] == pytest.approx(high[0])


def test_what_sliders_tell_comes_back_from_the_square(geometry):
    faces = [
        {"across": across, "down": down, "side": side}
        for side in range(10, 101) for across in range(34, 67) for down in (50,)
    ]  # fmt: skip
    given = {"faces": faces, "size": {"width": 451, "height": 300}}
    assert geometry("return given.faces.map(face => faceOf(squareOf(face, given.size), given.size))", given) == faces


# ---- on a page


def build() -> gr.Blocks:
    """A face box with two faces, one without a photo, and what the first has asked for."""
    photo = str(write_photo(Path(get_upload_folder(), "pet.png"), (WIDTH, HEIGHT)))
    faces = [Face(*(percent / 100 for percent in face.values())) for face in (BEGUN, OTHER)]
    value = faces_in(photo, "a photo" + NASTY, NASTY, faces[0], faces)
    with gr.Blocks() as demo:
        box = face_box(ENGLISH, "face", value)
        face_box(CHINESE, "empty")
        told, asked = gr.Textbox(elem_id="told", label="told"), gr.Number(0, elem_id="asked", label="asked")
        box.input(lambda value, asked: (json.dumps(value["face"]), asked + 1), [box, asked], [told, asked])
        gr.Button("elsewhere").click(lambda: {**value, "face": OTHER}, None, box, show_progress="hidden")
        gr.Button("nothing").click(lambda: None, None, box, show_progress="hidden")
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


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the photo, in its pixels, on the screen."""
    stage = page.locator("#face .stage").bounding_box()
    scale = stage["width"] / WIDTH
    return stage["x"] + x * scale, stage["y"] + y * scale


def seen(page: Page) -> list[float]:
    """Left, top, width and height of the square as people see it, in pixels of the photo."""
    square, stage = (page.locator(f"#face .{part}").bounding_box() for part in ("square", "stage"))
    scale = stage["width"] / WIDTH
    return [
        (square["x"] - stage["x"]) / scale, (square["y"] - stage["y"]) / scale,
        square["width"] / scale, square["height"] / scale,
    ]  # fmt: skip


def told(page: Page, **face: int) -> None:
    """Wait until the page was told of this face."""
    expect(page.locator("#told textarea")).to_have_value(json.dumps(face))


def asked(page: Page, times: int) -> None:
    expect(page.locator("#asked input")).to_have_value(str(times))


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Places of the photo."""
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=8)


def test_a_mouse_drags_the_square_and_asks_when_it_lets_go(page):
    assert seen(page) == pytest.approx([50, 60, 80, 80], abs=1)
    drag(page, (90, 100), (150, 90))
    assert seen(page) == pytest.approx([110, 50, 80, 80], abs=1)
    asked(page, 0)
    page.mouse.up()
    told(page, across=50, down=45, side=40)
    drag(page, (150, 90), (700, -300))
    page.mouse.up()
    told(page, across=86, down=20, side=40)  # all of it is in the photo
    assert seen(page) == pytest.approx([218, 0, 80, 80], abs=1)
    page.mouse.move(*at(page, 100, 100))
    assert seen(page) == pytest.approx([218, 0, 80, 80], abs=1)
    asked(page, 2)


def test_corners_resize_the_square(page):
    drag(page, (131, 141), (161, 151))
    left, top, width, height = seen(page)
    assert (left, top, width) == pytest.approx((50, 60, 110), abs=2)
    assert width == pytest.approx(height, abs=0.5)
    page.mouse.up()
    told(page, across=35, down=58, side=55)
    drag(page, (50, 58), (300, 200))  # beyond the opposite corner
    page.mouse.up()
    told(page, across=50, down=81, side=10)
    drag(page, (140, 152), (-400, -400))
    page.mouse.up()
    left, top, width, height = seen(page)
    assert (left, top) == pytest.approx((0, 12), abs=2)
    assert width == pytest.approx(height, abs=0.5)
    asked(page, 3)


def test_a_square_that_was_not_moved_asks_for_nothing(page):
    page.mouse.click(*at(page, 90, 100))
    page.mouse.move(*at(page, 90, 100))
    page.mouse.down(button="right")
    page.mouse.up(button="right")
    expect(page.locator("#face .square")).to_be_focused()
    asked(page, 0)


def test_another_face_is_tapped_and_a_place_without_one_as_well(page):
    first, second = (page.locator("#face").get_by_role("button", name=f"Take face {n}") for n in (1, 2))
    expect(first).to_be_hidden()  # the square is there
    second.click()
    told(page, **OTHER)
    expect(second).to_be_hidden()
    expect(first).to_be_visible()
    page.mouse.click(*at(page, 150, 30))
    told(page, across=50, down=25, side=50)
    expect(second).to_be_visible()
    page.mouse.click(*at(page, 195, 60))  # of the second face, beneath the square
    told(page, **OTHER)
    asked(page, 3)


def test_keys_move_and_resize_the_square_and_ask_after_a_pause(page):
    square = page.locator("#face").get_by_role("application", name="The square around the face")
    expect(square).to_have_accessible_description(
        "Tap a face, or drag the square onto it; pull its corners to fit it. "
        "With the keyboard, arrows move it, and + and − resize it."
    )
    square.focus()
    for key in 3 * ["ArrowRight"] + ["ArrowLeft"] + 5 * ["ArrowDown"] + 2 * ["ArrowUp"] + 3 * ["+"] + ["-"]:
        page.keyboard.press(key)
    asked(page, 0)
    told(page, across=32, down=53, side=44)
    asked(page, 1)
    expect(page.locator("#face").get_by_role("status")).to_have_text(
        "The face: 32 % from the left, 53 % from the top, size 44 %"
    )
    for key in 2 * ["Shift+ArrowUp"] + 3 * ["Shift+ArrowLeft"] + ["Control+ArrowLeft"]:
        page.keyboard.press(key)
    told(page, across=32, down=53, side=42)
    asked(page, 2)
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
    told(page, across=14, down=53, side=42)
    assert page.evaluate("scrollY") == 0


def test_a_face_is_chosen_by_keyboard_and_the_focus_goes_to_its_square(page):
    page.locator("#face").get_by_role("button", name="Take face 2").focus()
    page.keyboard.press("Enter")
    told(page, **OTHER)
    expect(page.locator("#face .square")).to_be_focused()
    page.keyboard.press("ArrowUp")
    told(page, **OTHER | {"down": 49})


def test_keys_just_before_a_click_are_not_lost(page):
    page.locator("#face .square").focus()
    page.keyboard.press("ArrowRight")
    page.mouse.click(*at(page, 90, 100))
    told(page, **BEGUN | {"across": 31})
    asked(page, 1)


def test_a_finger_drags_the_square_and_scrolls_the_page_beside_it(browser, url):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with opened(browser, url, SHOWN, **phone) as page:
        touch = page.context.new_cdp_session(page)

        def swipe(start: tuple[float, float], end: tuple[float, float]) -> None:
            """Places of the photo."""
            here, there = at(page, *start), at(page, *end)
            for i in range(9):
                x, y = (a + (b - a) * i / 8 for a, b in zip(here, there, strict=True))
                kind = "touchMove" if i else "touchStart"
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        swipe((90, 100), (120, 60))
        told(page, across=40, down=30, side=40)
        swipe((160, 100), (180, 160))  # a corner
        told(page, across=50, down=45, side=70)
        assert page.evaluate("scrollY") == 0
        second = page.locator("#face").get_by_role("button", name="Take face 2")
        for _ in range(5):  # a browser that is kept waiting takes a tap for a long press, which presses nothing
            page.touchscreen.tap(*at(page, 280, 100))
            with contextlib.suppress(AssertionError):
                expect(second).to_be_hidden(timeout=2000)
                break
        told(page, **OTHER)
        swipe((20, 190), (20, 20))
        page.wait_for_function("scrollY > 50")
        asked(page, 3)


def test_a_value_from_the_page_moves_the_square_and_asks_for_nothing(page):
    page.get_by_role("button", name="elsewhere").click()
    expect(page.locator("#face").get_by_role("button", name="Take face 1")).to_be_visible()
    assert seen(page) == pytest.approx([190, 50, 100, 100], abs=1)
    page.get_by_role("button", name="nothing").click()
    expect(page.locator("#face .stage")).to_be_hidden()
    expect(page.locator("#face .said")).to_have_text("Please add a photo first.")
    expect(page.locator("#empty .said")).to_have_text("請先加入一張照片。")
    asked(page, 0)


def test_the_photo_has_its_description_whatever_is_in_it(page):
    expect(page.locator("#face").get_by_role("img", name=f"a photo{NASTY}")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser, url, theme):
    with opened(browser, url, SHOWN, f"?__theme={theme}") as page:
        page.wait_for_timeout(300)  # colours fade in
        found = Axe().run(page, context="#face").response["violations"]
        assert [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found] == []
