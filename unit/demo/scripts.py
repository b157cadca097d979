"""The scripts and styles of Gradio's own pages, compressed once and kept for all visitors.

A page asks for some ninety of them. Gradio reads and compresses each anew for each visitor, which on two cores takes
longer than all else that the server does while a page opens.
"""

import gzip
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from starlette.datastructures import Headers, MutableHeaders

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

_FILE = re.compile(r"/assets/[^/]+\.(js|css)$")
_LONGEST = 5_000_000  # bytes: of a larger file nothing is kept


class _Answer(NamedTuple):
    start: Message
    body: bytes


class KeptScripts:
    """ASGI middleware. What a file is called changes with what is in it, so a browser may keep it, too."""

    def __init__(self, app: Any):
        self.app = app
        self.kept: dict[str, _Answer] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if not self._can_be_kept(scope):
            await self.app(scope, receive, send)
            return
        answer = self.kept.get(scope["path"]) or await self._asked(scope, receive)
        if answer.start["status"] == 200 and len(answer.body) < _LONGEST:  # so there are no more than there are files
            self.kept[scope["path"]] = answer
        await send({**answer.start, "headers": [*answer.start["headers"]]})  # others may change theirs
        await send({"type": "http.response.body", "body": answer.body})

    @staticmethod
    def _can_be_kept(scope: Message) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET" or not _FILE.search(scope["path"]):
            return False
        headers = Headers(scope=scope)
        asks_for_part = any(name in headers for name in ("range", "if-none-match", "if-modified-since"))
        return "gzip" in headers.get("accept-encoding", "") and not asks_for_part

    async def _asked(self, scope: Message, receive: Receive) -> _Answer:
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        await self.app(scope, receive, collect)
        if start["status"] != 200:
            return _Answer(start, bytes(body))
        return _Answer(start, compressed(start, bytes(body), "public, max-age=31536000, immutable"))


def compressed(start: Message, body: bytes, cache: str | None = None) -> bytes:
    """A body made smaller, of which the headers of an answer, which `start` begins, are told."""
    body = gzip.compress(body, 5)
    start["headers"] = [*start["headers"]]
    headers = MutableHeaders(raw=start["headers"])
    headers["content-encoding"] = "gzip"
    headers["content-length"] = str(len(body))
    headers.add_vary_header("Accept-Encoding")
    if cache:
        headers["cache-control"] = cache
    return body
