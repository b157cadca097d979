"""Under the result: the same photo with other noise, some at a time, and how strong and how coarse that is.

Of a model that has styles they are random styles.
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from unit.demo.components import GRAINS, seed_row
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, only_if, rolled
from unit.demo.files import QUICK, RUN, saved
from unit.demo.service import MAX_SEED, MAX_TEMPERATURE, noise, style_text
from unit.pipeline import Translator

COUNT = 4  # in a row
STYLES = 8  # at once, of a model that has styles
STRENGTH = 1  # at first, as in training


class Variations:
    """noise: the controls of the noise, by the names of what `Sampling` takes."""

    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.noise: dict[str, Any] = {"temperature": self.temperature, "grain": self.grain, "seed": self.seed}
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        with gr.Row(elem_id="variations_head"):
            self.head = gr.Markdown(words("### Variations"))
            self.more = gr.Button(words("More"), size="sm", min_width=70, scale=0, elem_id="more")
        self.gallery = gr.Gallery(
            columns=COUNT, rows=1, height="auto", label=words("Variations: choose one"), show_label=False,
            allow_preview=False, interactive=False, object_fit="cover", buttons=[], elem_id="gallery",
        )  # fmt: skip
        self.styles = gr.State([])  # of the pictures in the gallery, in numbers, where there are styles
        self.strength = gr.Slider(
            0.2, MAX_TEMPERATURE, value=STRENGTH, step=0.1, label=words("Strength"), info=words("subtle … wild"),
            buttons=[], elem_id="strength",
        )  # fmt: skip
        with gr.Accordion(words("Advanced"), open=False, elem_id="advanced"):
            self.temperature = gr.Slider(
                0, MAX_TEMPERATURE, value=STRENGTH, step=0.1, label=words("Temperature"),
                info=words("The strength as a number. 0: no noise. 1: as in training."), elem_id="temperature",
            )  # fmt: skip
            self.grain = gr.Radio(
                GRAINS, value=8, label=words("Size of changes"), info=words("From fine to coarse, in latent pixels."),
                elem_id="grain",
            )  # fmt: skip
            self.seed, self.dice = seed_row(words, "seed", "dice")

    def connect(self) -> None:
        self.fresh = [self.head, self.grain]
        self.inputs = {**self.noise, **self.controls.settings}
        draw = only_if(drawing(self, self.show), lambda named: named["seed"] is not None)  # an emptied field
        self.draw = self.controls.if_photo(draw)
        one, other = self.strength, self.temperature
        same: dict[str, Any] = {"js": "value => value", "trigger_mode": "always_last"}
        stronger, hotter = one.input(None, one, other, **same), other.input(None, other, one, **same)
        more = self.more.click(self.next_seed, [self.seed, self.controls.way], self.seed, **QUICK)
        for event in (stronger, hotter, more, rolled(self.dice, self.seed)):
            self.redraw_on(event.then)
        for control in (self.grain, self.seed):
            self.redraw_on(control.input)

    def redraw_on(self, listener: Any) -> Any:
        return listener(
            self.draw, outputs=[self.gallery, self.styles], inputs_kwargs=self.inputs, **RUN
        )  # fmt: skip

    def count(self, way: Any) -> int:
        return STYLES if self.controls.has_styles(way) else COUNT

    @for_people
    def next_seed(self, seed: Any, way: Any) -> int:
        return (int(seed or 0) + self.count(way)) % MAX_SEED

    def settle(self, way: Any) -> dict[Any, Any]:
        """Another way, perhaps of another model. A style is of the whole picture, so it has no size of changes."""
        styles = self.controls.has_styles(way)
        head = self.words("### Styles") if styles else self.words("### Variations")
        return {self.head: head, self.grain: gr.Radio(visible=not styles)}

    @for_people
    def show(self, temperature: Any, grain: Any, seed: Any, **settings: Any) -> Iterator[Any]:
        """All at once, but it can be stopped after each."""
        controls, chosen = self.controls, noise(temperature, grain, seed)
        framed = controls.framed(**settings | {"style_image": None, "style": ""})  # random ones, and around none
        first, request = chosen["seed"], framed.request
        seeds = range(first, first + self.count(settings["way"]))

        def make() -> Iterator[str]:
            for s in seeds:
                yield saved(framed.translation(**chosen | {"seed": s}), f"{request.name}-{request.target}-{s}")

        files: list[str] = []
        for files in controls.assets.steps("variations", framed, make, *chosen.items()):  # noqa: B007 (the last ones are used)
            yield gr.skip()
        styles_here = request.translator.has_styles
        text = "Style {number}" if styles_here else "Variation {number}"
        captions = [self.words(text, number=s + 1) for s in seeds]
        styles = [styled(request.translator, s, chosen["temperature"]) for s in seeds] if styles_here else []
        yield {"gallery": list(zip(files, captions, strict=True)), "styles": styles}


def styled(translator: Translator, seed: int, temperature: float) -> str:
    """The style that noise of this seed and strength has, in numbers."""
    return style_text(tuple(temperature * x for x in translator.sample_style(seed)))
