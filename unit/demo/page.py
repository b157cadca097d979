"""The page in one language: its parts, and what concerns several of them.

Choose what to turn into what, bring a photo, see the result; below that, all that can be looked at besides.
"""

import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from unit.demo import texts
from unit.demo.assets import PageAssets
from unit.demo.components import GRAINS
from unit.demo.controls import Controls
from unit.demo.events import Turns, for_people, latest, only_if
from unit.demo.files import ONCE, QUICK, RUN, SOON, kept, uploaded
from unit.demo.i18n import CHINESE, ENGLISH, Words
from unit.demo.kept_styles import KeptStyles
from unit.demo.result import ResultPanel
from unit.demo.service import DemoService, UserError, noise, style_text
from unit.demo.strip import History
from unit.demo.tabs.about import About
from unit.demo.tabs.between_styles import BetweenStyles
from unit.demo.tabs.both import Both
from unit.demo.tabs.film import Film
from unit.demo.tabs.from_noise import FromNoise
from unit.demo.tabs.mix import Mix
from unit.demo.variations import Variations

CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
# To what is about to come, if it is out of sight, as on a phone it is.
SCROLL = """() => {
    const place = document.querySelector("#step_3").getBoundingClientRect();
    if (place.top < 0 || place.top > innerHeight / 2) document.querySelector("#step_3").scrollIntoView();
}"""

# What was asked for a moment ago cannot be stopped before the server has given it a number.
SOON_AFTER = "() => new Promise(done => setTimeout(done, 500))"


def wants_result(what: Any) -> bool:
    """Whether a result is to be drawn, as `Page.redraw` says it."""
    return str(what).endswith("show")


