"""The tab "Between two styles": from the style of the result to one that was kept, or to that of the example."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.components import FRAMES, LOOK, PROGRESS, FilmPlace, filmed
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, stoppable
from unit.demo.files import RUN, saved
from unit.demo.framed import Framed
from unit.demo.kept_styles import KeptStyle, named, of
from unit.demo.service import UserError, lerp_style, number, style_text
from unit.demo.share import download_name
from unit.pipeline import Style

EXAMPLE = "example"  # the style of the photo in the box of the controls


class BetweenStyles:
    """kept: the styles of this visit. taking: the event in which what is seen becomes the result."""

    def __init__(self, controls: Controls, kept: gr.State):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [self.towards, self.between, self.take]
        ends = {"towards": self.towards, "kept": kept, **controls.settings}
        self.inputs = {"position": self.position, **ends}
        self.draw = controls.if_photo(drawing(self, self.show))
        for control in (self.position, self.towards):
            control.input(
                self.draw, outputs=self.shown, inputs_kwargs=self.inputs, **RUN | {"show_progress": "hidden"}
            )  # fmt: skip
        taken = [controls.chosen_style, self.position]
        take = controls.if_photo(drawing(self, self.take_it))
        self.taking = self.take.click(take, outputs=taken, inputs_kwargs=self.inputs, **RUN)
        show_film = controls.if_photo(drawing(self, self.show_film))
        stoppable(self.journey.make.click, self.journey.cancel, show_film, ends, self.journey.shown)

    def lay_out(self) -> None:
        words = self.words
        self.chosen_style = self.controls.chosen_style  # which `take_it` gives back by this name
        gr.Markdown(words(texts.BETWEEN_STYLES))
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                self.towards = gr.Radio([], label=words("Towards"), visible=False, elem_id="towards")
                self.take = gr.Button(words("Take it as the result"), interactive=False, elem_id="take_style")
            with gr.Column(scale=2, min_width=280):
                self.between = gr.Image(
                    label=words("Between two styles"), alt_text=words("The photo in a style between both"),
                    elem_id="between_styles", **LOOK,
                )  # fmt: skip
                self.position = gr.Slider(
                    0, 1, value=0.5, step=0.02, label=words("How much of the other style"), buttons=[],
                    elem_id="style_position",
                )  # fmt: skip
        self.journey = FilmPlace.laid_out(
            words, "style_journey", "Make a film of it", "Download the film", "Film",
            "From one style to the other and back",
        )  # fmt: skip

    @for_people
    def show(self, position: Any, towards: Any, kept: tuple[KeptStyle, ...], **settings: Any) -> dict[str, Any]:
        """What there is to go to, and the photo on the way there."""
        choices = self.choices(kept, settings["way"], settings["style_image"])
        known = [choice for _, choice in choices]
        if towards not in known:
            others = [choice for choice in known if choice != settings["style"]]
            towards = next(iter(others or known), None)
        picture = self.drawn(position, towards, **settings) if choices else None
        return {
            "towards": gr.Radio(choices, value=towards, visible=bool(choices)),
            "between": picture,
            "take": gr.Button(interactive=bool(choices)),
        }

    def drawn(self, position: Any, towards: Any, **settings: Any) -> str:
        share = number("Position", position, 0, 1)
        framed, there = self.ends(towards, **settings)
        request = framed.request
        picture = framed.translation(style=lerp_style(request.followed, there, share))
        return saved(picture, f"{request.name}-{self.words('style')}-{round(100 * share)}")

    @for_people
    def take_it(self, position: Any, towards: Any, kept: Any, **settings: Any) -> dict[str, Any]:
        """What is seen becomes the result, from where the way to the other style begins anew."""
        share = number("Position", position, 0, 1)
        framed, there = self.ends(towards, **settings)
        return {"chosen_style": style_text(lerp_style(framed.request.followed, there, share)), "position": 0}

    @for_people
    def show_film(
        self, towards: Any, kept: Any, progress: gr.Progress = PROGRESS, **settings: Any
    ) -> Iterator[Any]:  # fmt: skip
        """From one style to the other and back."""
        framed, there = self.ends(towards, **settings)
        request, half = framed.request, FRAMES // 2
        here = request.followed
        steps = (framed.translation(style=lerp_style(here, there, step / half)) for step in range(half + 1))
        name = download_name(request.name, request.target, self.words, self.words("style"))
        yield from filmed(steps, half + 1, name, progress, and_back=True)

    def ends(self, towards: Any, **settings: Any) -> tuple[Framed, Style]:
        """The photo, whose translation has a style, and the style at the other end."""
        controls, way = self.controls, settings["way"]
        framed = controls.framed(**settings)
        if towards == EXAMPLE and framed.request.example:
            return framed, framed.request.example.latent().style or ()
        if not towards or towards == EXAMPLE:
            raise UserError("Please keep a style first, or add a photo that it shall look like.")
        return framed, controls.service.written_style(towards, controls.chosen(way)[0])

    def choices(self, kept: tuple[KeptStyle, ...], way: Any, style_image: Any) -> list[tuple[str, str]]:
        """What is kept, by its numbers, and the example, of a model that has styles."""
        if not self.controls.has_styles(way):
            return []
        example = [(self.words("The photo it shall look like"), EXAMPLE)] if style_image else []
        return example + [(name, style.style) for style, name in named(of(way, kept), self.words)]
