"""The tab "Sample": draws from the latent's distribution, and a walk through it."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.components import FRAMES, GRAINS, PROGRESS, FilmPlace, filmed, seed_row
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, if_given, rolled, stoppable
from unit.demo.files import RUN, saved
from unit.demo.service import MAX_COUNT, MAX_TEMPERATURE, noise, number
from unit.pipeline import Sampling


class Sample:
    """noise: the controls of the noise, by the names of what `Sampling` takes."""

    def __init__(self, controls: Controls, tab: gr.Tab):
        self.controls, self.words, self.tab = controls, controls.words, tab
        self.lay_out()
        self.noise: dict[str, Any] = {"temperature": self.temperature, "grain": self.grain, "seed": self.seed}
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        gr.Markdown(words(texts.SAMPLE))
        with gr.Row():
            self.temperature = gr.Slider(
                0, MAX_TEMPERATURE, value=1, step=0.1, label=words("Noise temperature"),
                info=words("0: no noise. 1: as in training."), min_width=240, elem_id="temperature",
            )  # fmt: skip
            self.count = gr.Slider(
                1, MAX_COUNT, value=4, step=1, label=words("How many"), info=words("One for each seed."), min_width=240,
                elem_id="count",
            )  # fmt: skip
        with gr.Row():
            self.grain = gr.Radio(
                GRAINS, value=8, label=words("Grain"), info=words("Side, in latent pixels, of one noise value."),
                scale=3, elem_id="grain",
            )  # fmt: skip
            self.seed, self.dice = seed_row(words, "seed", "dice")
        self.sample = gr.Button(words("Sample"), variant="primary", elem_id="sample")
        self.gallery = gr.Gallery(
            columns=2, height="auto", label=words("Samples"), allow_preview=False, interactive=False,
            object_fit="contain", elem_id="gallery",
        )  # fmt: skip
        gr.Markdown(words(texts.WALK))
        self.walk = FilmPlace.laid_out(
            words, "walk", "Walk", "Download the walk", "Latent walk", "A walk around your photo"
        )

    def connect(self) -> None:
        self.inputs = {"count": self.count, **self.noise, **self.controls.settings}
        self.draw = drawing(self, self.show)
        again: dict[str, Any] = {
            "fn": if_given(self.draw, "photo", "seed"), "outputs": self.gallery, "inputs_kwargs": self.inputs, **RUN
        }  # fmt: skip
        self.sample.click(self.draw, outputs=self.gallery, inputs_kwargs=self.inputs, **RUN)
        changed = [control.input for control in (self.temperature, self.grain, self.count, self.seed)]
        gr.on([*changed, self.tab.select], **again)
        rolled(self.dice, self.seed).then(**again)
        walked, show_walk = self.noise | self.controls.settings, drawing(self, self.show_walk)
        stoppable(self.walk.make, self.walk.cancel, show_walk, walked, self.walk.shown)

    def redraw_on(self, listener: Any) -> None:
        """Samples again, if there are any."""
        listener(
            if_given(self.draw, "photo", drawn="gallery"), outputs=self.gallery,
            inputs_kwargs={"gallery": self.gallery, **self.inputs}, **RUN,
        )  # fmt: skip

    @for_people
    def show(self, count: Any, temperature: Any, grain: Any, seed: Any, **settings: Any) -> Iterator[Any]:
        """`count` draws from q(z|photo), each from a seed of its own, as (file, caption)."""
        chosen, count = noise(temperature, grain, seed), int(number("Number of samples", count, 1, MAX_COUNT))
        request = self.controls.request(**settings)
        samples = []
        for s in range(chosen["seed"], chosen["seed"] + count):
            picture = request.draw(request.target, **chosen | {"seed": s})
            caption = self.words("seed {seed}, temperature {temperature:g}", seed=s, temperature=temperature)
            samples.append((saved(picture, f"{request.name}-{request.target}-{s}"), caption))
            yield gr.skip()
        yield samples

    @for_people
    def show_walk(
        self, temperature: Any, grain: Any, seed: Any, progress: gr.Progress = PROGRESS, **settings: Any
    ) -> Iterator[Any]:
        """A film around the photo's latent that ends where it began."""
        chosen, request = noise(temperature, grain, seed), self.controls.request(**settings)
        steps = request.translator.walk(request.latent(), request.target, FRAMES, Sampling(**chosen))
        yield from filmed(steps, FRAMES, f"{request.name}-{request.target}-walk", progress)
