"""The tab "About this model": how it works, what is known of the model, and a link to the settings."""

from typing import Any
from urllib.parse import urlencode

import gradio as gr

from unit.demo import texts
from unit.demo.controls import Controls
from unit.demo.events import for_people
from unit.demo.files import SOON
from unit.demo.model_info import card, facts
from unit.demo.service import noise, style_text
from unit.demo.variations import STYLES


class About:
    """noise: the controls that a link tells the noise of."""

    def __init__(self, controls: Controls, noise: dict[str, Any]):
        self.controls, self.words, self.noise = controls, controls.words, noise
        self.lay_out()
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        self.how = gr.Markdown(self.controls.text(texts.ABOUT, self.controls.first))
        self.about = gr.Markdown(self.about_text(self.controls.first), elem_id="about")
        self.limits = gr.Markdown(self.controls.text(texts.LIMITS, self.controls.first))
        with gr.Accordion(words("Where the weights come from: the model card"), open=False):
            self.card = gr.Markdown(self.card_text(self.controls.first), elem_id="card")
        self.link = gr.Button(words("Make a link to these settings"), elem_id="link")
        self.link_text = gr.Textbox(
            label=words("Link"),
            info=words(
                "It brings what is turned into what, the noise, the style you chose, and an example photo, never yours."
            ),
            interactive=False, buttons=["copy"], visible=False, elem_id="link_text",
        )  # fmt: skip

    def connect(self) -> None:
        controls = self.controls
        named = ("photo", "example", "way", "style")
        linked = {**{name: controls.settings[name] for name in named}, **self.noise}
        self.link.click(self.make_link, outputs=self.link_text, inputs_kwargs=linked, **SOON).then(
            None, self.link_text, self.link_text, js="query => location.origin + location.pathname + query"
        )

    @for_people
    def make_link(self, photo: Any, example: Any, way: Any, style: Any = "", **chosen: Any) -> gr.Textbox:
        """What follows the address of the page. Only an example photo is named: others are nobody's business."""
        model, direction = self.controls.chosen(way)
        shown = None if photo else self.controls.example_of(example, way)
        query = {
            "model": model, "direction": direction, **noise(**chosen),
            **({"photo": shown.photo.stem} if shown else {}), **self.linked_style(style, way, chosen["seed"]),
        }  # fmt: skip
        return gr.Textbox("?" + urlencode(query), visible=True)

    def linked_style(self, style: Any, way: Any, seed: int) -> dict[str, Any]:
        """The chosen style: by its seed if that is one of the gallery's at strength 1, else in numbers."""
        if not style or not self.controls.has_styles(way):
            return {}
        service, (model, _) = self.controls.service, self.controls.chosen(way)
        text = style_text(service.written_style(style, model))
        seeds = [s for s in range(seed, seed + STYLES) if style_text(service.style(s, model)) == text]
        return {"style_seed": seeds[0]} if seeds else {"style": text}

    def about_text(self, way: Any) -> str:
        model, _ = self.controls.chosen(way)
        return facts(self.controls.service.translator(model), self.controls.assets.folders[model], self.words)

    def card_text(self, way: Any) -> str:
        return card(self.controls.assets.folders[self.controls.chosen(way)[0]])

    def settle(self, way: Any) -> dict[Any, Any]:
        """Another way, perhaps of another model."""
        return {
            self.about: self.about_text(way),
            self.card: self.card_text(way),
            self.link_text: gr.Textbox(visible=False),  # that one is of the settings before
        }
