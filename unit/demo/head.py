"""What browsers, search engines and messengers are told of the page: title, description, icon, preview picture.

Gradio sends its own name and picture, and adds to the head by script only, which no messenger runs. So the document is
changed on its way out.
"""

import contextlib
import io
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gradio.route_utils import get_root_url
from PIL import Image, ImageDraw, ImageOps
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from unit.demo.i18n import Words
from unit.demo.scripts import KeptScripts, compressed

LOOK = Path(__file__).parent / "look"
ICON = LOOK / "icon.png"
PREVIEW = (1200, 630)  # pixels: what messengers ask for
NAME = "UNIT in the browser"
DESCRIPTION = "Turn summer into winter, day into night, a cat into a dog, with photos of your own or with examples."
# What says the same in the document as Gradio made it. No < is left in the rest of it, which is JSON.
_GRADIOS = re.compile(
    rb"""<title>.*?</title>|<meta\s[^>]*?(?:property|name)=["'](?:og|twitter|description)\b[^>]*>""", re.DOTALL
)

# Gradio speaks the language of the browser, and is to speak that of the page. What the visitor's was is kept.
_SPEAKS = """<script>
window.visitorsLanguage = navigator.language;
for (const [name, value] of Object.entries({{language: "{language}", languages: ["{language}"]}}))
    Object.defineProperty(navigator, name, {{get: () => value, configurable: true}});
</script>"""

