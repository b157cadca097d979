"""A part of the page by itself: served, and opened in the browser."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, expect

import app
from unit.system import no_proxy


@contextlib.contextmanager
def served(build: Callable[[], gr.Blocks], folder: Path) -> Iterator[str]:
    """The address of what is built. Its files lie in `folder`."""
    with pytest.MonkeyPatch.context() as patch, no_proxy():
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        demo = build()
        demo.launch(theme=app.THEME, prevent_thread_lock=True, quiet=True, ssr_mode=False, server_name="127.0.0.1")
        yield demo.local_url
        demo.close()


@contextlib.contextmanager
def opened(browser: Browser, url: str, shown: str, query: str = "", **context: Any) -> Iterator[Page]:
    """The page, when `shown` is seen. Afterwards: nothing went wrong, and nothing was asked of another machine."""
    context = browser.new_context(locale="en-US", **{"viewport": {"width": 900, "height": 800}, **context})
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda r: None if r.url.startswith((url, "data:", "blob:")) else wrong.append(r.url))
    page.goto(url + query)
    expect(page.locator(shown)).to_be_visible()
    yield page
    context.close()
    if wrong:
        pytest.fail(f"in the page: {wrong}")
