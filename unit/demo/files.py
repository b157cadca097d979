"""Between Gradio and the service: what a browser sent, and what it is given."""

import contextlib
import functools
import hashlib
import inspect
import io
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import strip_invalid_filename_characters
from PIL import Image

from unit.checkpoint import write_atomic
from unit.demo.i18n import Words
from unit.demo.service import GONE, UploadedImage, UserError
from unit.demo.visualize import film
from unit.formats import LONGEST
from unit.system import short_name

logger = logging.getLogger(__name__)

LOSSLESS = 4_000_000  # pixels: larger results are saved as JPEG, since a PNG of a poster takes a minute and 100 MB
SECONDS = 3  # of a film
NAME_LENGTH, NAME_BYTES = 50, 100  # of what a photo is called, so that there is room for what its results add to it
NOT_UPLOADED = "This is not an uploaded picture: upload the file first."

# The model works for one visitor at a time: on few cores, two at once are slower for both. Of many quick changes the
# last one always wins.
BUSY: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
QUICK: dict[str, Any] = {
    "preprocess": False, "api_visibility": "private", "queue": False, "trigger_mode": "always_last",
    "show_progress": "hidden",
}  # fmt: skip
# Of what is done outside the queue a browser never hears why it failed.
SOON: dict[str, Any] = {**QUICK, "queue": True, "concurrency_limit": None}
# What was tapped is told by the event, and of the last of several Gradio tells what the first one was about.
ONCE: dict[str, Any] = {**SOON, "trigger_mode": "once"}
RUN: dict[str, Any] = {**QUICK, **BUSY, "queue": True, "show_progress": "minimal"}


def uploaded(photo: Any) -> UploadedImage:
    """What the browser sent, as a photo that somebody uploaded.

    Every handler takes photos unprocessed: Gradio would open the file itself and answer a bad one with a path of the
    server. A file without its upload mark was never checked to be an upload, so it is not opened.
    """
    if photo is None:
        raise UserError("Please add a photo first.")
    try:
        file = gr.FileData.model_validate(photo, context={"validate_meta": True})
    except ValueError as error:
        raise UserError(NOT_UPLOADED) from error
    return UploadedImage(file.path, plain_name(file.orig_name or "photo"))


def plain_name(file: str) -> str:
    """What the results of a photo are called after: its name, as far as every system takes it in the name of a file."""
    stem = Path(file).stem.encode(errors="ignore").decode()  # without halves of characters, which have no bytes
    return strip_invalid_filename_characters(stem.lstrip(". ")[:NAME_LENGTH], NAME_BYTES)


def saved(image: Image.Image, name: str) -> str:
    """The picture as a file called `name`, for the browser."""
    file = io.BytesIO()
    if image.width * image.height <= LOSSLESS or max(image.size) > LONGEST["JPEG"]:
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
    folder = hashlib.blake2b(data, digest_size=32).hexdigest()
    stem, dot, ending = strip_invalid_filename_characters(name).rpartition(".")  # domains may be called anything
    path = Path(get_upload_folder(), folder, short_name(stem, f"{dot}{ending}"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.touch()  # it is as good as new
        else:
            write_atomic(path, data)
    except OSError as error:
        logger.error("%s: %s", path, error)
        raise UserError("The server has no room for the result: please try again in some minutes.") from error
    return str(path.resolve())


def renamed(path: str, name: str) -> str:
    """The same file called `name`, with the ending it has, for a download."""
    file = Path(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(GONE) from error
    return kept(data, f"{name}{file.suffix}")


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Inside, Gradio keeps what it is sent and what is drawn in a folder of this process, which is gone at the end.

    Folders of processes that were killed before they could do that are deleted now. Ends the program, with a sentence,
    if there can be no such folder.
    """
    prefix = f"unit-page-{os.getpid()}-"
    try:
        outer = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        outer.mkdir(parents=True, exist_ok=True)
        for folder in outer.glob("unit-page-*-*"):
            process = folder.name.split("-")[2]
            if process.isdecimal() and _is_gone(int(process)):
                shutil.rmtree(folder, ignore_errors=True)
        own = tempfile.TemporaryDirectory(prefix=prefix, dir=outer, ignore_cleanup_errors=True)
    except OSError as error:
        sys.exit(f"There is no folder for uploads ({error}): set GRADIO_TEMP_DIR to one that can be written to.")
    with own as name:
        os.environ["GRADIO_TEMP_DIR"] = name
        yield Path(name)


def _is_gone(process: int) -> bool:
    if process == os.getpid():  # in a container each has the same number as the one before
        return True
    if sys.platform != "win32":  # where asking would end it
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            pass
    return False


def forget_in(folder: Path, every: float = 600, older: float = 3000) -> None:
    """From now on delete, every so many seconds, files in `folder` that are older than so many. What is there stays.

    (Gradio's own `delete_cache` knows nothing of results that were drawn when whoever asked for them had gone.)
    """
    stays = set(folder.rglob("*"))

    def sweep() -> None:
        while folder.is_dir():
            time.sleep(every)
            with contextlib.suppress(OSError):  # gone meanwhile; what is left waits for the next time
                for path in set(folder.rglob("*")) - stays:
                    if path.is_file() and time.time() - path.stat().st_mtime > older:
                        path.unlink()

    Thread(target=sweep, daemon=True).start()


class PoliteBlocks(gr.Blocks):
    """Blocks that say in one sentence what is wrong with a call. Gradio checks what it is sent before any handler sees
    it, and of what it finds there callers hear no more than that something was raised.

    app_settings: what they want `launch(app_kwargs=...)` to get.
    """

    app_settings: Mapping[str, Any] = {}

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        wanted, rest = len(block_fn.inputs), defaults(block_fn)
        if len(inputs) < wanted - len(rest):
            takes = f"{wanted - len(rest)} to {wanted}" if rest else wanted
            raise gr.Error(f"This call takes {takes} values, and {len(inputs)} came.", print_exception=False)
        inputs = [*inputs, *rest[len(inputs) - wanted + len(rest) :]]
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:  # it raises nearly anything when what should be a file is none
            logger.error("%s: %s", type(error).__name__, error)
            raise gr.Error(NOT_UPLOADED, print_exception=False) from error


def defaults(block_fn: Any) -> list[Any]:
    """Of an endpoint, what its last parameters are if a call leaves them out: it may be older than they are."""
    parameters = [*inspect.signature(block_fn.fn).parameters.values()] if block_fn.fn else []
    if len(parameters) != len(block_fn.inputs):  # one of the page, whose controls come by name
        return []
    return [parameter.default for parameter in parameters if parameter.default is not parameter.empty]


def politely(fn: Callable[..., Any], language: Callable[..., Words]) -> Callable[..., Any]:
    @contextlib.contextmanager
    def in_one_sentence(*given: Any) -> Iterator[None]:
        try:
            yield
        except UserError as mistake:
            words = language(*given)
            raise gr.Error(words.message(mistake.message), print_exception=False) from mistake

    @functools.wraps(fn)
    def call(*given: Any, **named: Any) -> Any:
        with in_one_sentence(*given):
            return fn(*given, **named)

    @functools.wraps(fn)
    def steps(*given: Any, **named: Any) -> Iterator[Any]:
        with in_one_sentence(*given):
            yield from fn(*given, **named)

    return steps if inspect.isgeneratorfunction(fn) else call
