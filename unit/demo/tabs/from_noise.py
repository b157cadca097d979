"""The tab "From noise": latents of pure noise, seen as both kinds."""

from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.components import GRAINS, seed_row
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, if_given, rolled
from unit.demo.files import RUN, saved
from unit.demo.service import MAX_COUNT, MAX_TEMPERATURE, NOISE_SIDE, enough_memory, noise, number
from unit.pipeline import Sampling


class FromNoise:
    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [self.pairs]
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        self.text = gr.Markdown(self.controls.text(texts.FROM_NOISE, self.controls.first))
        with gr.Row():
            self.temperature = gr.Slider(
                0, MAX_TEMPERATURE, value=2, step=0.1, label=words("Temperature"), min_width=240,
                elem_id="noise_temperature",
            )  # fmt: skip
            self.count = gr.Slider(
                1, MAX_COUNT, value=4, step=1, label=words("Pairs"), min_width=240, elem_id="noise_count"
            )
        with gr.Row():
            self.grain = gr.Radio(GRAINS, value=8, label=words("Size of changes"), scale=3, elem_id="noise_grain")
            self.seed, self.dice = seed_row(words, "noise_seed", "noise_dice")
        self.pairs = gr.Gallery(
            columns=4, height="auto", label=words("From noise"), interactive=False, buttons=["download", "fullscreen"],
            elem_id="pairs",
        )  # fmt: skip

    def connect(self) -> None:
        self.inputs = {
            "way": self.controls.way, "count": self.count, "temperature": self.temperature, "grain": self.grain,
            "seed": self.seed,
        }  # fmt: skip
        self.draw = if_given(drawing(self, self.show), "seed")
        for control in (self.temperature, self.grain, self.count, self.seed):
            self.redraw_on(control.input)
        self.redraw_on(rolled(self.dice, self.seed).then)

    def redraw_on(self, listener: Any) -> Any:
        return listener(
            self.draw, outputs=self.pairs, inputs_kwargs=self.inputs, **RUN
        )  # fmt: skip

    @for_people
    def show(self, way: Any, count: Any, temperature: Any, grain: Any, seed: Any) -> list[tuple[str, str]]:
        translator = self.controls.service.translator(self.controls.chosen(way)[0])
        chosen = noise(temperature, grain, seed)
        count = int(number("Number of pairs", count, 1, MAX_COUNT))
        with enough_memory():
            pairs = translator.sample(count, Sampling(**chosen), size=(NOISE_SIDE, NOISE_SIDE))
        return [
            (saved(picture, f"{self.words('from-noise')}-{i}-{self.words(domain)}"), f"{i}: {self.words(domain)}")
            for i, pair in enumerate(pairs, 1)
            for domain, picture in zip(translator.domains, pair, strict=True)
        ]
