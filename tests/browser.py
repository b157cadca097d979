"""A real browser, started once for all tests: headless Chromium. UNIT_NO_BROWSER=1 leaves out what needs it."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = next(filter(os.path.exists, ["/usr/bin/chromium", shutil.which("chromium") or ""]), None)
    if chromium is None:
        pytest.fail("Chromium is missing: apt-get install chromium, or set UNIT_NO_BROWSER=1 to leave these tests out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET + CAMERA)
        yield browser
        browser.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """UNIT_NO_BROWSER=1 leaves the browser tests out, and pytest counts them as deselected."""
    if os.environ.get("UNIT_NO_BROWSER") == "1":
        out = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