class Page:
    """The page in one language: its parts, and the handlers and events that concern several of them.

    Handlers that take long are generators, which Gradio stops between two yields when they are cancelled or whoever
    asked has gone.
    """

    def __init__(self, demo: gr.Blocks, service: DemoService, words: Words, assets: PageAssets):
        self.service, self.words, self.assets = service, words, assets
        gr.Navbar(main_page_name=ENGLISH.name)
        gr.Markdown(words(texts.TITLE), elem_id="title")
        if assets.notice:
            gr.Markdown(words.message(assets.notice), elem_id="notice")
        with gr.Row(elem_id="steps"):
            with gr.Column(scale=38, min_width=320, elem_id="controls"):
                self.controls = Controls(service, words, assets)
            with gr.Column(scale=62, min_width=320, elem_id="result"):
                self.result = ResultPanel(self.controls)
                self.variations = Variations(self.controls)
                self.styles = KeptStyles(self.controls, self.result.history)
                self.result.visit.render()
        gr.Markdown(words("## More"))
        self.open = gr.Textbox("both", visible="hidden", elem_id="open")  # the tab that is open
        self.fresh = gr.Textbox(visible="hidden", elem_id="fresh")  # after another photo or way, what is to be done
        self.go = gr.Textbox(visible="hidden", elem_id="go")  # the same after that, and after another face
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab(words("Both directions"), id="both") as both:
                self.both = Both(self.controls)
            with gr.Tab(words("Film of variations"), id="film") as film:
                self.film = Film(self.controls, self.variations.noise, self.styles.kept)
            if any(map(service.has_styles, service.models)):
                with gr.Tab(words("Between two styles"), id="between_styles") as between_styles:
                    self.between_styles = BetweenStyles(self.controls, self.styles.kept)
            with gr.Tab(words("Mix two photos"), id="mix") as mix:
                self.mix = Mix(self.controls)
            with gr.Tab(words("From noise"), id="from_noise") as from_noise:
                self.from_noise = FromNoise(self.controls)
            with gr.Tab(words("About this model"), id="about") as about:
                self.about = About(self.controls, self.variations.noise)
        self.tabs = {"both": both, "film": film, "mix": mix, "from_noise": from_noise, "about": about}
        self.drawn: dict[str, Any] = {
            "both": self.both,
            "film": self.film,
            "mix": self.mix,
            "from_noise": self.from_noise,
        }
        if any(map(service.has_styles, service.models)):
            self.tabs["between_styles"], self.drawn["between_styles"] = between_styles, self.between_styles
        self.films: list[Any] = []  # the events that make one unasked
        if assets.credits:
            with gr.Accordion(words("About the example photos"), open=False):
                gr.Markdown(assets.credits, elem_id="credits")
        self.connect(demo)

    def connect(self, demo: gr.Blocks) -> None:
        controls, result = self.controls, self.result
        photo, way, settings = controls.photo, controls.way, controls.settings
        for name, tab in self.tabs.items():
            tab.select(None, None, self.open, js=f"() => '{name}'")
        for name in self.drawn:
            self.redraw_if_open(name, self.open.change)
        self.settle_on(self.fresh.change)
        self.draw_on(self.go.change)

        # A style was chosen for a photo; for another one it can be kept.
        plain: dict[str, Any] = {"js": "() => ''", "trigger_mode": "always_last"}
        self.redraw(photo.input(None, None, controls.chosen_style, **plain))
        self.redraw(way.input(None, trigger_mode="always_last"))
        self.redraw(controls.example.input(lambda: (None, ""), None, [photo, controls.chosen_style], **QUICK))
        self.redraw(result.flip.click(self.flip, way, way, **QUICK))
        used: dict[str, Any] = {"picture": result.download, "square": controls.square, "way": way}
        reuse = result.reuse.click(self.use_result, outputs=[photo, way, controls.face_of], inputs_kwargs=used, **ONCE)
        self.redraw(reuse)

        controls.on_new_place(lambda event: self.redraw(event, settle=False, scroll=False))
        self.redraw(controls.square.input(None), settle=False)
        self.redraw(controls.style_image.input(None, None, controls.chosen_style, **plain), settle=False)
        styles = [controls.style_image, controls.chosen_style]
        for turned in (way.input, result.flip.click, result.reuse.click):  # they are none of the other kind
            turned(None, None, styles, js="() => [null, '']")
        self.connect_styles()

        asked: dict[str, Any] = {"turns": result.turns, "turn": result.turn, "history": result.history}
        variations = {"gallery": self.variations.gallery, "styles": self.variations.styles}
        picked = {**variations, **asked, **settings}
        seen = [*result.shown, result.turn]
        picking = self.variations.gallery.select(
            self.pick, outputs=[*seen, controls.chosen_style], inputs_kwargs=picked, **ONCE
        )
        self.redraw_styles(picking)
        back: dict[str, Any] = {"outputs": [*seen, *settings.values()], "inputs_kwargs": asked}
        self.redraw(result.strip.select(self.select, **back, **ONCE), show=False)
        self.redraw(result.undo.click(self.undo, **back, **SOON), show=False)

        demo.load(self.assets.style, None, controls.pictures, **QUICK)  # more pictures may have been made by then
        said = json.dumps({text: self.words(text) for text in texts.GRADIOS})
        script = f"() => ({SCRIPT})('{self.words.language}', '{CHINESE.path}', {said})"
        demo.load(None, None, controls.asked, js=script)
        noises = [*self.variations.noise.values(), self.variations.strength]
        wanted = [way, photo, controls.example, controls.chosen_style, *noises]
        arrived = controls.asked.change(self.arrive, controls.asked, wanted, **QUICK)
        self.redraw(arrived, scroll=False, opening=True)

        for name, tab in self.tabs.items():  # a film that nobody looks at keeps everybody waiting
            if name != "film":
                left = tab.select(None, None, None, js=SOON_AFTER)
                left.then(None, None, None, cancels=self.films)

    def connect_styles(self) -> None:
        """What is there for models that have styles."""
        self.redraw(self.styles.choosing, settle=False)
        self.redraw_styles(self.styles.keeping)
        if "between_styles" in self.drawn:
            self.redraw(self.between_styles.taking, settle=False)
        said = {
            self.film.text: texts.FILM, self.from_noise.text: texts.FROM_NOISE, self.about.how: texts.ABOUT,
            self.about.limits: texts.LIMITS,
        }  # fmt: skip
        says = for_people(lambda _, way: [self.controls.text(text, way) for text in said.values()]).__get__(self)
        self.controls.way.change(says, self.controls.way, [*said], **QUICK)

    def redraw_styles(self, event: Any) -> None:
        """After another style of the result, or another one that is kept: what is between both."""
        if "between_styles" in self.drawn:
            self.redraw_if_open("between_styles", event.success)

    def redraw(
        self, event: Any, settle: bool = True, show: bool = True, scroll: bool = True, opening: bool = False
    ) -> None:  # fmt: skip
        """After another photo or way: the result, its variations, and what is shown in the tab that is open.

        settle: whether the examples and the face may be others now. show: whether there is another result.
        opening: whether nobody has asked for it but the page itself.
        """
        if scroll and show:
            event.then(None, None, None, js=SCROLL)
        what = f"`${{performance.now()}} {'show' if show else ''}`"  # another each time, so that it is a change
        if settle:
            # Who asks for something before the page has opened is not to get it twice.
            here = [self.result.turn, self.fresh, self.controls.asked]
            begin = f"(turn, fresh, asked) => turn && {str(opening).lower()} && asked === '?' ? [turn, fresh]"
            event.then(None, here, here[:2], js=f"{begin} : [turn + 1, {what}]")
        else:
            event.then(None, None, self.go, js=f"() => {what}")

    def settle_on(self, listener: Any) -> None:
        """The examples and the face of another photo or way, and then the rest."""
        controls, result = self.controls, self.result
        named = {name: controls.settings[name] for name in ("photo", "example", "way")} | result.asked
        mix, about, film = self.mix, self.about, self.film.walk
        fresh = [
            controls.example, *result.early, mix.drawn_in, mix.example_2, *mix.journey.shown,
            *film.shown, about.about, about.card, about.link_text, controls.style, *self.variations.fresh,
        ]  # fmt: skip
        event = listener(latest(self.settle), outputs=fresh, inputs_kwargs=named | {"what": self.fresh}, **QUICK)
        marked = {**named, **controls.place, "face_of": controls.face_of, "what": self.fresh}
        faces = [*controls.face_parts, controls.adjust, self.go]
        event.then(latest(self.find_faces), outputs=faces, inputs_kwargs=marked, **QUICK)

    def draw_on(self, listener: Any) -> None:
        """The result, if there is another, and what is made besides.

        What is wrong with a photo is told by the result alone, and nothing else is left of the one before.
        """
        event = self.result.redraw_on(listener, {"what": self.go}, lambda named: wants_result(named["what"]))
        shown = [self.variations.gallery, *self.both.shown, *self.mix.shown]
        event.failure(lambda: [None] * len(shown), None, shown, **QUICK)
        event = self.variations.redraw_on(event.success)
        for name in self.drawn:
            self.redraw_if_open(name, event.then)

    def redraw_if_open(self, name: str, listener: Any) -> None:
        """What is shown in a tab. Those that are not open wait until they are."""
        part = self.drawn[name]
        draw = only_if(part.draw, lambda given: given["open_tab"] == name, "open_tab")
        inputs = {"open_tab": self.open, **part.inputs}
        event = listener(draw, outputs=part.shown, inputs_kwargs=inputs, **RUN)
        if part is self.film:
            self.films.append(event)

    @for_people
    def settle(self, what: Any, photo: Any, example: Any, way: Any) -> dict[Any, Any]:
        """While a result is on its way; of an example it may be there already."""
        given = {"photo": photo, "example": example, "way": way}
        early = self.result.until_shown(**given) if wants_result(what) else {}
        return {
            **self.controls.settle(**given), **self.mix.settle(way), **self.about.settle(way), **self.film.walk.empty(),
            **self.variations.settle(way), **early,
        }  # fmt: skip

    def find_faces(self, what: Any, **marked: Any) -> dict[Any, Any]:
        """The face of another photo. Only then there is a result to be drawn, and not after what was overtaken."""
        return self.controls.new_face(**marked) | {self.go: what}

    @for_people
    def pick(
        self, event: gr.SelectData, gallery: Any, styles: list[str], turns: Turns, turn: Any, history: History,
        **settings: Any,
    ) -> Any:  # fmt: skip
        """The chosen variation becomes the result, and its style, if it has one, what is asked for."""
        result, framed = self.result, self.controls.framed(**settings)
        before, _ = self.assets.result(framed)
        after = uploaded(gallery[event.index]["image"]).path
        style = styles[event.index] if styles else ""
        shown = result.of_files(before, after, framed, history, settings | {"style": style}, plain=False)
        answer = {getattr(result, name): value for name, value in shown.items()}
        return answer | {result.turn: turns.next(turn), self.controls.chosen_style: style}

    @for_people
    def select(self, event: gr.SelectData, turns: Turns, turn: Any, history: History) -> dict[Any, Any]:
        return self.result.come_back(history.select(event.index)) | {self.result.turn: turns.next(turn)}

    @for_people
    def undo(self, turns: Turns, turn: Any, history: History) -> dict[Any, Any]:
        return self.result.come_back(history.undo()) | {self.result.turn: turns.next(turn)}

    @for_people
    def flip(self, way: Any) -> str:
        return self.controls.flipped(way)

    @for_people
    def use_result(self, picture: Any, square: Any, way: Any) -> tuple[str, str, str]:
        """The result as the photo, to be turned back. A face that was put back is where it was marked."""
        path = uploaded(picture).path
        return path, self.controls.flipped(way), "" if square else path

    @for_people
    def arrive(self, query: str) -> dict[Any, Any]:
        """What a link asks for, as far as it makes sense here."""
        controls, photo, asked = self.controls, self.controls.photo, dict(parse_qsl(query.removeprefix("?")))
        model = asked.get("model", "")
        if model not in self.service.models:
            return gr.skip()
        ways = [way for way, (name, _) in controls.ways.items() if name == model]
        way = next((way for way in ways if controls.ways[way][1] == asked.get("direction")), ways[0])
        wanted: dict[Any, Any] = {controls.way: way}
        named = (e for e in self.assets.examples.values() if e.photo.stem.lower() == asked.get("photo", "").lower())
        for example in sorted(named, key=lambda e: (e.model, e.direction) != controls.ways[way], reverse=True):
            if (example.model, example.direction) == controls.ways[way]:
                wanted |= {controls.example: gr.Radio(controls.example_choices(way), value=example.key), photo: None}
            else:  # where Gradio serves from, as a photo of the visitor's own
                wanted[photo] = kept(example.photo.read_bytes(), example.photo.name)
        wanted[controls.chosen_style] = self.asked_style(asked, model)
        plain = {"temperature": 1, "grain": 8, "seed": 0}
        for key, control in self.variations.noise.items():
            with contextlib.suppress(KeyError, ValueError):  # UserError is one
                value = noise(**plain | {key: float(asked[key])})[key]
                if key != "grain" or value in GRAINS:
                    wanted[control] = value
                    if key == "temperature":
                        wanted[self.variations.strength] = value
        return wanted

    def asked_style(self, asked: dict[str, str], model: str) -> str:
        """The style that a link asks for, by its seed or in numbers; none if that makes no sense."""
        with contextlib.suppress(ValueError, UserError):
            if "style_seed" in asked:
                return style_text(self.service.style(int(asked["style_seed"]), model))
            return style_text(self.service.written_style(asked.get("style"), model))
        return ""
