"""Gradio's scripts and styles as visitors get them: compressed once, and kept."""

from typing import Any

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from unit.demo.scripts import KeptScripts

PATH = "/assets/index-1a2b.js"


class Files:
    """Stands in for Gradio: serves its answer at any address, and counts how often it was asked."""

    def __init__(self, status: int = 200):
        self.status, self.asked = status, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await PlainTextResponse("let a = 1;" * 99, self.status, headers={"etag": "x"})(scope, receive, send)


def test_a_script_is_compressed_once_for_all_and_browsers_may_keep_it():
    files = Files()
    client = TestClient(KeptScripts(files))
    answers = [client.get(PATH) for _ in range(3)]
    assert files.asked == 1
    for answer in answers:
        assert answer.text == "let a = 1;" * 99
        assert int(answer.headers["content-length"]) < 99
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["etag"] == "x"


def test_what_is_no_whole_script_that_is_there_is_as_gradio_serves_it():
    """Nor is it kept: a file may be there later."""
    for path, status, headers in (
        ("/config", 200, {}), ("/assets/../a.txt", 200, {}), (PATH, 404, {}), (PATH, 200, {"range": "bytes=0-1"}),
        (PATH, 200, {"accept-encoding": "identity"}), (PATH, 200, {"if-none-match": "x"}),
    ):  # fmt: skip
        files = Files(status)
        client = TestClient(KeptScripts(files))
        for answer in (client.get(path, headers=headers), client.get(path, headers=headers)):
            assert (answer.status_code, answer.text) == (status, "let a = 1;" * 99)
            assert "content-encoding" not in answer.headers
        assert files.asked == 2


def test_what_is_around_it_may_change_the_headers_of_an_answer():
    """As what allows other pages to ask does, for one of them at a time."""
    kept = KeptScripts(Files())

    async def around(scope: Any, receive: Any, send: Any) -> None:
        async def more(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-for", b"one"))
            await send(message)

        await kept(scope, receive, more)

    client = TestClient(around)
    for _ in range(2):
        answer = client.get(PATH)
        assert answer.headers.get_list("x-for") == ["one"]
        assert answer.text == "let a = 1;" * 99
