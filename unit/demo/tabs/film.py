"""The tab "Film of variations": a walk through the noise around a photo, or through styles."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from unit.demo import texts
from unit.demo.components import FRAMES, PROGRESS, FilmPlace, filmed
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, only_if, stoppable
from unit.demo.framed import Framed
from unit.demo.kept_styles import KeptStyle, of
from unit.demo.service import lerp_style, noise
from unit.demo.share import download_name
from unit.pipeline import Sampling, Style


class Film:
    """noise: the controls of the noise. kept: the styles of this visit."""

    def __init__(self, controls: Controls, noise: dict[str, Any], kept: gr.State):
        self.controls, self.words = controls, controls.words
        self.text = gr.Markdown(controls.text(texts.FILM, controls.first))
        self.walk = FilmPlace.laid_out(
            self.words, "walk", "Make the film", "Download the film", "Film of variations",
            "Variations of the photo, one after another",
        )  # fmt: skip
        self.shown, walked = self.walk.shown, {**noise, "kept": kept, **controls.settings}
        show = controls.if_photo(drawing(self, self.show))
        self.draw, self.inputs = (
            only_if(show, lambda named: not named["film"], "film"),
            walked | {"film": self.walk.film},
        )
        stoppable(self.walk.make.click, self.walk.cancel, show, walked, self.shown)

    @for_people
    def show(
        self, temperature: Any, grain: Any, seed: Any, kept: tuple[KeptStyle, ...] = (),
        progress: gr.Progress = PROGRESS, **settings: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """A film that ends where it began: around the photo's latent, or through the styles that were kept."""
        chosen = noise(temperature, grain, seed)
        framed = self.controls.framed(**settings | {"style": "", "style_image": None})
        request = framed.request
        stops = self.stops(settings["way"], kept)
        if len(stops) > 1:
            steps = tour(framed, stops)
        else:
            walk = request.translator.walk(request.latent(), request.target, FRAMES, Sampling(**chosen))
            steps = map(framed.finished, walk)
        name = download_name(request.name, request.target, self.words, self.words("film"))
        yield from filmed(steps, FRAMES, name, progress)

    def stops(self, way: Any, kept: tuple[KeptStyle, ...]) -> list[Style]:
        service, (model, _) = self.controls.service, self.controls.chosen(way)
        return [service.written_style(style.style, model) for style in of(way, kept)]


def tour(framed: Framed, stops: list[Style]) -> Iterator[Image.Image]:
    """FRAMES pictures from the first style through all others, straight from one to the next, and towards the first."""
    for frame in range(FRAMES):
        stop, share = divmod(frame * len(stops) / FRAMES, 1)
        here, there = stops[int(stop)], stops[(int(stop) + 1) % len(stops)]
        yield framed.translation(style=lerp_style(here, there, share))
