"""Between Gradio and the studio: what a browser sent, and what it is given."""

import contextlib
import functools
import hashlib
import inspect
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from unit.hub import write_atomic
from unit.pictures import film
from unit.studio import Mistake, Upload
from unit.words import Words

LOSSLESS = 4_000_000  # pixels: larger results are saved as JPEG, since a PNG of a poster takes a minute and 100 MB
SECONDS = 3  # of a film

# The model works for one visitor at a time: on few cores, two at once are slower for both. Of many quick changes the
# last one always wins.
BUSY: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
QUICK: dict[str, Any] = {"preprocess": False, "api_visibility": "private", "queue": False}
RUN: dict[str, Any] = {**QUICK, **BUSY, "queue": True, "trigger_mode": "always_last"}


def uploaded(photo: Any) -> Upload:
    """What the browser sent, as a photo that somebody uploaded.

    Every handler takes photos unprocessed: Gradio would open the file itself and answer a bad one with a path of the
    server. A file without its upload mark was never checked to be an upload, so it is not opened.
    """
    if photo is None:
        raise Mistake("Please add a photo first.")
    try:
        file = gr.FileData.model_validate(photo, context={"validate_meta": True})
    except ValueError as error:
        raise Mistake("This is not an uploaded picture: upload the file first.") from error
    return Upload(file.path, Path(file.orig_name or "photo").stem[:50])


def saved(image: Image.Image, name: str) -> str:
    """The picture as a file called `name`, for the browser."""
    file = io.BytesIO()
    if image.width * image.height <= LOSSLESS:
        image.save(file, "PNG", compress_level=1)  # of photos no larger than at 6, and four times as quick
        return kept(file.getvalue(), f"{name}.png")
    image.save(file, "JPEG", quality=95, subsampling=0)
    return kept(file.getvalue(), f"{name}.jpg")


def saved_film(frames: Iterable[Image.Image], name: str) -> str:
    return kept(film(frames, SECONDS), f"{name}.webp")


def kept(data: bytes, name: str) -> str:
    """A file where Gradio serves from and clears old ones away, in a folder called after its contents.

    Gradio's own function for it writes an equal file again, while a browser may be reading the first.
    """
    path = Path(get_upload_folder(), hashlib.blake2b(data, digest_size=32).hexdigest(), Path(name).name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.touch()  # it is as good as new
        else:
            write_atomic(path, data)
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
        raise Mistake("The server has no room for the result: please try again in some minutes.") from error
    return str(path.resolve())


def politely(fn: Callable[..., Any], language: Callable[..., Words]) -> Callable[..., Any]:
    @contextlib.contextmanager
    def in_one_sentence(*given: Any) -> Iterator[None]:
        try:
            yield
        except Mistake as mistake:
            words = language(*given)
            raise gr.Error(words(str(mistake)), title=words("Please try again"), print_exception=False) from mistake

    @functools.wraps(fn)
    def call(*given: Any) -> Any:
        with in_one_sentence(*given):
            return fn(*given)

    @functools.wraps(fn)
    def steps(*given: Any) -> Iterator[Any]:
        with in_one_sentence(*given):
            yield from fn(*given)

    return steps if inspect.isgeneratorfunction(fn) else call
