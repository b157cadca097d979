"""Components that several parts of the page have."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from unit.demo.files import saved_film
from unit.demo.i18n import Words

FRAMES = 24  # of a film
PROGRESS = gr.Progress()  # as the default of a parameter, this asks Gradio for a bar
LOOK: dict[str, Any] = {"type": "filepath", "interactive": False, "buttons": ["fullscreen"], "min_width": 140}
GRAINS = [2**power for power in range(6)]


def download_button(text: str, elem_id: str, file: str | None = None, visible: bool = True) -> gr.DownloadButton:
    return gr.DownloadButton(
        text, value=file, interactive=file is not None, visible=visible, min_width=120, elem_id=elem_id
    )  # fmt: skip


def no_download() -> gr.DownloadButton:
    return gr.DownloadButton(value=None, interactive=False)


def cancel_button(words: Words, elem_id: str) -> gr.Button:
    return gr.Button(words("Cancel"), variant="stop", visible=False, elem_id=elem_id)


def seed_row(words: Words, seed: str, dice: str) -> tuple[gr.Number, gr.Button]:
    with gr.Column(scale=1, min_width=220), gr.Row(equal_height=True):
        return (
            gr.Number(0, precision=0, minimum=0, label=words("Seed"), min_width=100, scale=3, elem_id=seed),
            gr.Button(words("New seed"), min_width=100, scale=1, elem_id=dice),
        )


class FilmPlace(NamedTuple):
    """A button that makes a film, one to download it, one to stop it, and the film."""

    make: gr.Button
    download: gr.DownloadButton
    cancel: gr.Button
    film: gr.Image

    @classmethod
    def laid_out(cls, words: Words, elem_id: str, make: str, download: str, label: str, alt: str) -> "FilmPlace":
        with gr.Row():
            button = gr.Button(words(make), min_width=140, elem_id=elem_id)
            download_film = download_button(words(download), f"{elem_id}_download")
        cancel = cancel_button(words, f"{elem_id}_cancel")
        film = gr.Image(label=words(label), alt_text=words(alt), elem_id=f"{elem_id}_film", **LOOK)
        return cls(button, download_film, cancel, film)

    @property
    def shown(self) -> list[Any]:
        """What is given to it by `filmed`."""
        return [self.film, self.download]

    def empty(self) -> dict[Any, Any]:
        return {self.film: None, self.download: no_download()}


def filmed(
    steps: Iterable[Image.Image], count: int, name: str, progress: gr.Progress, and_back: bool = False
) -> Iterator[Any]:
    """Make a film of `count` pictures: nothing after each, and at last what its `film` and `download` show."""
    frames = []
    for frame in progress.tqdm(steps, total=count, unit="frames"):
        frames.append(frame)
        yield gr.skip()
    file = saved_film(frames + frames[-2:0:-1] * and_back, name)
    yield file, gr.DownloadButton(value=file, interactive=True)
