"""The tab "Inside": how it works, what is known of the model, and a link to the settings."""

from typing import Any
from urllib.parse import urlencode

import gradio as gr

from unit.demo import texts
from unit.demo.controls import Controls
from unit.demo.events import for_people
from unit.demo.files import SOON, uploaded
from unit.demo.model_info import card, facts
from unit.demo.service import noise


class Inside:
    """noise: the controls that a link tells the noise of."""

    def __init__(self, controls: Controls, noise: dict[str, Any]):
        self.controls, self.words, self.noise = controls, controls.words, noise
        self.lay_out()
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        gr.Markdown(words(texts.INSIDE))
        self.about = gr.Markdown(self.about_text(None), elem_id="about")
        gr.Markdown(words(texts.LIMITS))
        with gr.Accordion(words("Where the weights come from: the model card"), open=False):
            self.card = gr.Markdown(self.card_text(None), elem_id="card")
        self.link = gr.Button(words("Make a link to these settings"), elem_id="link")
        self.link_text = gr.Textbox(
            label=words("Link"), info=words("It brings model, direction and noise, and an example photo, never yours."),
            interactive=False, buttons=["copy"], visible=False, elem_id="link_text",
        )  # fmt: skip

    def connect(self) -> None:
        linked = {"photo": self.controls.photo, **self.controls.way, **self.noise}
        self.link.click(self.make_link, outputs=self.link_text, inputs_kwargs=linked, **SOON).then(
            None, self.link_text, self.link_text, js="query => location.origin + location.pathname + query"
        )

    @for_people
    def make_link(self, photo: Any, direction: str, model: str, **chosen: Any) -> gr.Textbox:
        """What follows the address of the page. Only an example photo is named: others are nobody's business."""
        examples = {example.photo.stem for example in self.controls.assets.examples}
        name_of_photo = uploaded(photo).name if photo else None
        query = {
            "model": model, "direction": direction, **noise(**chosen),
            **({"photo": name_of_photo} if name_of_photo in examples else {}),
        }  # fmt: skip
        return gr.Textbox("?" + urlencode(query), visible=True)

    def about_text(self, model: str | None) -> str:
        controls = self.controls
        folder = controls.assets.folders[model or controls.service.default]
        return facts(controls.service.translator(model), folder, self.words)

    def card_text(self, model: str | None) -> str:
        return card(self.controls.assets.folders[model or self.controls.service.default])

    def of_model(self, model: str) -> dict[Any, Any]:
        return {
            self.about: self.about_text(model),
            self.card: self.card_text(model),
            self.link_text: gr.Textbox(visible=False),  # that one is of the settings before
        }
