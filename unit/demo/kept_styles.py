"""Styles that a visitor keeps, to be chosen again for this photo or another, as long as the visit lasts."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people
from unit.demo.files import QUICK, RUN, SOON
from unit.demo.service import UserError, style_text
from unit.demo.strip import History

MOST = 24  # the oldest goes when another one is kept


@dataclass(frozen=True)
class KeptStyle:
    """way: the model and what it turns into what, as the page calls it, for each domain has styles of its own."""

    way: str
    style: str  # in numbers
    picture: str  # the file of the result that had it


class KeptStyles:
    """kept: all of a visit, oldest first. shown: what `keep` changes."""

    def __init__(self, controls: Controls, history: gr.State):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [self.gallery, self.kept]
        inputs = {"history": history, "kept": self.kept, **controls.settings}
        keep: dict[str, Any] = RUN | {"show_progress": "hidden"}
        self.keeping = self.button.click(drawing(self, self.keep), outputs=self.shown, inputs_kwargs=inputs, **keep)
        moved: dict[str, Any] = {"way": controls.way, "kept": self.kept}
        controls.way.change(self.settle, outputs=[self.place, self.gallery], inputs_kwargs=moved, **QUICK)
        chosen: dict[str, Any] = {"kept": self.kept, "way": controls.way}
        self.choosing = self.gallery.select(self.choose, outputs=controls.chosen_style, inputs_kwargs=chosen, **SOON)

    def lay_out(self) -> None:
        words = self.words
        with gr.Column(visible=self.controls.has_styles(self.controls.first), elem_id="kept_styles") as self.place:
            self.button = gr.Button(words("Keep this style"), size="sm", elem_id="keep_style")
            self.gallery = gr.Gallery(
                columns=8, rows=1, height="auto", label=words("Kept styles: choose one"), show_label=False,
                allow_preview=False, interactive=False, object_fit="cover", buttons=[], visible=False, elem_id="kept",
            )  # fmt: skip
        self.kept = gr.State(())

    @for_people
    def keep(self, history: History, kept: tuple[KeptStyle, ...], **settings: Any) -> dict[str, Any]:
        """The style of the result is kept, once."""
        if history.current is None:
            raise UserError("Please add a photo first.")
        way, request = settings["way"], self.controls.framed(**settings).request
        if not self.controls.has_styles(way):
            raise UserError("This model has no styles: leave the style out.")
        new = KeptStyle(way, style_text(request.followed), history.current.after)
        if new.style not in [style.style for style in of(way, kept)]:
            kept = (*kept, new)[-MOST:]
        return {"gallery": self.value(way, kept), "kept": kept}

    @for_people
    def choose(self, event: gr.SelectData, kept: tuple[KeptStyle, ...], way: Any) -> str:
        """In numbers."""
        here = of(way, kept)
        return here[event.index].style if event.index < len(here) else ""

    @for_people
    def settle(self, way: Any, kept: tuple[KeptStyle, ...]) -> dict[Any, Any]:
        """Another way: what there is of it."""
        return {self.place: gr.Column(visible=self.controls.has_styles(way)), self.gallery: self.value(way, kept)}

    def value(self, way: Any, kept: tuple[KeptStyle, ...]) -> gr.Gallery:
        here = of(way, kept)
        return gr.Gallery([(style.picture, name) for style, name in named(here, self.words)], visible=bool(here))


def of(way: Any, kept: Iterable[KeptStyle]) -> list[KeptStyle]:
    """Those of a way whose pictures are still there. They stay as long as somebody asks for them."""
    here = [style for style in kept if style.way == way and Path(style.picture).is_file()]
    for style in here:
        os.utime(style.picture)
    return here


def named(here: list[KeptStyle], words: Any) -> list[tuple[KeptStyle, str]]:
    return [(style, words("Kept style {number}", number=number)) for number, style in enumerate(here, 1)]
