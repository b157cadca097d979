"""What the page shows that is not of its making: example photos, what the models make of them, and the models' folders.

Every visitor begins with the same examples. What is made of them is made once, and remembered for all.
"""

import contextlib
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import NamedTuple

import gradio as gr
from PIL import Image

from unit.demo.files import saved
from unit.demo.framed import Framed
from unit.demo.service import DemoService, TranslationRequest, UploadedImage
from unit.demo.visualize import thumbnail, whole_thumbnail
from unit.familiar import Familiar
from unit.messages import Message

MOST_REMEMBERED = 200  # lists of files
ACCENTS = [  # one for each model: readable as text on white and under white text in the shade 700
    gr.themes.colors.teal, gr.themes.colors.orange, gr.themes.colors.indigo, gr.themes.colors.rose,
    gr.themes.colors.cyan, gr.themes.colors.violet,
]  # fmt: skip


class Example(NamedTuple):
    photo: Path
    model: str
    direction: str
    label: str

    @property
    def key(self) -> str:
        """What the page calls it."""
        return f"{self.model}/{self.photo.stem}"

    @property
    def upload(self) -> UploadedImage:
        return UploadedImage(str(self.photo), self.photo.stem)


class Remembered:
    """Lists of files that were made of the example photos, by what they were made of. Threads can share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[Hashable, list[str]] = {}

    def get(self, key: Hashable) -> list[str] | None:
        """What was kept for this key, if all of it is still there: old files are cleared away."""
        with self._lock:
            files = self._made.get(key)
        try:
            for file in files or ():
                os.utime(file)  # as good as new
        except OSError:
            return None
        return files

    def keep(self, key: Hashable, files: list[str]) -> None:
        with self._lock:
            while len(self._made) >= MOST_REMEMBERED:
                del self._made[next(iter(self._made))]
            self._made[key] = files


class PageAssets:
    """The examples of a page, and what it says of its models.

    credits: of the examples. folders: where cards and measures lie, by the names of the models. notice: what to tell
    every visitor.
    """

    def __init__(
        self, service: DemoService, examples: Sequence[Example], credits: str, folders: Mapping[str, Path | None],
        notice: Message | None = None,
    ):  # fmt: skip
        self.service, self.credits, self.folders, self.notice = service, credits, folders, notice
        self.examples = {example.key: example for example in examples}
        self.familiar = {service.models[name]: Familiar.load(folder) for name, folder in folders.items()}
        self.remembered = Remembered()
        self.prepared: dict[str, tuple[str, str]] = {}  # files of what the slider shows, of what has been translated
        opened = {key: example.upload.opened() for key, example in self.examples.items()}
        photos = {key: whole_thumbnail(photo) for key, photo in opened.items()}
        self.pictures = {key: (photo, photo) for key, photo in photos.items()}  # split, and the result alone
        self.photos = {key: whole_thumbnail(photo, SMALL) for key, photo in opened.items()}

    def of(self, model: str, direction: str) -> list[Example]:
        """The examples of a direction of a model."""
        return [e for e in self.examples.values() if (e.model, e.direction) == (model, direction)]

    def example(self, model: str, direction: str, key: object) -> Example | None:
        """The one of that key among them, or else the first, if there is one."""
        here = self.of(model, direction)
        return next((example for example in here if example.key == key), here[0] if here else None)

    def is_example(self, upload: UploadedImage) -> bool:
        return any(example.upload == upload for example in self.examples.values())

    def knows(self, request: TranslationRequest) -> bool:
        """Whether the model has learnt from photos like this one, as far as can be told."""
        known = self.familiar.get(request.translator)
        return known is None or known.knows(request.upload.opened())

    def framed(self, example: Example) -> Framed:
        """As the page shows it at first."""
        return Framed.of(self.service.request(example.upload, example.direction, example.model), put_back=True)

    def result(self, framed: Framed) -> list[str]:
        """Files of what the model was shown and of its translation, remembered if it is of an example."""

        def make() -> Iterator[str]:
            name = framed.request.name
            yield saved(framed.before, name)
            yield saved(framed.translation(), f"{name}-{framed.request.target}")

        *_, files = self.steps("result", framed, make)
        return files

    def steps(
        self, kind: str, framed: Framed, make: Callable[[], Iterable[str]], *settings: Hashable
    ) -> Iterator[list[str]]:  # fmt: skip
        """The files that `make` makes of a photo, after each of them all so far.

        They are remembered if the photo is an example; `settings` are those besides the photo that they depend on.
        """
        key = (kind, framed, *settings)
        files = self.remembered.get(key)
        if files is None:
            files = []
            for file in make():
                files = [*files, file]
                yield files
            if self.is_example(framed.request.upload):
                self.remembered.keep(key, files)
        else:
            yield files

    def prepare(self, example: Example) -> None:
        """Translate an example, so that its tile shows what becomes of it, and nobody has to wait for that."""
        framed = self.framed(example)
        files = self.result(framed)
        before, after = map(Image.open, files)
        self.pictures[example.key] = thumbnail(before, after), whole_thumbnail(after)
        self.prepared[example.key] = files[0], files[1]

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Meanwhile prepare all of them in the order of the tiles: the first of each direction, then the others.

        At the end it waits for the one that is being translated: Python cannot end while a thread is within PyTorch.
        """
        firsts = {(example.model, example.direction): example.key for example in reversed(self.examples.values())}
        ending = Event()

        def prepare_all() -> None:
            for example in sorted(self.examples.values(), key=lambda e: e.key not in firsts.values()):
                if not ending.is_set():
                    self.prepare(example)

        thread = Thread(target=prepare_all, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def style(self) -> str:
        """CSS with the pictures of the tiles, and an accent colour for each model. Each picture is in it once."""
        rules = []
        for model, accent in zip(self.service.models, ACCENTS * len(self.service.models), strict=False):
            shades = "".join(f"--primary-{shade}: {getattr(accent, f'c{shade}')};" for shade in SHADES)
            chosen = f":root:has(#way input[value^={css_string(f'{model}/')}]:checked)"
            rules.append(f"{chosen}, {chosen} .dark {{ {shades} }}")  # Gradio has shades of its own for the dark
        numbers = {key: number for number, key in enumerate(self.examples)}
        for key, number in numbers.items():
            split, result = self.pictures[key]
            named = f"--split-{number}: url({split}); --result-{number}: url({result});"
            rules.append(f":root {{ {named} --photo-{number}: url({self.photos[key]}); }}")
            tile = f"label:has(input[value={css_string(key)}])"
            rules.append(f"#examples {tile} {{ background-image: var(--split-{number}); }}")
            rules.append(f"#examples {tile}:is(:hover, :focus-within) {{ background-image: var(--result-{number}); }}")
            rules.append(f"#seconds {tile} {{ background-image: var(--photo-{number}); }}")
        for model in self.service.models:
            for direction in self.service.directions(model):
                for example in self.of(model, direction)[:1]:
                    tile = f"#way label:has(input[value={css_string(f'{model}/{direction}')}])"
                    rules.append(f"{tile} {{ background-image: var(--split-{numbers[example.key]}); }}")
        return f"<style>{' '.join(rules)}</style>"


SMALL = (144, 86)  # pixels: of tiles that show no more than a photo
SHADES = (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950)


def css_string(text: str) -> str:
    """In quotes, with what may end a string or the style written as numbers: models may be called anything."""
    return '"' + "".join(c if c.isalnum() else f"\\{ord(c):x} " for c in text) + '"'
