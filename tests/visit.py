"""A visit to the page, for the tests in a browser. It is a plugin, too. (PYTEST_DONT_REWRITE)"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import write_photo
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

expect.set_options(timeout=30_000)  # the machine may be busy
LEAVING = "this page is being left"
NOT_BEGUN = "/upload_progress?upload_id="  # Gradio may ask how far an upload is before it has begun, which is no error


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tests, so that it has the page's scripts: without them a page takes a second more to open.

    It wants no motion, which takes a core to draw.
    """
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
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
        elif message.type == "error" and not message.location["url"].endswith(NOT_BEGUN):
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
    if strangers or errors:
        pytest.fail(f"asked of other machines: {strangers}; errors: {errors}")


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


@pytest.fixture
def two_cats(tmp_path: Path) -> Path:
    cat = Image.open(Path(__file__).parent.parent / "checkpoints/cat2dog/examples/Chelsea.jpg")
    two = Image.new("RGB", (2 * cat.width, cat.height))
    two.paste(cat, (0, 0))
    two.paste(cat, (cat.width, 0))
    two.save(tmp_path / "two-cats.jpg")
    return tmp_path / "two-cats.jpg"


def violations(page: Page) -> list[str]:
    """What axe-core finds, with the first element of each."""
    page.wait_for_timeout(300)  # colours fade in
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']} ({rule['impact']}): {rule['nodes'][0]['html'][:200]}" for rule in found]
