"""The tab "Dream": one latent of pure noise, in both domains."""

from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.components import GRAINS, seed_row
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, if_given, rolled
from unit.demo.files import RUN, saved
from unit.demo.service import DREAM_SIDE, MAX_COUNT, MAX_TEMPERATURE, enough_memory, noise, number
from unit.pipeline import Sampling


class Dream:
    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        gr.Markdown(words(texts.DREAM))
        with gr.Row():
            self.temperature = gr.Slider(
                0, MAX_TEMPERATURE, value=2, step=0.1, label=words("Temperature"), min_width=240,
                elem_id="dream_temperature",
            )  # fmt: skip
            self.count = gr.Slider(
                1, MAX_COUNT, value=4, step=1, label=words("Pairs"), min_width=240, elem_id="dream_count"
            )
        with gr.Row():
            self.grain = gr.Radio(GRAINS, value=8, label=words("Grain"), scale=3, elem_id="dream_grain")
            self.seed, self.dice = seed_row(words, "dream_seed", "dream_dice")
        self.dream = gr.Button(words("Dream"), variant="primary", elem_id="dream")
        self.dreams = gr.Gallery(
            columns=4, height="auto", label=words("Dreams"), interactive=False, buttons=["download", "fullscreen"],
            elem_id="dreams",
        )  # fmt: skip

    def connect(self) -> None:
        self.inputs = {
            "model": self.controls.model, "count": self.count, "temperature": self.temperature, "grain": self.grain,
            "seed": self.seed,
        }  # fmt: skip
        self.draw = drawing(self, self.show)
        drawn: dict[str, Any] = {"outputs": self.dreams, "inputs_kwargs": self.inputs, **RUN}
        self.dream.click(self.draw, **drawn)
        changed = [control.input for control in (self.temperature, self.grain, self.count, self.seed)]
        gr.on(changed, if_given(self.draw, "seed"), **drawn)
        rolled(self.dice, self.seed).then(self.draw, **drawn)

    def redraw_on(self, listener: Any) -> None:
        """Dreams again, if there are any."""
        listener(
            if_given(self.draw, "seed", drawn="dreams"), outputs=self.dreams,
            inputs_kwargs={"dreams": self.dreams, **self.inputs}, **RUN,
        )  # fmt: skip

    @for_people
    def show(self, model: str, count: Any, temperature: Any, grain: Any, seed: Any) -> list[tuple[str, str]]:
        translator, chosen = self.controls.service.translator(model), noise(temperature, grain, seed)
        count = int(number("Number of pairs", count, 1, MAX_COUNT))
        with enough_memory():
            pairs = translator.sample(count, Sampling(**chosen), size=(DREAM_SIDE, DREAM_SIDE))
        return [
            (saved(picture, f"dream-{i}-{domain}"), f"{i}: {self.words(domain)}")
            for i, pair in enumerate(pairs, 1)
            for domain, picture in zip(translator.domains, pair, strict=True)
        ]
