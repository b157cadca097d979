"""The page in one language: the controls beside the tabs, and what concerns several of them."""

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from unit.demo import texts
from unit.demo.assets import PageAssets
from unit.demo.components import GRAINS
from unit.demo.controls import Controls
from unit.demo.events import for_people
from unit.demo.files import QUICK, SOON, kept, uploaded
from unit.demo.i18n import CHINESE, ENGLISH, Words
from unit.demo.service import DemoService, noise
from unit.demo.tabs.between import Between
from unit.demo.tabs.dream import Dream
from unit.demo.tabs.inside import Inside
from unit.demo.tabs.sample import Sample
from unit.demo.tabs.translate import Translate

CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
# To what is about to be drawn, if it is out of sight, as on a phone it is.
SCROLL = """photo => {
    const place = document.querySelector("#tabs").getBoundingClientRect();
    if (photo && (place.top < 0 || place.top > innerHeight / 2)) document.querySelector("#tabs").scrollIntoView();
}"""


class Page:
    """The page in one language: its parts, and the handlers and events that concern several of them.

    Handlers that take long are generators, which Gradio stops between two yields when they are cancelled or whoever
    asked has gone.
    """

    def __init__(self, demo: gr.Blocks, service: DemoService, words: Words, assets: PageAssets):
        self.service, self.words, self.assets = service, words, assets
        gr.Navbar(main_page_name=ENGLISH.name)
        gr.Markdown(words(texts.TITLE))
        if assets.notice:
            gr.Markdown(words.message(assets.notice), elem_id="notice")
        with gr.Row():
            with gr.Column(scale=2, min_width=320, elem_id="controls"):
                self.controls = Controls(service, words, assets)
            with gr.Column(scale=3, min_width=320), gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as self.tabs:
                with gr.Tab(words("Translate"), id="translate"):
                    self.translate = Translate(self.controls)
                with gr.Tab(words("Sample"), id="sample") as tab:
                    self.sample = Sample(self.controls, tab)
                with gr.Tab(words("Between"), id="between") as tab:
                    self.between = Between(self.controls, tab)
                with gr.Tab(words("Dream"), id="dream"):
                    self.dream = Dream(self.controls)
                with gr.Tab(words("Inside"), id="inside"):
                    self.inside = Inside(self.controls, self.sample.noise)
        if assets.credits:
            with gr.Accordion(words("About the example photos"), open=False):
                gr.Markdown(assets.credits, elem_id="credits")
        self.connect(demo)

    def connect(self, demo: gr.Blocks) -> None:
        controls, translate, sample = self.controls, self.translate, self.sample
        photo, way = controls.photo, controls.way
        chosen = [
            controls.direction, controls.face_group, *translate.shown, self.between.drawn_in, self.inside.about,
            self.inside.card, self.inside.link_text,
        ]  # fmt: skip

        controls.translate.click(None, photo, None, js=SCROLL)
        sample.redraw_on(translate.draw_on(controls.translate.click).success)
        self.redraw(photo.input(None, trigger_mode="always_last"), new_photo=True)
        self.redraw(controls.direction.input(None, trigger_mode="always_last"))
        self.redraw(controls.flip.click(controls.flipped, outputs=controls.direction, inputs_kwargs=way, **QUICK))
        changed = controls.model.input(self.change_model, outputs=chosen, inputs_kwargs=way, **QUICK)
        self.redraw(changed, new_photo=True)
        self.dream.redraw_on(changed.then)
        used = {"ab": translate.result_ab, "ba": translate.result_ba, "put_back": controls.put_back, **way}
        reused = [photo, controls.direction, controls.face_of]
        reuse = translate.reuse.click(self.use_result, outputs=reused, inputs_kwargs=used, **SOON)
        self.redraw(reuse, new_photo=True)
        marked = {"photo": photo, **controls.place}
        moved = {"fn": controls.move_face, "outputs": controls.face_parts, "inputs_kwargs": marked, **SOON}
        tapped = {"photo": photo, "side": controls.side}
        self.redraw(controls.face.select(**moved | {"fn": controls.tap_face, "inputs_kwargs": tapped}))
        for slider in controls.place.values():
            self.redraw(slider.input(trigger_mode="always_last", **moved))
        self.redraw(controls.put_back.input(None))

        picked = {"gallery": sample.gallery, **controls.settings}
        sample.gallery.select(self.pick, outputs=[*translate.shown, self.tabs], inputs_kwargs=picked, **SOON)
        if self.assets.examples:
            then = controls.example_picked.then
            self.redraw(then(self.change_model, outputs=chosen, inputs_kwargs=way, **QUICK), new_photo=True)

        demo.load(None, None, controls.asked, js=f"() => ({SCRIPT})('{self.words.language}', '{CHINESE.path}')")
        wanted = [controls.model, *chosen, photo, *sample.noise.values()]
        asked = controls.asked.change(self.arrive, controls.asked, wanted, **QUICK)
        self.redraw(asked, new_photo=True)

    def redraw(self, event: Any, new_photo: bool = False) -> None:
        """After another photo, direction or model: the results, and what else has been drawn."""
        if new_photo:
            controls, sample, between = self.controls, self.sample, self.between
            photo_and_face = {name: part for name, part in controls.settings.items() if name != "direction"}
            fresh = [
                *controls.face_parts, *self.translate.shown, sample.gallery, between.between, *sample.walk.shown,
                *between.journey.shown,
            ]  # fmt: skip
            event.then(None, controls.photo, None, js=SCROLL)
            event = event.then(self.new_photo, outputs=fresh, inputs_kwargs=photo_and_face, **QUICK)
        for tab in (self.translate, self.sample, self.between):
            tab.redraw_on(event.then)

    @for_people
    def new_photo(self, photo: Any, model: str, **face: Any) -> dict[Any, Any]:
        """Another photo, or another model for it: the first guess at its face, and no films of the one before.

        Without a photo, an example of what the model does.
        """
        fresh = self.controls.new_face(photo, model, **face) | self.sample.walk.empty() | self.between.journey.empty()
        if photo is None:
            fresh |= self.translate.example(model) | {self.sample.gallery: [], self.between.between: None}
        return fresh

    @for_people
    def change_model(self, direction: str, model: str) -> dict[Any, Any]:
        """Another model: its directions, and no results of the one before."""
        return {
            **self.controls.of_model(direction, model),
            **self.translate.of_model(model),
            **self.between.of_model(model),
            **self.inside.of_model(model),
        }

    @for_people
    def pick(self, event: gr.SelectData, gallery: Any, **settings: Any) -> dict[Any, Any]:
        """The selected sample becomes the result."""
        result = self.translate.of_sample(gallery[event.index]["image"], **settings)
        return result | {self.tabs: gr.Tabs(selected="translate")}

    @for_people
    def use_result(self, ab: Any, ba: Any, put_back: bool, direction: str, model: str) -> tuple[str, str, str]:
        """The result as the photo, to be translated back. A face that was put back is where it was marked."""
        controls = self.controls
        result = ab if controls.target(direction, model) == self.service.translator(model).domains[1] else ba
        path = uploaded(result).path
        return path, controls.flipped(direction, model), path if put_back else ""

    @for_people
    def arrive(self, query: str) -> dict[Any, Any]:
        """What a link asks for, as far as it makes sense here."""
        asked = dict(parse_qsl(query.removeprefix("?")))
        model = asked.get("model", "")
        if model not in self.service.models:
            return gr.skip()
        wanted = {self.controls.model: model, **self.change_model(asked.get("direction", ""), model)}
        for example in self.assets.examples:
            if example.photo.stem.lower() == asked.get("photo", "").lower():
                file = kept(example.photo.read_bytes(), example.photo.name)  # where Gradio serves from
                wanted[self.controls.photo] = file
        plain = {"temperature": 1, "grain": 8, "seed": 0}
        for key, control in self.sample.noise.items():
            with contextlib.suppress(KeyError, ValueError):  # UserError is one
                value = noise(**plain | {key: float(asked[key])})[key]
                if key != "grain" or value in GRAINS:
                    wanted[control] = value
        return wanted
