"""The tab "Film of variations": a walk through the noise around a photo."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.components import FRAMES, PROGRESS, FilmPlace, filmed
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, only_if, stoppable
from unit.demo.service import noise
from unit.demo.share import download_name
from unit.pipeline import Sampling


class Film:
    """noise: the controls of the noise."""

    def __init__(self, controls: Controls, noise: dict[str, Any]):
        self.controls, self.words = controls, controls.words
        gr.Markdown(self.words(texts.FILM))
        self.walk = FilmPlace.laid_out(
            self.words, "walk", "Make the film", "Download the film", "Film of variations",
            "Variations of the photo, one after another",
        )  # fmt: skip
        self.shown, walked = self.walk.shown, noise | controls.settings
        show = controls.if_photo(drawing(self, self.show))
        self.draw, self.inputs = (
            only_if(show, lambda named: not named["film"], "film"),
            walked | {"film": self.walk.film},
        )
        stoppable(self.walk.make.click, self.walk.cancel, show, walked, self.shown)

    @for_people
    def show(
        self, temperature: Any, grain: Any, seed: Any, progress: gr.Progress = PROGRESS, **settings: Any
    ) -> Iterator[Any]:
        """A film around the photo's latent that ends where it began."""
        chosen, framed = noise(temperature, grain, seed), self.controls.framed(**settings)
        request = framed.request
        steps = request.translator.walk(request.latent(), request.target, FRAMES, Sampling(**chosen))
        name = download_name(request.name, request.target, self.words, self.words("film"))
        yield from filmed(map(framed.finished, steps), FRAMES, name, progress)