Pair = tuple[str, str]  # files of a photo and of its translation
Pairs = Callable[[str, str, str], Pair | None]  # of an example of a model and direction, perhaps of that name
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class Head:
    """ASGI middleware: in each of the pages, what is told of it is our own.

    languages: of the pages, by their paths. ways: of the models, by name, the directions that a link can ask for.
    pair: what the page will show first, so that browsers ask for it before they know.
    """

    def __init__(self, app: Any, languages: Sequence[Words], ways: Mapping[str, Sequence[str]], pair: Pairs):
        self.app, self.ways, self.pair = app, ways, pair
        self.languages = {words.path: words for words in languages}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        words = self.languages.get(scope["path"].strip("/")) if scope["type"] == "http" else None
        if words is None or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        request, parts = Request(scope), [b""]
        start: Message = {}

        async def change(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            document, headers = b"".join(parts), MutableHeaders(raw=start["headers"])
            if start["status"] == 200 and headers.get("content-type", "").startswith("text/html"):
                document = self.changed(document, request, words)
                headers["content-length"] = str(len(document))
                if "gzip" in request.headers.get("accept-encoding", ""):
                    document = compressed(start, document)
            await send(start)
            await send({"type": "http.response.body", "body": document})

        await self.app(scope, receive, change)

    def changed(self, document: bytes, request: Request, words: Words) -> bytes:
        """The document with our words in its head."""
        tags = self.tags(request, words).encode()
        document = _GRADIOS.sub(b"", document).replace(b'lang="en"', f'lang="{words.language}"'.encode(), 1)
        first = b'<meta charset="utf-8" />'  # which has to be
        return document.replace(first, first + b"\n" + tags, 1)

    def tags(self, request: Request, words: Words) -> str:
        """The elements of the head: of a link that asks for a direction, they are about that."""
        root = get_root_url(request, request.url.path, request.scope.get("root_path"))
        model, direction, photo = (request.query_params.get(name, "") for name in ("model", "direction", "photo"))
        query, title, shows = "", words(NAME), words("Photos, and what the models made of them")
        picture = f"{root}/look/preview.jpg"
        if direction in self.ways.get(model, ()):
            about = {"model": model, "direction": direction}
            if photo and self.pair(model, direction, photo) not in (None, self.pair(model, direction, "")):
                about["photo"] = photo  # there is such an example, and its result
            query = "?" + urlencode(about)
            title = f"{words.value(direction)} · {title}"
            shows = words("A photo, and what the model made of it: {way}", way=direction)
            picture = f"{root}/look/pair.jpg{query}"
        url = f"{root}/{words.path}{query}"
        properties = {
            "og:type": "website", "og:site_name": words(NAME), "og:title": title, "og:description": words(DESCRIPTION),
            "og:url": url, "og:locale": {"en": "en_US"}.get(words.language, words.language.replace("-", "_")),
            "og:image": picture, "og:image:width": PREVIEW[0], "og:image:height": PREVIEW[1], "og:image:alt": shows,
        }  # fmt: skip
        names = {
            "description": words(DESCRIPTION), "twitter:card": "summary_large_image", "twitter:title": title,
            "twitter:description": words(DESCRIPTION), "twitter:image": picture, "twitter:image:alt": shows,
        }  # fmt: skip
        return "\n".join([
            f"<title>{escape(title)}</title>",
            _SPEAKS.format(language=words.language),
            *(f'<link rel="preload" as="image" href="{escape(url)}" />' for url in self.first_seen(root, request)),
            *(f'<meta property="{name}" content="{escape(str(value))}" />' for name, value in properties.items()),
            *(f'<meta name="{name}" content="{escape(str(value))}" />' for name, value in names.items()),
            f'<link rel="canonical" href="{escape(url)}" />',
            f'<link rel="icon" type="image/svg+xml" href="{escape(root)}/look/icon.svg" />',
            f'<link rel="apple-touch-icon" href="{escape(root)}/look/icon.png" />',
            *(
                f'<link rel="alternate" hreflang="{other.language}" href="{escape(f"{root}/{other.path}{query}")}" />'
                for other in self.languages.values()
            ),
        ])  # fmt: skip

    def first_seen(self, root: str, request: Request) -> list[str]:
        """The addresses of the pictures that the slider shows when the page has opened."""
        first = next(((model, directions[0]) for model, directions in self.ways.items() if directions), ("", ""))
        model, direction, photo = (request.query_params.get(name, "") for name in ("model", "direction", "photo"))
        way = (model, direction) if direction in self.ways.get(model, ()) else first
        return [f"{root}/gradio_api/file={path}" for path in self.pair(*way, photo) or ()]


def app_settings(languages: Sequence[Words], ways: Mapping[str, Sequence[str]], pair: Pairs) -> dict[str, Any]:
    """What `launch(app_kwargs=...)` gets, so that pages have this head, and its pictures are served.

    Args:
        languages: of the pages.
        ways: the directions of each model.
        pair: gives files of the example of a model and direction that is called so, or else of the first, if there
            is a result of it already. It is asked for each visitor, so it should be quick.
    """

    made: dict[Pair, bytes] = {}

    def pair_picture(request: Request) -> Response:
        model, direction, photo = (request.query_params.get(name, "") for name in ("model", "direction", "photo"))
        files = pair(model, direction, photo) if direction in ways.get(model, ()) else None
        with contextlib.suppress(OSError):  # they have been cleared away
            if files and files not in made:
                with Image.open(files[0]) as before, Image.open(files[1]) as after:
                    made[files] = preview([(before, after)])
        return Response(made[files], media_type="image/jpeg") if files in made else FileResponse(LOOK / "preview.jpg")

    return {
        "middleware": [Middleware(Head, languages=languages, ways=ways, pair=pair), Middleware(KeptScripts)],
        "routes": [Route("/look/pair.jpg", pair_picture), Mount("/look", StaticFiles(directory=LOOK))],
    }


def preview(pairs: Sequence[tuple[Image.Image, Image.Image]]) -> bytes:
    """A JPEG of the size PREVIEW: one pair as the slider shows it, several side by side, each before over after."""
    whole, (width, height) = Image.new("RGB", PREVIEW, "white"), (PREVIEW[0] // len(pairs), PREVIEW[1] // 2)
    draw = ImageDraw.Draw(whole)
    if len(pairs) == 1:
        before, after = (ImageOps.fit(picture.convert("RGB"), PREVIEW) for picture in pairs[0])
        whole.paste(before)
        whole.paste(after.crop((width // 2, 0, *PREVIEW)), (width // 2, 0))
        draw.line([(width // 2, 0), (width // 2, PREVIEW[1])], "white", 6)
    else:
        for i, pair in enumerate(pairs):
            for j, picture in enumerate(pair):
                whole.paste(ImageOps.fit(picture.convert("RGB"), (width, height)), (i * width, j * height))
        for i in range(1, len(pairs)):
            draw.line([(i * width, 0), (i * width, PREVIEW[1])], "white", 12)
        draw.line([(0, height), (PREVIEW[0], height)], "white", 6)
    with Image.open(ICON) as file:
        icon = file.convert("RGBA").resize((120, 120), Image.Resampling.LANCZOS)
    whole.paste(icon, ((PREVIEW[0] - 120) // 2, (PREVIEW[1] - 120) // 2), icon)
    data = io.BytesIO()
    whole.save(data, "JPEG", quality=82, optimize=True, progressive=True)
    return data.getvalue()
