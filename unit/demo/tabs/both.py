"""The tab "Both directions": the photo as either kind, and what is kept of it on the way there and back."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from unit.demo import texts
from unit.demo.components import LOOK
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people
from unit.demo.files import saved
from unit.demo.framed import Framed
from unit.demo.visualize import difference, heat_map

PARTS = ("result_in", "result_there", "result_back", "again", "again_heat", "cycle", "cycle_heat")


class Both:
    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [getattr(self, part) for part in PARTS]
        self.inputs = controls.settings
        self.draw = controls.if_photo(drawing(self, self.show))

    def lay_out(self) -> None:
        words = self.words
        gr.Markdown(words(texts.BOTH))
        with gr.Row():
            self.result_in = self.picture("result_in", "Photo", "The photo")
            self.result_there = self.picture("result_there", "Result", "The photo as the other kind")
            self.result_back = self.picture("result_back", "Other way round", "The photo, taken for the other kind")
        gr.Markdown(words(texts.KEPT))
        with gr.Row():
            self.again = self.picture("again", "Reconstruction", "The photo, reconstructed as its own kind")
            self.again_heat = self.picture("again_heat", "Difference", "Where it differs from the photo")
            self.cycle = self.picture("cycle", "There and back", "The photo, turned into the other kind and back")
            self.cycle_heat = self.picture("cycle_heat", "Difference", "Where it differs from the photo")

    def picture(self, elem_id: str, label: str, alt: str) -> gr.Image:
        look: dict[str, Any] = LOOK | {"min_width": 120}
        return gr.Image(
            label=self.words(label), alt_text=self.words(alt), elem_id=elem_id, elem_classes="small", **look
        )  # fmt: skip

    @for_people
    def show(self, **settings: Any) -> Iterator[Any]:
        framed = self.controls.framed(**settings)
        files: list[str] = []
        for files in self.controls.assets.steps("both", framed, lambda: self.files(framed)):  # noqa: B007 (the last ones are used)
            yield gr.skip()
        words, request = self.words, framed.request
        source, target = words(request.source), words(request.target)
        ways = f"{source} → {source}", f"{source} → {target} → {source}"
        seen = request.look()
        apart = (
            words("Difference: {share:.1%}", share=difference(seen, Image.open(files[PARTS.index(part)])))
            for part in ("again", "cycle")
        )
        labels = [words("Photo"), f"{source} → {target}", f"{target} → {source}"]
        labels += [label for pair in zip(ways, apart, strict=True) for label in pair]
        yield {
            part: gr.Image(file, label=label) for part, file, label in zip(PARTS, files, labels, strict=True)
        }  # fmt: skip

    @staticmethod
    def files(framed: Framed) -> Iterator[str]:
        """Files for PARTS."""
        request, name = framed.request, framed.request.name
        drawing, seen = request.draw(request.target), request.picture()
        yield saved(framed.before, name)
        yield saved(framed.finished(drawing), f"{name}-{request.target}")
        yield saved(
            framed.finished(request.draw(request.source, request.latent(request.target))), f"{name}-{request.source}"
        )
        for part, picture in (("again", request.draw(request.source)), ("cycle", request.there_and_back(drawing))):
            yield saved(picture, f"{name}-{part}")
            yield saved(heat_map(seen, picture), f"{name}-{part}-difference")
